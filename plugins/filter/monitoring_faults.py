# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contradictions in the options of a monitoring role."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import alertmanager, exporters, prometheus

DOCUMENTATION = r"""
name: monitoring_faults
short_description: Find contradictions in the options of a monitoring role
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Checks the options of the roles M(nexod.infra.prometheus#role), M(nexod.infra.alertmanager#role) and
    M(nexod.infra.exporters#role) against each other and against the host, and reports all faults at once.
positional: role, found
options:
  _input:
    description: The options of the role, by their names without the role's prefix.
    type: dict
    required: true
  role:
    description: Name of the role whose options these are.
    type: str
    choices: [alertmanager, exporters, prometheus]
    required: true
  found:
    description: What M(nexod.infra.software_info) reports for the host.
    type: dict
    required: true
"""

EXAMPLES = r"""
faults: "{{ __prometheus_settings | nexod.infra.monitoring_faults('prometheus', __prometheus_found) }}"
"""

RETURN = r"""
_value:
  description: One sentence for each fault, with its fix; empty if there is none.
  type: list
  elements: str
"""


FAULTS: t.Final = {"alertmanager": alertmanager.faults, "exporters": exporters.faults, "prometheus": prometheus.faults}


def monitoring_faults(value: t.Mapping[str, t.Any], role: str, found: t.Mapping[str, t.Any]) -> list[str]:
    """The faults."""
    return FAULTS[role](value, found)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_faults": monitoring_faults}
