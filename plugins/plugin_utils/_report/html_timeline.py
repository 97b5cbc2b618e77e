# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time line on the page of a run: a chart of stages and hosts, and the same figures as tables."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._report import timeline
from ansible_collections.nexod.infra.plugins.plugin_utils._report.markup import Child, Markup, el, join
from ansible_collections.nexod.infra.plugins.plugin_utils._report.parts import (
    Facts,
    badge,
    number,
    section,
    table,
    task_of,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._report.report import duration

STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
MOST_TICKS = 5
BROKEN = (timeline.FAILED, timeline.UNREACHABLE)


def ticks(total: float) -> list[float]:
    """Round values for an axis of `total` seconds, beginning with 0."""
    wide = next((width for width in STEPS if total / width <= MOST_TICKS), STEPS[-1] * 6)
    return [wide * index for index in range(int(total / wide) + 1)]


def clock(seconds: float, total: float) -> str:
    """A moment on the axis: ``12 s`` on a short one, ``1:30`` on a long one."""
    if total < 60:
        return f"{seconds:g} s"
    return f"{int(seconds // 60)}:{int(seconds % 60):02}"


def stages_with_begin(stages: t.Iterable[Facts]) -> list[tuple[Facts, float]]:
    """Each stage with its beginning; where the report does not hold it, one began as the one before ended."""
    found: list[tuple[Facts, float]] = []
    end = 0.0
    for stage in stages:
        begun = number(stage["begun"]) if stage.get("begun") is not None else end
        end = begun + number(stage.get("seconds"))
        found.append((stage, begun))
    return found


def stretch(kind: str, begun: float, seconds: float, total: float, label: str) -> Markup:
    left = min(begun / total, 1.0)
    style = f"left:{left:.3%};width:{min(seconds / total, 1.0 - left):.3%}"
    return el("i", {"class": kind, "style": style, "title": label})


def lane_word(counts: Facts, check_mode: bool) -> tuple[str, str]:
    """The text at the end of a host's lane, which states the outcome without relying on colour, and its kind."""
    if counts.get("unreachable"):
        return "✕ unreachable", "bad"
    if counts.get("failures"):
        return "✕ failed", "bad"
    changed = int(number(counts.get("changed")))
    if changed:
        return (f"{changed} to change" if check_mode else f"{changed} changed"), "changed"
    return "no change", ""


def _bars(kind: str, name: str, track: Child, end: str, end_kind: str = "") -> Markup:
    return el(
        "div",
        {"class": "row"},
        el("div", {"class": "name", "title": name}, name),
        el("div", {"class": f"track {kind}"}, track),
        el("div", {"class": f"end {end_kind}".strip()}, end),
    )


def _stage_row(stage: Facts, begun: float, total: float) -> Markup:
    name, seconds, failed = str(stage.get("name")), number(stage.get("seconds")), bool(stage.get("failed"))
    mark = stretch("broke" if failed else "stage", begun, seconds, total, f"{name}: {duration(seconds)}")
    return _bars("", name, mark, f"{'✕ ' if failed else ''}{duration(seconds)}", "bad" if failed else "")


def _host_row(host: str, spans: t.Iterable[Facts], report: Facts, total: float) -> Markup:
    kinds = {timeline.OK: "idle", timeline.CHANGED: "did"}
    marks = [
        stretch(
            kinds.get(str(span.get("outcome")), "broke"),
            number(span.get("begun")),
            number(span.get("seconds")),
            total,
            f"{span.get('stage')}: {task_of(span)}, {duration(number(span.get('seconds')))}, {span.get('outcome')}",
        )
        for span in spans
    ]
    counts = (report.get("hosts") or {}).get(host) or {}
    return _bars("lane", host, marks, *lane_word(counts, bool(report.get("check_mode"))))


def _legend(check_mode: bool, broken: bool) -> Markup:
    kinds = [
        ("idle", "running, no change"),
        ("did", "would change something" if check_mode else "changed something"),
    ]
    kinds += [("broke", "failed or unreachable")] if broken else []
    shown = [
        el("li", None, el("span", {"class": "track lane"}, el("i", {"class": kind})), word) for kind, word in kinds
    ]
    return el("ul", {"class": "legend", "aria-hidden": "true"}, shown)


def _figures(stages: t.Sequence[tuple[Facts, float]], spans: t.Sequence[Facts], check_mode: bool) -> Markup:
    """The content of the chart as tables."""
    change = "Tasks that would change" if check_mode else "Tasks that changed"
    stage_rows = [
        (
            str(stage.get("name")),
            el("span", {"class": "num"}, duration(begun)),
            el("span", {"class": "num"}, duration(number(stage.get("seconds")))),
            str(stage.get("changed") or 0),
            badge("bad", "failed here") if stage.get("failed") else badge("ok", "ok"),
        )
        for stage, begun in stages
    ]
    span_rows = [
        (
            str(span.get("host")),
            str(span.get("stage") or ""),
            task_of(span),
            el("span", {"class": "num"}, duration(number(span.get("begun")))),
            el("span", {"class": "num"}, duration(number(span.get("seconds")))),
            el(
                "span",
                {"class": {timeline.CHANGED: "changed", timeline.OK: "muted"}.get(str(span.get("outcome")), "bad")},
                str(span.get("outcome")),
            ),
        )
        for span in spans
    ]
    return join(
        el(
            "details",
            None,
            el("summary", None, "The stages as a table"),
            table(["Stage", "Began after", "Took", change, "Outcome"], stage_rows, "The stages, in their order"),
        ),
        el(
            "details",
            None,
            el("summary", None, f"The tasks of the hosts as a table ({len(span_rows)} rows)"),
            table(["Host", "Stage", "Task", "Began after", "Took", "Outcome"], span_rows, "The tasks of the hosts"),
        )
        if span_rows
        else None,
    )


def time_line(report: Facts) -> Child:
    stages = stages_with_begin(report.get("stages") or ())
    spans: list[Facts] = [span for span in report.get("timeline") or () if isinstance(span, dict)]
    if not stages and not spans:
        return None
    ends = [begun + number(stage.get("seconds")) for stage, begun in stages]
    ends += [number(span.get("begun")) + number(span.get("seconds")) for span in spans]
    total = max(number(report.get("seconds")), *ends, 0.1)
    # A tick too close to the end would overlap the text beside the chart.
    marks = [(tick, f"left:{tick / total:.3%}") for tick in ticks(total) if tick <= total * 0.97]
    axis = el(
        "div",
        {"class": "ticks"},
        [el("i", {"style": left}) for _tick, left in marks],
        [el("span", {"style": left}, clock(tick, total)) for tick, left in marks],
    )
    lanes = sorted({str(span.get("host")) for span in spans})
    check_mode = bool(report.get("check_mode"))
    chart = el(
        "div",
        {"class": "chart", "aria-hidden": "true"},
        axis,
        el("div", {"class": "row head"}, "Stages"),
        [_stage_row(stage, begun, total) for stage, begun in stages],
        [
            el("div", {"class": "row head"}, "Hosts"),
            [_host_row(host, (span for span in spans if span.get("host") == host), report, total) for host in lanes],
        ]
        if lanes
        else None,
    )
    legend = _legend(check_mode, any(span.get("outcome") in BROKEN for span in spans)) if lanes else None
    return section("Time line", chart, legend, _figures(stages, spans, check_mode))
