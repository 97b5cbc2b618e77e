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
short_description: Check the types of a provider's endpoints
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns its input unchanged if it has the structure of C(infra_endpoints), see C(docs/architecture.md).
  - Otherwise fails and reports all problems at once.
options:
  _input:
    description: The fact that a provider's C(endpoints.yml) has set.
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
    """The value itself, if it is valid."""
    faults = endpoint_faults(value)
    if faults:
        error = InfraError(
            "publish",
            "the endpoints",
            "the provider returned invalid endpoints: " + "; ".join(faults),
            "Correct the provider's tasks/endpoints.yml or infra_endpoints_declared, see docs/architecture.md.",
        )
        raise AnsibleFilterError(str(error))
    return value


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Filter names to functions."""
        return {"endpoints": endpoints}
