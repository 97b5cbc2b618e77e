# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions for the latency table, and the dashboard that uses them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import rules as monitoring
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import dashboard as boards

API = {"metric": "api", "quantile": 0.99, "target_seconds": 0.5, "alert_seconds": 1}
TTFB = {"metric": "ttfb", "quantile": 0.75, "target_seconds": 0.2, "alert_seconds": 0.5}
SOURCES: dict[str, dict[str, t.Any]] = {
    "api": {"histogram": "http_request_duration_seconds", "matchers": 'job="api", endpoint!~"/slow"'},
    "ttfb": {"gauge": "probe_seconds"},
}


@pytest.mark.parametrize(
    ("seconds", "pattern"),
    [
        pytest.param(1, r"1|1\\.0", id="Prometheus 3 writes 1.0"),
        pytest.param(1.0, r"1|1\\.0", id="a whole number given as a float"),
        pytest.param(0.5, r"0\\.5", id="a fraction is written one way"),
        pytest.param(2.5, r"2\\.5", id="above one"),
    ],
)
def test_boundary(seconds: float, pattern: str) -> None:
    assert monitoring.boundary(seconds) == pattern


def test_dashboard_follows_the_linters_rules() -> None:
    board = boards.dashboard([API, TTFB], SOURCES, "uid", "title")
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert {"Latency: api", "Latency: ttfb"} <= {panel["title"] for panel in panels}
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert "rate(" not in target["expr"] or "$__rate_interval" in target["expr"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= boards.WIDTH


def test_dashboard_draws_target_and_alert() -> None:
    board = boards.dashboard([API], SOURCES, "uid", "title")
    latency = next(panel for panel in board["panels"] if panel["title"] == "Latency: api")
    assert [step["value"] for step in latency["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 0.5, 1]
