"""Draining and enabling a server, by what HAProxy is asked for on its socket."""

from __future__ import annotations

import pathlib
import socketserver
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._backend.timer import Timer
from ansible_collections.nexod.infra.plugins.module_utils._core import transient
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result

Run = t.Callable[..., dict[str, t.Any]]
HEADER = "# pxname,svname,scur,status,\n"
STATE = "1\n# be_name srv_name srv_admin_state\n"


class Haproxy(socketserver.ThreadingUnixStreamServer):
    """Two servers of one backend, on an admin socket."""

    daemon_threads = True
    drained: set[str]
    commands: list[str]
    cut_off: bool = False


class Handler(socketserver.StreamRequestHandler):
    server: Haproxy

    def handle(self) -> None:
        command = self.rfile.readline().decode().strip()
        names = ("api-1", "api-2")
        if command == "show stat":
            rows = [f"api,{name},0,{'DRAIN' if name in self.server.drained else 'UP'},\n" for name in names]
            answer = HEADER + "".join(rows)
            answer = answer[: len(answer) - 15] if self.server.cut_off else answer
        elif command.startswith("show servers state"):
            answer = STATE + "".join(f"api {name} {int(name in self.server.drained)}\n" for name in names)
        else:
            self.server.commands.append(command)
            name, state = command.split()[2].partition("/")[2], command.split()[-1]
            (self.server.drained.add if state == "drain" else self.server.drained.discard)(name)
            answer = "\n"
        self.wfile.write(answer.encode())


@pytest.fixture
def haproxy(tmp_path: pathlib.Path) -> t.Iterator[Haproxy]:
    with Haproxy(str(tmp_path / "s"), Handler) as made:
        made.drained, made.commands = set(), []
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def options(haproxy: Haproxy, state: str, **more: t.Any) -> dict[str, t.Any]:
    return {"backend": "api", "name": "api-1", "state": state, "socket": haproxy.server_address, "timeout": 2, **more}


def test_it_is_drained_and_enabled_again(run_module: Run, haproxy: Haproxy) -> None:
    states = ("drain", "drain", "ready", "ready")
    results = [run_module("haproxy_server", options(haproxy, state)) for state in states]
    assert [result["changed"] for result in results] == [True, False, True, False]
    assert [result["status"] for result in results] == ["DRAIN", "DRAIN", "UP", "UP"]
    assert haproxy.commands == ["set server api/api-1 state drain", "set server api/api-1 state ready"]


def test_the_last_one_is_not_drained(run_module: Run, haproxy: Haproxy) -> None:
    haproxy.drained.add("api-2")
    result = run_module("haproxy_server", options(haproxy, "drain"))
    assert (result["failed"], haproxy.commands) == (True, [])
    assert "at least 1 must" in result["msg"]


@pytest.mark.parametrize("state", ["drain", "ready"])
def test_check_mode_says_nothing_to_it(run_module: Run, haproxy: Haproxy, state: str) -> None:
    result = run_module("haproxy_server", options(haproxy, state), check_mode=True)
    assert (result["changed"], haproxy.commands) == (state == "drain", [])


def test_an_answer_that_is_cut_off_counts_nobody_as_serving(run_module: Run, haproxy: Haproxy) -> None:
    haproxy.cut_off = True
    result = run_module("haproxy_server", options(haproxy, "drain"))
    assert (result["failed"], haproxy.commands) == (True, [])


def test_no_haproxy_is_named(run_module: Run, tmp_path: pathlib.Path) -> None:
    options_ = {"backend": "api", "name": "api-1", "state": "ready", "socket": str(tmp_path / "gone")}
    assert run_module("haproxy_server", options_)["error"]["cause"] == "No such file or directory"


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> list[str]:
    """The programs of systemd, as far as a timer needs them; the list has the timers that run."""
    timers: list[str] = []

    def run(argv: t.Sequence[str]) -> Result:
        if argv[0] == "systemd-run":
            timers.append(next(word.partition("=")[2] for word in argv if word.startswith("--unit=")))
        elif argv[1] == "stop":
            begins = argv[2].removesuffix(".timer").removesuffix("*")
            timers[:] = [timer for timer in timers if not timer.startswith(begins)]
        elif argv[1] == "is-active":
            return Result(0 if argv[-1].removesuffix(".timer") in timers else 3, "", "")
        return Result(0, "", "")

    monkeypatch.setattr(transient, "run", run)
    monkeypatch.setattr(Timer.__init__, "__defaults__", (str(tmp_path / "run"),))
    return timers


def test_a_drain_with_a_time_limit(run_module: Run, haproxy: Haproxy, systemd: list[str]) -> None:
    limited = {"enable_after": "10min"}
    rows: list[tuple[str, dict[str, t.Any], bool, int]] = [
        ("drain", limited, True, 1),
        ("drain", limited, False, 1),
        # It is to stay drained: the timer ends, and that is a change.
        ("drain", {}, True, 0),
        ("drain", {}, False, 0),
        ("drain", limited, True, 1),
        ("ready", {}, True, 0),
        ("ready", {}, False, 0),
    ]
    for state, more, changed, timers in rows:
        before = [*systemd], [*haproxy.commands]
        predicted = run_module("haproxy_server", options(haproxy, state, **more), check_mode=True)
        assert ([*systemd], [*haproxy.commands]) == before
        result = run_module("haproxy_server", options(haproxy, state, **more))
        assert (predicted["changed"], result["changed"], len(systemd)) == (changed, changed, timers), (state, more)


def test_the_timer_is_there_before_the_server_is_drained(
    run_module: Run, haproxy: Haproxy, systemd: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transient, "run", lambda _argv: Result(1, "", "Failed to connect to bus"))
    result = run_module("haproxy_server", options(haproxy, "drain", enable_after="10min"))
    assert "the timer that enables it again could not be started" in result["msg"]
    assert (haproxy.commands, systemd) == ([], [])


@pytest.mark.parametrize(
    ("state", "given", "cause"),
    [
        ("ready", "10min", "only for the state drain"),
        ("drain", "0", "must be above 0"),
        ("drain", "soon", 'enable_after: "soon"'),
    ],
)
def test_time_limits_that_are_none(run_module: Run, haproxy: Haproxy, state: str, given: str, cause: str) -> None:
    result = run_module("haproxy_server", options(haproxy, state, enable_after=given))
    assert (cause in result["msg"], haproxy.commands) == (True, [])
