# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts from the latency table: one for each row, and one for each row that can never fire."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import (
    Row,
    answered,
    boundary,
    fast,
    gauge_quantile,
    is_histogram,
    number,
    percentile,
    selector,
    title,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Case, Record

#: The part of the environment that each metric is measured at: the API measures its database and its cache.
COMPONENTS: t.Final = {"ttfb": "frontend", "lcp": "frontend"}
ANSWERED, SLOW = "metric:requests_answered:increase5m", "metric:requests_slow:increase5m"
#: Long window, short window, and how many times faster than allowed, as in the SRE workbook.
BURN_RATES: t.Final = (("1h", "5m", 14.4), ("6h", "30m", 6.0))
PROFILE = "On the controller: ansible-playbook nexod.infra.profile"
ROLL_BACK = "If it began with the last deploy: ansible-playbook nexod.infra.roll_back"
FIXES: t.Final = {
    "database": "Find the statement in pg_stat_activity or pg_stat_statements; add the index that it lacks.",
    "redis": "Find the command with redis-cli slowlog get 10; avoid KEYS and large values.",
}


def component(row: Row) -> str:
    """The part of the environment that the row is about."""
    return COMPONENTS.get(str(row["metric"]), "api")


def base_name(row: Row) -> str:
    """The beginning of the names of the row's alerts, such as ApiLatencyP99."""
    return f"{title(row['metric'])}Latency{percentile(row['quantile']).upper().replace('.', '_')}"


def latency_alert(row: Row, source: Row, minimum: int) -> Alert:
    """The alert of one row: too few requests within its alert threshold."""
    what, shown = percentile(row["quantile"]), number(row["alert_seconds"])
    if is_histogram(source):
        total = f"{ANSWERED}{matching(metric_label(row))}" if is_recorded(row, source) else answered(source)
        on = " on ()" if is_recorded(row, source) else ""
        expression = (
            f"{fast(source, row['alert_seconds'])} /{on} ({total} > 0) < {number(row['quantile'])}\n"
            f"and{on} {total} >= {minimum}"
        )
        value = "{{ $value | humanizePercentage }} of requests were that fast"
    else:
        expression = f"{gauge_quantile(row, source)} > {shown}"
        value = "it is {{ $value | humanizeDuration }}"
    return Alert(
        name=f"{base_name(row)}High",
        expression=expression,
        component=component(row),
        severity="page" if row["metric"] == "api" else "warning",
        wait="2m",
        # Without traffic there is no fraction: the alert would end when the last user leaves.
        keep="5m",
        labels={"metric": row["metric"]},
        summary=f"{row['metric']}: {what} above {shown} s",
        impact=f"{what} should stay at {shown} s or below; {value}.",
        look=(PROFILE,),
        fix=(ROLL_BACK, FIXES.get(row["metric"], "Otherwise optimize what the profile shows.")),
        cases=tuple(latency_cases(row, source, minimum)) if is_histogram(source) else (),
        runbook="LatencyHigh",
    )


def burns(row: Row) -> bool:
    """Whether the row has a budget to burn: a rate is at most 1 / (1 - quantile), which is too little below p99."""
    return bool(row["quantile"] >= 0.99)


def is_recorded(row: Row, source: Row) -> bool:
    """Whether the answered requests of the row's metric are recorded.

    Several rows read them, and where failures are counted, that is by far the most expensive part of their rules.
    """
    return burns(row) or bool(source.get("failures"))


def metric_label(row: Row) -> dict[str, str]:
    """The label of what is recorded once for all rows of a metric."""
    return {"metric": str(row["metric"])}


def latency_records(pairs: t.Iterable[tuple[Row, Row]]) -> list[Record]:
    """What several alerts read, or one reads over hours at the cost of 5 minutes."""
    found: dict[str, Record] = {}
    slow = []
    for row, source in pairs:
        if is_recorded(row, source):
            found.setdefault(str(row["metric"]), Record(ANSWERED, answered(source), metric_label(row)))
        if burns(row):
            slow.append(slow_record(row, source))
    return [*found.values(), *slow]


def slow_record(row: Row, source: Row) -> Record:
    """The requests that took longer than the target, and did not fail."""
    slow = f"{ANSWERED}{matching(metric_label(row))} - on () {fast(source, row['target_seconds'])}"
    return Record(SLOW, f"clamp_min({slow}, 0)", {**metric_label(row), "quantile": number(row["quantile"])})


def matching(labels: t.Mapping[str, str]) -> str:
    """The braces that select these labels."""
    return selector(", ".join(f'{name}="{value}"' for name, value in labels.items()))


def burn_alert(row: Row, source: Row, minimum: int) -> Alert:
    """The alert on a budget that burns too fast: for an hour, or for six, and still now."""
    shown, budget = number(row["target_seconds"]), 1 - row["quantile"]
    quantile = {"quantile": number(row["quantile"])}
    slow = f"{SLOW}{matching({**metric_label(row), **quantile})}"
    total = f"{ANSWERED}{matching(metric_label(row))}"

    def burnt(window: str, rate: float) -> str:
        share = f"avg_over_time({slow}[{window}]) / on (metric) (avg_over_time({total}[{window}]) > 0)"
        return f"{share} > {number(round(rate * budget, 6))}"

    quick, steady = (" and ".join((burnt(long, rate), burnt(short, rate))) for long, short, rate in BURN_RATES)
    return Alert(
        name=f"{base_name(row)}BudgetBurns",
        expression=f"({quick}\nor {steady})\nand {total} >= {minimum}",
        component=component(row),
        wait="2m",
        keep="5m",
        labels={"metric": row["metric"], **quantile},
        summary=f"{row['metric']}: too many requests take longer than the target of {shown} s",
        impact=f"At this rate, the {number(round(budget * 100, 6))} % of a month that may be slow last for days.",
        look=(PROFILE,),
        fix=(ROLL_BACK, "Otherwise optimize what the profile shows."),
        cases=burn_cases(row, source, minimum),
        runbook="LatencyBudgetBurns",
    )


def burn_cases(row: Row, source: Row, minimum: int) -> tuple[Case, ...]:
    """An hour with too many slow requests, one without, and one that is over."""
    busy = max(minimum, 1)
    slow = round(busy * (1 - 20 * (1 - row["quantile"])), 3)
    target = {**row, "alert_seconds": row["target_seconds"]}
    recovered = input_series(target, source, slow, busy)
    edge, total = (next(name for name in recovered if part in name) for part in ("_bucket", "_count"))
    recovered[edge] = f"0+{number(slow)}x15 {number(slow * 15 + busy)}+{number(busy)}x45"
    recovered[total] = f"0+{number(busy)}x60"
    return (
        Case("burns", input_series(target, source, slow, busy), "15m", ({},), before="1m"),
        Case("is over", recovered, "58m"),
        Case("healthy", input_series(target, source, busy, busy), "15m"),
    )


def bucket_alert(row: Row, source: Row) -> Alert:
    """Reports that a row can never alert, because its threshold is no boundary of the histogram."""
    name, matchers = source["histogram"], source.get("matchers", "")
    edge = selector(matchers, f'le=~"{boundary(row["alert_seconds"])}"')
    return Alert(
        name=f"{base_name(row)}BucketMissing",
        expression=f"sum({name}_count{selector(matchers)}) unless sum({name}_bucket{edge})",
        component="monitoring",
        wait="5m",
        labels={"metric": row["metric"], "quantile": number(row["quantile"])},
        runbook="LatencyBucketMissing",
        summary=f"{name} has no bucket that ends at {number(row['alert_seconds'])} s",
        impact="The latency alert of this row cannot fire.",
        look=(f"The buckets of {name} on the page /metrics of the application.",),
        fix=(f"Add {number(row['alert_seconds'])} to the buckets of {name} in the application.",),
        cases=tuple(bucket_cases(row, source)),
    )


def latency_cases(row: Row, source: Row, minimum: int) -> t.Iterator[Case]:
    """A row that is healthy, breached, not breached for long enough, and without enough traffic."""
    busy = max(minimum, 1)  # a minute; five times the guard in a window
    slow = round(busy * max(row["quantile"] - 0.2, 0.05), 3)
    labels: dict[str, str] = {}
    yield Case("healthy", input_series(row, source, busy, busy), "10m")
    yield Case(
        "breached",
        input_series(row, source, slow, busy),
        "10m",
        (labels,),
        value=percentage(slow / busy),
        before="1m",
    )
    yield Case("too little traffic to judge", input_series(row, source, 0, round(busy / 20, 3)), "10m")
    if source.get("failures"):
        # Failures have alerts of their own: they are neither slow nor fast.
        yield Case("some fail quickly", input_series(row, source, busy, busy, busy - slow), "10m")
        half = round(busy / 2, 3)
        yield Case(
            "failures do not hide slow requests",
            input_series(row, source, 2 * half, 4 * half, 2 * half),
            "10m",
            (labels,),
            value="0%",
            before="1m",
        )


def bucket_cases(row: Row, source: Row) -> t.Iterator[Case]:
    """A histogram with the row's bucket, and one without it."""
    name, labels = source["histogram"], labels_of(source.get("matchers", ""))
    whole = input_series(row, source, 1, 1)
    yield Case("has the bucket", whole, "10m")
    yield Case("lacks it", {f"{name}_count{selector(labels)}": "0+1x20"}, "10m", ({},))


def percentage(fraction: float) -> str:
    """A fraction as Prometheus's humanizePercentage shows it."""
    return f"{float(f'{fraction * 100:.4g}'):g}%"


def labels_of(matchers: str) -> str:
    """Matchers that are plain equalities, as a series for a test carries them."""
    return ", ".join(part.strip() for part in matchers.split(",") if "=~" not in part and "!" not in part)


def input_series(row: Row, source: Row, quick: float, total: float, errors: float = 0) -> dict[str, str]:
    """A histogram that grows by `total` a minute, `quick` within the row's alert threshold; `errors` requests fail."""
    name, labels = source["histogram"], labels_of(source.get("matchers", ""))
    edge = selector(labels, f'le="{number(row["alert_seconds"])}"')
    return {
        f"{name}_bucket{edge}": f"0+{number(quick)}x20",
        f"{name}_count{selector(labels)}": f"0+{number(total)}x20",
        **({failed_series(source["failures"]): f"0+{number(errors)}x20"} if errors else {}),
    }


def failed_series(failures: Row) -> str:
    """A counter of failed requests."""
    labels = ", ".join(filter(None, (labels_of(failures.get("matchers", "")), example_of(failures["failed"]))))
    return str(failures["counter"]) + selector(labels)


def example_of(matchers: str) -> str:
    """Labels that such matchers select: of a regular expression of digits and dots, 0 for each dot."""
    return ", ".join(
        part.strip().replace("=~", "=").replace(".", "0") for part in matchers.split(",") if "!" not in part
    )
