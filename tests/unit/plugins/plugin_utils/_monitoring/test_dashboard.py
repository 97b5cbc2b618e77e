# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboards: every expression is PromQL, the rules of dashboard-linter hold, only what is there is shown."""

from __future__ import annotations

import itertools
import json
import re
import typing as t

import promql_parser
import pytest

from ansible_collections.nexod.infra.plugins.filter.monitoring_dashboards import monitoring_dashboards
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import dashboard as boards

ROWS: list[dict[str, t.Any]] = [
    {"metric": "api", "quantile": 0.5, "target_seconds": 0.1, "alert_seconds": 0.2},
    {"metric": "api", "quantile": 0.99, "target_seconds": 0.5, "alert_seconds": 1},
    {"metric": "database", "quantile": 0.95, "target_seconds": 0.05, "alert_seconds": 0.1},
    {"metric": "ttfb", "quantile": 0.75, "target_seconds": 0.2, "alert_seconds": 0.5},
]
SOURCES: dict[str, dict[str, t.Any]] = {
    "api": {
        "histogram": "http_request_duration_seconds",
        "matchers": 'job="api", endpoint!~"/slow"',
        "failures": {"counter": "http_requests_total", "matchers": 'job="api"', "failed": 'status=~"5.."'},
    },
    "database": {"histogram": "database_query_duration_seconds", "matchers": 'job="api"'},
    "ttfb": {"gauge": 'sum by (instance) (probe_http_duration_seconds{job="frontend", phase!="transfer"})'},
}
VERSION = "app_build_info"
EVERYTHING = monitoring_dashboards(ROWS, SOURCES, version_metric=VERSION)
BOARDS = [pytest.param(board, id=board["uid"]) for board in EVERYTHING]
UIDS = [
    *("infrastructure-overview", "infrastructure-latency", "infrastructure-database"),
    *("infrastructure-cache", "infrastructure-hosts", "infrastructure-deploys"),
]
SUBSTITUTED = (
    ("$__rate_interval", "5m"),
    ("$environment", "lab"),
    ("$instance", "api-1"),
)
#: What Grafana calls these units; a misspelt one is shown as text behind the number.
UNITS = {"reqps", "ops", "pps", "Bps", "percentunit", "s", "bytes", "short"}
COUNTED = re.compile(r"\b(rate|irate|increase|delta)\(")


def panels_of(board: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions(board: dict[str, t.Any]) -> list[tuple[str, str]]:
    """Everything that the dashboard asks Prometheus, by the title of what asks."""
    asked = [(panel["title"], target["expr"]) for panel in panels_of(board) for target in panel["targets"]]
    return asked + [(mark["name"], mark["expr"]) for mark in board["annotations"]["list"] if "expr" in mark]


def substituted(expression: str) -> str:
    for variable, value in SUBSTITUTED:
        expression = expression.replace(variable, value)
    return expression


def selectors(expression: str) -> list[str]:
    """Each metric's name in the expression, with its matchers."""
    return re.findall(r"\b[a-z_][a-zA-Z0-9_]*\{[^}]*\}", expression)


def test_six_dashboards_with_fixed_uids() -> None:
    assert [board["uid"] for board in EVERYTHING] == UIDS
    assert len({board["title"] for board in EVERYTHING}) == len(UIDS)


@pytest.mark.parametrize("board", BOARDS)
def test_every_expression_is_promql(board: dict[str, t.Any]) -> None:
    for title, expression in expressions(board):
        text = substituted(expression)
        assert "$" not in text, f"{title}: a variable that is not declared: {text}"
        assert not re.search(r"<[a-z_]+>", text), f"{title}: a token is left: {text}"
        try:
            promql_parser.parse(text)
        except ValueError as error:
            pytest.fail(f"{title}: {error}: {text}")


def test_the_parser_refuses_what_prometheus_would() -> None:
    for text in ("sum(rate(a[5m])", "rate(a)", "a and on instance b", 'a{b="c"', "histogram_quantile(a[5m])"):
        with pytest.raises(ValueError, match=r"."):
            promql_parser.parse(text)


@pytest.mark.parametrize("board", BOARDS)
def test_linter_rules_of_dashboards(board: dict[str, t.Any]) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert list(variables) == ["datasource", "environment", "instance"]
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert all(variable["label"] for variable in variables.values())
    for name in ("environment", "instance"):
        assert variables[name]["datasource"]["uid"] == "${datasource}"
        # A Prometheus of one environment has no such label, and series without it must be found.
        assert variables[name]["allValue"] == ".*"
        assert variables[name]["includeAll"]
    assert board["description"]
    assert board["editable"] is False
    assert "infrastructure" in board["tags"]
    assert [link["tags"] for link in board["links"]] == [["infrastructure"]]
    assert all(link["includeVars"] and link["keepTime"] for link in board["links"])
    assert [mark["name"] for mark in board["annotations"]["list"]] == ["Deploys", "New versions"]
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(identifiers) == len(set(identifiers))
    json.dumps(board, allow_nan=False)


@pytest.mark.parametrize("board", BOARDS)
def test_linter_rules_of_panels(board: dict[str, t.Any]) -> None:
    titles = [panel["title"] for panel in panels_of(board)]
    assert len(titles) == len(set(titles))
    for panel in panels_of(board):
        name = panel["title"]
        assert name, panel
        assert panel["description"].endswith((".", "?", ").")), name
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, name
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, name
        assert panel["targets"], name
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)), name
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}", name
            assert target["legendFormat"], name


@pytest.mark.parametrize("board", BOARDS)
def test_linter_rules_of_expressions(board: dict[str, t.Any]) -> None:
    for title, expression in expressions(board):
        for found in COUNTED.finditer(expression):
            window = re.search(r"\[([^\]]+)\]", expression[found.end() :])
            # An alert counts over five minutes; its panel shows the same number.
            counts = found[1] == "increase" and title == "Errors in 5 minutes"
            assert window, title
            assert window[1] == ("5m" if counts else "$__rate_interval"), title
        for selector in selectors(expression):
            # A gauge of the latency table is the inventory's own expression.
            if "probe_http_duration_seconds" not in selector:
                assert 'environment=~"$environment"' in selector, f"{title}: {selector}"


@pytest.mark.parametrize("board", BOARDS)
def test_panels_do_not_overlap(board: dict[str, t.Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= boards.WIDTH
        cells = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert not cells & taken, panel["title"]
        taken |= cells


def test_a_panel_for_each_row_of_the_table_with_its_lines() -> None:
    latency = next(board for board in EVERYTHING if board["uid"] == "infrastructure-latency")
    lines = {
        panel["title"]: [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        for panel in panels_of(latency)
    }
    assert lines == {
        "Distance from the targets": [None, 0],
        "api p50": [None, 0.1, 0.2],
        "api p99": [None, 0.5, 1],
        "database p95": [None, 0.05, 0.1],
        "ttfb p75": [None, 0.2, 0.5],
    }
    styles = {panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] for panel in panels_of(latency)}
    assert styles == {"line"}


@pytest.mark.parametrize(
    ("available", "version", "uids", "shown", "hidden"),
    [
        pytest.param(["node"], "", ["infrastructure-hosts"], {"CPU"}, {"Last migration"}, id="hosts alone"),
        pytest.param(
            ["node", "migrations"],
            "",
            ["infrastructure-hosts", "infrastructure-deploys"],
            {"Last migration"},
            set(),
            id="migrations",
        ),
        pytest.param(
            ["api"],
            "",
            [
                "infrastructure-overview",
                "infrastructure-latency",
                "infrastructure-database",
                "infrastructure-cache",
                "infrastructure-deploys",
            ],
            {"Requests by endpoint", "Statements seen by the API (p95)"},
            {
                "Requests by version",
                "Instances by version",
                "PostgreSQL answers",
                "Responses at the entry point",
                "ttfb p75",
            },
            id="an API whose data layer is elsewhere, and which does not tell its version",
        ),
        pytest.param(
            ["postgres"],
            "",
            ["infrastructure-database"],
            {"Connections"},
            {"Replication lag in bytes", "Clients"},
            id="one database without replicas and without PgBouncer",
        ),
        pytest.param(
            ["postgres", "replica"], "", ["infrastructure-database"], {"Replication lag in bytes"}, set(), id="replicas"
        ),
        pytest.param(
            ["redis"], "", ["infrastructure-cache"], {"Memory"}, {"Sessions and caches"}, id="keys not counted"
        ),
        pytest.param(
            ["redis", "redis_keys"],
            "",
            ["infrastructure-cache", "infrastructure-deploys"],
            {"Sessions and caches", "Sessions"},
            set(),
            id="keys counted",
        ),
        pytest.param(["api"], VERSION, None, {"Requests by version", "Instances by version"}, set(), id="versions"),
    ],
)
def test_only_what_is_there_is_shown(
    available: list[str], version: str, uids: list[str] | None, shown: set[str], hidden: set[str]
) -> None:
    found = monitoring_dashboards(ROWS, SOURCES, available=[*available, "prometheus"], version_metric=version)
    # Whether scrapes fail is asked of all jobs.
    titles = {panel["title"] for board in found for panel in panels_of(board)} - {"Failing scrapes"}
    if uids is not None:
        shown_boards = [
            board["uid"] for board in found if [p["title"] for p in panels_of(board)] != ["Failing scrapes"]
        ]
        assert shown_boards == uids
    assert shown <= titles
    assert not hidden & titles
    expected = ["Deploys", "New versions"] if version else ["Deploys"]
    assert all([mark["name"] for mark in board["annotations"]["list"]] == expected for board in found)


def test_annotations_have_the_environments_tags() -> None:
    found = monitoring_dashboards(ROWS, SOURCES, tags=["deploy", "staging"])
    assert all(board["annotations"]["list"][0]["target"]["tags"] == ["deploy", "staging"] for board in found)
