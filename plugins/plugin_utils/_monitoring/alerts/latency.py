# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts from the latency table: one for each row, and one for each row that can never fire."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import (
    Row,
    boundary,
    gauge_quantile,
    is_histogram,
    number,
    percentile,
    requests,
    selector,
    title,
    within,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Case

#: The part of the environment that each metric is measured at: the API measures its database and its cache.
COMPONENTS: t.Final = {"ttfb": "frontend", "lcp": "frontend"}
PROFILE = "On a host of the group api: py-spy top --pid $(systemctl show --value --property=MainPID api)"
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
        expression = (
            f"{within(source, row['alert_seconds'])} < {number(row['quantile'])}\nand {requests(source)} >= {minimum}"
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
        labels={"metric": row["metric"]},
        summary=f"{row['metric']}: {what} above {shown} s",
        impact=f"{what} should stay at {shown} s or below; {value}.",
        look=(PROFILE,),
        fix=(ROLL_BACK, FIXES.get(row["metric"], "Otherwise optimize what the profile shows.")),
        cases=tuple(latency_cases(row, source, minimum)) if is_histogram(source) else (),
        runbook="LatencyHigh",
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
        yield Case(
            "answered quickly, with errors",
            input_series(row, source, busy, busy, busy - slow),
            "10m",
            (labels,),
            value=percentage(slow / busy),
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


def input_series(row: Row, source: Row, fast: float, total: float, errors: float = 0) -> dict[str, str]:
    """A histogram that grows by `total` a minute, `fast` within the row's alert threshold; `errors` requests fail."""
    name, labels = source["histogram"], labels_of(source.get("matchers", ""))
    edge = selector(labels, f'le="{number(row["alert_seconds"])}"')
    return {
        f"{name}_bucket{edge}": f"0+{number(fast)}x20",
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
