"""pgbouncer_admin and pgbouncer_info: what they refuse, and a host without PgBouncer. What they do with a real one is
tested in tests/integration/test_pgbouncer_admin.py."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

Run = t.Callable[..., dict[str, t.Any]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({}, "one of the following is required: state, command", id="nothing"),
        pytest.param({"state": "paused", "command": "kill", "seconds": 9}, "mutually exclusive", id="two"),
        pytest.param({"state": "paused"}, "seconds", id="no limit"),
        pytest.param({"state": "paused", "seconds": 0}, "from 1 to 3600", id="short"),
        pytest.param({"state": "paused", "seconds": 3601}, "from 1 to 3600", id="long"),
        pytest.param({"state": "paused", "seconds": 30, "wait_seconds": 0}, "from 1 to 3600", id="no wait"),
        pytest.param({"state": "paused", "seconds": 10}, "wait_seconds is 10, and the pause ends after 10", id="wait"),
        pytest.param({"command": "reload", "database": "app"}, "Omit `database`", id="reload"),
        pytest.param({"command": "reload", "port": 65536}, "from 1 to 65535", id="port"),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_refused(run_module: Run, tmp_path: Path, options: dict[str, t.Any], words: str, check_mode: bool) -> None:
    failed = run_module("pgbouncer_admin", {"socket_dir": str(tmp_path), **options}, check_mode=check_mode)
    assert failed["failed"]
    assert words in failed["msg"]


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"state": "paused", "seconds": 30}, True),
        ({"state": "resumed"}, False),
        ({"state": "disabled", "database": "app"}, True),
        ({"state": "enabled"}, False),
        ({"command": "reload"}, True),
        ({"command": "reconnect"}, True),
        ({"command": "wait_close"}, False),
        ({"command": "kill"}, True),
    ],
)
def test_a_bare_host(run_module: Run, tmp_path: Path, options: dict[str, t.Any], changed: bool) -> None:
    given = {"socket_dir": str(tmp_path), **options}
    assert run_module("pgbouncer_admin", given, check_mode=True)["changed"] is changed
    failed = run_module("pgbouncer_admin", given)
    assert failed["error"]["cause"].startswith("there is no socket .s.PGSQL.6432 in")
    assert "socket_dir" in failed["error"]["next_step"]


def test_info_of_a_bare_host(run_module: Run, tmp_path: Path) -> None:
    assert run_module("pgbouncer_info", {"socket_dir": str(tmp_path)}, check_mode=True)["processes"] == []
    assert "no socket" in run_module("pgbouncer_info", {"socket_dir": str(tmp_path)})["msg"]
    assert "passwords" in run_module("pgbouncer_info", {"show": ["fds"]}, check_mode=True)["msg"]
