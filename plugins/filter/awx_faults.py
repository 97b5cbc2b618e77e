# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the options of the role awx."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nexod.infra.plugins.plugin_utils._services.awx import faults

DOCUMENTATION = r"""
name: awx_faults
short_description: Faults in the options of the role awx
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Names at once all that is missing or contradicts itself in the options of the role P(nexod.infra.awx#role), such as
    a workflow that reaches production without an approval. No sentence contains a secret.
options:
  _input:
    description: The options, as for P(nexod.infra.awx_declarations#filter).
    type: dict
    required: true
"""

EXAMPLES = r"""
fail_msg: "{{ options | nexod.infra.awx_faults | join('; ') }}"
"""

RETURN = r"""
_value:
  description: One sentence for each fault; empty if there is none.
  type: list
  elements: str
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filter names to functions."""
        return {"awx_faults": faults}
