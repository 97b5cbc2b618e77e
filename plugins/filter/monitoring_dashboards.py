# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana dashboards for the service, its latency, its data layer, its hosts and its deploys."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import dashboard as _dashboard
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.panels import Scope

DOCUMENTATION = r"""
name: monitoring_dashboards
short_description: Grafana dashboards for the service, its latency, its data layer, its hosts and its deploys
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns up to six dashboards as classic JSON - the service by rate, errors and duration; each row of the latency
    table with its target and alert as lines; PostgreSQL and PgBouncer; Redis; the hosts; deploys.
  - Their identifiers are V(infrastructure-overview), V(infrastructure-latency), V(infrastructure-database),
    V(infrastructure-cache), V(infrastructure-hosts) and V(infrastructure-deploys).
  - A panel whose source is not among the given ones is left out, and so is a dashboard without panels.
positional: _input, sources
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
  available:
    description:
      - Names of Prometheus's scrape jobs, and of V(replica), V(redis_keys) and V(migrations) where there are any.
      - By default all panels are returned.
    type: list
    elements: str
    default: []
  version_metric:
    description:
      - Name of a metric of the API whose label C(version) names the release that an instance runs.
      - By default, what is shown by version is left out.
    type: str
    default: ""
  tags:
    description: Tags of the annotations in Grafana that are deploys.
    type: list
    elements: str
    default: [deploy]
"""

EXAMPLES = r"""
dashboards: >-
  {{ [{'metric': 'api', 'quantile': 0.95, 'target_seconds': 0.3, 'alert_seconds': 0.5}]
     | nexod.infra.monitoring_dashboards({'api': {'histogram': 'http_request_duration_seconds'}},
                                         available=['api', 'node'], version_metric='app_build_info') }}
"""

RETURN = r"""
_value:
  description: The dashboards, to be written as JSON.
  type: list
  elements: dict
"""


def monitoring_dashboards(
    value: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Mapping[str, t.Mapping[str, t.Any]],
    available: t.Sequence[str] = (),
    version_metric: str = "",
    tags: t.Sequence[str] = ("deploy",),
) -> list[dict[str, t.Any]]:
    """The dashboards."""
    scope = Scope(frozenset(available) or None, version_metric)
    return _dashboard.dashboards(value, sources, scope, tags)


class FilterModule:
    """The entry point that Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_dashboards": monitoring_dashboards}
