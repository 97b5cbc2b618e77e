"""Who may be taken out of HAProxy and when, by table, in the words that HAProxy 3.0 uses."""

from __future__ import annotations

import pathlib
import socketserver
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._backend.haproxy import (
    Haproxy,
    Server,
    Wanted,
    is_known,
    plan,
    read_servers,
    read_taken_out,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

STAT = """# pxname,svname,qcur,scur,status,weight,
users,FRONTEND,,1,OPEN,,
api,api-1,0,3,UP,1,
api,api-2,0,0,DOWN 1/2,1,
api,BACKEND,0,3,UP,2,
static,files,0,0,no check,1,
"""
STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight
3 api 1 api-1 10.0.0.1 2 0 1
3 api 2 api-2 10.0.0.2 0 8 1
3 api 3 api-3 10.0.0.3 0 1 1
3 api 4 api-4 10.0.0.4 2 32 1
4 static 1 files 127.0.0.1 2 1 1
"""


def servers(**status: str) -> list[Server]:
    return [Server(name.replace("_", "-"), word, 0) for name, word in status.items()]


def test_reads_what_haproxy_shows() -> None:
    assert read_servers("api", STAT) == [Server("api-1", "UP", 3), Server("api-2", "DOWN 1/2", 0)]
    assert read_servers("static", STAT)[0].serving
    assert read_taken_out("api", STATE) == {"api-2", "api-3"}


@pytest.mark.parametrize(
    ("state", "status", "taken_out", "commands"),
    [
        pytest.param(
            "drain", {"api_1": "UP", "api_2": "UP"}, set(), ["set server api/api-1 state drain"], id="take out"
        ),
        pytest.param("drain", {"api_1": "DRAIN", "api_2": "UP"}, {"api-1"}, [], id="is out"),
        pytest.param("drain", {"api_1": "DOWN", "api_2": "UP"}, {"api-1"}, [], id="is out and down"),
        pytest.param(
            "drain", {"api_1": "DOWN", "api_2": "DOWN"}, set(), ["set server api/api-1 state drain"], id="first deploy"
        ),
        pytest.param("ready", {"api_1": "UP", "api_2": "UP"}, set(), [], id="is in"),
        pytest.param("ready", {"api_1": "DOWN", "api_2": "UP"}, set(), [], id="is in, checks decide"),
        pytest.param("ready", {"api_1": "DRAIN"}, {"api-1"}, ["set server api/api-1 state ready"], id="put back"),
        pytest.param(
            "ready", {"api_1": "MAINT"}, {"api-1"}, ["set server api/api-1 state ready"], id="from maintenance"
        ),
    ],
)
def test_plans(state: str, status: dict[str, str], taken_out: set[str], commands: list[str]) -> None:
    assert plan(Wanted("api", "api-1", state), servers(**status), frozenset(taken_out)) == commands


@pytest.mark.parametrize("other", ["DOWN", "DOWN 1/2", "DRAIN", "MAINT"])
def test_never_takes_out_the_last_that_serves(other: str) -> None:
    with pytest.raises(InfraError, match="0 others serve"):
        plan(Wanted("api", "api-1", "drain"), servers(api_1="UP", api_2=other), frozenset())


def test_takes_out_the_last_where_an_outage_was_accepted() -> None:
    assert plan(Wanted("api", "api-1", "drain", least=0), servers(api_1="UP"), frozenset())


def test_names_the_servers_that_there_are() -> None:
    with pytest.raises(InfraError, match="HAProxy knows api-1, api-2"):
        plan(Wanted("api", "api-9", "drain"), servers(api_1="UP", api_2="UP"), frozenset())


@pytest.fixture
def admin(tmp_path: pathlib.Path) -> t.Iterator[str]:
    """An admin socket that answers as HAProxy does, and to commands it does not like with a word."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            command = self.rfile.readline().decode().strip()
            said = {"show stat": STAT, "show servers state api": STATE, "set server api/api-1 state ready": "\n"}
            self.wfile.write(said.get(command, "No such server.\n").encode())

    path = str(tmp_path / "admin.sock")
    with socketserver.ThreadingUnixStreamServer(path, Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


def test_talks_to_the_admin_socket(admin: str) -> None:
    haproxy = Haproxy(admin)
    assert haproxy.taken_out("api") == {"api-2", "api-3"}
    haproxy.apply(["set server api/api-1 state ready"])
    with pytest.raises(InfraError, match="No such server"):
        haproxy.apply(["set server api/nobody state ready"])
    assert haproxy.wait(Wanted("api", "api-1", "drain"), lambda server: server.requests == 0, 0.1).requests == 3


def test_says_that_haproxy_does_not_run(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InfraError, match="Cannot ask HAProxy"):
        Haproxy(str(tmp_path / "none.sock")).servers("api")


def test_knows_whether_there_is_a_server_to_remove(admin: str, tmp_path: pathlib.Path) -> None:
    """An instance is removed after its entry point, or after HAProxy's configuration dropped it."""
    assert is_known(Haproxy(admin), Wanted("api", "api-1", "drain"))
    assert not is_known(Haproxy(admin), Wanted("api", "api-9", "drain"))
    assert not is_known(Haproxy(str(tmp_path / "none.sock")), Wanted("api", "api-1", "drain"))
    dead = tmp_path / "dead.sock"
    with socketserver.UnixStreamServer(str(dead), socketserver.BaseRequestHandler):
        pass
    assert dead.exists()
    assert not is_known(Haproxy(str(dead)), Wanted("api", "api-1", "drain"))
