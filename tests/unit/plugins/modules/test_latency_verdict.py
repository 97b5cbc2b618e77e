"""The verdict by what Prometheus answers, and in check mode without asking it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.tests.fixtures import hostile_answers
from ansible_collections.nexod.infra.tests.fixtures.small_api import Api

Run = t.Callable[..., dict[str, t.Any]]


def options(url: str, **more: t.Any) -> dict[str, t.Any]:
    targets = [{"metric": "api", "quantile": 0.5, "target_seconds": 0.3}]
    sources = {"api": {"histogram": "http_request_duration_seconds", "matchers": ""}}
    return {"url": url, "targets": targets, "sources": sources, "wait_seconds": 0, "minimum_samples": 1, **more}


@pytest.mark.parametrize(("value", "verdict"), [("1", "met"), ("NaN", "not enough data")])
def test_verdicts(run_module: Run, api: Api, value: str, verdict: str) -> None:
    api.series = [{"metric": {}, "value": [0, value]}]
    result = run_module("latency_verdict", options(api.url))
    assert (result["verdict"], result["changed"], len(result["rows"])) == (verdict, False, 1)


def test_a_condition_that_holds_is_a_fault(run_module: Run, api: Api) -> None:
    api.series = [{"metric": {"job": "api"}, "value": [0, "1"]}]
    conditions = [{"name": "a target is down", "query": "up == 0"}]
    assert run_module("latency_verdict", options(api.url, conditions=conditions))["faults"] == [
        "a target is down: job=api"
    ]


def test_check_mode_asks_nobody(run_module: Run, api: Api) -> None:
    result = run_module("latency_verdict", options(api.url, expect_samples=5), check_mode=True)
    assert (result["verdict"], api.requests) == ("not enough data", [])


@pytest.mark.parametrize("name", ["nothing", "another protocol", "half its body"])
def test_what_is_no_prometheus(run_module: Run, name: str) -> None:
    with hostile_answers.server(name) as url:
        assert run_module("latency_verdict", options(url))["error"]["action"] == "ask Prometheus at"


def test_another_server_s_json(run_module: Run, api: Api) -> None:
    api.series = [{"metric": {}}]
    assert "is not the result of a query" in run_module("latency_verdict", options(api.url))["msg"]


def test_targets_are_read(run_module: Run, api: Api) -> None:
    api.targets = [
        {
            "labels": {"job": "api", "instance": "api-1"},
            "lastScrape": "0001-01-01T00:00:00Z",
            "scrapeInterval": "1s",
        }
    ]
    assert run_module("latency_verdict", options(api.url, wait_seconds=1))["faults"] == [
        "a target was not scraped since the last change: job=api, instance=api-1"
    ]


def test_the_course_is_read_only_after_a_deploy(run_module: Run, api: Api) -> None:
    api.series = [{"metric": {}, "value": [0, "1"], "values": [[1764163200, "0.25"], [1764163215, "NaN"]]}]
    result = run_module("latency_verdict", options(api.url, began_seconds=60, serving_seconds=20))
    assert len(result["course"]["rows"][0]["points"]) == 1
    assert result["course"]["reason"] == ""
    assert "/api/v1/query_range" in api.requests
    assert "course" not in run_module("latency_verdict", options(api.url))
    assert "course" not in run_module("latency_verdict", options(api.url, began_seconds=60), check_mode=True)
