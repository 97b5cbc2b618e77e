# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Grafana dashboard from the latency table."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import dashboard as _monitoring_dashboard

DOCUMENTATION = r"""
name: monitoring_dashboard
short_description: The Grafana dashboard from the latency table
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Builds a dashboard in the classic JSON, with a panel for each metric of the table and its target and alert as lines.
positional: _input, sources, uid, title
options:
  _input:
    description: Rows of the latency table, each with C(metric), C(quantile), C(target_seconds) and C(alert_seconds).
    type: list
    elements: dict
    required: true
  sources:
    description:
      - Where each metric comes from, by the row's name.
      - Either C(histogram), a name, with C(matchers); or C(gauge), an expression.
    type: dict
    required: true
  uid:
    description: The dashboard's fixed identifier.
    type: str
    required: true
  title:
    description: The dashboard's title.
    type: str
    required: true
"""

EXAMPLES = r"""
content: >-
  {{ grafana_latency_targets
     | nexod.infra.monitoring_dashboard(grafana_latency_sources, 'nexod-overview', 'Overview')
     | to_nice_json }}
"""

RETURN = r"""
_value:
  description: The dashboard.
  type: dict
"""


def monitoring_dashboard(
    value: t.Sequence[t.Mapping[str, t.Any]], sources: t.Mapping[str, t.Mapping[str, t.Any]], uid: str, title: str
) -> dict[str, t.Any]:
    """The dashboard."""
    return _monitoring_dashboard.dashboard(value, sources, uid, title)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_dashboard": monitoring_dashboard}
