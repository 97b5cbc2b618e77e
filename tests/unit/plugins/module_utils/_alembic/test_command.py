"""The command of the role migration_runner: what it reads, says and measures. On a database: tests/integration."""

from __future__ import annotations

import json
import os
import pwd
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import command as _migrate
from ansible_collections.nexod.infra.plugins.module_utils._alembic import request
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import account_of, run

URL = "postgresql+psycopg://owner:secret@db:5432/app"
SEEN: dict[str, t.Any] = {
    "current": ["0008"],
    "heads": ["0009"],
    "unknown": [],
    "pending": [{"revision": "0009", "doc": "Drop a column", "contract": True}],
    "history": [{"revision": "0008", "doc": "Add it"}, {"revision": "0009", "doc": "Drop a column"}],
    "lock_holder": None,
    "invalid_indexes": [],
}
HOLDER = {"pid": 7, "program": "alembic_upgrade", "host": "10.0.0.1", "since": "2026-01-01"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({}, ["at        0008 Add it", "pending   0009 Drop a column  (contract)"], id="pending"),
        pytest.param({"pending": [], "current": ["0009"]}, ["at        0009 Drop a column\n"], id="there already"),
        pytest.param(
            {"pending": [], "current": ["0012"], "unknown": ["0012"]},
            ["0012 (unknown to this release)", "pending   unknown: the database is ahead of the release"],
            id="ahead",
        ),
        pytest.param({"current": []}, ["no revision (empty database)"], id="empty"),
        pytest.param({"lock_holder": HOLDER}, ["pid 7 (alembic_upgrade) on 10.0.0.1 since 2026-01-01"], id="a runner"),
        pytest.param({"drift": None}, ["env.py sets no target_metadata"], id="drift cannot be seen"),
        pytest.param({"drift": ["a", "b"]}, ["drift     a\n          b"], id="drift"),
        pytest.param({"drift": []}, ["none: the schema matches the models"], id="no drift"),
        pytest.param({"invalid_indexes": [{"index": "i", "table": "t"}]}, ["invalid   i on t"], id="invalid"),
    ],
)
def test_status_says(changed: dict[str, t.Any], words: list[str]) -> None:
    text = _migrate.status_text({"url": URL, "label": "app 1"}, {**SEEN, **changed})
    assert [word for word in ['"app" at db:5432', "release   app 1", *words] if word not in text] == []
    assert "secret" not in text


@pytest.mark.parametrize(
    ("seen", "values"),
    [
        pytest.param(None, {"check_success": 0}, id="could not look"),
        pytest.param(SEEN, {"check_success": 1, "check_pending_revisions": 1, "check_invalid_indexes": 0}, id="looked"),
        pytest.param({**SEEN, "drift": None}, {"check_success": 1}, id="drift cannot be seen"),
        pytest.param({**SEEN, "drift": ["a"]}, {"check_drift_differences": 1}, id="drift"),
    ],
)
def test_metrics_of_a_check(seen: dict[str, t.Any] | None, values: dict[str, int]) -> None:
    text = _migrate.check_metrics("app", 1000.4, 2000.6, seen)
    for name, value in {"check_timestamp_seconds": 1000, "check_due_timestamp_seconds": 2001, **values}.items():
        assert f'nexod_alembic_{name}{{database="app"}} {value}\n' in text
    assert ("drift" in text) == ("check_drift_differences" in values)


@pytest.mark.parametrize(
    ("words", "rc"),
    [
        pytest.param([], 2, id="no command"),
        pytest.param(["downgrade"], 2, id="there is no way back"),
        pytest.param(["up", "--lint", "no"], 2, id="no such policy"),
        pytest.param(["--help"], 0, id="help"),
    ],
)
def test_what_it_does_not_take(words: list[str], rc: int) -> None:
    with pytest.raises(SystemExit) as ended:
        _migrate.parser("migrate").parse_args(words)
    assert ended.value.code == rc


def test_settings_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="Run the role migration_runner, which writes them"):
        _migrate.read_settings(tmp_path, None)


def test_the_units_credentials_go_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "secrets.json").write_text(json.dumps({"url": URL}))
    assert _migrate.read_settings(tmp_path, str(tmp_path / "credentials")) == {"url": URL}


def test_a_relative_revision_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "secrets.json").write_text(json.dumps({"url": URL}))
    assert _migrate.main(tmp_path, ["up", "--revision=-1"]) == 1
    assert "Cannot" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "settings", "rc"),
    [
        pytest.param("check", "{}", _migrate.TRY_AGAIN, id="a check that could not look"),
        pytest.param("check", "not JSON", 1, id="a check that has no settings: again would be the same"),
        pytest.param("status", "{}", 1, id="what a person runs"),
    ],
)
def test_what_its_unit_runs_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str, settings: str, rc: int
) -> None:
    def unreachable(_arguments: object) -> dict[str, t.Any]:
        raise InfraError("look at", "the database", "connection refused", "Start it.")

    monkeypatch.setattr(_migrate, "info", unreachable)
    (tmp_path / "settings.json").write_text(settings)
    (tmp_path / "secrets.json").write_text(json.dumps({"url": URL}))
    assert _migrate.main(tmp_path, [word]) == rc


@pytest.mark.parametrize("seen", [{"invalid_indexes": [{"index": "i", "table": "t"}]}, {}])
def test_what_a_check_found_is_not_looked_for_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seen: dict[str, t.Any]
) -> None:
    monkeypatch.setattr(_migrate, "info", lambda _arguments: {**SEEN, **seen})
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "secrets.json").write_text(json.dumps({"url": URL}))
    assert _migrate.main(tmp_path, ["check"]) == int(bool(seen))


@pytest.mark.parametrize(
    ("user", "check", "words"),
    [
        pytest.param("no-such-account", False, "there is no such account", id="not there"),
        pytest.param("no-such-account", True, None, id="in check mode the run makes it first"),
        pytest.param(pwd.getpwuid(os.geteuid()).pw_name, False, None, id="it is the caller"),
        pytest.param(None, False, None, id="nobody in particular"),
    ],
)
def test_whose_process_it_is(user: str | None, check: bool, words: str | None) -> None:
    if words:
        with pytest.raises(InfraError, match=words):
            request.runs_as(user, check=check)
    else:
        assert request.runs_as(user, check=check) is None


def test_only_root_gives_a_process_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(InfraError, match="only root can"):
        request.runs_as("nobody", check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process away")
def test_a_process_that_was_given_away_has_its_accounts_home() -> None:
    done = run(["/bin/sh", "-c", "id -un; id -G; echo $HOME"], account=account_of("nobody"), cwd="/")
    nobody = pwd.getpwnam("nobody")
    assert done.stdout.split("\n")[:3] == ["nobody", str(nobody.pw_gid), nobody.pw_dir]


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        pytest.param(b"", 0o644, id="no right to run it"),
        pytest.param(b"\x7fELF", 0o755, id="built for another processor"),
    ],
)
def test_a_program_that_cannot_be_run(tmp_path: Path, content: bytes, mode: int) -> None:
    (tmp_path / "program").write_bytes(content)
    (tmp_path / "program").chmod(mode)
    done = run([str(tmp_path / "program")])
    assert (done.rc, bool(done.stderr)) == (126, True)
