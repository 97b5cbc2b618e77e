# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana dashboards as files and providers for provisioning."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import grafana

DOCUMENTATION = r"""
name: grafana_dashboards
short_description: Grafana dashboards as files and providers for provisioning
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Reads dashboards on the controller and returns the files and the dashboard providers to provision them with.
positional: _input, base, home
options:
  _input:
    description:
      - Dashboards, each with C(folder), the title of Grafana's folder, and either C(src) or C(content).
      - C(src) is a JSON file or a folder of them; C(content) is one dashboard as a dictionary or as JSON text, or a
        list of them.
    type: list
    elements: dict
    required: true
  base:
    description: Folder where a relative C(src) starts.
    type: path
    required: true
  home:
    description: Folder on the host that the dashboards are written below.
    type: path
    required: true
"""

EXAMPLES = r"""
providers: >-
  {{ ([{'folder': 'Team', 'src': 'dashboards'}]
      | nexod.infra.grafana_dashboards(playbook_dir, '/etc/grafana/dashboards')).providers }}
"""

RETURN = r"""
_value:
  description: C(files) with C(path) and C(content), C(providers) for the provisioning file, and C(faults) as text.
  type: dict
"""


def grafana_dashboards(value: t.Sequence[t.Mapping[str, t.Any]], base: str, home: str) -> dict[str, t.Any]:
    """The files, the providers and the faults."""
    return grafana.dashboards(value, base, home)


class FilterModule:
    """The entry point that Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"grafana_dashboards": grafana_dashboards}
