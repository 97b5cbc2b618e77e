# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the latency went before, during and after a deploy: a few points for each row of the table."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import is_histogram, number, selector

Facts = t.Mapping[str, t.Any]
Points = list[tuple[float, float]]

#: Seconds shown of the time before the deploy, and how many points there are at most: enough for a chart as wide as a
#: phone, and a few kilobytes for the whole table.
BEFORE = 600
POINTS = 60
SHORTEST_STEP = 15


class Source(t.Protocol):
    """What is asked of Prometheus."""

    def range(self, expression: str, start: float, end: float, step: int) -> Points: ...


def expression(target: Facts, source: Facts, step: int) -> str:
    """The row's latency over time. A quantile crosses its target exactly when the requests do, as that is a bucket."""
    if not is_histogram(source):
        return f"max({source['gauge']})"
    rate = f"rate({source['histogram']}_bucket{selector(source.get('matchers', ''))}[{max(60, 2 * step)}s])"
    return f"histogram_quantile({number(float(target['quantile']))}, sum by (le) ({rate}))"


def compact(points: t.Iterable[tuple[float, float]], began: float) -> list[list[float]]:
    """Points as seconds since the deploy began, with as many digits as a chart shows; what is no number is left out."""
    return [[round(at - began), float(f"{value:.4g}")] for at, value in points if math.isfinite(value)]


def course(parameters: Facts, now: float, source: Source) -> dict[str, t.Any]:
    """All rows with their points, the times of the deploy in seconds since it began, and why there is no more."""
    took = float(parameters["began_seconds"])
    serving = parameters.get("serving_seconds")
    began = now - took
    step = max(SHORTEST_STEP, math.ceil((took + BEFORE) / POINTS))
    found: dict[str, t.Any] = {
        "before_seconds": BEFORE,
        "serving_seconds": None if serving is None else round(took - serving),
        "ended_seconds": round(took),
        "step_seconds": step,
        "reason": "",
        "rows": [],
    }
    for target in parameters["targets"]:
        own = parameters["sources"].get(target["metric"])
        points: Points = []
        if own and not found["reason"]:
            try:
                points = source.range(expression(target, own, step), began - BEFORE, now, step)
            except InfraError as error:
                # The verdict is there already; a chart is not worth a failed run.
                found["reason"] = error.cause
        shown = {key: target.get(key) for key in ("metric", "quantile", "target_seconds", "alert_seconds")}
        found["rows"].append({**shown, "points": compact(points, began)})
    return found
