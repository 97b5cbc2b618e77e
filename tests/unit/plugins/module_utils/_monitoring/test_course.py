# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The latency around a deploy, as a few points for each row."""

from __future__ import annotations

import json
import math
import typing as t

import promql_parser
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import course as _course

P95 = {"metric": "api", "quantile": 0.95, "target_seconds": 0.3, "alert_seconds": 0.5}
TTFB = {"metric": "ttfb", "quantile": 0.75, "target_seconds": 0.2, "alert_seconds": None}
SOURCES: dict[str, dict[str, t.Any]] = {
    "api": {"histogram": "http_request_duration_seconds", "matchers": 'job="api"'},
    "ttfb": {"gauge": "probe_seconds"},
}
NOW = 1_000_000.0


class Answers:
    """Prometheus with one answer for every range."""

    def __init__(self, points: list[tuple[float, float]] | None) -> None:
        self.points, self.asked = points, []  # type: ignore[var-annotated]

    def range(self, expression: str, start: float, end: float, step: int) -> list[tuple[float, float]]:
        self.asked.append((expression, start, end, step))
        if self.points is None:
            raise InfraError("ask Prometheus at", "http://p", "Connection refused", "See that it runs")
        return self.points


def given(took: float, **more: t.Any) -> dict[str, t.Any]:
    return {"targets": [P95, TTFB], "sources": SOURCES, "began_seconds": took, "serving_seconds": 50.0, **more}


@pytest.mark.parametrize("took", [0.0, 200.0, 7200.0, 86400.0])
def test_it_stays_small_however_long_the_deploy_took(took: float) -> None:
    answers = Answers([])
    found = _course.course(given(took, serving_seconds=0.0), NOW, answers)
    for expression, start, end, step in answers.asked:
        promql_parser.parse(expression)
        assert (start, end) == (NOW - took - _course.BEFORE, NOW)
        assert (end - start) / step <= _course.POINTS
        assert step >= _course.SHORTEST_STEP
    assert (found["ended_seconds"], found["step_seconds"]) == (round(took), answers.asked[0][3])


def test_points_are_seconds_since_the_deploy_began() -> None:
    points = [(NOW - 300, 0.123456), (NOW - 200, math.nan), (NOW - 100, math.inf), (NOW, 2.0)]
    found = _course.course(given(200.0), NOW, Answers(points))
    assert found["rows"][0] == {**P95, "points": [[-100, 0.1235], [200, 2.0]]}
    assert found["serving_seconds"] == 150
    json.dumps(found, allow_nan=False)


def test_a_row_without_a_source_has_no_points_and_a_prometheus_that_is_away_is_named_once() -> None:
    found = _course.course(given(200.0, sources={}), NOW, Answers([]))
    assert ([row["points"] for row in found["rows"]], found["reason"]) == ([[], []], "")
    answers = Answers(None)
    found = _course.course(given(200.0), NOW, answers)
    assert ([row["points"] for row in found["rows"]], found["reason"]) == ([[], []], "Connection refused")
    assert len(answers.asked) == 1


def test_nothing_was_rolled_out() -> None:
    assert _course.course(given(200.0, serving_seconds=None), NOW, Answers([]))["serving_seconds"] is None
