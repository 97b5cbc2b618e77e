# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare what an AWX has for the environments of a product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nexod.infra.plugins.plugin_utils._services.awx import declarations

DOCUMENTATION = r"""
name: awx_declarations
short_description: Declare what an AWX has for the environments of a product
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns what the module M(nexod.infra.service_resources) takes as
    O(nexod.infra.service_resources#module:resources), from the options of the role P(nexod.infra.awx#role). It
    calls nothing.
options:
  _input:
    description:
      - All options of the role, by their names without the prefix C(awx_), and C(playbooks), the names of the playbooks
        that the collection has.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Manage the resources
  nexod.infra.service_resources:
    environment: nexod
    resources: "{{ options | nexod.infra.awx_declarations }}"
"""

RETURN = r"""
_value:
  description: The declarations.
  type: list
  elements: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filter names to functions."""
        return {"awx_declarations": declarations}
