# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute the endpoints of an environment on AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.endpoints import endpoints

DOCUMENTATION = r"""
name: aws_endpoints
short_description: Compute the endpoints of an environment on AWS
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the structure of C(infra_endpoints), see C(docs/architecture.md), from the outputs of the declared
    resources. It calls nothing.
options:
  _input:
    description: The RV(nexod.infra.aws_resources#module:outputs) of the module M(nexod.infra.aws_resources).
    type: dict
    required: true
  options:
    description: All options of the role P(nexod.infra.provider_aws#role), by their names without the prefix.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Compute the endpoints
  ansible.builtin.set_fact:
    __provider_endpoints: "{{ aws.outputs | nexod.infra.aws_endpoints(options) }}"
"""

RETURN = r"""
_value:
  description: The endpoints.
  type: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filter names to functions."""
        return {"aws_endpoints": endpoints}
