"""The timer of a drained server: its files, what it asks systemd for, and the program that it starts.

Units are tested in molecule's scenario haproxy.
"""

from __future__ import annotations

import json
import socketserver
import threading
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._backend import enable
from ansible_collections.nexod.infra.plugins.module_utils._backend.timer import Timer
from ansible_collections.nexod.infra.plugins.module_utils._core import transient
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result


def test_armed_twice_and_disarmed(systemd_calls: list[list[str]], tmp_path: Path) -> None:
    timer = Timer("/run/haproxy/admin.sock", "api/api-1", str(tmp_path / "run"))
    assert not timer.armed() and not timer.disarm() and not systemd_calls
    timer.arm(30)
    (start,) = systemd_calls
    first = timer.unit()
    assert {"--on-active=30s", f"--unit={first}"} < {*start}
    assert start[-3:] == ["-I", timer.program, timer.order]
    assert Path(timer.program).read_text().rstrip().endswith("raise SystemExit(main(sys.argv[1]))")
    timer.arm(60)
    # The old one ends only after the new one has been started.
    assert [call[:2] for call in systemd_calls] == [
        ["systemd-run", "--quiet"],
        ["systemd-run", "--quiet"],
        ["systemctl", "stop"],
        ["systemctl", "reset-failed"],
    ]
    assert systemd_calls[2][2:] == [f"{first}.timer", f"{first}.service"]
    assert timer.armed() and timer.unit() != first
    systemd_calls.clear()
    assert timer.disarm()
    assert systemd_calls[0] == ["systemctl", "stop", f"{timer.name}-*.timer", f"{timer.name}-*.service"]
    assert list((tmp_path / "run").iterdir()) == []


def test_each_server_has_a_timer_of_its_own() -> None:
    servers = [("/a", "api/api-1"), ("/a", "api/api-1-2"), ("/a", "other/api-1"), ("/b", "api/api-1")]
    assert len({Timer(*server).name for server in servers}) == len(servers)


@pytest.mark.parametrize("before", [False, True])
def test_a_timer_that_does_not_start_changes_nothing(
    systemd_calls: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: bool
) -> None:
    timer = Timer("/s", "api/api-1", str(tmp_path))
    if before:
        timer.arm(30)
    unit = timer.unit()
    systemd_calls.clear()
    monkeypatch.setattr(transient, "run", lambda _argv: Result(1, "", "Failed to connect to bus"))
    with pytest.raises(InfraError, match="Failed to connect to bus"):
        timer.arm(30)
    assert timer.unit() == unit
    assert bool(list(tmp_path.iterdir())) == before


@pytest.mark.parametrize(
    ("answers", "code", "asked"),
    [
        pytest.param(["\n"], 0, 1, id="enabled"),
        pytest.param(["No such server.\n\n"], 0, 1, id="the configuration has it no longer"),
        pytest.param(["Permission denied\n"] * 3, 1, 3, id="refused"),
        pytest.param(["Permission denied\n", "\n"], 0, 2, id="at the second time"),
        pytest.param([], 1, 0, id="HAProxy does not run"),
    ],
)
def test_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: list[str], code: int, asked: int
) -> None:
    monkeypatch.setattr(enable, "ATTEMPTS", 3)
    monkeypatch.setattr(enable.time, "sleep", lambda _seconds: None)
    commands: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            commands.append(self.rfile.readline().decode())
            self.wfile.write(answers[len(commands) - 1].encode())

    path, program, order = str(tmp_path / "s"), tmp_path / "enable.py", tmp_path / "order.json"
    program.touch()
    order.write_text(json.dumps({"unit": "u", "socket": path, "server": "api/api-1", "program": str(program)}))
    if answers:
        with socketserver.UnixStreamServer(path, Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            found = enable.main(str(order))
            server.shutdown()
    else:
        found = enable.main(str(order))
    assert (found, commands) == (code, ["set server api/api-1 state ready\n"] * asked)
    # After a failure, a task that enables the server still finds what to end.
    assert (order.exists(), program.exists()) == (code != 0, code != 0)


def test_the_program_ends_where_a_task_has_enabled_the_server(tmp_path: Path) -> None:
    assert enable.main(str(tmp_path / "gone")) == 0
