# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule file of Prometheus and promtool's tests of it, from the tables in `alerts`. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import (
    Document,
    Row,
    is_histogram,
    measured,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts import (
    availability,
    ecs,
    latency,
    migrations,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert

Groups = dict[str, list[Alert]]
#: Alerts that need no table, by the group that they are evaluated in.
BUILT_IN: t.Final[dict[str, tuple[Alert, ...]]] = {
    "availability": availability.ALERTS,
    "ecs": ecs.ALERTS,
    "migrations": migrations.ALERTS,
}


@dataclasses.dataclass(frozen=True)
class Tables:
    """What rules are derived from: the latency table, where its metrics come from, and what is left out.

    Below `minimum` requests in five minutes, no fraction is judged. `runbooks` is the URL of the folder of runbooks.
    """

    latency: t.Sequence[Row] = ()
    sources: t.Mapping[str, Row] = dataclasses.field(default_factory=dict)
    minimum: int = 0
    builtin: bool = True
    disabled: frozenset[str] = frozenset()
    runbooks: str = ""


def latency_alerts(tables: Tables) -> list[Alert]:
    """One alert a row, and one for each row that may be blind."""
    pairs = measured(tables.latency, tables.sources)
    rules = [latency.latency_alert(row, source, tables.minimum) for row, source in pairs]
    return rules + [latency.bucket_alert(row, source) for row, source in pairs if is_histogram(source)]


def every_alert(tables: Tables) -> Groups:
    """All alerts by their group, whether or not they are left out."""
    built_in = BUILT_IN if tables.builtin else {}
    return {"latency": latency_alerts(tables), **{name: list(alerts) for name, alerts in built_in.items()}}


def chosen(tables: Tables) -> Groups:
    """The alerts that are not left out; no group without any."""
    groups = {
        name: [alert for alert in alerts if alert.name not in tables.disabled]
        for name, alerts in every_alert(tables).items()
    }
    return {name: alerts for name, alerts in groups.items() if alerts}


def rule_document(tables: Tables) -> Document:
    """The rule file."""
    return {
        "groups": [
            {"name": name, "rules": [alert.rule(tables.runbooks) for alert in alerts]}
            for name, alerts in chosen(tables).items()
        ]
    }


def test_document(tables: Tables, rule_file: str) -> Document:
    """Promtool's tests of the rule file."""
    alerts = [alert for group in chosen(tables).values() for alert in group]
    return {
        "rule_files": [rule_file],
        "evaluation_interval": "1m",
        "tests": [test for alert in alerts for test in alert.tests(tables.runbooks)],
    }


def alert_names(tables: Tables) -> set[str]:
    """The names of all alerts that the rule file contains where none is left out."""
    return {alert.name for group in every_alert(tables).values() for alert in group}
