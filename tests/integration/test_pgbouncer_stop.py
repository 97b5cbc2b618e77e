"""A process of PgBouncer ends as its unit ends it, while clients connect: to a successor, and to another host.

Hosts are addresses of this machine. What keeps a process is a unit of systemd in molecule's scenario pgbouncer.
"""

from __future__ import annotations

import contextlib
import re
import time
import typing as t
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.nexod.infra.tests.fixtures.pgbouncer_programs import RELEASES

from .conftest import Postgres, until
from .test_pgbouncer_servers import Pooler, Workers, as_root, started
from .test_pgbouncer_settings import clients

__all__ = ["started"]

#: Seconds that a process serves the clients that it has.
DRAIN = 10


class Clients(Workers):
    """Clients that stay connected for some time and then connect again, as pools of an application do."""

    def __init__(self, hosts: str, port: int, password: str, count: int, seconds: float) -> None:
        super().__init__(count)
        self.errors: list[str] = []
        self.connected = 0
        self._where = {"host": hosts, "port": port, "dbname": "app", "user": "owner", "password": password}
        self._seconds, self._count = seconds, count

    def __enter__(self) -> t.Self:
        super().__enter__()
        until(lambda: self.connected >= self._count, 60)
        return self

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                with contextlib.closing(psycopg2.connect(**self._where, connect_timeout=20)) as connection:
                    connection.autocommit = True
                    self.connected += 1
                    ends = time.monotonic() + self._seconds
                    while True:
                        with connection.cursor() as cursor:
                            cursor.execute("SELECT 1")
                        if time.monotonic() >= ends:
                            break
                        time.sleep(0.02)
            except psycopg2.Error as error:
                self.errors.append(str(error))


def options(postgres: Postgres) -> dict[str, t.Any]:
    return {
        "databases": [{"name": "app", "host": postgres.host, "port": postgres.port, "dbname": "postgres"}],
        "users": [{"name": "owner", "password": postgres.password}],
        "pool_size": 10,
        "max_server_connections": 20,
    }


def slow(versions: t.Iterable[str]) -> list[t.Any]:
    """All versions, of which the machine's own is tested always."""
    return [pytest.param(one, marks=[pytest.mark.long] if RELEASES[one] else []) for one in versions]


@as_root
@pytest.mark.parametrize("version", slow(RELEASES))
def test_a_successor_takes_every_client(postgres: Postgres, started: t.Callable[..., Pooler], version: str) -> None:
    """Also one with other addresses, and none is reset or refused that was connecting at that moment."""
    current = started(version=version, **options(postgres))
    with Clients("127.0.0.1", current.port, postgres.password, 8, 0) as load:
        for address in ("127.0.0.1", "0.0.0.0", "0.0.0.0", "127.0.0.1"):
            successor = started(version=version, address=address, port=current.port, **options(postgres))
            current.end(DRAIN)
            assert not load.errors, address
            current = successor
    assert not load.errors and load.connected > 50


@as_root
@pytest.mark.parametrize("version", slow(RELEASES))
def test_a_host_is_rebooted_behind_a_second_pooler(
    postgres: Postgres, started: t.Callable[..., Pooler], tmp_path: Path, version: str
) -> None:
    """Clients that connect again go to the other host. Before 1.23, they may stay connected for a short time only."""
    first = started(version=version, address="127.0.0.1", **options(postgres))
    second = started(version=version, address="127.0.0.2", port=first.port, **options(postgres))
    hosts = "127.0.0.1,127.0.0.2"
    with (
        clients(tmp_path, first.port, postgres.password, 4, "-R", "40", "-C", hosts=hosts) as load,
        Clients(hosts, first.port, postgres.password, 4, 0.2 if version == "1.18" else 3) as pools,
    ):
        until(load.begun, 60)
        for host, other in ((first, second), (second, first), (first, second)):
            begun = time.monotonic()
            host.end(DRAIN, [other.address])
            # Without another host, none would have been waited for; with it, for no longer than they need.
            assert time.monotonic() - begun < DRAIN
            assert not pools.errors and not load.failed(), (host.address, pools.errors, load.output.read_text())
            time.sleep(0.5)
            host.start()
        report = load.end()
    assert not pools.errors
    assert re.search(r"number of failed transactions: 0 ", report) and "error" not in report, report
