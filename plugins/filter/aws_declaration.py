# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare the resources of an environment on AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.environment import declaration

DOCUMENTATION = r"""
name: aws_declaration
short_description: Declare the resources of an environment on AWS
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns what the module M(nexod.infra.aws_resources) takes as O(nexod.infra.aws_resources#module:resources), from
    the options of the role P(nexod.infra.provider_aws#role). It calls nothing.
options:
  _input:
    description: All options of the role, by their names without the prefix C(provider_aws_).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Create or update the resources
  nexod.infra.aws_resources:
    environment: staging
    region: us-east-1
    resources: "{{ options | nexod.infra.aws_declaration }}"
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
        return {"aws_declaration": declaration}
