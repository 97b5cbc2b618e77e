# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrape targets for the hosts of an inventory group."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import scrape as _monitoring

DOCUMENTATION = r"""
name: monitoring_targets
short_description: Scrape targets for the hosts of an inventory group
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Turns names of hosts into targets of C(prometheus_scrape_jobs), each with the address that Ansible reaches it by.
positional: hostvars, port, default
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
      - Port to scrape, the same for all hosts.
      - Or a dictionary of the port of each host.
      - Or the name of a variable that holds the port in the variables of each host, such as V(exporters_node_port).
    type: raw
    required: true
  default:
    description: Port of a host whose variables or dictionary do not have one.
    type: int
  labels:
    description: "Further labels of each target, such as C({role: replica})."
    type: dict
    default: {}
  processes:
    description:
      - How many processes each host has, or the name of a variable that holds the number; 1 without that variable.
      - Of several, each is a target of its own with the label C(process). The first is on O(port), the others on the
        ports after it.
    type: raw
    default: 1
    version_added: "1.1.0"
"""

EXAMPLES = r"""
prometheus_scrape_jobs:
  - name: api
    targets: "{{ groups['api'] | nexod.infra.monitoring_targets(hostvars, 8000) }}"
  - name: node
    targets: "{{ groups['all'] | nexod.infra.monitoring_targets(hostvars, 'exporters_node_port', 9100) }}"
"""

RETURN = r"""
_value:
  description: The targets, each with C(address) and C(labels).
  type: list
  elements: dict
"""


def monitoring_targets(
    value: t.Iterable[str],
    hostvars: t.Mapping[str, t.Mapping[str, t.Any]],
    port: int | str | t.Mapping[str, t.Any],
    default: int | str | None = None,
    labels: t.Mapping[str, str] | None = None,
    *,
    processes: int | str = 1,
) -> list[dict[str, t.Any]]:
    """A target for each host, or a filter's error."""
    try:
        return _monitoring.targets(value, hostvars, port, default, labels, processes=processes)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_targets": monitoring_targets}
