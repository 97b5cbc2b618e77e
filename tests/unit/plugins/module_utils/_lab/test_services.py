"""Servers in the background: started once, known again, ended; on real processes."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._lab.plan import Server
from ansible_collections.nexod.infra.plugins.module_utils._lab.services import apply_services


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server(*more: str) -> Server:
    port = free_port()
    return Server(
        "web",
        (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", "/proc", *more),
        port,
    )


def names(steps: list[object]) -> list[str]:
    return [str(step).partition(":")[0] for step in steps]


def test_a_life(tmp_path: Path) -> None:
    web = server()
    try:
        assert names([*apply_services([web], True, tmp_path, 10, check_mode=True)]) == ["start web"]
        assert not list(tmp_path.iterdir())
        assert names([*apply_services([web], True, tmp_path, 10, check_mode=False)]) == ["start web"]
        assert apply_services([web], True, tmp_path, 10, check_mode=False) == []
        other = Server("web", (*web.argv, "--protocol", "HTTP/1.1"), web.port)
        assert names([*apply_services([other], True, tmp_path, 10, check_mode=False)]) == ["restart web"]
    finally:
        assert names([*apply_services([web], False, tmp_path, 10, check_mode=False)]) == ["stop web"]
    assert apply_services([web], False, tmp_path, 10, check_mode=False) == []
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", web.port), timeout=1)


def test_a_number_that_is_another_program_now(tmp_path: Path) -> None:
    (tmp_path / "web.json").write_text('{"pid": 1, "begun": "never", "argv": ["x"]}')
    assert apply_services([server()], False, tmp_path, 10, check_mode=False) == []


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    web = server()
    with socket.create_server(("127.0.0.1", web.port)), pytest.raises(InfraError, match=f"port {web.port}"):
        apply_services([web], True, tmp_path, 10, check_mode=False)


def test_the_last_words_of_one_that_ends_at_once(tmp_path: Path) -> None:
    broken = Server("web", (sys.executable, "-c", "raise SystemExit('no such thing')"), free_port())
    with pytest.raises(InfraError, match="no such thing"):
        apply_services([broken], True, tmp_path, 10, check_mode=False)
