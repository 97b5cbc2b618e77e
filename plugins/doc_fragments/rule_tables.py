# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What alert rules, and promtool's tests of them, are derived from."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
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
  inventory:
    description: Inventory that the playbooks in messages are run with. Without it, they are named alone.
    type: str
    default: ""
    version_added: "1.1.0"
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
