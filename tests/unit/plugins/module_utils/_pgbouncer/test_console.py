"""The admin console's protocol. With a real server it is tested in tests/integration/test_pgbouncer_admin.py."""

from __future__ import annotations

import ast
import json
import signal
import socket
import struct
import sys
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer import console


def test_it_needs_nothing_but_the_standard_library() -> None:
    """The timer runs this file alone."""
    tree = ast.parse(Path(console.__file__).read_text())
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names}


def test_values_have_the_types_of_their_columns() -> None:
    columns = [("name", 25), ("count", 20), ("pool", 23), ("none", 23), ("average", 1700), ("empty", 25)]
    body = struct.pack("!h", len(columns))
    for name, kind in columns:
        body += name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, kind, 4, -1, 0)
    assert list(console.described(body)) == columns
    row = struct.pack("!h", len(columns))
    for text in ("app", "-12", "7", None, "1.5", ""):
        row += struct.pack("!i", -1) if text is None else struct.pack("!i", len(text)) + text.encode()
    found = {"name": "app", "count": -12, "pool": 7, "none": None, "average": "1.5", "empty": ""}
    assert dict(console.values(row, columns)) == found


@pytest.mark.parametrize(("name", "quoted"), [("app", '"app"'), ("App-1", '"App-1"'), ('a"b', '"a""b"')])
def test_names_are_quoted(name: str, quoted: str) -> None:
    assert console.quoted(name) == quoted


def test_every_socket_of_the_port_is_a_process(tmp_path: Path) -> None:
    opened = []
    for name in ("10/.s.PGSQL.6432", "2/.s.PGSQL.6432", "1/.s.PGSQL.6433", ".s.PGSQL.6432", "a/b/.s.PGSQL.6432"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        opened.append(socket.socket(socket.AF_UNIX))
        opened[-1].bind(str(path))
    (tmp_path / "3").mkdir()
    (tmp_path / "3/.s.PGSQL.6432").write_text("a file")
    found = console.sockets(str(tmp_path), 6432)
    assert found == [f"{tmp_path}/{name}.s.PGSQL.6432" for name in ("", "2/", "10/")]
    assert console.sockets(str(tmp_path / "gone"), 6432) == []
    for one in opened:
        one.close()


@pytest.mark.parametrize(
    ("pools", "database", "found"),
    [
        ([], "a", False),
        ([{"database": "a", "sv_login": 0}], "a", False),
        ([{"database": "a", "sv_login": 1}], "a", True),
        ([{"database": "b", "sv_login": 1}], "a", False),
        ([{"database": "b", "sv_login": 1}], "", True),
        ([{"database": "a"}], "", False),
    ],
)
def test_logins_that_are_under_way(pools: list[console.Row], database: str, found: bool) -> None:
    assert console.logging_in(pools, database) is found


class Recorded:
    """A console that keeps what it is asked, and a PgBouncer that logs in for some looks."""

    def __init__(self, logins: int = 0) -> None:
        self.settings = {"default_pool_size": "20", "max_db_connections": "0", "max_user_connections": "7"}
        self.logins = logins
        self.asked: list[str] = []

    def __call__(self, _path: str) -> Recorded:
        return self

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_error: object) -> None: ...

    def ask(self, command: str) -> list[console.Row]:
        self.asked.append(command)
        if command == "SHOW CONFIG":
            return [{"key": key, "value": value} for key, value in {**self.settings, "verbose": "0"}.items()]
        if command == "SHOW POOLS":
            self.logins -= 1
            return [{"database": "app", "sv_login": int(self.logins >= 0)}]
        if command.startswith("SET "):
            name, _equals, value = command.removeprefix("SET ").partition(" = ")
            self.settings[name] = value.strip("'")
        return []


LIMITED = {"default_pool_size": "1", "max_db_connections": "1", "max_user_connections": "1"}


@pytest.mark.parametrize("logins", [0, 3, 10**9])
def test_no_login_begins_meanwhile(logins: int, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(logins)
    before = dict(recorded.settings)
    monkeypatch.setattr(console, "Console", recorded)
    monkeypatch.setattr(console, "LOGIN_SECONDS", 0.2)
    with console.without_logins("path", "app"):
        assert recorded.settings == LIMITED and recorded.asked.count("SHOW POOLS") >= min(logins + 1, 3)
        assert recorded.logins < 0 or logins > 10
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert {signal.SIGTERM, signal.SIGHUP} <= blocked
    assert recorded.settings == before
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_the_limits_of_a_reload_stay_and_those_before_return_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded()
    before, after = dict(recorded.settings), {**recorded.settings, "default_pool_size": "30"}
    monkeypatch.setattr(console, "Console", recorded)
    with console.without_logins("path"):
        recorded.settings = dict(after)
    assert recorded.settings == after
    recorded.settings = dict(before)
    with pytest.raises(console.RefusedError), console.without_logins("path"):
        raise console.RefusedError
    assert recorded.settings == before


def test_a_process_that_dies_before_the_login_has_closed_the_connection(tmp_path: Path) -> None:
    """It is not an error of another kind, after which its pause would be left to the timer."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        class Late(console.Console):
            def _connect(self) -> None:
                super()._connect()
                listener.accept()[0].close()

        with pytest.raises(console.ClosedError):
            Late(path)


def test_the_program_of_the_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.json"
    assert console.main(str(path)) == 0  # resumed by somebody else
    path.write_text(json.dumps({"socket_dir": "/run/p", "port": 1, "databases": ["app"]}))
    answers = [["it does not answer"], ["it does not answer"], []]
    asked = []
    monkeypatch.setattr(console, "resume", lambda *given: (asked.append(given), answers.pop(0))[1])
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    assert console.main(str(path)) == 0
    assert asked == [("/run/p", 1, ["app"])] * 3
    monkeypatch.setattr(console, "resume", lambda *_: ["it hangs"])
    assert console.main(str(path)) == 1
