"""What the report says of a run, and how it reads."""

from __future__ import annotations

import dataclasses
import typing as t
from html import unescape

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import Change
from ansible_collections.nexod.infra.plugins.plugin_utils._report.files import as_markdown
from ansible_collections.nexod.infra.plugins.plugin_utils._report.html import page
from ansible_collections.nexod.infra.plugins.plugin_utils._report.report import (
    Failure,
    Run,
    Stage,
    build,
    cost_text,
    duration,
    error_text,
    final_failures,
    render,
    sentences,
    stage_of,
)

OK = {"ok": 3, "changed": 0, "failures": 0, "unreachable": 0}
CHANGED = {**OK, "changed": 2}
FAILED = {**OK, "failures": 1}


def a_run(**changes: t.Any) -> Run:
    facts: dict[str, t.Any] = {
        "playbook": "deploy.yml",
        "check_mode": False,
        "environment": "lab",
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:12+00:00",
        "seconds": 72.04,
        "stages": [Stage("preflight", 3.04), Stage("backend", 69.0, changed=2)],
        "hosts": {"api-1": CHANGED, "db-1": OK},
        "failures": [],
    }
    return Run(**{**facts, **changes})


def a_failure(host: str = "api-1", message: str = "Cannot x.\nDo y.", stage: str = "backend") -> Failure:
    return Failure(stage, host, "api : run | Prove it live", "roles/api/tasks/run.yml:1", message)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("Backend | Bring the release out", "backend"),
        ("caches | Flush", "caches"),
        ("Converge", ""),
        ("a|b", ""),
        (" migrate | x | y", "migrate"),
    ],
)
def test_stage_of(name: str, stage: str) -> None:
    assert stage_of(name) == stage


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (252, "4 min 12 s")],
)
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("result", "text"),
    [
        pytest.param(
            {"msg": "Cannot x.\nDo y.", "error": {"cause": "z"}, "name": "api"}, "Cannot x.\nDo y.", id="ours"
        ),
        pytest.param({"censored": "hidden", "msg": "secret"}, "hidden", id="censored stays censored"),
        pytest.param(
            {"msg": "non-zero return code", "rc": 3, "cmd": ["sh"], "stderr": "err", "stdout": "", "delta": "0"},
            'non-zero return code\nstderr:\n  err\ncmd: ["sh"]\nrc: 3',
            id="command",
        ),
        pytest.param({"msg": "bad: err", "stderr": "err"}, "bad: err", id="stream repeated in msg"),
        pytest.param({"msg": "x", "argument_spec_data": {"a": 1}}, "x", id="no pages of specification"),
        pytest.param(
            {"msg": "Verdict missed.", "assertion": "__verify_verdict.ok", "evaluated_to": False},
            "Verdict missed.",
            id="an assertion with a message of its own",
        ),
        pytest.param(
            {"msg": "Assertion failed", "assertion": "a == b", "evaluated_to": False},
            "Assertion failed\nassertion: a == b",
            id="an assertion without one",
        ),
        pytest.param(
            {"msg": "x", "failed_when_result": True, "false_condition": "__a.b"}, "x", id="no expressions of a role"
        ),
        pytest.param({}, "no message", id="nothing"),
    ],
)
def test_error_text(result: dict[str, t.Any], text: str) -> None:
    assert error_text(result) == text


@pytest.mark.parametrize(
    ("hosts", "failures", "kept"),
    [
        pytest.param({"a": OK}, [a_failure("a")], [], id="rescued"),
        pytest.param(
            {"a": FAILED}, [a_failure("a", "first"), a_failure("a", "last")], ["last"], id="rescued, then failed"
        ),
        pytest.param({"a": {**OK, "unreachable": 1}}, [a_failure("a")], ["Cannot x.\nDo y."], id="unreachable"),
        pytest.param(
            {"a": FAILED, "b": FAILED}, [a_failure("a", "1"), a_failure("b", "2")], ["1", "2"], id="two hosts"
        ),
    ],
)
def test_final_failures(hosts: dict[str, dict[str, int]], failures: list[Failure], kept: list[str]) -> None:
    assert [failure.message for failure in final_failures(a_run(hosts=hosts, failures=failures))] == kept


@pytest.mark.parametrize(
    ("told", "said"),
    [(["A.", ""], ["A."]), ({"db": "A.", "grafana": ""}, ["A."]), (None, [])],
)
def test_sentences(told: t.Any, said: list[str]) -> None:
    assert sentences(told) == said


def test_a_run_without_what_stages_tell_still_reports() -> None:
    report = build(a_run(), {})
    assert report["outcome"] == "ok"
    assert report["version"] == {"before": None, "after": None}
    assert report["changed_hosts"] == ["api-1"]
    assert report["stages"][0] == {"name": "preflight", "seconds": 3.0, "changed": 0, "begun": 0.0, "failed": False}
    assert report["hosts"]["db-1"]["rescued"] == 0


COST = {
    "total": {"min": 300, "expected": 1377.49, "max": 1452.1},
    "before_usd": 1302.8,
    "difference_usd": 74.69,
    "compared_with": "what runs",
    "notes": ["4 of its 20 prices are not verified"],
}


@pytest.mark.parametrize(
    ("cost", "text", "note"),
    [
        pytest.param(None, "", "", id="nobody has asked"),
        pytest.param({"unknown": "too old"}, "not known", "too old", id="no prices"),
        pytest.param(
            COST,
            "1,377.49 US$ a month, +74.69",
            "from 300.00 to 1,452.10; what runs costs 1,302.80; 4 of its 20 prices are not verified",
            id="against what runs",
        ),
        pytest.param(
            {**COST, "compared_with": "the last estimate", "notes": []},
            "1,377.49 US$ a month, +74.69",
            "from 300.00 to 1,452.10; the last estimate was 1,302.80",
            id="against the last estimate",
        ),
        pytest.param(
            {**COST, "before_usd": None, "difference_usd": None, "notes": ["what runs can't be priced: no price x"]},
            "1,377.49 US$ a month",
            "from 300.00 to 1,452.10; what runs can't be priced: no price x",
            id="what runs has no price",
        ),
    ],
)
def test_the_cost(cost: t.Any, text: str, note: str) -> None:
    report = build(a_run(check_mode=True), {"cost": cost})
    assert cost_text(report) == (text, note)
    lines = "\n".join(render(report))
    assert (f"  cost       {text}\n             {note}" in lines) == bool(text)
    assert (text in page(report)) and (note in unescape(page(report)))
    assert (f"**Cost:** {text}; {note}" in as_markdown(report)) == bool(text)


TOLD = {
    "version_before": "1.0.0",
    "version_after": "1.1.0",
    "revision_before": "0008",
    "revision_after": "0010",
    "migrations": [{"revision": "0009", "seconds": 1.0}, {"revision": "0010", "seconds": 0.5}],
    "cache_deleted": 12,
    "cache_sessions_kept": 3,
    "cache_warmed": [{"url": "http://a/b", "status": 200, "ms": 31}],
    "verdict": {"verdict": "met", "rows": [{"says": "API p50 met"}]},
    "urls": {"api": "http://edge"},
    "stand_ins": ["db-1 stands for RDS."],
    "never_run": {"supabase": "Supabase: never against the live service."},
}


@pytest.mark.parametrize(
    ("run", "told", "lines"),
    [
        pytest.param(
            {},
            TOLD,
            [
                "lab: deploy done in 1 min 12 s",
                "  version    1.0.0 -> 1.1.0",
                "  revision   0008 -> 0010, 2 migrations in 1.5 s",
                "  cache      12 keys flushed, 3 sessions kept; warmed: http://a/b HTTP 200 in 31 ms",
                "  verdict    met",
                "             API p50 met",
                "  changed    1 of 2 hosts: api-1",
                "  stages     preflight              3.0 s",
                "             backend            1 min 9 s",
                "  stand-ins  db-1 stands for RDS.",
                "  never live Supabase: never against the live service.",
                "  links      api             http://edge",
            ],
            id="everything told",
        ),
        pytest.param(
            {
                "check_mode": True,
                "stages": [],
                "changes": [Change("backend", "api-1", "run", "service", "restart api")],
            },
            {"version_before": "1.1.0", "version_after": "1.1.0"},
            [
                "lab: deploy done in 1 min 12 s, check mode: nothing was changed",
                "  version    1.1.0 (unchanged)",
                "  to change  1 of 2 hosts: api-1",
                "",
                "would change, by stage and host:",
                "  [backend]",
                "    api-1",
                "      > run     service   restart api",
            ],
            id="check mode",
        ),
        pytest.param(
            {
                "hosts": {"a": FAILED, "b": FAILED},
                "failures": [a_failure("a"), a_failure("b")],
                "stages": [Stage("backend", 1)],
            },
            {},
            [
                "lab: deploy FAILED in 1 min 12 s",
                "  changed    0 of 2 hosts",
                "  stages     backend                1.0 s   failed here",
                "",
                "failed in stage backend on a, b: api : run | Prove it live",
                "  Cannot x.",
                "  (the full text is above, where it failed, and in the report)",
            ],
            id="the same failure on two hosts is said once",
        ),
        pytest.param(
            {
                "hosts": {"a": FAILED},
                "failures": [
                    dataclasses.replace(
                        a_failure("a", "Cannot x y: z.\nDo that."), error={"cause": "z", "next_step": "Do that."}
                    )
                ],
                "stages": [],
            },
            {},
            [
                "lab: deploy FAILED in 1 min 12 s",
                "  changed    0 of 1 hosts",
                "",
                "failed in stage backend on a: api : run | Prove it live",
                "  Cannot x y: z.",
                "  -> Do that.",
            ],
            id="the next step of an error of ours",
        ),
        pytest.param(
            {"check_mode": True, "stages": [], "hosts": {"a": FAILED, "b": OK}, "failures": [a_failure("a", "No.")]},
            {},
            [
                "lab: deploy FAILED in 1 min 12 s, check mode: nothing was changed",
                "  to change  not known, because the plan failed",
                "",
                "what would change is not known, because the plan failed",
                "",
                "failed in stage backend on a: api : run | Prove it live",
                "  No.",
            ],
            id="a plan that failed before it found a change",
        ),
        pytest.param(
            {
                "check_mode": True,
                "stages": [],
                "hosts": {"a": {**CHANGED, "failures": 1}, "b": OK},
                "failures": [a_failure("a", "No.")],
                "changes": [Change("backend", "a", "run", "service", "restart api")],
                "limit": "a,localhost",
            },
            {},
            [
                "lab: deploy FAILED in 1 min 12 s, check mode: nothing was changed",
                "  selection  --limit a,localhost",
                "  to change  at least 1 of 2 hosts: a",
                "",
                "would change, at least (the plan failed, so this list is incomplete), by stage and host:",
                "  [backend]",
                "    a",
                "      > run     service   restart api",
                "",
                "failed in stage backend on a: api : run | Prove it live",
                "  No.",
            ],
            id="a plan that failed after it found a change",
        ),
        pytest.param(
            {"check_mode": True, "stages": [], "hosts": {"a": OK}},
            {},
            [
                "lab: deploy done in 1 min 12 s, check mode: nothing was changed",
                "  to change  0 of 1 hosts",
                "",
                "nothing would change",
            ],
            id="a plan without changes",
        ),
    ],
)
def test_render(run: dict[str, t.Any], told: dict[str, t.Any], lines: list[str]) -> None:
    assert render(build(a_run(**run), told)) == lines


ISSUES = {"verdict": "missed", "says": "new issue types of api@1.1.0 in lab: missed (1 since the deploy: KeyError)"}


@pytest.mark.parametrize(
    ("verdict", "lines"),
    [
        ({"verdict": "met"}, ["met"]),
        ({"verdict": "met", "issues": {"verdict": "met", "says": "none"}}, ["met", "none"]),
        ({"verdict": "met", "issues": ISSUES}, ["missed", ISSUES["says"]]),
        ({"verdict": "missed", "issues": {"verdict": "met", "says": "none"}}, ["missed", "none"]),
        ({"verdict": "not enough data", "issues": {"verdict": "met"}}, ["not enough data"]),
        ({"verdict": "met", "issues": {"verdict": "not enough data"}}, ["not enough data"]),
        (
            {"verdict": "met", "front_end": {"verdict": "missed", "says": "front end: 1 page; ttfb: missed"}},
            ["missed", "front end: 1 page; ttfb: missed"],
        ),
        # Without Prometheus.
        (
            {"issues": ISSUES, "unrecorded": "the deploy is not recorded"},
            ["missed", ISSUES["says"], "the deploy is not recorded"],
        ),
        (
            {"verdict": "met", "identity": {"verdict": "missed", "says": "Clerk: missed"}},
            ["missed", "Clerk: missed"],
        ),
        ({"unrecorded": "the deploy is not recorded"}, ["unknown", "the deploy is not recorded"]),
    ],
)
def test_latency_and_new_issues_are_one_verdict(verdict: dict[str, t.Any], lines: list[str]) -> None:
    text = render(build(a_run(stages=[], hosts={}), {"verdict": verdict}))
    shown = [line[13:] for line in text if line.startswith(("  verdict    ", " " * 13))]
    assert shown == lines
