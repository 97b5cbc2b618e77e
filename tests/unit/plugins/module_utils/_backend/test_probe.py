"""What counts as serving, and whether a session outlives a deploy."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._backend import probe as _probe
from ansible_collections.nexod.infra.plugins.module_utils._backend.probe import (
    SignIn,
    canary,
    failing,
    fault_of,
    faults,
    remembered,
    serving,
    settle_paths,
    totals,
    traffic,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer, ask

SESSION = {"id": "s1", "seconds": 3600}
SIGN_IN = SignIn({"email": "c@x"})


def answer(status: int, document: t.Any = None, reason: str = "") -> Answer:
    return Answer(status, "" if document is None else json.dumps(document), reason)


@pytest.mark.parametrize(
    ("given", "version", "fault"),
    [
        pytest.param(answer(200, {"version": "1.1.0"}), "1.1.0", None, id="serves"),
        pytest.param(answer(200, {"version": "1.0.0"}), "1.1.0", "u runs version 1.0.0, not 1.1.0", id="old version"),
        pytest.param(
            answer(200),
            "1.1.0",
            'u names no version (its answer has no key "version"), and 1.1.0 should run',
            id="names no version",
        ),
        pytest.param(answer(200), None, None, id="no version wanted"),
        pytest.param(answer(503, {"status": "draining"}), None, 'u answers HTTP 503: {"status": "draining"}', id="503"),
        pytest.param(answer(0, None, "Connection refused"), None, "u does not answer: Connection refused", id="down"),
    ],
)
def test_fault_of(given: Answer, version: str | None, fault: str | None) -> None:
    assert fault_of("u", given, version) == fault


@pytest.mark.parametrize(
    ("document", "key", "good"),
    [
        ({"release": "1.1.0"}, "release", True),
        ({"release": "1.0.0", "version": "1.1.0"}, "release", False),
        ({"build": {"version": "1.1.0"}}, "build.version", True),
        ({"build.version": "1.1.0"}, "build.version", True),
        ({"build": "1.1.0"}, "build.version", False),
        ({"api": 2}, "api", False),
        (["1.1.0"], "version", False),
        ({"version": "1.0.0"}, "", True),
    ],
)
def test_the_key_of_the_version_is_the_applications(document: t.Any, key: str, good: bool) -> None:
    assert (fault_of("u", answer(200, document), "1.1.0", key) is None) is good


def test_only_some_paths_name_the_version() -> None:
    answers = {"http://e/health": answer(200, {"version": "1.0.0"}), "http://e/ready": answer(200)}
    given = {"urls": ["http://e/"], "paths": ["/health", "/ready"], "version": "1.1.0", "version_paths": ["/health"]}
    assert faults(given, asked=lambda url: answers[url]) == ["http://e/health runs version 1.0.0, not 1.1.0"]


PARAMETERS = {"urls": ["http://e", "http://a:8000"], "paths": ["/health", "/ready"], "version": "1.1.0"}


def test_serving_waits() -> None:
    answers = iter([answer(503)] * 4 + [answer(200, {"version": "1.1.0"})] * 4)
    serving({**PARAMETERS, "wait_seconds": 5}, asked=lambda url: next(answers), pause=0)


def test_serving_says_all_that_is_wrong_at_once() -> None:
    with pytest.raises(InfraError) as caught:
        serving({**PARAMETERS, "wait_seconds": 0}, asked=lambda url: answer(503), pause=0)
    assert [line[:14] for line in caught.value.facts["faults"]] == [  # type: ignore[attr-defined]
        "http://e/healt",
        "http://e/ready",
        "http://a:8000/",
        "http://a:8000/",
    ]


def test_traffic_counts_each_status() -> None:
    seen: list[str] = []
    counts = traffic(
        "http://e/", ["/a", "/b"], 5, 2, asked=lambda url: seen.append(url) or answer(200 if url.endswith("a") else 0)
    )
    assert counts == {"/a": {"200": 3}, "/b": {"0": 2}}
    assert totals(counts) == {"200": 3, "0": 2}
    assert sorted(set(seen)) == ["http://e/a", "http://e/b"]


def test_a_slow_release_does_not_hold_up_the_verification() -> None:
    assert traffic("http://e", ["/a"], 1000, 2, seconds=0, asked=lambda _url: answer(200)) == {}


@pytest.mark.parametrize(
    ("statuses", "ratio", "said"),
    [
        pytest.param({"200": 60}, 0.01, "", id="all answered"),
        pytest.param({"204": 30, "302": 30}, 0.0, "", id="redirects are answers"),
        pytest.param({"200": 99, "500": 1}, 0.01, "", id="as many as may fail"),
        pytest.param({"200": 98, "500": 2}, 0.01, "2 of 100 requests failed (HTTP 500: 2)", id="one more"),
        pytest.param({"500": 659, "200": 1}, 0.01, "659 of 660 requests failed (HTTP 500: 659)", id="an outage"),
        pytest.param({"200": 9, "0": 1}, 0.01, "1 of 10 requests failed (no answer: 1)", id="no answer"),
        pytest.param({"404": 5}, 0.01, "5 of 5 requests failed (HTTP 404: 5)", id="not there"),
    ],
)
def test_traffic_that_fails(statuses: dict[str, int], ratio: float, said: str) -> None:
    found = failing("http://e/", {"/good": {"200": 1000}, "/tasks": statuses}, ratio)
    assert found == ([f"http://e/tasks: {said}"] if said else [])


@pytest.mark.parametrize(
    ("known", "at_first", "sent"),
    [(False, 700, 700), (True, 700, 60), (False, 0, 60), (False, 5, 60)],
)
def test_traffic_is_sent_and_judged_each_time(
    monkeypatch: pytest.MonkeyPatch, known: bool, at_first: int, sent: int
) -> None:
    monkeypatch.setattr(_probe, "serving", lambda parameters: None)
    monkeypatch.setattr(_probe, "canary", lambda *given: ("kept", known))
    status = "200"
    monkeypatch.setattr(_probe, "settle_paths", lambda *given: None)
    monkeypatch.setattr(_probe, "traffic", lambda url, paths, requests, *more, seconds: {paths[0]: {status: requests}})
    parameters = {
        "urls": ["http://e"],
        "version": "1",
        "session_url": "http://e/s",
        "session_file": "f",
        "session_request": {},
        "session_id_key": "id",
        "session_lifetime_key": "seconds",
        "wait_seconds": 0,
        "traffic_requests": 60,
        "traffic_new_version_requests": at_first,
        "traffic_paths": ["/a"],
        "traffic_concurrency": 2,
        "traffic_maximum_error_ratio": 0.01,
    }
    assert _probe.probe(parameters)["requests"] == sent
    status = "500"
    with pytest.raises(InfraError, match=f"http://e/a: {sent} of {sent} requests failed"):
        _probe.probe(parameters)


@pytest.mark.parametrize(
    ("statuses", "seconds", "left"),
    [
        pytest.param([200, 200], 30, [], id="both answer"),
        pytest.param([503, 302, 503, 200], 30, [], id="one answers a moment later"),
        pytest.param([503, 503, 200], 0, [200], id="one never answers in time"),
    ],
)
def test_traffic_waits_for_its_paths(statuses: list[int], seconds: int, left: list[int]) -> None:
    given = list(statuses)
    settle_paths("http://e/", ["/", "/tasks"], seconds, asked=lambda url: answer(given.pop(0)), pause=0)
    assert given == left


def test_a_canary_is_signed_in_then_kept(tmp_path: Path) -> None:
    path, asked = tmp_path / "report" / "canary.json", []

    def api(url: str, **more: t.Any) -> Answer:
        asked.append((url, more))
        return answer(201 if more else 200, SESSION)

    assert canary("http://e/sessions", path, SIGN_IN, "1.0.0", api) == ("new", False)
    assert (path.stat().st_mode & 0o777) == 0o600
    assert canary("http://e/sessions", path, SIGN_IN, "1.0.0", api) == ("kept", True)
    assert canary("http://e/sessions", path, SIGN_IN, "1.1.0", api) == ("kept", False)
    assert asked == [
        ("http://e/sessions", {"document": {"email": "c@x"}}),
        ("http://e/sessions/s1", {}),
        ("http://e/sessions/s1", {}),
    ]


@pytest.mark.parametrize(
    ("document", "kept"),
    [
        pytest.param({"data": {"token": "s1", "ttl": 600}}, 540, id="nested"),
        pytest.param({"data": {"token": "s1"}}, 3540, id="without a lifetime"),
        pytest.param({"data": {"token": "s1", "ttl": "soon"}}, 3540, id="a lifetime that is no number"),
        pytest.param({"id": "s1", "seconds": 600}, None, id="another application's keys"),
        pytest.param([], None, id="no object"),
    ],
)
def test_how_a_session_is_made_is_the_applications(tmp_path: Path, document: object, kept: float | None) -> None:
    path, sign_in = tmp_path / "canary.json", SignIn({"user": "x"}, "data.token", "data.ttl")
    if kept is None:
        with pytest.raises(InfraError, match=r'no "data\.token" in its answer'):
            canary("http://e/sessions", path, sign_in, None, lambda url, **more: answer(201, document))
        return
    begun = time.time()
    assert canary("http://e/sessions", path, sign_in, None, lambda url, **more: answer(201, document))[0] == "new"
    assert json.loads(path.read_text())["until"] - begun == pytest.approx(kept, abs=30)


def test_a_canary_that_is_gone_is_a_fault_once(tmp_path: Path) -> None:
    path = tmp_path / "canary.json"
    canary("http://e/sessions", path, SIGN_IN, None, lambda url, **more: answer(201, SESSION))
    with pytest.raises(InfraError, match="Cannot find the canary session"):
        canary("http://e/sessions", path, SIGN_IN, None, lambda url, **more: answer(404))
    assert canary("http://e/sessions", path, SIGN_IN, None, lambda url, **more: answer(201, SESSION)) == ("new", False)


@pytest.mark.parametrize(
    ("content", "session"),
    [
        pytest.param({"id": "s1", "until": 100, "url": "u"}, True, id="lives"),
        pytest.param({"id": "s1", "until": 50, "url": "u"}, False, id="may have ended by itself"),
        pytest.param({"id": "s1", "until": 100, "url": "v"}, False, id="of another environment"),
        pytest.param([], False, id="not ours"),
        pytest.param(None, False, id="no file"),
    ],
)
def test_remembered(tmp_path: Path, content: t.Any, session: bool) -> None:
    path = tmp_path / "canary.json"
    if content is not None:
        path.write_text(json.dumps(content))
    assert bool(remembered(path, "u", 60.0)) is session


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://127.0.0.1:1/", "refused"), ("file:///etc/passwd", "not an http"), ("http://x.invalid/", "")],
)
def test_ask_never_raises(url: str, reason: str) -> None:
    found = ask(url, timeout=2)
    assert (found.status, reason in found.reason) == (0, True)
