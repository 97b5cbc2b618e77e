# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a provider's endpoints against the contract between the stages."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._environment.endpoints import endpoint_faults

DOCUMENTATION = r"""
name: endpoints
short_description: Check a provider's endpoints against the contract between the stages
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns its input unchanged when it has the structure that C(docs/architecture.md) describes for C(infra_endpoints).
  - Otherwise fails and names every fault at once.
options:
  _input:
    description: The structure that a provider's C(endpoints.yml) has left.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Publish the endpoints
  ansible.builtin.set_fact:
    infra_endpoints: "{{ __provider_endpoints | nexod.infra.endpoints }}"
"""

RETURN = r"""
_value:
  description: The input, unchanged.
  type: dict
"""


def endpoints(value: t.Any) -> t.Any:
    """The value itself when it keeps the contract."""
    faults = endpoint_faults(value)
    if faults:
        error = InfraError(
            "publish",
            "the endpoints",
            "what the provider returned breaks the contract: " + "; ".join(faults),
            "Fix the provider's tasks/endpoints.yml (or infra_endpoints_declared) after docs/architecture.md.",
        )
        raise AnsibleFilterError(str(error))
    return value


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Filter names to functions."""
        return {"endpoints": endpoints}
