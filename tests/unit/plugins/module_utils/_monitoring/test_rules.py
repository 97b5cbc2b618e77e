# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus scrapes and when it alerts, from tables."""

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


@pytest.mark.parametrize(
    ("hosts", "hostvars", "addresses"),
    [
        pytest.param([], {}, [], id="an empty group"),
        pytest.param(["a"], {"a": {"ansible_host": "10.0.0.1"}}, ["10.0.0.1:80"], id="by its address"),
        pytest.param(["a"], {"a": {}}, ["a:80"], id="by its name where it has no address"),
        pytest.param(["a"], {"a": {"ansible_host": ""}}, ["a:80"], id="an empty address is none"),
    ],
)
def test_targets(hosts: list[str], hostvars: dict[str, dict[str, str]], addresses: list[str]) -> None:
    found = monitoring.targets(hosts, hostvars, 80)
    assert [target["address"] for target in found] == addresses
    assert [target["labels"]["instance"] for target in found] == hosts


@pytest.mark.parametrize(
    ("job", "config"),
    [
        pytest.param(
            {"name": "a", "targets": []}, {"job_name": "a", "static_configs": []}, id="nothing to scrape, nothing said"
        ),
        pytest.param(
            {"name": "a", "targets": [{"address": "h:1", "labels": {"instance": "h"}}], "interval_seconds": 5},
            {
                "job_name": "a",
                "scrape_interval": "5s",
                "static_configs": [{"targets": ["h:1"], "labels": {"instance": "h"}}],
            },
            id="an interval of its own",
        ),
        pytest.param(
            {"name": "a", "targets": [{"address": "http://h"}], "probe": {"exporter": "b:1", "module": "m"}},
            {
                "job_name": "a",
                "metrics_path": "/probe",
                "params": {"module": ["m"]},
                "static_configs": [{"targets": ["http://h"]}],
                "relabel_configs": [
                    {"source_labels": ["__address__"], "target_label": "__param_target"},
                    {"source_labels": ["__param_target"], "target_label": "instance"},
                    {"target_label": "__address__", "replacement": "b:1"},
                ],
            },
            id="a probe",
        ),
        pytest.param(
            {"name": "api", "discovery_url": "http://127.0.0.1:9160/"},
            {
                "job_name": "api",
                "http_sd_configs": [{"url": "http://127.0.0.1:9160/", "refresh_interval": "15s"}],
            },
            id="discovered",
        ),
    ],
)
def test_scrape_config(job: dict[str, t.Any], config: dict[str, t.Any]) -> None:
    assert monitoring.scrape_config(job) == config


@pytest.mark.parametrize(
    ("rows", "alerts"),
    [
        pytest.param([], [], id="no table"),
        pytest.param([API], ["ApiLatencyP99High", "LatencyBucketMissing"], id="a histogram can be blind"),
        pytest.param([TTFB], ["TtfbLatencyP75High"], id="a number a probe cannot"),
        pytest.param([{**API, "metric": "unknown"}], [], id="a row without a source is left out"),
        pytest.param([{**API, "quantile": 0.999}], ["ApiLatencyP99_9High", "LatencyBucketMissing"], id="three nines"),
    ],
)
def test_rules(rows: list[dict[str, t.Any]], alerts: list[str]) -> None:
    groups = {group["name"]: group["rules"] for group in monitoring.rule_document(rows, SOURCES, 100)["groups"]}
    assert [rule["alert"] for rule in groups.get("latency", [])] == alerts
    assert {"availability", "migrations"} <= set(groups)


def test_an_alert_compares_fractions_and_needs_traffic() -> None:
    alert = monitoring.latency_alert(API, SOURCES["api"], 100)
    assert "histogram_quantile" not in alert["expr"]
    assert alert["expr"].endswith(">= 100")
    assert alert["labels"]["severity"] == "page"


@pytest.mark.parametrize(
    ("choice", "groups", "cases"),
    [
        pytest.param(monitoring.EVERY_ALERT, ["latency", "availability", "migrations"], True, id="every alert"),
        pytest.param(monitoring.Choice(builtin=False), ["latency"], False, id="only the table's"),
        pytest.param(
            monitoring.Choice(disabled=frozenset({"ApiLatencyP99High", "LatencyBucketMissing"})),
            ["availability", "migrations"],
            True,
            id="a group without a rule is not there",
        ),
        pytest.param(
            monitoring.Choice(builtin=False, disabled=frozenset({"ApiLatencyP99High", "LatencyBucketMissing"})),
            [],
            False,
            id="none",
        ),
    ],
)
def test_alerts_can_be_left_out(choice: monitoring.Choice, groups: list[str], cases: bool) -> None:
    document = monitoring.rule_document([API], SOURCES, 100, choice)
    assert [group["name"] for group in document["groups"]] == groups
    tests = monitoring.test_document([API], SOURCES, 100, "x.yml", choice)["tests"]
    assert any(case["name"].startswith("MigrationFailed") for case in tests) is cases
    tested = {case["alert_rule_test"][0]["alertname"] for case in tests}
    assert not tested & choice.disabled


def test_numbers_of_the_table_may_be_text() -> None:
    row = {"metric": "api", "quantile": "0.99", "target_seconds": "0.5", "alert_seconds": "1"}
    assert monitoring.rule_document([row], SOURCES, 100) == monitoring.rule_document([API], SOURCES, 100)


def test_the_rules_tests_cover_each_histogram_row() -> None:
    tests = monitoring.test_document([API, TTFB], SOURCES, 100, "../rules/x.yml")
    assert [case["name"] for case in tests["tests"] if case["name"].startswith("api")] == [
        "api p99: healthy",
        "api p99: breached",
        "api p99: too little traffic to judge",
    ]


def test_quick_errors_are_not_fast_requests() -> None:
    failures = {"counter": "http_requests_total", "matchers": 'job="api"', "failed": 'status=~"5.."'}
    source = {**SOURCES["api"], "failures": failures}
    expression = monitoring.within(source, 0.5)
    assert 'increase(http_requests_total{job="api", status=~"5.."}[5m])' in expression
    assert expression.startswith("clamp_min(sum(increase(")
    tests = monitoring.test_document([API], {"api": source}, 100, "x.yml")["tests"]
    case = next(case for case in tests if case["name"] == "api p99: answered quickly, with errors")
    assert case["input_series"][-1]["series"] == 'http_requests_total{job="api", status="500"}'
    assert case["alert_rule_test"][0]["exp_alerts"]


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
