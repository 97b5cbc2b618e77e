# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Latency against its targets: a panel for each row of the latency table."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import (
    Row,
    gauge_quantile,
    is_histogram,
    measured,
    number,
    percentile,
    selector,
    within,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.panels import (
    OF_VERSION,
    RATE,
    Board,
    Line,
    Panel,
    Query,
    Section,
)

JOB = re.compile(r'\bjob="([^"]+)"')
#: The dashboard's variables, in addition to a source's own matchers.
SELECTED = 'environment=~"$environment", instance=~"$instance"'


def name_of(row: Row) -> str:
    """A row as people name it, such as api p95."""
    return f"{row['metric']} {percentile(row['quantile'])}"


def jobs_of(source: Row) -> frozenset[str]:
    """The scrape jobs that a source names."""
    return frozenset(JOB.findall(str(source.get("matchers") or source.get("gauge") or "")))


def narrowed(source: Row) -> Row:
    """The source with the dashboard's variables among its matchers, also those of its failures."""
    own = ", ".join(filter(None, (source.get("matchers", ""), SELECTED)))
    failures = source.get("failures")
    if not failures:
        return {**source, "matchers": own}
    counted = ", ".join(filter(None, (failures.get("matchers", ""), SELECTED)))
    return {**source, "matchers": own, "failures": {**failures, "matchers": counted}}


def quantile(row: Row, source: Row, by: str = "", join: str = "") -> str:
    """The quantile of a histogram. It crosses a line exactly when the requests do, as targets are bucket boundaries."""
    rate = f"rate({source['histogram']}_bucket{selector(source['matchers'])}[{RATE}])"
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({number(row['quantile'])}, sum by ({labels}) ({rate}{f' {join}' if join else ''}))"


def row_panel(row: Row, source: Row) -> Panel:
    """A row's latency with lines at its target and its alert threshold."""
    if is_histogram(source):
        narrow = narrowed(source)
        queries = [Query(quantile(row, narrow), percentile(row["quantile"]))]
        if 'job="api"' in source.get("matchers", ""):
            queries.append(Query(quantile(row, narrow, "version", OF_VERSION), "{{version}}"))
    else:
        queries = [
            Query(source["gauge"], "{{instance}}"),
            Query(gauge_quantile(row, source), f"{{{{instance}}}} {percentile(row['quantile'])}"),
        ]
    target, alert = number(row["target_seconds"]), number(row["alert_seconds"])
    return Panel(
        name_of(row),
        f"Target: {percentile(row['quantile'])} at most {target} s (orange). Alert: above {alert} s (red).",
        "s",
        tuple(queries),
        (Line(row["target_seconds"], "orange"), Line(row["alert_seconds"], "red")),
        needs=jobs_of(source),
    )


def margin_panel(pairs: t.Sequence[tuple[Row, Row]]) -> Panel:
    """Every row of a histogram in one panel: how far the fraction of fast requests is from what the row asks for."""
    return Panel(
        "Distance from the targets",
        "Fraction of requests within a row's target, less the fraction that the row asks for. Below 0, it is missed.",
        "percentunit",
        tuple(
            Query(
                f"({within(narrowed(source), row['target_seconds'], RATE)}) - {number(row['quantile'])}",
                name_of(row),
                jobs_of(source),
            )
            for row, source in pairs
        ),
        (Line(0, "red"),),
    )


def latency_board(rows: t.Sequence[Row], sources: t.Mapping[str, Row]) -> Board:
    """The dashboard of the latency table; without sections where nothing measures it."""
    pairs = measured(rows, sources)
    panels = tuple(row_panel(row, source) for row, source in pairs)
    histograms = [pair for pair in pairs if is_histogram(pair[1])]
    summary = (margin_panel(histograms),) if histograms else ()
    return Board(
        "latency",
        "Latency against targets",
        "Each row of the latency table, with its target and its alert as lines. The verdict uses the same table.",
        ("api",),
        tuple(
            section for section in (Section("All targets", summary), Section("Each target", panels)) if section.panels
        ),
    )
