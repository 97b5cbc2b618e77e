# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare the resources of an environment at Vercel, Clerk and Sentry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nexod.infra.plugins.plugin_utils._services.declarations import declarations

DOCUMENTATION = r"""
name: service_declarations
short_description: Declare the resources of an environment at Vercel, Clerk and Sentry
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns what the module M(nexod.infra.service_resources) takes as
    O(nexod.infra.service_resources#module:resources), from the options of the role P(nexod.infra.services#role). It
    calls nothing.
options:
  _input:
    description: All options of the role, by their names without the prefix C(services_).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Manage the resources
  nexod.infra.service_resources:
    environment: staging
    resources: "{{ options | nexod.infra.service_declarations }}"
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
        return {"service_declarations": declarations}
