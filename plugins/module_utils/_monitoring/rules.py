# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions of PromQL for the latency table and its sources. Pure functions."""

from __future__ import annotations

import typing as t

Row = t.Mapping[str, t.Any]
Document = dict[str, t.Any]

# All latency alerts look back this far, which must stay at least twice the longest scrape interval: Prometheus 3
# leaves the sample at the window's left end out.
WINDOW = "5m"
WINDOW_SECONDS = 300


def number(value: float) -> str:
    """A number as people write it: 1 rather than 1.0."""
    return f"{value:g}"


def title(text: str) -> str:
    """`api_p95` as ApiP95."""
    return "".join(word[:1].upper() + word[1:] for word in text.replace("-", "_").split("_"))


def percentile(quantile: float) -> str:
    """0.95 as p95, 0.999 as p99.9."""
    return f"p{number(round(quantile * 100, 6))}"


def boundary(seconds: float) -> str:
    """A regular expression for the label `le`: Prometheus 3 writes 1.0 where older ones kept the client's 1."""
    text = number(seconds)
    plain = text.replace(".", "\\\\.")
    return plain if "." in text or "e" in text else f"{plain}|{plain}\\\\.0"


def selector(matchers: str, *more: str) -> str:
    """The braces behind a metric's name."""
    inner = ", ".join(part for part in (matchers, *more) if part)
    return "{" + inner + "}" if inner else ""


def is_histogram(source: Row) -> bool:
    """Whether the source counts requests into buckets, rather than being one number a probe."""
    return bool(source.get("histogram"))


def typed(row: Row) -> Row:
    """A row of the latency table with its numbers as numbers, however they were given."""
    return {**row, **{key: float(row[key]) for key in ("quantile", "target_seconds", "alert_seconds")}}


def measured(rows: t.Iterable[Row], sources: t.Mapping[str, Row]) -> list[tuple[Row, Row]]:
    """The rows of the latency table that have a source, each with it."""
    return [(typed(row), sources[row["metric"]]) for row in rows if row["metric"] in sources]


def within(source: Row, seconds: float, window: str = WINDOW) -> str:
    """The fraction of requests that took at most `seconds`: exact, where an interpolated quantile is a guess.

    Where the source counts failures, each of them is taken off the fast requests: a quick error is no fast answer. So
    the verdict on a release asks, which must not be better for failing. An alert compares `fast` with `answered`.
    """
    return f"{fast(source, seconds, window)} / {requests(source, window)}"


def fast(source: Row, seconds: float, window: str = WINDOW) -> str:
    """How many requests that did not fail took at most `seconds`."""
    bucket = selector(source.get("matchers", ""), f'le=~"{boundary(seconds)}"')
    return without_failures(f"sum(increase({source['histogram']}_bucket{bucket}[{window}]))", source, window)


def requests(source: Row, window: str = WINDOW) -> str:
    """How many requests the source has seen in the window."""
    return f"sum(increase({source['histogram']}_count{selector(source.get('matchers', ''))}[{window}]))"


def answered(source: Row, window: str = WINDOW) -> str:
    """How many of them did not fail: failures are not slow either, and have alerts of their own."""
    return without_failures(requests(source, window), source, window)


def without_failures(count: str, source: Row, window: str) -> str:
    """A number of requests without those that failed, where the source counts them."""
    failures = source.get("failures")
    return f"clamp_min({count} - (sum({failed(failures, window)}) or vector(0)), 0)" if failures else count


def failed(failures: Row, window: str = WINDOW) -> str:
    """The series of failed requests with their number in the window.

    A series that is new in the window counts whole: `increase` takes the value that it began with for nothing.
    """
    series = failures["counter"] + selector(failures.get("matchers", ""), failures["failed"])
    return f"(({series} unless {series} offset {window}) or increase({series}[{window}]))"


def exactly(series: str, window: str = WINDOW) -> str:
    """The series of a counter with the whole number of events in the window, where `increase` extrapolates.

    A series counts whole if it is new although its target was scraped a window ago, or if its process is new: so one
    that begins at 20 is 20, and one that Prometheus itself sees for the first time is not. After a reset, `increase`
    has what can be known.
    """
    scraped = f"(up offset {window} == 1 or time() - process_start_time_seconds < {WINDOW_SECONDS})"
    born = f"({series} unless {series} offset {window}) and on (job, instance) {scraped}"
    grown = f"{series} - {series} offset {window} and resets({series}[{window}]) == 0"
    return f"({born}\nor {grown}\nor increase({series}[{window}]))"


def counted(failures: Row, window: str = WINDOW) -> str:
    """How many requests, failed or not, the counter has seen in the window."""
    return f"sum(increase({failures['counter']}{selector(failures.get('matchers', ''))}[{window}]))"


def gauge_quantile(row: Row, source: Row) -> str:
    """The row's quantile over the last probes of a source that is one number a probe."""
    return f"quantile_over_time({number(row['quantile'])}, ({source['gauge']})[15m:1m])"
