# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Grafana dashboard for the API, its data layer and its hosts."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import dashboard as _monitoring_dashboard

DOCUMENTATION = r"""
name: monitoring_dashboard
short_description: A Grafana dashboard for the API, its data layer and its hosts
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns a dashboard as classic JSON, with panels for the API, PostgreSQL, PgBouncer, Redis and the hosts.
  - Each metric of the latency table has a panel that shows its target and alert as lines.
positional: _input, sources, uid, title
options:
  _input:
    description: Rows of the latency table, each with C(metric), C(quantile), C(target_seconds) and C(alert_seconds).
    type: list
    elements: dict
    required: true
  sources:
    description:
      - Source of each metric in the table, by its name.
      - Either C(histogram), the name of a histogram, with optional label C(matchers); or C(gauge), a PromQL expression
        in seconds.
    type: dict
    required: true
  uid:
    description: Fixed identifier of the dashboard.
    type: str
    required: true
  title:
    description: Title of the dashboard.
    type: str
    required: true
"""

EXAMPLES = r"""
content: >-
  {{ grafana_latency_targets
     | nexod.infra.monitoring_dashboard(grafana_latency_sources, 'overview', 'Overview')
     | to_nice_json }}
"""

RETURN = r"""
_value:
  description: The dashboard, to be written as JSON.
  type: dict
"""


def monitoring_dashboard(
    value: t.Sequence[t.Mapping[str, t.Any]], sources: t.Mapping[str, t.Mapping[str, t.Any]], uid: str, title: str
) -> dict[str, t.Any]:
    """The dashboard."""
    return _monitoring_dashboard.dashboard(value, sources, uid, title)


class FilterModule:
    """The entry point that Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_dashboard": monitoring_dashboard}
