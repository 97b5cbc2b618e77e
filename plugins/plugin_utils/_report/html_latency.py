# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Latency before, during and after a deploy as small charts: SVG in the page, in the colours of the page."""

from __future__ import annotations

import statistics
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import rules
from ansible_collections.nexod.infra.plugins.plugin_utils._report.markup import Child, Markup, el
from ansible_collections.nexod.infra.plugins.plugin_utils._report.parts import Facts, number, section

WIDTH, HEIGHT = 300.0, 80.0
#: Points that are further apart than this many steps are not joined: nothing was measured between them.
GAP = 2.5
#: A target further above the highest point than this is not drawn: it would press the latency to the ground.
FAR = 3.0

Point = tuple[float, float]


def seconds(value: float) -> str:
    """A latency as people say it: 12 ms, 1.5 s."""
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"


def points_of(row: Facts) -> list[Point]:
    """The points of a row, whatever else the facts hold."""
    found = [item for item in row.get("points") or () if isinstance(item, (list, tuple)) and len(item) == 2]
    return [(number(at), max(number(value), 0.0)) for at, value in found]


def pieces(points: t.Sequence[Point], step: float) -> list[list[Point]]:
    """The points in pieces that can each be drawn as one line."""
    found: list[list[Point]] = []
    for point in points:
        if not found or point[0] - found[-1][-1][0] > GAP * step:
            found.append([])
        found[-1].append(point)
    return found


def typical(points: t.Sequence[Point], begin: float, end: float) -> str:
    """The median of the points of a time; a dash where there is none."""
    values = [value for at, value in points if begin <= at < end]
    return seconds(statistics.median(values)) if values else "no data"


def phases(course: Facts, points: t.Sequence[Point]) -> str:
    """The chart in words, for who cannot see it and as its caption."""
    serving = number(course.get("serving_seconds") or course.get("ended_seconds"))
    before, during = typical(points, -float("inf"), 0), typical(points, 0, serving)
    return f"before {before}, during {during}, after {typical(points, serving, float('inf'))}"


class Scale(t.NamedTuple):
    """From seconds to coordinates."""

    begin: float
    end: float
    top: float

    def x(self, at: float) -> float:
        share = (at - self.begin) / ((self.end - self.begin) or 1.0)
        return min(max(share, 0.0), 1.0) * WIDTH

    def y(self, value: float) -> float:
        return HEIGHT - min(max(value / (self.top or 1.0), 0.0), 1.0) * HEIGHT


def _line(scale: Scale, value: float, kind: str) -> Child:
    if not 0 < value <= scale.top:
        return None
    y = f"{scale.y(value):.1f}"
    return el("line", {"class": kind, "x1": "0", "x2": f"{WIDTH:g}", "y1": y, "y2": y})


def _piece(scale: Scale, points: t.Sequence[Point]) -> Markup:
    if len(points) == 1:
        x, y = points[0]
        return el("circle", {"class": "point", "cx": f"{scale.x(x):.1f}", "cy": f"{scale.y(y):.1f}", "r": "1.6"})
    drawn = " ".join(f"{scale.x(at):.1f},{scale.y(value):.1f}" for at, value in points)
    return el("polyline", {"class": "course", "points": drawn})


def is_far(value: float, points: t.Sequence[Point]) -> bool:
    """Whether a line at this value would be far above all points."""
    return value > FAR * max(at for _when, at in points)


def chart(course: Facts, row: Facts, points: t.Sequence[Point], words: str) -> Markup:
    """The deploy as a band, the target and the alert as lines, and the latency."""
    target, alert = number(row.get("target_seconds")), number(row.get("alert_seconds"))
    ended = number(course.get("ended_seconds"))
    serving = number(course.get("serving_seconds") or ended)
    shown = [value for value in (target, alert) if not is_far(value, points)]
    scale = Scale(
        -number(course.get("before_seconds")), ended, max(*shown, *(value for _at, value in points), 0.0) * 1.1
    )
    left, right = scale.x(0), scale.x(serving)
    return el(
        "svg",
        {"viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "role": "img", "aria-label": words},
        el(
            "rect",
            {
                "class": "during",
                "x": f"{left:.1f}",
                "y": "0",
                "width": f"{max(right - left, 1.0):.1f}",
                "height": f"{HEIGHT:g}",
            },
        ),
        _line(scale, target, "target"),
        _line(scale, alert, "alert"),
        [_piece(scale, piece) for piece in pieces(points, number(course.get("step_seconds")) or 15.0)],
    )


def _figure(course: Facts, row: Facts) -> Markup:
    name = f"{row.get('metric') or ''} {rules.percentile(number(row.get('quantile')))}"
    points = points_of(row)
    words = phases(course, points)
    target = f"target {seconds(number(row.get('target_seconds')))}"
    if points and is_far(number(row.get("target_seconds")), points):
        target += ", far above"
    if not points:
        drawn: Child = el("p", {"class": "small muted nothing"}, "Nothing was measured in this time.")
    else:
        drawn = chart(course, row, points, f"{name}: {words}; {target}")
    caption = el("figcaption", None, el("strong", None, name), " ", el("span", {"class": "small muted"}, target))
    return el("figure", None, caption, drawn, el("p", {"class": "small muted"}, words) if points else None)


def latency(report: Facts) -> Child:
    """The charts; nothing for a plan, or where nothing was rolled out."""
    verdict = report.get("verdict")
    course = verdict.get("course") if isinstance(verdict, dict) else None
    if report.get("check_mode") or not isinstance(course, dict):
        return None
    rows = [row for row in course.get("rows") or () if isinstance(row, dict)]
    reason = str(course.get("reason") or "")
    if not rows and not reason:
        return None
    note = "The band is the deploy, the dashed line the target, the other line the alert. Below it: medians."
    return section(
        "Latency before, during and after the deploy",
        el("p", {"class": "bad"}, f"Not all could be read from Prometheus: {reason}") if reason else None,
        el("div", {"class": "latencies"}, [_figure(course, row) for row in rows]) if rows else None,
        el("p", {"class": "small muted"}, note) if any(points_of(row) for row in rows) else None,
    )
