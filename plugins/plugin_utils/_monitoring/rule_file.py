# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule file of Prometheus and promtool's tests of it, from the tables in `alerts`. Pure functions."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import (
    Document,
    Row,
    is_histogram,
    measured,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts import (
    aftermath,
    availability,
    certificates,
    cloudwatch,
    ecs,
    errors,
    haproxy,
    hosts,
    latency,
    migrations,
    monitoring,
    pgbouncer,
    postgresql,
    redis,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import (
    NO_LINKS,
    Alert,
    Case,
    Links,
    Record,
)

Groups = dict[str, list[Alert]]
Tested = tuple[Alert, Case]
#: Alerts that need no table, by the group that they are evaluated in.
BUILT_IN: t.Final[dict[str, tuple[Alert, ...]]] = {
    "aftermath": aftermath.ALERTS,
    "availability": availability.ALERTS,
    "certificates": certificates.ALERTS,
    "cloudwatch": cloudwatch.ALERTS,
    "ecs": ecs.ALERTS,
    "haproxy": haproxy.ALERTS,
    "hosts": hosts.ALERTS,
    "migrations": migrations.ALERTS,
    "monitoring": monitoring.ALERTS,
    "pgbouncer": pgbouncer.ALERTS,
    "postgresql": postgresql.ALERTS,
    "redis": redis.ALERTS,
}


@dataclasses.dataclass(frozen=True)
class Tables:
    """What rules are derived from: the latency table, where its metrics come from, and what is left out.

    Below `minimum` requests in five minutes, no fraction is judged. `links` is what messages link to.
    `alertmanagers` says whether alerts are sent anywhere. `errors` is the table of errors, whose metrics
    `error_sources` counts.
    """

    latency: t.Sequence[Row] = ()
    sources: t.Mapping[str, Row] = dataclasses.field(default_factory=dict)
    minimum: int = 0
    builtin: bool = True
    disabled: frozenset[str] = frozenset()
    links: Links = NO_LINKS
    alertmanagers: bool = False
    errors: t.Sequence[Row] = ()
    error_sources: t.Mapping[str, Row] = dataclasses.field(default_factory=dict)


def tables_of(
    latency: t.Sequence[Row],
    sources: t.Mapping[str, Row],
    minimum: int | str,
    *,
    runbooks: str = "",
    dashboards: str = "",
    inventory: str = "",
    disabled: t.Iterable[str] = (),
    **options: t.Any,
) -> Tables:
    """The tables from the options of the filters (doc fragment `rule_tables`). Raises TypeError for an unknown one."""
    links = Links(runbooks, dashboards, inventory)
    return Tables(latency, sources, int(minimum), disabled=frozenset(disabled), links=links, **options)


def latency_alerts(tables: Tables) -> list[Alert]:
    """One alert a row, and one for each row that may be blind."""
    pairs = measured(tables.latency, tables.sources)
    rules = [latency.latency_alert(row, source, tables.minimum) for row, source in pairs]
    histograms = [(row, source) for row, source in pairs if is_histogram(source)]
    rules += [latency.burn_alert(row, source, tables.minimum) for row, source in histograms if latency.burns(row)]
    return rules + [latency.bucket_alert(row, source) for row, source in histograms]


def records(tables: Tables) -> dict[str, list[Record]]:
    """The recording rules of each group."""
    pairs = [pair for pair in measured(tables.latency, tables.sources) if is_histogram(pair[1])]
    return {
        "latency": latency.latency_records(pairs),
        "errors": errors.error_rules(tables.errors, tables.error_sources, tables.minimum)[0],
    }


def every_alert(tables: Tables) -> Groups:
    """All alerts by their group, whether or not they are left out."""
    built_in = {name: list(alerts) for name, alerts in BUILT_IN.items()} if tables.builtin else {}
    if built_in and tables.alertmanagers:
        built_in["monitoring"].append(monitoring.NO_ALERTMANAGER)
    found = errors.error_rules(tables.errors, tables.error_sources, tables.minimum)[1]
    return {"latency": latency_alerts(tables), "errors": found, **built_in}


def chosen(tables: Tables) -> Groups:
    """The alerts that are not left out; no group without any."""
    groups = {
        name: [alert for alert in alerts if alert.name not in tables.disabled]
        for name, alerts in every_alert(tables).items()
    }
    return {name: alerts for name, alerts in groups.items() if alerts}


def rule_document(tables: Tables, group: str = "") -> Document:
    """The rule file, with all groups or with one of them. What is recorded comes before the alerts that read it."""
    recorded = records(tables)
    return {
        "groups": [
            {
                "name": name,
                "rules": [
                    *(record.rule() for record in recorded.get(name, [])),
                    *(alert.rule(tables.links) for alert in alerts),
                ],
            }
            for name, alerts in chosen(tables).items()
            if group in ("", name)
        ]
    }


def test_document(tables: Tables, rule_file: str, group: str = "") -> Document:
    """Promtool's tests of the rule file."""
    alerts = [alert for name, found in chosen(tables).items() if group in ("", name) for alert in found]
    recorded = [record for rows in records(tables).values() for record in rows]
    return {
        "rule_files": [rule_file],
        "evaluation_interval": "1m",
        "tests": [
            {
                "name": "; ".join(f"{alert.name}: {case.name}" for alert, case in pack),
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": values} for _alert, case in pack for name, values in case.series.items()
                ],
                "alert_rule_test": [check for alert, case in pack for check in alert.checks(case, tables.links)],
            }
            for pack in packed([(alert, case) for alert in alerts for case in alert.cases], recorded)
        ],
    }


def packed(cases: t.Sequence[Tested], recorded: t.Sequence[Record] = ()) -> list[list[Tested]]:
    """The cases in few tests: promtool evaluates every rule in each minute of each test, and a test starts slowly.

    Two cases share a test where no alert of the one reads a series of the other.
    """
    packs: list[tuple[list[Tested], set[str], set[str]]] = []
    for case in cases:
        inputs, outputs = reads(case[0], recorded), writes(case[1])
        for pack, read, written in packs:
            if not (inputs & written or outputs & (read | written)):
                pack.append(case)
                read.update(inputs)
                written.update(outputs)
                break
        else:
            packs.append(([case], inputs, outputs))
    return [pack for pack, _read, _written in packs]


def reads(alert: Alert, recorded: t.Sequence[Record] = ()) -> set[str]:
    """The words of the alert's expression and of what it reads, among them the names of metrics."""
    found = words(alert.expression)
    # What is recorded reads what was recorded before it.
    for record in reversed(recorded):
        if record.name in found:
            found |= words(record.expression)
    return found


def words(expression: str) -> set[str]:
    """The words of an expression."""
    return set(re.findall(r"[a-zA-Z_:][\w:]*", expression))


def writes(case: Case) -> set[str]:
    """The names of the metrics of the case."""
    return {series.partition("{")[0] for series in case.series}


def alert_names(tables: Tables) -> set[str]:
    """The names of all alerts that the rule file contains where none is left out."""
    return {alert.name for group in every_alert(tables).values() for alert in group}


def default_tables(environment: Row, prometheus: Row) -> Tables:
    """The tables of an environment that sets nothing, from the wiring of the roles environment and prometheus."""

    def plain(name: str) -> dict[str, t.Any]:
        found: dict[str, t.Any] = json.loads(re.sub(r"\{\{.*?\}\}", "/health|/ready", json.dumps(prometheus[name])))
        return found

    return Tables(
        environment["infra_latency_targets"],
        plain("prometheus_latency_sources"),
        100,
        alertmanagers=True,
        errors=environment["infra_error_alerts"],
        error_sources={name: plain(f"__prometheus_environment_{name}_errors") for name in ("api", "edge")},
    )
