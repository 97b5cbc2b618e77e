# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's own connections, and what they find out about the server before Alembic connects."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import threading
import typing as t

from .address import read_address
from .errors import message_of, sqlstate_of
from .protocol import Events, Fault, Request

# Which server and database a connection has reached, by whatever name or address.
PLACE = (
    "extract(epoch FROM pg_postmaster_start_time())::text, current_database()::text, "
    "coalesce(host(inet_server_addr()), 'a socket')"
)
ADMIN = "nexod_admin"  # marks the connections that Alembic has nothing to do with
# For asyncpg, whose statement names count from 1 in each process. With the caches off, each statement is parsed again
# in the round trip that runs it, so that behind a pooler each round trip may reach another server connection.
NO_STATEMENT_CACHE = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
DRIVERS_WITH_NAME = ("psycopg", "psycopg_async", "psycopg2", "asyncpg")


class AdminConnection:
    """A connection beside Alembic's, each statement its own transaction.

    Alembic's connection can't be used: a statement before `context.configure` would make Alembic commit nothing, and
    still end successfully.
    """

    def __init__(self, url: str, application_name: str) -> None:
        import sqlalchemy as sa  # noqa: PLC0415

        self._loop: t.Any = None
        self._turn = threading.Lock()  # the blocker monitor asks from its own thread
        dialect = sa.engine.make_url(url).get_dialect()
        named: dict[str, t.Any] = {"application_name": application_name}
        if dialect.driver == "asyncpg":
            named = {"server_settings": named, **NO_STATEMENT_CACHE}
        options: dict[str, t.Any] = {
            "isolation_level": "AUTOCOMMIT",
            "execution_options": {"no_parameters": True, ADMIN: True},  # a `%` would be a parameter
            "poolclass": sa.pool.NullPool,
            "connect_args": named if dialect.driver in DRIVERS_WITH_NAME else {},
        }
        if dialect.is_async:
            self._start_loop()
            from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

            engine: t.Any = create_async_engine(url, **options)
            self._connection = self._wait(engine.connect())
        else:
            self._connection = sa.create_engine(url, **options).connect()
        disable_prepared_statements(self._driver())

    def _start_loop(self) -> None:
        """An event loop in its own thread: env.py runs another one in the main thread."""
        import asyncio  # noqa: PLC0415

        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def _wait(self, result: t.Any) -> t.Any:
        if self._loop is None:
            return result
        import asyncio  # noqa: PLC0415

        async def finish() -> t.Any:
            return await result

        return asyncio.run_coroutine_threadsafe(finish(), self._loop).result()

    def _driver(self) -> t.Any:
        raw = self._connection.sync_connection if self._loop is not None else self._connection
        return raw.connection.driver_connection

    def execute(self, sql: str) -> t.Any:
        with self._turn:
            return self._wait(self._connection.exec_driver_sql(sql))

    def rows(self, sql: str) -> list[tuple[t.Any, ...]]:
        with self._turn:
            return [tuple(row) for row in self._wait(self._connection.exec_driver_sql(sql)).fetchall()]

    def value(self, sql: str) -> t.Any:
        return self.rows(sql)[0][0]

    def rows_without_waiting(self, sql: str) -> list[tuple[t.Any, ...]]:
        """The rows; none if the query would have to wait for a locked table."""
        self.execute("BEGIN")
        try:
            self.execute("SET LOCAL lock_timeout = '200ms'")
            self.execute("SET LOCAL statement_timeout = '2s'")
            return self.rows(sql)
        except Exception:
            return []
        finally:
            self.execute("ROLLBACK")

    def startup_pid(self) -> int:
        """The backend's process as reported when the connection began."""
        driver = self._driver()
        return int(driver.get_server_pid() if hasattr(driver, "get_server_pid") else driver.info.backend_pid)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._wait(self._connection.close())


@dataclasses.dataclass(frozen=True)
class Session:
    """A request, and the server that it is carried out on."""

    request: Request
    events: Events
    admin: AdminConnection
    locking: AdminConnection  # holds the lock between runners, and does nothing else
    version: int  # as server_version_num
    pooled: bool  # whether a pooler shares server connections by transaction
    place: tuple[str, str]  # when the server started, which identifies it, and the database


def connect(request: Request, url: str, events: Events) -> Session:
    """Connect to a server on which the request can be carried out."""
    name = request.application_name
    try:
        admin, locking = AdminConnection(url, name), AdminConnection(url, name)
    except ImportError as error:
        raise Fault("no_driver", detail=str(error)) from error
    except Exception as error:
        facts = {"detail": message_of(error), "sqlstate": sqlstate_of(error)}
        # An SQLSTATE is a server's answer.
        raise Fault("connect", **facts, listens=bool(facts["sqlstate"]) or read_address(url).listens()) from error
    pooled = pooled_by_transaction(admin, locking)
    if pooled and not request.via_pooler:
        raise Fault("pooled")
    if pooled and "+asyncpg" in url.partition(":")[0]:
        refuse_old_asyncpg()
    number, replica, started, database, _address = admin.rows(
        f"SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), {PLACE}"
    )[0]
    version = int(number)
    events.emit("server", version=version, database=database, pooled=pooled, replica=replica)
    if replica and request.command != "info":
        raise Fault("replica")
    if not pooled and version >= 140000:
        # Both are idle while revisions run, and no limit on idle sessions may end them.
        for connection in (admin, locking):
            connection.rows("SELECT set_config('idle_session_timeout', '0', false)")
    if request.command != "info" and locking.rows(f"SELECT {PLACE}")[0][:2] != (started, database):
        # One of several hosts for each connection: the lock would be on another server than the revisions.
        raise Fault("several_servers")
    return Session(request, events, admin, locking, version, pooled, (started, database))


def disable_prepared_statements(driver: t.Any) -> None:
    """psycopg prepares frequent statements on the server; behind a pooler, another server would be asked for them."""
    if hasattr(driver, "prepare_threshold"):
        driver.prepare_threshold = None


def refuse_old_asyncpg() -> None:
    """Only since 0.31 does asyncpg use unnamed prepared statements while nothing is cached."""
    import asyncpg  # noqa: PLC0415

    if tuple(int(part) for part in re.findall(r"\d+", asyncpg.__version__)[:2]) < (0, 31):
        raise Fault("pooled_driver")


def pooled_by_transaction(first: AdminConnection, second: AdminConnection) -> bool:
    """Whether a pooler assigns server connections to clients for one transaction at a time.

    A pooler reports a process number of its own at start-up. If two clients then reach the same server process, or one
    client reaches two, sessions are shared: no advisory lock and no setting would be this client's own.
    """
    process = "SELECT pg_backend_pid()"
    if first.value(process) == first.startup_pid():
        return False
    for _try in range(5):
        mine = first.value(process)
        second.execute("BEGIN")
        try:
            theirs = second.value(process)
        finally:
            second.execute("ROLLBACK")
        if theirs == mine or first.value(process) != mine:
            return True
    return False
