# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an estimate of the cost as a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nexod.infra.plugins.plugin_utils._cost.page import page

DOCUMENTATION = r"""
name: cost_page
short_description: Write an estimate of the cost as a page
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns a page of HTML with charts that loads nothing, runs no script and is readable on a phone.
options:
  _input:
    description: What the module M(nexod.infra.cost_estimate) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the page
  ansible.builtin.copy:
    content: "{{ estimate | nexod.infra.cost_page }}"
    dest: cost.html
    mode: "0600"
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filter names to functions."""
        return {"cost_page": page}
