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

    Where the source counts failures, each of them is taken off the fast requests: a quick error is no fast answer.
    """
    name, matchers = source["histogram"], source.get("matchers", "")
    bucket = selector(matchers, f'le=~"{boundary(seconds)}"')
    fast = f"sum(increase({name}_bucket{bucket}[{window}]))"
    if failures := source.get("failures"):
        fast = f"clamp_min({fast} - (sum({failed(failures, window)}) or vector(0)), 0)"
    return f"{fast} / sum(increase({name}_count{selector(matchers)}[{window}]))"


def failed(failures: Row, window: str = WINDOW) -> str:
    """The series of failed requests with their number in the window.

    A series that is new in the window counts whole: `increase` takes the value that it began with for nothing.
    """
    series = failures["counter"] + selector(failures.get("matchers", ""), failures["failed"])
    return f"(({series} unless {series} offset {window}) or increase({series}[{window}]))"


def counted(failures: Row, window: str = WINDOW) -> str:
    """How many requests, failed or not, the counter has seen in the window."""
    return f"sum(increase({failures['counter']}{selector(failures.get('matchers', ''))}[{window}]))"


def requests(source: Row, window: str = WINDOW) -> str:
    """How many requests the source has seen in the window."""
    return f"sum(increase({source['histogram']}_count{selector(source.get('matchers', ''))}[{window}]))"


def gauge_quantile(row: Row, source: Row) -> str:
    """The row's quantile over the last probes of a source that is one number a probe."""
    return f"quantile_over_time({number(row['quantile'])}, ({source['gauge']})[15m:1m])"
