"""An API that serves, one that does not, and the session that outlives a run."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.nexod.infra.tests.fixtures.small_api import Api

Run = t.Callable[..., dict[str, t.Any]]


def test_it_serves_and_is_sent_requests(run_module: Run, api: Api) -> None:
    result = run_module("api_probe", {"urls": [api.url], "version": "1.1.0", "traffic_requests": 4})
    assert (result["answers"], result["requests"], result["session"], result["changed"]) == (
        {"200": 4},
        4,
        "none",
        False,
    )
    # The traffic's path is asked once before it is counted: an entry point finds a new server up a moment later.
    assert api.requests == ["/health", "/ready", "/health", *["/health"] * 4]


def test_all_that_does_not_serve_is_named(run_module: Run, api: Api) -> None:
    api.status, api.version = {"/ready": 503}, "1.0.0"
    result = run_module("api_probe", {"urls": [api.url], "version": "1.1.0", "wait_seconds": 0})
    assert len(result["faults"]) == 2
    assert "runs version 1.0.0, not 1.1.0" in result["faults"][0]
    assert "/ready answers HTTP 503" in result["faults"][1]


def test_the_session_of_an_earlier_run(run_module: Run, api: Api, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "kept" / "session"
    options = {"urls": [api.url], "session_url": f"{api.url}/sessions", "session_file": str(file)}
    assert [run_module("api_probe", options)["session"] for _run in range(2)] == ["new", "kept"]
    assert file.stat().st_mode & 0o777 == 0o600
    api.sessions.clear()
    assert "is gone" in run_module("api_probe", options)["msg"]
    assert not file.exists()


def test_check_mode_asks_nobody(run_module: Run, api: Api, tmp_path: pathlib.Path) -> None:
    options = {"urls": [api.url], "session_url": f"{api.url}/sessions", "session_file": str(tmp_path / "s")}
    assert run_module("api_probe", options, check_mode=True)["session"] == "none"
    assert (api.requests, list(tmp_path.iterdir())) == ([], [])
