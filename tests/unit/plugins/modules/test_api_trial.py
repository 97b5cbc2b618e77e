"""An instance that passes its trial, one that does not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._backend import trial
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result
from ansible_collections.nexod.infra.tests.fixtures.small_api import Api

Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture(autouse=True)
def systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Result(0, "ActiveState=active\nNRestarts=0\nControlGroup=\n", "")
    monkeypatch.setattr(trial, "run", lambda *_, **__: shown)
    monkeypatch.setattr(trial, "last_log_lines", lambda *_: "its log")


def options(api: Api) -> dict[str, t.Any]:
    targets = [{"metric": "api", "quantile": 0.95, "target_seconds": 2}]
    return {"url": api.url, "unit": "api", "requests": 20, "seconds": 1, "timeout": 10, "targets": targets}


def test_it_passes(run_module: Run, api: Api) -> None:
    result = run_module("api_trial", options(api))
    assert (result["requests"], result["failures"], result["restarts"], result["changed"]) == (20, [], 0, False)
    assert [row["verdict"] for row in result["rows"]] == ["met"]


def test_it_fails_with_its_log(run_module: Run, api: Api) -> None:
    api.status = {"/health": 500}
    result = run_module("api_trial", options(api))
    assert "answers HTTP 500" in result["faults"][0]
    assert result["msg"].endswith("its log")


def test_check_mode_asks_nobody(run_module: Run, api: Api) -> None:
    assert run_module("api_trial", options(api), check_mode=True)["requests"] == 0
    assert api.requests == []
