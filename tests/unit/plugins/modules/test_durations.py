"""Options that are durations, in modules that had whole seconds: both ways of writing, and one error."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.modules import api_trial, haproxy_server, live_service

Run = t.Callable[..., dict[str, t.Any]]


@pytest.mark.parametrize(("timeout", "expected"), [(90, 90), ("90", 90), ("90s", 90), ("1.5min", 90), ("500ms", 0.5)])
def test_api_trial(run_module: Run, monkeypatch: pytest.MonkeyPatch, timeout: t.Any, expected: float) -> None:
    given: dict[str, t.Any] = {}
    monkeypatch.setattr(api_trial, "trial", lambda options: given.update(options) or {})
    run_module("api_trial", {"unit": "api", "timeout": timeout})
    assert (given["timeout"], given["seconds"]) == (expected, 10)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("api_trial", {"unit": "api"}),
        ("haproxy_server", {"backend": "api", "name": "a", "state": "ready"}),
        ("live_service", {"name": "api"}),
    ],
)
def test_what_is_no_duration_is_refused(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, options: dict[str, t.Any]
) -> None:
    monkeypatch.setattr(haproxy_server.Haproxy, "servers", lambda *_: [])
    result = run_module(name, {**options, "timeout": "soon"})
    assert 'timeout: "soon"' in result["msg"]
    assert result["error"]["next_step"] == "Write for example 300, 200ms, 60s, 5m or 1h."


def test_their_documentation_says_how_a_duration_is_written() -> None:
    assert all("nexod.infra.durations" in module.DOCUMENTATION for module in (api_trial, haproxy_server, live_service))
