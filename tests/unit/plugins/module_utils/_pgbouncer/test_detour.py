"""Where new connections go while a process is about to close its port, with real listeners."""

from __future__ import annotations

import contextlib
import socket
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer import detour
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.detour import addresses

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("listen_addr", "found"),
    [
        pytest.param("", [], id="Unix sockets only"),
        pytest.param("127.0.0.1", [(V4, "127.0.0.1")], id="one"),
        pytest.param("0.0.0.0, ::", [(V4, "0.0.0.0"), (V6, "::")], id="both families"),
        pytest.param("127.0.0.1,127.0.0.1", [(V4, "127.0.0.1")], id="twice"),
        pytest.param("pooler.invalid,127.0.0.1", [(V4, "127.0.0.1")], id="a name that does not resolve"),
    ],
)
def test_addresses_that_pgbouncer_listens_on(listen_addr: str, found: list[tuple[int, str]]) -> None:
    assert addresses(listen_addr, 6432) == found


def test_all_addresses() -> None:
    assert (V4, "0.0.0.0") in addresses("*", 6432)


class Process:
    """Answers as PgBouncer does, and remembers from which ports it was asked."""

    def __init__(self, port: int = 0, shared: bool = True) -> None:
        self.clients: list[int] = []
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        self._server.bind(("127.0.0.1", port))
        self._server.listen(10)
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, address = self._server.accept()
                self.clients.append(address[1])
                client.sendall(b"N")
                client.close()

    def has(self, port: int) -> bool:
        return port in self.clients

    def close(self) -> None:
        # Wakes up who waits for a client.
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def started() -> t.Iterator[t.Callable[..., Process]]:
    with contextlib.ExitStack() as opened:

        def start(**given: t.Any) -> Process:
            made = Process(**given)
            opened.callback(made.close)
            return made

        yield start


def asked(port: int, count: int = 20) -> list[bytes]:
    """Answers of as many connections; b"" for one whose packets are dropped."""
    found = []
    for _client in range(count):
        try:
            with socket.create_connection(("127.0.0.1", port), 0.2) as client:
                found.append(client.recv(1))
        except TimeoutError:
            found.append(b"")
    return found


@pytest.mark.parametrize("first", [True, False], ids=["it came first", "the other one did"])
def test_another_process_gets_all(started: t.Callable[..., Process], first: bool) -> None:
    one = started()
    two = started(port=one.port)
    ending, other = (one, two) if first else (two, one)
    with detour.detour("127.0.0.1", one.port, ending.has) as way:
        assert way.others
        before = len(ending.clients)
        assert asked(one.port) == [b"N"] * 20
        assert (len(ending.clients), len(other.clients) > 20) == (before, True)
    asked(one.port, 40)
    assert len(ending.clients) > before, "both again"


def test_alone_it_gets_none(started: t.Callable[..., Process], capsys: pytest.CaptureFixture[str]) -> None:
    process = started()
    with detour.detour("127.0.0.1", process.port, process.has) as way:
        assert not way.others
        before = len(process.clients)
        assert asked(process.port, 2) == [b"", b""]
    assert len(process.clients) == before
    assert (asked(process.port, 2), capsys.readouterr().out) == ([b"N", b"N"], "")


def test_a_port_that_is_not_shared(started: t.Callable[..., Process], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing can be done, which is reported; the process ends all the same."""
    process = started(shared=False)
    with detour.detour("127.0.0.1", process.port, process.has) as way:
        assert not way.others
        assert asked(process.port, 2) == [b"N", b"N"]
    assert "may still reach it: [Errno 98]" in capsys.readouterr().out


def test_only_a_unix_socket() -> None:
    with detour.detour("", 6432, lambda _port: True) as way:
        assert not way.others
