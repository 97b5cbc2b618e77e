"""Which commands lead from what PgBouncer shows to what is asked for."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.plan import (
    CONSOLE,
    Process,
    Step,
    diff_of,
    flags,
    holders,
    missing,
    plan,
    selected,
    unpaused,
)


def process(socket: str = "1", *, whole: bool | None = False, **databases: str) -> Process:
    """Databases with the letters of what they are: p for paused, d for disabled."""
    rows = {name: {"paused": "p" in is_, "disabled": "d" in is_} for name, is_ in databases.items()}
    return Process(socket, "1.24.1", rows, whole)


@pytest.mark.parametrize(
    ("asked", "processes", "database", "expected"),
    [
        pytest.param("paused", [process(app="")], "app", ['1: PAUSE "app"'], id="pause"),
        pytest.param("paused", [process(app="p")], "app", ['(1: PAUSE "app")'], id="paused waits for its transactions"),
        pytest.param(
            "paused",
            [process("1", app="p", other=""), process("2", app="", other="")],
            None,
            ['(1: PAUSE "app")', '1: PAUSE "other"', '2: PAUSE "app"', '2: PAUSE "other"'],
            id="pause all on all",
        ),
        pytest.param("resumed", [process(app="p")], "app", ['1: RESUME "app"'], id="resume"),
        pytest.param("resumed", [process(app="", other="p")], "app", [], id="resumed"),
        pytest.param("resumed", [process(app="", other="p")], None, ['1: RESUME "other"'], id="resume all"),
        pytest.param(
            "resumed", [process(app="p", whole=True)], None, ["1: RESUME", '1: RESUME "app"'], id="PAUSE without a name"
        ),
        pytest.param("resumed", [process(app="p", whole=True)], "app", ['1: RESUME "app"'], id="of one, others stay"),
        pytest.param("resumed", [process(app="", whole=None)], None, [], id="a version that does not show it"),
        pytest.param("disabled", [process(app="", other="d")], None, ['1: DISABLE "app"'], id="disable"),
        pytest.param("enabled", [process(app="", other="pd")], None, ['1: ENABLE "other"'], id="enable"),
        pytest.param("reload", [process("1", app=""), process("2")], None, ["1: RELOAD", "2: RELOAD"], id="reload"),
        pytest.param("reconnect", [process(app="p")], "app", ['1: RECONNECT "app"'], id="reconnect"),
        pytest.param("reconnect", [process(app="")], "gone", [], id="reconnect nothing"),
        pytest.param("wait_close", [process(app="")], None, ['(1: WAIT_CLOSE "app")'], id="wait"),
        pytest.param("kill", [process(app="")], "app", ['1: KILL "app", RESUME "app"'], id="kill"),
        pytest.param("kill", [process(app="p")], "app", ['1: KILL "app"'], id="killed and still paused"),
        pytest.param("paused", [process()], 'a"b', ['1: PAUSE "a""b"'], id="a quote"),
    ],
)
def test_plan(asked: str, processes: list[Process], database: str | None, expected: list[str]) -> None:
    steps = plan(asked, processes, database)
    lines = [f"{step.socket}: {', '.join(step.commands)}" for step in steps]
    assert [line if step.needed else f"({line})" for line, step in zip(lines, steps, strict=True)] == expected


@pytest.mark.parametrize(
    ("asked", "steps", "before", "after"),
    [
        pytest.param("paused", [Step("1", "PAUSE", "app")], "1: app resumed\n", "1: app paused\n", id="pause"),
        pytest.param("paused", [Step("1", "PAUSE", "app", needed=False)], "", "", id="paused"),
        pytest.param(
            "resumed", [Step("1", "RESUME")], "1: all databases paused\n", "1: all databases resumed\n", id="all"
        ),
        pytest.param("kill", [Step("1", "KILL", "a", resume=True)], "", '1: KILL "a", RESUME "a"\n', id="kill"),
    ],
)
def test_diff(asked: str, steps: list[Step], before: str, after: str) -> None:
    assert diff_of(asked, steps) == {"before": before, "after": after}


def test_flags_leave_out_the_console() -> None:
    rows = [{"name": "app", "paused": 1, "disabled": 0}, {"name": CONSOLE, "paused": 0, "disabled": 0}, {"name": "old"}]
    no = {"paused": False, "disabled": False}
    assert flags(rows) == {"app": {"paused": True, "disabled": False}, "old": no}


def test_names() -> None:
    processes = [process("1", app="p", other=""), process("2", app="")]
    assert selected(processes, None) == ["app", "other"]
    assert selected(processes, "x") == ["x"]
    assert missing(processes, ["app", "other"]) == ["other at 2"]
    assert unpaused(processes, ["app"]) == ["app at 2"]


def test_holders_have_a_server_connection_of_the_database() -> None:
    client = {"user": "app", "addr": "10.0.0.1", "port": 5000, "database": "app", "link": "0x1"}
    clients = [
        {**client, "application_name": "api"},
        {**client, "link": "0x2", "user": "b"},
        {**client, "link": ""},
        {**client, "link": None},
        {**client, "database": "other"},
    ]
    servers = [{"ptr": "0x1", "remote_pid": 47}, {"ptr": "0x3", "remote_pid": 48}]
    assert holders(clients, servers, ["app"]) == [
        "app@10.0.0.1:5000 in app (api, process 47 of PostgreSQL)",
        "b@10.0.0.1:5000 in app",
    ]
