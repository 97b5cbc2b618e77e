"""Metrics of a run, and that they never hide how it ended."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import command, metrics, operations
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result

PLAN = {"event": "plan", "heads": ["1"], "after": ["2"], "pending": [{"revision": "2", "doc": "Two"}]}
DONE = {"event": "done", "revision": "2", "doc": "Two", "seconds": 0.5}
FINAL = {"event": "final", "heads": ["2"], "pending": []}
FAILED = {"event": "fault", "kind": "revision", "revision": "2", "sqlstate": "42P01", "detail": "no such table"}
PARAMETERS: dict[str, t.Any] = {
    "url": "postgresql://owner:secret@db/app",
    "python": "/opt/api/bin/python",
    "revision": "head",
    "timeout": "1h",
    "url_option": "sqlalchemy.url",
}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    def answers(*events: dict[str, t.Any]) -> None:
        rc = int(any(event["event"] == "fault" for event in events))
        reply = (Result(rc, "", ""), list(events), PARAMETERS["python"])
        monkeypatch.setattr(operations, "ask_engine", lambda *_given, **_more: reply)

    return answers


@pytest.fixture(params=["no folder", "a folder in its place", "a file in the folder's place"])
def unwritable(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "no folder":
        return str(tmp_path / "missing/app.prom")
    if request.param == "a folder in its place":
        (tmp_path / "app.prom").mkdir()
        return str(tmp_path / "app.prom")
    (tmp_path / "folder").write_text("")
    return str(tmp_path / "folder/app.prom")


def test_metrics_are_what_the_node_exporter_reads() -> None:
    text = metrics.metrics('a"b', 10.0, 12.5, {"migrations": [1, 2], "retries": 3, "invalid_indexes": ["x"]}, ok=True)
    assert 'nexod_alembic_last_run_success{database="a\\"b"} 1\n' in text
    assert "# TYPE nexod_alembic_last_run_revisions gauge\n" in text
    assert 'nexod_alembic_last_run_duration_seconds{database="a\\"b"} 2.5\n' in text


def test_the_error_of_the_migration_is_reported_although_the_metrics_cannot_be_written(
    engine: t.Callable[..., None], unwritable: str
) -> None:
    engine(PLAN, FAILED)
    with pytest.raises(InfraError, match="revision 2 failed: no such table") as caught:
        operations.upgrade({**PARAMETERS, "metrics_file": unwritable}, check=False)
    (warning,) = t.cast("list[str]", caught.value.facts["warnings"])
    assert warning.startswith(f'Cannot write the metrics to "{unwritable}": ')


def test_a_successful_migration_stays_one_although_the_metrics_cannot_be_written(
    engine: t.Callable[..., None], unwritable: str
) -> None:
    engine(PLAN, DONE, FINAL)
    result = operations.upgrade({**PARAMETERS, "metrics_file": unwritable}, check=False)
    assert (result.before, result.after, [one["revision"] for one in result.migrations]) == (("1",), ("2",), ["2"])
    assert [warning.partition(":")[0] for warning in result.warnings] == [f'Cannot write the metrics to "{unwritable}"']
    assert not list(Path(unwritable).parent.glob(".app.prom.*")) if Path(unwritable).parent.is_dir() else True


@pytest.mark.parametrize("reachable", [True, False])
def test_the_daily_check_reports_its_result_although_the_metrics_cannot_be_written(
    engine: t.Callable[..., None], unwritable: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], reachable: bool
) -> None:
    found = {"event": "info", "script_heads": ["1"], "unknown": [], "history": [], "holder": {}, **FINAL}
    away = {"event": "fault", "kind": "connect", "detail": "connection refused", "listens": False}
    engine({**found, "event": "info"} if reachable else away)
    (tmp_path / "settings.json").write_text(
        json.dumps({"python": "/opt/api/bin/python", "check_metrics_file": unwritable})
    )
    (tmp_path / "secrets.json").write_text(json.dumps({"url": PARAMETERS["url"]}))
    assert command.main(tmp_path, ["check"]) == (1 if reachable else command.TRY_AGAIN)
    shown = capsys.readouterr()
    assert "Cannot write the metrics" in shown.out + shown.err
    assert ("head      2" if reachable else "connection refused") in shown.out + shown.err or reachable


def test_the_audit_that_failed_is_a_warning(engine: t.Callable[..., None]) -> None:
    engine(PLAN, DONE, {"event": "audit_failed", "table": "audit", "detail": "no space"}, FINAL)
    result = operations.upgrade(PARAMETERS, check=False)
    assert result.warnings == ("The audit table audit could not be written: no space.",)
    assert result.after == ("2",)


@pytest.mark.parametrize(("lock_timeout", "warned"), [("200ms", False), ("60s", False), ("200", True), ("5min", True)])
def test_a_long_lock_timeout_is_warned_of(engine: t.Callable[..., None], lock_timeout: str, warned: bool) -> None:
    engine(PLAN, DONE, FINAL)
    result = operations.upgrade({**PARAMETERS, "lock_timeout": lock_timeout}, check=False)
    assert bool(result.warnings) is warned
