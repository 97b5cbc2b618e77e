"""Met, missed, or not enough data."""

from __future__ import annotations

import datetime
import json
import math
import typing as t

import promql_parser
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import verdict as _verdict
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.verdict import (
    MET,
    MISSED,
    UNKNOWN,
    Prometheus,
    faults,
    first,
    judge,
    overall,
    samples_needed,
    verdict,
)

P95 = {"metric": "api", "quantile": 0.95, "target_seconds": 0.3, "alert_seconds": 0.5}
TTFB = {"metric": "ttfb", "quantile": 0.75, "target_seconds": 0.2}
API = {"histogram": "http_request_duration_seconds", "matchers": 'job="api"'}
PROBE = {"gauge": "probe_duration_seconds"}


@pytest.mark.parametrize(
    ("target", "source", "value", "samples", "minimum", "said"),
    [
        pytest.param(P95, API, 0.98, 812.2, None, (MET, "98.00% of 812 requests"), id="met"),
        pytest.param(P95, API, 0.95 - 1e-12, 500, None, (MET, "95.00%"), id="exactly the target is met"),
        pytest.param(P95, API, 0.94, 500, None, (MISSED, "94.00%"), id="missed"),
        pytest.param(P95, API, 0.10, 499, None, (UNKNOWN, "499 of 500 requests"), id="too few to say missed"),
        pytest.param(P95, API, 1.0, 30, None, (UNKNOWN, "30 of 500"), id="too few to say met"),
        pytest.param(P95, API, 1.0, 30, 30, (MET, "100.00%"), id="the caller's own minimum"),
        pytest.param(P95, API, None, None, None, (UNKNOWN, "0 of 500"), id="no traffic"),
        pytest.param(P95, API, None, 900, None, (UNKNOWN, "no bucket of http_request"), id="no such bucket"),
        pytest.param(P95, None, None, None, None, (UNKNOWN, "nothing measures it"), id="no source"),
        pytest.param(TTFB, PROBE, 0.1, 5, None, (MET, "0.1 s over 5 probes"), id="gauge met"),
        pytest.param(TTFB, PROBE, 0.21, 5, None, (MISSED, "0.21 s"), id="gauge missed"),
        pytest.param(TTFB, PROBE, 0.1, 4, None, (UNKNOWN, "4 of 5 probes"), id="gauge, too few"),
    ],
)
def test_judge(
    target: dict[str, t.Any],
    source: dict[str, str] | None,
    value: float | None,
    samples: float | None,
    minimum: int | None,
    said: tuple[str, str],
) -> None:
    row = judge(target, source, value, samples, minimum)
    assert row.verdict == said[0]
    assert said[1] in row.says


@pytest.mark.parametrize(("quantile", "needed"), [(0.5, 200), (0.75, 500), (0.95, 500), (0.99, 2000)])
def test_samples_needed(quantile: float, needed: int) -> None:
    assert samples_needed(quantile) == needed


@pytest.mark.parametrize(
    ("verdicts", "over_all"),
    [([MET, MET], MET), ([MET, UNKNOWN], UNKNOWN), ([UNKNOWN, MISSED, MET], MISSED), ([], UNKNOWN)],
)
def test_overall(verdicts: list[str], over_all: str) -> None:
    assert overall(verdicts) == over_all


@pytest.mark.parametrize(
    ("series", "value"), [([], None), ([({}, float("nan"))], None), ([({}, 0.0)], 0.0), ([({}, 2.0), ({}, 3.0)], 2.0)]
)
def test_first(series: list[tuple[dict[str, str], float]], value: float | None) -> None:
    assert first(series) == value


def test_faults_name_condition_and_labels() -> None:
    down = [({"__name__": "up", "job": "node", "instance": "db-1"}, 0.0)]
    conditions = [{"name": "a target is down", "query": "up == 0"}, {"name": "quiet", "query": "x"}]
    assert faults(conditions, lambda query: down if query == "up == 0" else []) == [
        "a target is down: instance=db-1, job=node"
    ]


ERRORS = {"name": "API", "counter": "http_requests_total", "matchers": "", "failed": 'status=~"5.."', "by": "status"}


@pytest.mark.parametrize(
    ("total", "failed", "word", "says"),
    [
        pytest.param(660, {}, MET, "API: 0.00% of 660 requests in 60 s failed", id="none"),
        pytest.param(660, {"503": 6}, MET, "API: 0.91% of 660 requests in 60 s failed (status 503: 6)", id="few"),
        pytest.param(
            660,
            {"500": 600, "503": 59},
            MISSED,
            "API: 99.85% of 660 requests in 60 s failed (status 500: 600, status 503: 59)",
            id="an outage",
        ),
        pytest.param(0, {}, UNKNOWN, "API: not enough data (no request in 60 s)", id="no traffic"),
        pytest.param(None, {}, UNKNOWN, "API: not enough data (no request in 60 s)", id="nothing counts"),
        pytest.param(2, {"500": 3}, MISSED, "API: 100.00% of 3 requests in 60 s failed (status 500: 3)", id="new"),
    ],
)
def test_error_row(total: float | None, failed: dict[str, float], word: str, says: str) -> None:
    def query(expression: str) -> list[tuple[dict[str, str], float]]:
        if expression.startswith("sum by (status)"):
            return [({"status": status}, value) for status, value in failed.items()]
        return [] if total is None else [({}, total)]

    row = _verdict.error_row(ERRORS, 0.01, 60, query)
    assert (row["verdict"], row["says"]) == (word, says)
    assert row["fault"] == (f"{says}, at most 1.00% may" if word == MISSED else "")


@pytest.mark.parametrize(
    ("since", "window"),
    [
        pytest.param(None, 45, id="nothing was replaced"),
        pytest.param(2.0, 30, id="just now"),
        pytest.param(90.4, 90, id="a while ago"),
        pytest.param(9000.0, 300, id="long ago"),
    ],
)
def test_errors_count_since_the_release_serves(since: float | None, window: int) -> None:
    assert _verdict.error_window(45, 300, since) == window


class Answers:
    """A Prometheus that answers queries by `query`, and names the next of `targets` each time; the last one remains."""

    def __init__(self, query, targets=((),)) -> None:
        self.query, self._targets, self.asked = query, list(targets), 0

    def targets(self):
        self.asked += 1
        return self._targets.pop(0) if len(self._targets) > 1 else self._targets[0]


def test_errors_fail_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_verdict.time, "sleep", lambda seconds: None)
    parameters = {
        "conditions": [],
        "errors": [ERRORS],
        "maximum_error_ratio": 0.01,
        "serving_seconds": None,
        "expect_samples": 0,
        "minimum_samples": None,
        "sources": {},
        "targets": [],
        "wait_seconds": 0,
        "window_seconds": 300,
    }
    found = verdict(parameters, Answers(lambda expression: [({"status": "500"}, 10.0)]))
    assert (found["verdict"], len(found["faults"]), found["errors"][0]["failed"]) == (MISSED, 1, 10)
    assert "fault" not in found["errors"][0]


def test_verdict_waits_for_faults_to_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_verdict.time, "sleep", lambda seconds: None)
    answers = iter([[({"job": "api"}, 0.0)], []])

    def query(expression: str) -> list[tuple[dict[str, str], float]]:
        if expression == "up == 0":
            return next(answers)
        return [({}, 0.99 if "_bucket" in expression else 600.0)]

    found = verdict(
        {
            "conditions": [{"name": "down", "query": "up == 0"}],
            "expect_samples": 50,
            "minimum_samples": None,
            "sources": {"api": API},
            "targets": [P95],
            "wait_seconds": 30,
            "window_seconds": 300,
        },
        Answers(query),
    )
    assert (found["faults"], found["verdict"], found["rows"][0]["samples"]) == ([], MET, 600)


@pytest.mark.parametrize(
    ("interval", "ages", "waits"),
    [
        pytest.param(5, [900.0], True, id="not scraped since"),
        pytest.param(5, [0.0], False, id="scraped since, so more will not come"),
        pytest.param(5, [900.0, 900.0, 0.0], False, id="scraped while it waits"),
        pytest.param(60, [0.0], True, id="scraped too seldom to be waited for"),
    ],
)
def test_requests_that_no_scrape_will_add_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, interval: float, ages: list[float], waits: bool
) -> None:
    clock = [0.0]
    monkeypatch.setattr(_verdict.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(_verdict.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    given = {
        "conditions": [],
        "expect_samples": 630,
        "minimum_samples": None,
        "sources": {"api": API},
        "targets": [P95],
        # Nothing was changed for long, so that what was scraped before is no fault.
        "unchanged_seconds": 3600.0,
        "wait_seconds": 30,
        "window_seconds": 300,
    }
    targets = [(_verdict.Target("api-1", interval, age),) for age in ages]
    found = verdict(given, Answers(lambda expression: [({}, 0.99 if "_bucket" in expression else 530.0)], targets))
    assert found["faults"] == []
    assert (clock[0] >= 30) is waits


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        pytest.param(Answer(0, "", "Connection refused"), "Connection refused", id="down"),
        pytest.param(
            Answer(400, json.dumps({"status": "error", "error": "parse error"})), "parse error", id="bad query"
        ),
        pytest.param(Answer(502, "<html>", "Bad Gateway"), "Bad Gateway", id="something else answers"),
    ],
)
def test_prometheus_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch, answer: Answer, cause: str) -> None:
    monkeypatch.setattr(_verdict, "ask", lambda _url, **_options: answer)
    with pytest.raises(InfraError, match=f"Cannot ask Prometheus at http://p/: {cause}"):
        Prometheus("http://p/").query("up")


def test_prometheus_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"data": {"result": [{"metric": {"job": "a"}, "value": [1, "0.5"]}]}}
    asked: list[str] = []
    monkeypatch.setattr(_verdict, "ask", lambda url, **_options: asked.append(url) or Answer(200, json.dumps(body)))
    assert Prometheus("http://p/").query("up == 0") == [({"job": "a"}, 0.5)]
    assert asked == ["http://p/api/v1/query?query=up+%3D%3D+0"]


@pytest.mark.parametrize(
    ("row", "target"),
    [
        pytest.param(("2026-11-26T00:00:10.5Z", "15s"), (15.0, 10.0), id="in UTC"),
        pytest.param(("2026-11-26T02:00:10.500000001+02:00", "1m30s"), (90.0, 10.0), id="elsewhere"),
        pytest.param(("2026-11-26T00:00:10Z", "500ms"), (0.5, 10.5), id="whole seconds"),
        pytest.param(("0001-01-01T00:00:00Z", "5s"), (5.0, math.inf), id="never scraped"),
    ],
)
def test_targets(row: tuple[str, str], target: tuple[float, float]) -> None:
    now = datetime.datetime(2026, 11, 26, 0, 0, 20, 500000, tzinfo=datetime.UTC).timestamp()
    labels = {"job": "api", "instance": "api-1"}
    found = _verdict.as_target({"labels": labels, "lastScrape": row[0], "scrapeInterval": row[1]}, now)
    assert found.name == "job=api, instance=api-1"
    assert (found.interval, found.age) == pytest.approx(target)


@pytest.mark.parametrize("text", ["", "soon", "15", "15s later", "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        _verdict.parse_seconds(text)


@pytest.mark.parametrize(
    ("interval", "age", "named"),
    [
        pytest.param(15, 3, [], id="scraped since"),
        pytest.param(15, 6, ["a"], id="scraped before"),
        pytest.param(15, math.inf, ["a"], id="never scraped"),
        pytest.param(60, 50, [], id="scraped too seldom to be waited for"),
    ],
)
def test_targets_that_were_not_seen(interval: float, age: float, named: list[str]) -> None:
    assert _verdict.unseen([_verdict.Target("a", interval, age)], unchanged=5, longest=30) == named


def test_what_was_not_seen_is_not_called_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL died after the last scrape of its exporter: what was measured before says nothing."""
    monkeypatch.setattr(_verdict.time, "sleep", lambda seconds: None)
    answers = Answers(lambda expression: [], [[_verdict.Target("job=postgres", 15, 20)], []])
    parameters = {
        "conditions": [],
        "expect_samples": 0,
        "minimum_samples": None,
        "sources": {},
        "targets": [],
        "unchanged_seconds": 5.0,
        "wait_seconds": 30,
        "window_seconds": 300,
    }
    assert (verdict(parameters, answers)["faults"], answers.asked) == ([], 2)
    never = Answers(lambda expression: [], [[_verdict.Target("job=postgres", 15, math.inf)]])
    monkeypatch.setattr(_verdict, "settle", lambda seen, seconds: seen())
    assert verdict(parameters, never)["faults"] == ["a target was not scraped since the last change: job=postgres"]


def version_of(instance: str, version: str, job: str = "api") -> tuple[dict[str, str], float]:
    return {"job": job, "instance": instance, "version": version}, 1.0


BOTH = [version_of("10.0.0.1:8000", "1.1.0"), version_of("10.0.0.2:8000", "1.0.0")]
FAILING = {"counter": "http_requests_total", "matchers": 'job="api"', "failed": 'status=~"5.."'}
ONE = r'instance=~"10\\.0\\.0\\.1:8000"'


@pytest.mark.parametrize(
    ("series", "source", "matchers"),
    [
        pytest.param(BOTH, API, 'job="api", ' + ONE, id="one instance runs it"),
        pytest.param([], API, 'job="api"', id="no instance reports a version"),
        pytest.param(BOTH, {**API, "matchers": ""}, ONE, id="a source without a job"),
        pytest.param(BOTH, {**API, "matchers": 'job="edge"'}, 'job="edge"', id="a source of another job"),
        pytest.param([version_of("a", "1.0.0")], API, None, id="no instance runs this version"),
    ],
)
def test_only_what_the_release_answered_counts(
    series: list[tuple[dict[str, str], float]], source: dict[str, str], matchers: str | None
) -> None:
    found = _verdict.of_version(source, _verdict.running("build_info", "1.1.0", lambda _expression: series))
    assert (found and found["matchers"]) == matchers
    if found:
        promql_parser.parse(_verdict.queries(P95, found, "60s")[0])


def test_failures_are_those_of_the_release_too() -> None:
    found = _verdict.of_version({**API, "failures": FAILING}, {"api": ["a"]})
    assert found is not None
    assert found["failures"]["matchers"] == 'job="api", instance=~"a"'


def test_a_gauge_is_no_answer_of_the_release() -> None:
    assert _verdict.of_version(PROBE, {"api": []}) == PROBE


def parameters(**more: t.Any) -> dict[str, t.Any]:
    given = {"conditions": [], "expect_samples": 0, "minimum_samples": None, "sources": {"api": API}, "targets": [P95]}
    return {**given, "wait_seconds": 0, "window_seconds": 300, **more}


def test_a_version_that_no_instance_reports_is_not_judged() -> None:
    def query(expression: str) -> list[tuple[dict[str, str], float]]:
        return [version_of("a", "1.0.0")] if expression == "build_info" else [({}, 900.0)]

    found = verdict(parameters(version="1.1.0", version_metric="build_info"), Answers(query))
    assert found["verdict"] == UNKNOWN
    assert found["rows"][0]["says"].endswith("(0 of 500 requests; no instance reports version 1.1.0)")


@pytest.mark.parametrize(
    ("serving", "window"),
    [
        pytest.param(None, "300s", id="nothing was rolled out"),
        pytest.param(60.0, "60s", id="since the rollout"),
        pytest.param(5.0, "30s", id="not shorter than two scrapes"),
        pytest.param(900.0, "300s", id="not longer than asked for"),
    ],
)
@pytest.mark.parametrize("target", [P95, TTFB])
def test_latency_is_judged_since_the_release_serves(
    monkeypatch: pytest.MonkeyPatch, target: dict[str, t.Any], serving: float | None, window: str
) -> None:
    monkeypatch.setattr(_verdict.time, "monotonic", lambda: 0.0)
    asked: list[str] = []

    def query(expression: str) -> list[tuple[dict[str, str], float]]:
        asked.append(expression)
        return [({}, 0.1)]

    sources = {"api": API, "ttfb": PROBE}
    verdict(parameters(serving_seconds=serving, targets=[target], sources=sources), Answers(query))
    # Of the value and of the samples, and nothing that looks back further.
    assert all(f"[{window}" in expression for expression in asked)
    assert len(asked) == 2
    for expression in asked:
        promql_parser.parse(expression)


@pytest.mark.parametrize(
    ("counts", "fast", "patience", "said", "asked"),
    [
        pytest.param([10, 400, 600], 0.99, 300, MET, 4, id="until there are enough"),
        pytest.param([10, 600], 0.5, 300, MISSED, 3, id="until one is missed"),
        pytest.param([10], 0.99, 300, UNKNOWN, None, id="no longer than allowed"),
        pytest.param([10, 600], 0.99, 0, UNKNOWN, 1, id="not at all"),
        pytest.param([600], 0.99, 300, MET, 1, id="there are enough"),
    ],
)
def test_it_waits_for_samples(
    monkeypatch: pytest.MonkeyPatch, counts: list[int], fast: float, patience: int, said: str, asked: int | None
) -> None:
    clock = [0.0]
    monkeypatch.setattr(_verdict.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(_verdict.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    seen: list[int] = []

    def query(expression: str) -> list[tuple[dict[str, str], float]]:
        if "_bucket" in expression:
            return [({}, fast)]
        seen.append(counts[min(len(seen), len(counts) - 1)])
        return [({}, float(seen[-1]))]

    found = verdict(parameters(samples_wait_seconds=patience), Answers(query))
    assert found["verdict"] == said
    assert clock[0] <= patience + 2
    assert asked is None or len(seen) == asked


def test_it_does_not_wait_for_what_nothing_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_verdict.time, "sleep", lambda _seconds: pytest.fail("it waits"))
    found = verdict(parameters(samples_wait_seconds=300, sources={}), Answers(lambda _expression: []))
    assert found["verdict"] == UNKNOWN
