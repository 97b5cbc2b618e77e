"""The modules alembic_*: what a user gets for wrong options, faults and results, and that no secret is among it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import operations, request
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result

Run = t.Callable[..., dict[str, t.Any]]
URL = "postgresql+psycopg://owner:p%40ssw0rd-1@db:5432/app"
SECRETS = ("p%40ssw0rd-1", "p@ssw0rd-1", "the-api-key-of-env")
OPTIONS: dict[str, t.Any] = {
    "python": "/opt/api/bin/python",
    "url": URL,
    "environment": {"API_KEY": "the-api-key-of-env", "STAGE": "prod"},
}
UPGRADE = {**OPTIONS, "lint": "off"}
DOWNGRADE = {**OPTIONS, "revision": "1", "confirm": True}
STAMP = {**OPTIONS, "revision": "head"}
EVERY: tuple[tuple[str, dict[str, t.Any]], ...] = (
    ("alembic_upgrade", UPGRADE),
    ("alembic_downgrade", DOWNGRADE),
    ("alembic_stamp", STAMP),
    ("alembic_info", OPTIONS),
)
PLAN = {"event": "plan", "heads": ["1"], "after": ["2"], "pending": [{"revision": "2", "doc": "prod", "sql": "X;"}]}
DONE = {"event": "done", "revision": "2", "doc": "prod", "seconds": 0.5}
FINAL = {"event": "final", "heads": ["2"], "pending": []}
FAILED = {
    "event": "fault",
    "kind": "revision",
    "revision": "2",
    "sqlstate": "42P01",
    "detail": "relation does not exist",
    "statement": "ALTER TABLE gone ADD x int",
}


class Engine:
    """In place of the engine's process: the events that it leaves, and what it was started with."""

    def __init__(self) -> None:
        self.events: list[dict[str, t.Any]] = []
        self.ended = Result(0, "", "")
        self.argv: list[str] = []
        self.environment: dict[str, str] = {}
        self.request: dict[str, t.Any] = {}

    def run(self, argv: list[str], *, environment: dict[str, str], stdin: str, **_more: t.Any) -> Result:
        self.argv, self.environment, self.request = argv, environment, json.loads(stdin)
        Path(self.request["events"]).write_text("".join(json.dumps(event) + "\n" for event in self.events))
        return self.ended


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(request, "run", made.run)
    return made


def check_error(result: dict[str, t.Any], *texts: str) -> None:
    """Action, object, cause and next step, for people and for programs, and the `texts` among them."""
    assert result["failed"]
    error = result["error"]
    assert all(error[name] for name in ("action", "object", "cause", "next_step"))
    assert result["msg"].startswith(f"Cannot {error['action']} {error['object']}: ")
    assert [text for text in texts if text not in result["msg"]] == []


@pytest.mark.parametrize(
    ("name", "options", "texts"),
    [
        pytest.param("alembic_upgrade", {**UPGRADE, "url": "mysql://o:p%40ssw0rd-1@db/app"}, ["`url`"], id="url"),
        pytest.param("alembic_upgrade", {**UPGRADE, "revision": "-1"}, ['"-1"', "never downgrades"], id="relative"),
        pytest.param(
            "alembic_upgrade",
            {**UPGRADE, "lock_timeout": "soon"},
            ['lock_timeout: "soon"', "200ms, 60s"],
            id="duration",
        ),
        pytest.param("alembic_upgrade", {**UPGRADE, "audit_table": "a b"}, ["plain table name"], id="table"),
        pytest.param("alembic_upgrade", {**UPGRADE, "user": "no-such-account"}, ["no such account"], id="account"),
        pytest.param("alembic_downgrade", {**DOWNGRADE, "confirm": False}, ["`confirm: true`"], id="not confirmed"),
        pytest.param("alembic_downgrade", {**DOWNGRADE, "revision": "+1"}, ["or base"], id="no way down"),
        pytest.param("alembic_stamp", {**STAMP, "revision": "a@b"}, ["or base"], id="stamp"),
        pytest.param("alembic_info", {**OPTIONS, "timeout": "1 week"}, ["timeout"], id="info"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(
    run_module: Run, engine: Engine, name: str, options: dict[str, t.Any], texts: list[str]
) -> None:
    result = run_module(name, options)
    check_error(result, *texts)
    assert engine.argv == []
    assert [secret for secret in SECRETS if secret in json.dumps(result)] == []


@pytest.mark.parametrize(("name", "options"), EVERY)
@pytest.mark.parametrize(
    ("ended", "text"),
    [
        pytest.param(Result(127, "", "no such file", missing=True), "Install the release first", id="no release"),
        pytest.param(Result(126, "", "permission denied"), "can't be run", id="no permission"),
        pytest.param(Result(124, "", ""), "pg_stat_activity", id="time limit"),
        pytest.param(Result(-9, "", f"killed at {URL}"), "Run again", id="killed"),
        pytest.param(Result(127, "", "its own words"), "its own words", id="an rc of its own"),
    ],
)
def test_an_engine_that_died(
    run_module: Run, engine: Engine, name: str, options: dict[str, t.Any], ended: Result, text: str
) -> None:
    engine.ended = ended
    result = run_module(name, options)
    check_error(result, text, '"app" at db:5432')
    assert [secret for secret in SECRETS if secret in json.dumps(result)] == []


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_secrets_are_passed_in_the_environment_alone(
    run_module: Run, engine: Engine, name: str, options: dict[str, t.Any]
) -> None:
    engine.events = [{**FAILED, "detail": f"at {URL}: p@ssw0rd-1"}]
    result = run_module(name, options, check_mode=True)
    assert result["failed"]
    assert engine.environment["NEXOD_ALEMBIC_URL"] == URL
    given = json.dumps([engine.argv, engine.request, result])
    assert [secret for secret in SECRETS if secret in given] == []


def test_short_values_of_the_environment_stay_readable(run_module: Run, engine: Engine) -> None:
    engine.events = [PLAN, DONE, FINAL]
    assert run_module("alembic_upgrade", UPGRADE)["migrations"] == [{"revision": "2", "doc": "prod", "seconds": 0.5}]


def test_a_successful_upgrade(run_module: Run, engine: Engine, tmp_path: Path) -> None:
    engine.events = [PLAN, DONE, FINAL]
    metrics = tmp_path / "app.prom"
    result = run_module("alembic_upgrade", {**UPGRADE, "metrics_file": str(metrics)})
    assert (result["changed"], result["before"], result["after"]) == (True, ["1"], ["2"])
    assert (result["revision_before"], result["revision_after"]) == ("1", "2")
    assert 'nexod_alembic_last_run_success{database="app"} 1' in metrics.read_text()


def test_check_mode_writes_no_metrics_and_asks_for_a_plan_only(run_module: Run, engine: Engine, tmp_path: Path) -> None:
    engine.events = [PLAN]
    metrics = tmp_path / "app.prom"
    result = run_module("alembic_upgrade", {**UPGRADE, "metrics_file": str(metrics)}, check_mode=True)
    assert (result["changed"], result["after"], result["pending"][0]["revision"]) == (True, ["2"], "2")
    assert "X;" in result["diff"]["after"]
    assert engine.request["check"] is True
    assert not metrics.exists()


@pytest.mark.parametrize("fails", [True, False])
def test_metrics_that_cannot_be_written_are_a_warning(
    run_module: Run, engine: Engine, tmp_path: Path, fails: bool
) -> None:
    engine.events = [PLAN, FAILED] if fails else [PLAN, DONE, FINAL]
    engine.ended = Result(int(fails), "", "")
    (tmp_path / "file").write_text("")
    result = run_module("alembic_upgrade", {**UPGRADE, "metrics_file": str(tmp_path / "file/app.prom")})
    assert "Cannot write the metrics" in str(result["warnings"])
    if fails:
        check_error(result, "revision 2 failed: relation does not exist (SQLSTATE 42P01)", "Fix the revision")
        assert (result["before"], result["failed_revision"]) == (["1"], "2")
    else:
        assert (result["before"], result["after"], len(result["migrations"])) == (["1"], ["2"], 1)


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_no_room_for_the_engine(
    run_module: Run, engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, t.Any]
) -> None:
    def full(_path: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    check_error(run_module(name, options), "Cannot start the migration engine in", "Free some space")
    assert engine.argv == []


def test_info_changes_nothing(run_module: Run, engine: Engine) -> None:
    found = {"script_heads": ["2"], "unknown": [], "history": [], "holder": {}, "pending": []}
    engine.events = [{"event": "server", "version": 150000}, {**found, "event": "info", "heads": ["1"]}]
    result = run_module("alembic_info", OPTIONS)
    assert (result["changed"], result["current"], result["heads"]) == (False, ["1"], ["2"])
    assert (engine.request["command"], engine.request["check"]) == ("info", True)


def test_the_operations_are_those_of_the_engine() -> None:
    from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.commands import COMMANDS  # noqa: PLC0415

    assert all(callable(getattr(operations, name)) for name in COMMANDS)
