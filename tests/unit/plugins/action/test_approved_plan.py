"""A run that is held to an approved plan makes the plan again; what it cannot make again it refuses."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest
from ansible import context
from ansible.module_utils.common.collections import ImmutableDict

from ansible_collections.nexod.infra.plugins.action import approved_plan
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result

Action = t.Callable[..., t.Any]
CHANGE = {"stage": "backend", "host": "api-1", "action": "run", "kind": "service", "object": "restart api"}
PLAN = {"check_mode": True, "outcome": "ok", "environment": "lab", "changes": [CHANGE]}
VARIABLES = {"infra_environment": "lab"}


@pytest.fixture
def plan(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An approved plan; the one that is made again finds the same."""
    (tmp_path / "approved.json").write_text(json.dumps(PLAN))
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(args=("playbooks/deploy.yml",)))
    monkeypatch.setattr(sys, "argv", ["ansible-playbook", "playbooks/deploy.yml"])
    monkeypatch.delenv("NEXOD_PLAN_INNER", raising=False)
    return str(tmp_path / "approved.json")


def again(monkeypatch: pytest.MonkeyPatch, report: t.Any, rc: int = 0) -> list[list[str]]:
    commands: list[list[str]] = []

    def run(argv: list[str], *, environment: dict[str, str], timeout: float) -> Result:
        commands.append(argv)
        if report is not None:
            folder = pathlib.Path(environment["NEXOD_REPORT_DIR"]) / "lab" / "20261125T193422Z-deploy-plan"
            folder.mkdir(parents=True)
            (folder / "deploy-plan.json").write_text(json.dumps(report))
        return Result(rc, "it says this", "")

    monkeypatch.setattr(approved_plan, "run_process", run)
    return commands


def test_the_same_plan_goes_on(action: Action, plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = again(monkeypatch, PLAN)
    result, _calls = action("approved_plan", {"plan": plan}, VARIABLES)
    assert (result["changed"], result["changes"]) == (False, 1)
    assert commands == [[sys.executable, "ansible-playbook", "playbooks/deploy.yml", "--check"]]


def test_another_plan_is_refused(action: Action, plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    again(monkeypatch, {**PLAN, "changes": [CHANGE, {**CHANGE, "host": "api-2"}]})
    result, _calls = action("approved_plan", {"plan": plan}, VARIABLES)
    assert (result["failed"], result["less"], len(result["more"])) == (True, [], 1)


def test_a_plan_that_fails_is_quoted(action: Action, plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    again(monkeypatch, None, rc=2)
    result, _calls = action("approved_plan", {"plan": plan}, VARIABLES)
    assert result["msg"].endswith("it says this")


def test_a_run_with_prompts_is_refused_before_anything(
    action: Action, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = again(monkeypatch, PLAN)
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(args=("playbooks/deploy.yml",), become_ask_pass=True))
    result, _calls = action("approved_plan", {"plan": plan}, VARIABLES)
    assert (result["failed"], commands, "--become-password-file" in result["msg"]) == (True, [], True)


def test_the_plan_itself_makes_no_further_one(action: Action, plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = again(monkeypatch, PLAN)
    result, _calls = action("approved_plan", {"plan": plan}, VARIABLES, check_mode=True)
    assert (result["changed"], commands) == (False, [])


def test_no_disk_for_the_new_plan(action: Action, plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: t.Any, **_more: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(approved_plan.tempfile, "mkdtemp", full)
    result, _calls = action("approved_plan", {"plan": plan}, VARIABLES)
    assert "No space left on device" in result["error"]["cause"]
