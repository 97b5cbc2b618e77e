# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promtool's tests for the alert rules of the latency table."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import rule_file as _monitoring
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Links

DOCUMENTATION = r"""
name: monitoring_rule_tests
short_description: Promtool's tests for the alert rules of the latency table
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Derives from the same table as P(nexod.infra.monitoring_rules#filter) the tests that its rules must pass.
positional: sources, minimum, rule_file
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
  minimum:
    description: Requests in five minutes below which nothing is judged.
    type: int
    required: true
  rule_file:
    description: Path of the rule file, relative to the file of tests.
    type: str
    required: true
  builtin:
    description: Whether the alerts that do not depend on the table are included.
    type: bool
    default: true
  disabled:
    description: Names of alerts to leave out.
    type: list
    elements: str
    default: []
  runbooks:
    description: URL of the folder of runbooks, for the annotation C(runbook_url). Without it, there is none.
    type: str
    default: ""
  dashboards:
    description: URL of Grafana, for the annotation C(dashboard_url). Without it, there is none.
    type: str
    default: ""
  alertmanagers:
    description: Whether alerts are sent to any Alertmanager. If so, an alert fires where Prometheus knows of none.
    type: bool
    default: false
  errors:
    description: Rows of the table of errors, each with C(metric), C(severity) and either C(count) or C(ratio).
    type: list
    elements: dict
    default: []
  error_sources:
    description:
      - What counts the requests of each metric of that table.
      - Each has C(counter), C(matchers), and C(failed), matchers of the requests that failed.
    type: dict
    default: {}
  group:
    description: Name of the only group to write, such as V(latency). Without it, all groups are written.
    type: str
    default: ""
"""

EXAMPLES = r"""
tests: >-
  {{ prometheus_latency_targets
     | nexod.infra.monitoring_rule_tests(sources, 100, '../rules/latency.yml') }}
"""

RETURN = r"""
_value:
  description: A file for C(promtool test rules).
  type: dict
"""


def monitoring_rule_tests(
    value: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Mapping[str, t.Mapping[str, t.Any]],
    minimum: int | str,
    rule_file: str,
    *,
    builtin: bool = True,
    disabled: t.Iterable[str] = (),
    runbooks: str = "",
    dashboards: str = "",
    alertmanagers: bool = False,
    errors: t.Sequence[t.Mapping[str, t.Any]] = (),
    error_sources: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
    group: str = "",
) -> dict[str, t.Any]:
    """The file of tests."""
    tables = _monitoring.Tables(
        value,
        sources,
        int(minimum),
        builtin=builtin,
        disabled=frozenset(disabled),
        links=Links(runbooks, dashboards),
        alertmanagers=alertmanagers,
        errors=errors,
        error_sources=error_sources or {},
    )
    return _monitoring.test_document(tables, rule_file, group)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_rule_tests": monitoring_rule_tests}
