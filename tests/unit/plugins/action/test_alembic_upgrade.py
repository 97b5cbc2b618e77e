"""The action plugin of alembic_upgrade: what is planned, linted and run, and what a playbook can't choose."""

from __future__ import annotations

import io
import tarfile
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.action import alembic_upgrade

Action = t.Callable[..., tuple[dict[str, t.Any], list[dict[str, t.Any]]]]
ARGUMENTS = {"python": "/opt/api/bin/python", "url": "postgresql://owner:secret@db/app", "config": "app:alembic.ini"}
DONE = {"changed": True, "diff": {"before": "", "after": ""}}
TABLE = {"exists": True, "name": "users", "rows": 2_000_000, "empty": False, "columns": {}, "checks": []}


def plan(*revisions: str, sql: str = "SELECT 1;") -> dict[str, t.Any]:
    pending = [{"revision": one, "doc": "", "contract": False} for one in revisions]
    return {
        "changed": bool(revisions),
        "before": ["1"],
        "diff": {"before": "", "after": ""},
        "pending": pending,
        "sql": dict.fromkeys(revisions, sql),
        "tables": {"users": TABLE},
        "server": 150000,
    }


def answers(*results: dict[str, t.Any]) -> t.Callable[[dict[str, t.Any]], dict[str, t.Any]]:
    left = list(results)
    return lambda _options: dict(left.pop(0))


@pytest.fixture(autouse=True)
def squawk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alembic_upgrade, "squawk_program", lambda: None)


@pytest.mark.parametrize(
    ("lint", "check_mode", "modules", "linted"),
    [
        pytest.param(
            "warn", False, [plan("2"), {"changed": True, "diff": {"before": "", "after": ""}}], ["2"], id="run"
        ),
        pytest.param("warn", False, [plan()], None, id="nothing pending"),
        pytest.param("warn", True, [plan("2")], None, id="check mode"),
        pytest.param("off", False, [{"changed": True}], None, id="no lint"),
        pytest.param(False, False, [{"changed": True}], None, id="YAML's off"),
    ],
)
def test_what_runs(
    action: Action, lint: t.Any, check_mode: bool, modules: list[dict[str, t.Any]], linted: list[str] | None
) -> None:
    _result, calls = action(
        "alembic_upgrade", {**ARGUMENTS, "lint": lint}, answer=answers(*modules), check_mode=check_mode
    )
    assert len(calls) == len(modules)
    assert calls[-1]["_internal"].get("linted") == linted
    assert calls[-1]["url"] == ARGUMENTS["url"]


def test_a_playbook_cannot_approve_revisions_itself(action: Action) -> None:
    given = {**ARGUMENTS, "lint": "warn", "_internal": {"linted": ["2"], "progress_file": "/etc/passwd"}}
    _result, calls = action("alembic_upgrade", given, answer=answers(plan()))
    assert calls[0]["_internal"].get("linted") is None
    assert calls[0]["_internal"]["progress_file"] != "/etc/passwd"


def test_the_policy_decides_whether_a_lint_without_squawk_suffices(action: Action) -> None:
    refused = plan("2", sql="UPDATE users SET a = 1;")
    result, calls = action("alembic_upgrade", {**ARGUMENTS, "lint": "warn"}, answer=answers(refused, refused))
    assert (len(calls), result.get("failed")) == (2, None)
    result, calls = action("alembic_upgrade", {**ARGUMENTS}, answer=answers(plan("2", sql="UPDATE users SET a = 1;")))
    assert len(calls) == 1
    assert (result["failed"], result["error"]["next_step"]) == (
        True,
        "Install it where the lint runs (pip install squawk-cli), or set `lint: warn` or `lint: off`.",
    )


def test_a_plan_that_failed_is_the_result(action: Action) -> None:
    failed = {"failed": True, "msg": "Cannot upgrade database ..."}
    result, calls = action("alembic_upgrade", {**ARGUMENTS}, answer=answers(failed))
    assert (len(calls), result["failed"], result["msg"]) == (1, True, failed["msg"])


@pytest.mark.parametrize("there", [True, False])
def test_check_mode_sends_the_migrations_of_the_archive(action: Action, tmp_path: Path, there: bool) -> None:
    archive = tmp_path / "app.tar"
    if there:
        wheel = io.BytesIO()
        with zipfile.ZipFile(wheel, "w") as packed:
            packed.writestr("app/alembic.ini", "")
        with tarfile.open(archive, "w") as release:
            member = tarfile.TarInfo("wheels/app.whl")
            member.size = len(wheel.getvalue())
            release.addfile(member, io.BytesIO(wheel.getvalue()))
    given = {**ARGUMENTS, "lint": "warn", "archive": str(archive)}
    result, calls = action("alembic_upgrade", given, answer=answers(plan("2")), check_mode=True)
    if there:
        assert calls[0]["_internal"]["tree"]
        assert result["pending"] == plan("2")["pending"]
    else:
        assert calls == []
        assert f'Cannot read the release "{archive}"' in result["msg"]


def test_who_runs_it_is_added_for_the_audit(action: Action) -> None:
    given = {**ARGUMENTS, "lint": "off", "audit_table": "audit"}
    _result, calls = action("alembic_upgrade", given, {"awx_user_name": "ann", "awx_job_id": 7})
    assert (calls[0]["audit_who"], calls[0]["audit_job"]) == ("ann", "7")
    _result, calls = action("alembic_downgrade", {**ARGUMENTS, "audit_table": "audit"}, {"awx_user_name": "ann"})
    assert calls[0]["audit_who"] == "ann"
