# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The charts of a deploy's latency: what is drawn, what is said in words, and what missing data looks like."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._report import html_latency
from ansible_collections.nexod.infra.plugins.plugin_utils._report.html import page

GOOD = json.loads((Path(__file__).parents[4] / "fixtures/reports/good.json").read_text())
ROW = {"metric": "api", "quantile": 0.95, "target_seconds": 0.3, "alert_seconds": 0.5}
COURSE = {"before_seconds": 600, "serving_seconds": 60, "ended_seconds": 120, "step_seconds": 15, "reason": ""}
POINTS = [[-600, 0.1], [-585, 0.1], [0, 0.4], [15, 0.6], [60, 0.2], [120, 0.2]]


def shown(points: t.Any, **more: t.Any) -> str:
    rows = [{**ROW, "points": points}]
    return str(html_latency.latency({"verdict": {"course": {**COURSE, "rows": rows, **more}}}) or "")


def test_a_chart_has_the_deploy_the_target_the_alert_and_the_latency() -> None:
    text = shown(POINTS)
    assert text.count("<svg") == 1
    assert [text.count(f'class="{kind}"') for kind in ("during", "target", "alert", "course", "point")] == [
        1,
        1,
        1,
        2,
        2,
    ]
    assert 'aria-label="api p95: before 100 ms, during 500 ms, after 200 ms; target 300 ms"' in text
    # All of it is within the frame.
    for x, y in re.findall(r"([\d.]+),([\d.]+)", " ".join(re.findall(r'points="([^"]*)"', text))):
        assert 0 <= float(x) <= html_latency.WIDTH
        assert 0 <= float(y) <= html_latency.HEIGHT


@pytest.mark.parametrize(
    ("points", "words"),
    [
        pytest.param([], "Nothing was measured in this time.", id="nothing"),
        pytest.param(None, "Nothing was measured in this time.", id="no list"),
        pytest.param([["x"], "y", {}], "Nothing was measured in this time.", id="no points"),
        pytest.param([[60, 0.1]], "before no data, during no data, after 100 ms", id="one point"),
        pytest.param([[0, 0.0]], "before no data, during 0 ms, after no data", id="zero"),
        pytest.param([[-10, 1.5]], "before 1.5 s", id="before alone"),
    ],
)
def test_missing_data_is_said(points: t.Any, words: str) -> None:
    assert words in shown(points)


def test_a_prometheus_that_could_not_be_asked_is_named() -> None:
    assert "Not all could be read from Prometheus: Connection refused" in shown([], reason="Connection refused")


@pytest.mark.parametrize(
    "report",
    [
        pytest.param({}, id="no verdict"),
        pytest.param({"verdict": {"verdict": "met"}}, id="an older report"),
        pytest.param({"verdict": {"course": {}}}, id="nothing was rolled out"),
        pytest.param({"verdict": {"course": "x"}}, id="something else"),
        pytest.param({"check_mode": True, "verdict": GOOD["verdict"]}, id="a plan"),
    ],
)
def test_where_there_is_nothing_to_show(report: dict[str, t.Any]) -> None:
    assert html_latency.latency(report) is None


def test_an_alert_far_above_does_not_flatten_the_chart() -> None:
    rows = [{**ROW, "alert_seconds": 30, "points": POINTS}]
    text = str(html_latency.latency({"verdict": {"course": {**COURSE, "rows": rows}}}))
    assert ('class="alert"' in text, 'class="target"' in text) == (False, True)


def test_a_target_far_above_does_not_flatten_the_chart_and_is_said() -> None:
    text = shown([[0, 0.01], [15, 0.02]])
    assert ('class="target"' in text, "target 300 ms, far above" in text) == (False, True)
    assert re.search(r'points="[\d.]+,[\d.]+ [\d.]+,7.3"', text), "the highest point is near the top"


def test_it_stays_small() -> None:
    without = {**GOOD, "verdict": {**GOOD["verdict"], "course": {}}}
    assert len(page(GOOD)) - len(page(without)) < 16_000
