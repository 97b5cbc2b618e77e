# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrape targets for the hosts of an inventory group."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import rules as _monitoring

DOCUMENTATION = r"""
name: monitoring_targets
short_description: Scrape targets for the hosts of an inventory group
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Turns names of hosts into targets of C(prometheus_scrape_jobs), each with the address that Ansible reaches it by.
positional: _input, hostvars, port
options:
  _input:
    description: Names of hosts, such as C(groups['api']).
    type: list
    elements: str
    required: true
  hostvars:
    description: The variables of all hosts.
    type: dict
    required: true
  port:
    description:
      - Port to scrape, or the name of the variable that holds it on each host, such as V(prometheus_port).
    type: raw
    required: true
"""

EXAMPLES = r"""
prometheus_scrape_jobs:
  - name: api
    targets: "{{ groups['api'] | nexod.infra.monitoring_targets(hostvars, 8000) }}"
  - name: node
    targets: "{{ groups['all'] | nexod.infra.monitoring_targets(hostvars, 'exporters_node_port') }}"
"""

RETURN = r"""
_value:
  description: The targets, each with C(address) and C(labels).
  type: list
  elements: dict
"""


def monitoring_targets(
    value: t.Iterable[str], hostvars: t.Mapping[str, t.Mapping[str, t.Any]], port: int | str
) -> list[dict[str, t.Any]]:
    """A target for each host."""
    return _monitoring.targets(value, hostvars, port)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_targets": monitoring_targets}
