# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts from the table of errors: one for each row, and one for traffic that stops."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import (
    Row,
    exactly,
    number,
    selector,
    title,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Case, Record
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.latency import example_of, labels_of

FAILED, ALL = "metric:requests_failed:increase5m", "metric:requests:increase5m"
COMPONENTS: t.Final = {"api": "api", "edge": "edge"}
#: Minutes until a number or a part of failures is reported: longer than a cause needs, as a dead database is one page,
#: not one more for its errors. The entry point passes on what the API answers, and may be scraped before it.
WAIT, FOLLOWS = 1, {"edge": 2}
IMPACT: t.Final = {
    "api": "The API answers these requests with a status from 500 on: users see errors.",
    "edge": "The entry point answers these requests with a status from 500 on, or passes such an answer on.",
}
LOOK: t.Final = {
    "api": (
        "On the hosts of the group api: journalctl -u api -p warning -n 50",
        "sum by (endpoint, status) (increase(http_requests_total{status=~'5..'}[5m])) in Prometheus",
    ),
    "edge": (
        "On the hosts of the group edge: journalctl -u haproxy -n 50",
        "On the hosts of the group edge: echo 'show stat' | socat - /run/haproxy/admin.sock",
    ),
}
ROLL_BACK = "If it began with the last deploy: ansible-playbook nexod.infra.roll_back"


def records(metric: str, source: Row) -> list[Record]:
    """Requests and failed requests of the last 5 minutes: 0 where all went well, nothing where there is no counter."""
    every = source["counter"] + selector(source.get("matchers", ""))
    bad = source["counter"] + selector(source.get("matchers", ""), source["failed"])
    return [
        Record(ALL, f"sum({exactly(every)})", {"metric": metric}),
        Record(FAILED, f"sum({exactly(bad)}) or 0 * sum({every})", {"metric": metric}),
    ]


def error_alert(row: Row, source: Row, minimum: int, whole: bool = True) -> Alert:
    """The alert of one row: too many failed requests, or too large a part of all."""
    metric, ratio = str(row["metric"]), row.get("ratio")
    braces = f'{{metric="{metric}"}}'
    if ratio is not None:
        limit = f"{number(round(float(ratio) * 100, 6))}"
        name = f"{title(metric)}ErrorsAbove{limit.replace('.', '_')}Percent"
        expression = f"{FAILED}{braces} / ({ALL}{braces} > 0) > {number(float(ratio))}\nand {ALL}{braces} >= {minimum}"
        summary = f"{metric}: more than {limit} % of requests failed in 5 minutes"
    else:
        limit = str(int(row["count"]))
        name = f"{title(metric)}ErrorsAbove{limit}"
        expression = f"{FAILED}{braces} > {limit}"
        summary = f"{metric}: more than {limit} requests failed in 5 minutes"
    severity: t.Any = row["severity"]
    return Alert(
        name=name,
        expression=expression,
        component=COMPONENTS.get(metric, "api"),
        severity=severity,
        wait=f"{FOLLOWS.get(metric, WAIT)}m",
        keep="2m",
        labels={"errors": "count" if ratio is None else "ratio"},
        summary=summary,
        impact=IMPACT.get(metric, IMPACT["api"]),
        look=LOOK.get(metric, LOOK["api"]),
        fix=(
            ROLL_BACK,
            "Otherwise fix what the log names; if it is the database or the cache, its own alert says how.",
        ),
        cases=tuple(
            count_cases(metric, source, int(row["count"]), whole)
            if ratio is None
            else ratio_cases(row, source, minimum)
        ),
        runbook="ErrorsHigh",
    )


def series_of(source: Row) -> tuple[str, str, str]:
    """A failed series of the source, one that did not fail, and the target of both."""
    # Of a regular expression, the first of its alternatives.
    matchers = re.sub(r'=~"([^"|]*)[^"]*"', r'="\1"', str(source.get("matchers", "")))
    plain = [part for part in labels_of(matchers).split(", ") if part]
    job = next((part for part in plain if part.startswith("job=")), 'job="api"')
    labels = [job, 'instance="i"', *(part for part in plain if not part.startswith(("job=", "instance=")))]
    counter, base = str(source["counter"]), ", ".join(labels)
    bad, good = selector(base, example_of(source["failed"])), selector(base, 'kind="good"')
    return counter + bad, counter + good, "up" + selector(job, 'instance="i"')


def count_cases(metric: str, source: Row, limit: int, whole: bool) -> t.Iterator[Case]:
    """Failures at the limit and above it; if `whole`, also in new series and over a reset."""
    bad, _good, target = series_of(source)
    fired, wait = ({"metric": metric},), FOLLOWS.get(metric, WAIT)
    scraped = {target: "1x30"}
    # 10 in four of five minutes extrapolate to more, but are 10.
    yield Case("exactly the limit", {bad: f"0x6 {limit}x20", **scraped}, "8m")
    yield Case("one more", {bad: f"0x6 {limit + 1}x20", **scraped}, f"{7 + wait}m", fired, before=f"{6 + wait}m")
    if not whole:
        return
    yield Case("a series that is born", {bad: f"_x6 {limit * 2}x20", **scraped}, f"{7 + wait}m", fired)
    yield Case("a series that Prometheus has never seen", {bad: f"{limit * 2}x20", **scraped}, "4m")
    yield Case("its target was away", {bad: f"{limit * 9}x2 _x14 {limit * 9}x9", target: "1x2 0x14 1x9"}, "20m")
    yield Case("reset", {bad: f"0x5 {limit} {limit * 2} 0 {limit} {limit * 2}x20", **scraped}, f"{8 + wait}m", fired)
    yield Case("over", {bad: f"0x5 {limit * 3}x20", **scraped}, "20m")


def ratio_cases(row: Row, source: Row, minimum: int) -> t.Iterator[Case]:
    """A part above the limit, one below it, and too few requests to judge."""
    bad, good, target = series_of(source)
    busy, ratio = max(minimum, 1), float(row["ratio"])
    share = round(min(busy, busy * ratio * 2), 3)
    few = round(max(minimum, 1) / 20, 3)

    def counters(failing: float, fine: float) -> dict[str, str]:
        return {bad: f"0+{number(failing)}x20", good: f"0+{number(fine)}x20", target: "1x20"}

    fired = ({"metric": str(row["metric"])},)
    yield Case("above", counters(share, round(busy - share, 3)), "10m", fired)
    yield Case("below", counters(round(busy * ratio / 2, 3), busy), "10m")
    yield Case("too few requests to judge", counters(few, 0), "10m")


def traffic_alert(metric: str, source: Row, minimum: int) -> Alert:
    """Says that requests stop: without any, nothing fails and nothing is slow."""
    before = f'avg_over_time({ALL}{{metric="{metric}"}}[1h] offset 10m)'
    now = f'({ALL}{{metric="{metric}"}} or 0 * {before})'
    _bad, good, target = series_of(source)
    busy = max(minimum, 1)
    return Alert(
        name=f"{title(metric)}TrafficDropped",
        expression=f"{now} < 0.1 * {before}\nand {before} >= {minimum}",
        component=COMPONENTS.get(metric, "api"),
        wait="5m",
        summary=f"{metric}: less than a tenth of the requests of the hour before",
        impact="Users may not reach the product. Alerts on errors and latency are silent without traffic.",
        look=("curl -sSi URL from outside; the records of the domain in DNS; the CDN",),
        fix=("Repair what is between users and the entry point. If the pause is planned, silence the alert.",),
        labels={"traffic": "dropped"},
        cases=(
            Case("stops", {good: f"0+{busy}x20 {busy * 20}x30", target: "1x50"}, "40m", ({"metric": metric},)),
            Case("goes on", {good: f"0+{busy}x50", target: "1x50"}, "40m"),
            Case("was never much", {good: f"0+{number(busy / 20)}x20 {busy}x30", target: "1x50"}, "40m"),
        ),
        runbook="TrafficDropped",
    )


def error_rules(rows: t.Sequence[Row], sources: t.Mapping[str, Row], minimum: int) -> tuple[list[Record], list[Alert]]:
    """The group's recording rules and alerts: of each metric that a row names and a source counts."""
    metrics = [name for name in dict.fromkeys(str(row["metric"]) for row in rows) if name in sources]
    found = [record for name in metrics for record in records(name, sources[name])]
    # The counting is the same for all rows of all metrics: once is enough to test it.
    alerts = [
        error_alert(row, sources[row["metric"]], minimum, whole=row is rows[0])
        for row in rows
        if row["metric"] in sources
    ]
    return found, alerts + [traffic_alert(name, sources[name], minimum) for name in metrics]
