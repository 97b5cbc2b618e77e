# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs Alembic inside the application's own interpreter, for the module ``alembic_upgrade``.

The module writes this file beside its request and starts it with the application's interpreter: env.py is Alembic's
interface (it may be asynchronous, print, or take the logging over), so it must run where the application runs.
Nothing here may import Ansible, and nothing of Alembic or SQLAlchemy is imported before `main`: Ansible's own
interpreter imports this file too, to send it.

Request: JSON on stdin. The database's URL: in the environment, nowhere else. Answers: JSON lines in the file that the
request names, each written out at once, so that what was reached survives a crash.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import sys
import time
import typing as t
from pathlib import Path

# "nexo", "alem": one lock for all runners on a database, whatever their release.
LOCK = (0x6E65786F, 0x616C656D)
RETRIED = ("55P03", "40P01")  # lock_not_available, deadlock_detected: nothing was done, another try may succeed
CONCURRENTLY = re.compile(
    r"^\s*(?:CREATE\s+(?:UNIQUE\s+)?|DROP\s+|RE)INDEX\s+(?:\([^)]*\)\s*)?(?:(?:INDEX|TABLE|SCHEMA)\s+)?CONCURRENTLY\b",
    re.IGNORECASE,
)
CREATED_INDEX = re.compile(
    r"^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>(?:\"(?:[^\"]|\"\")+\"|\w+))"
    r"\s+ON\s+(?:ONLY\s+)?(?P<table>(?:(?:\"(?:[^\"]|\"\")+\"|\w+)\.)?(?:\"(?:[^\"]|\"\")+\"|\w+))",
    re.IGNORECASE,
)
INVALID_INDEX = """
SELECT index_class.oid::regclass::text
FROM pg_index JOIN pg_class AS index_class ON index_class.oid = pg_index.indexrelid
WHERE NOT pg_index.indisvalid AND index_class.relkind = 'i'
  AND pg_index.indrelid = to_regclass({table}) AND index_class.relname = {name}
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS building WHERE building.index_relid = index_class.oid)
"""
HOLDER = f"""
SELECT pid, activity.application_name, coalesce(host(activity.client_addr), 'an address not shown'),
       extract(epoch FROM now() - activity.backend_start)::int
FROM pg_locks LEFT JOIN pg_stat_activity AS activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = {LOCK[0]} AND objid = {LOCK[1]} AND objsubid = 2
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608  two constants


class Fault(Exception):  # noqa: N818  as InfraError's twin it would be taken for it
    """What ends the run; `kind` chooses the words on the other side."""

    def __init__(self, kind: str, **facts: t.Any) -> None:
        super().__init__(kind)
        self.event = {"event": "fault", "kind": kind, **facts}


class Side:
    """A connection beside Alembic's, each statement its own transaction.

    Never Alembic's: a statement before `context.configure` on that one makes Alembic commit nothing, with rc 0.
    """

    def __init__(self, url: str) -> None:
        import sqlalchemy as sa  # noqa: PLC0415

        self._loop: t.Any = None
        options: dict[str, t.Any] = {"isolation_level": "AUTOCOMMIT", "poolclass": sa.pool.NullPool}
        if sa.engine.make_url(url).get_dialect().is_async:
            self._start_loop()
            from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

            self._connection = self._wait(create_async_engine(url, **options).connect())
        else:
            self._connection = sa.create_engine(url, **options).connect()

    def _start_loop(self) -> None:
        """A loop in a thread of its own: env.py runs another one in the main thread."""
        import asyncio  # noqa: PLC0415
        import threading  # noqa: PLC0415

        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def _wait(self, result: t.Any) -> t.Any:
        if self._loop is None:
            return result
        import asyncio  # noqa: PLC0415

        async def finish() -> t.Any:
            return await result

        return asyncio.run_coroutine_threadsafe(finish(), self._loop).result()

    def do(self, sql: str) -> t.Any:
        return self._wait(self._connection.exec_driver_sql(sql))

    def rows(self, sql: str) -> list[tuple[t.Any, ...]]:
        return [tuple(row) for row in self.do(sql).fetchall()]

    def value(self, sql: str) -> t.Any:
        return self.rows(sql)[0][0]

    def startup_pid(self) -> int:
        """The backend's process as the server named it when the connection began."""
        raw = self._connection.sync_connection if self._loop is not None else self._connection
        driver = raw.connection.driver_connection
        return int(driver.get_server_pid() if hasattr(driver, "get_server_pid") else driver.info.backend_pid)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._wait(self._connection.close())


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def pooled_by_transaction(first: Side, second: Side) -> bool:
    """Whether a pooler stands between that hands a server connection on after each transaction.

    A pooler tells a process number of its own at start-up; that two clients then meet the same server process, or one
    client two, proves that sessions are shared: no advisory lock and no setting would be this client's own.
    """
    process = "SELECT pg_backend_pid()"
    if first.value(process) == first.startup_pid():
        return False
    for _try in range(5):
        mine = first.value(process)
        second.do("BEGIN")
        try:
            theirs = second.value(process)
        finally:
            second.do("ROLLBACK")
        if theirs == mine or first.value(process) != mine:
            return True
    return False


def original(error: BaseException) -> BaseException | None:
    """The database driver's exception behind `error`, where there is one."""
    seen: BaseException | None = error
    while seen is not None:
        driver = getattr(seen, "orig", None)
        if isinstance(driver, BaseException):
            return driver
        if getattr(seen, "sqlstate", None) or getattr(seen, "pgcode", None):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def state_of(error: BaseException) -> str | None:
    driver = original(error)
    return getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None) if driver else None


def words_of(error: BaseException) -> str:
    """The first line of what went wrong: further ones may hold rows, and rows may hold people."""
    driver = original(error) or error
    text = getattr(getattr(driver, "diag", None), "message_primary", None) or str(driver)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first if original(error) else f"{type(error).__name__}: {first}".rstrip(": ")


class Run:
    """One request, from the plan to the proof."""

    def __init__(self, request: dict[str, t.Any], url: str) -> None:
        self.request = request
        self.url = url
        self.side: Side | None = None
        self.revision: str | None = None  # the one that runs now
        self.statement: str | None = None
        self.statements = 0  # done in this revision
        self.partial = False  # part of this revision has been committed
        self.read_only = False
        self.failed_in: str | None = None

    def emit(self, event: str, **facts: t.Any) -> None:
        with Path(self.request["events"]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"event": event, **facts}) + "\n")

    # What every connection of Alembic's gets. A listener, because PGOPTIONS is ignored by asyncpg.

    def settings(self) -> dict[str, str]:
        return {
            "lock_timeout": str(self.request["lock_timeout"]),
            "statement_timeout": str(self.request["statement_timeout"]),
            # A server notices within a second that its runner was killed, and drops the statement and its locks.
            "client_connection_check_interval": "1000",
            **({"default_transaction_read_only": "on"} if self.read_only else {}),
        }

    def listen(self) -> None:
        from sqlalchemy import event  # noqa: PLC0415
        from sqlalchemy.engine import Engine  # noqa: PLC0415

        event.listen(Engine, "connect", self.on_connect)
        event.listen(Engine, "commit", self.on_commit)
        event.listen(Engine, "before_cursor_execute", self.before_statement)
        event.listen(Engine, "after_cursor_execute", self.after_statement)

    def on_connect(self, connection: t.Any, _record: t.Any) -> None:
        wanted = self.settings()
        names = ", ".join(literal(name) for name in wanted)
        cursor = connection.cursor()
        # Through pg_settings: a server that does not know one of them (before 14) is asked for the others only.
        for name, value in [*wanted.items(), ("application_name", self.request["application_name"])]:
            cursor.execute(
                f"SELECT set_config(name, {literal(value)}, false) FROM pg_settings WHERE name = {literal(name)}"  # noqa: S608
            )
            cursor.fetchall()
        connection.commit()
        cursor.execute(f"SELECT name, setting FROM pg_settings WHERE name IN ({names})")  # noqa: S608
        wrong = sorted(name for name, value in cursor.fetchall() if value != wanted[name])
        cursor.close()
        connection.rollback()
        if wrong:
            raise Fault("settings", names=wrong)

    def on_commit(self, _connection: t.Any) -> None:
        self.partial = self.partial or (self.revision is not None and self.statements > 0)

    def before_statement(
        self, connection: t.Any, cursor: t.Any, statement: str, _values: t.Any, _context: t.Any, _many: t.Any
    ) -> None:
        if self.revision is None:
            return
        self.statement = statement
        if autocommitted(connection) and CONCURRENTLY.match(statement):
            self.drop_invalid_index(statement)
            # It waits without standing in anybody's way, and stopped in between it leaves an invalid index.
            self.set_timeouts(cursor, "0", "0")

    def after_statement(
        self, connection: t.Any, _cursor: t.Any, statement: str, _values: t.Any, _context: t.Any, _many: t.Any
    ) -> None:
        if self.revision is None:
            return
        self.statements += 1
        if autocommitted(connection):
            self.partial = True
            if CONCURRENTLY.match(statement):
                other = connection.connection.cursor()
                self.set_timeouts(other, str(self.request["lock_timeout"]), str(self.request["statement_timeout"]))
                other.close()

    @staticmethod
    def set_timeouts(cursor: t.Any, lock: str, statement: str) -> None:
        for name, value in (("lock_timeout", lock), ("statement_timeout", statement)):
            cursor.execute(f"SELECT set_config('{name}', '{value}', false)")
            cursor.fetchall()

    def drop_invalid_index(self, statement: str) -> None:
        """Clear away what a killed CREATE INDEX CONCURRENTLY left: IF NOT EXISTS would take it for the index."""
        found = CREATED_INDEX.match(statement)
        if found is None or self.side is None:
            return
        name = found["name"]
        name = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
        for (index,) in self.side.rows(INVALID_INDEX.format(table=literal(found["table"]), name=literal(name))):
            self.side.do(f"DROP INDEX CONCURRENTLY {index}")
            self.emit("index_dropped", index=index, revision=self.revision)

    # Alembic

    def open(self) -> None:
        try:
            from alembic.config import Config  # noqa: PLC0415
            from alembic.script import ScriptDirectory  # noqa: PLC0415
        except ImportError as error:
            raise Fault("no_alembic", detail=str(error)) from error
        path = config_path(self.request["config"])
        os.chdir(self.request["chdir"] or path.parent)
        self.config = Config(str(path))
        try:
            self.script = ScriptDirectory.from_config(self.config)
            heads = self.script.get_heads()
        except Exception as error:
            raise Fault("config", path=str(path), detail=words_of(error)) from error
        wanted = self.request["revision"]
        if wanted == "head" and len(heads) > 1:
            raise Fault("many_heads", heads=sorted(heads))
        if wanted not in ("head", "heads"):
            try:
                self.script.get_revision(wanted)
            except Exception as error:
                raise Fault("unknown_revision", revision=wanted, heads=sorted(heads)) from error

    def in_environment(self, function: t.Callable[..., t.Any], **options: t.Any) -> None:
        from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415

        # `upgrade` is the function's name in Alembic's own command too: some env.py look at it.
        function.__name__ = "upgrade"
        with EnvironmentContext(
            self.config, self.script, fn=function, destination_rev=self.request["revision"], **options
        ):
            self.script.run_env()

    def plan(self) -> dict[str, t.Any]:
        """Where the database is and what is pending; written is nothing, not even the version table."""
        seen: dict[str, t.Any] = {}

        def upgrade(heads: t.Any, _context: t.Any) -> list[t.Any]:
            seen["heads"] = sorted(heads)
            seen["pending"] = [described(step) for step in self.steps(heads)]
            return []

        self.in_environment(upgrade, dont_mutate=True)
        if not seen:
            raise Fault("no_migrations_run")
        return seen

    def steps(self, heads: t.Iterable[str]) -> list[t.Any]:
        unknown = []
        for head in heads:
            try:
                known = self.script.get_revision(head)
            except Exception:
                known = None
            if known is None:
                unknown.append(head)
        if unknown:
            raise Fault("ahead", heads=sorted(unknown), known=sorted(self.script.get_heads()))
        return list(self.script._upgrade_revs(self.request["revision"], tuple(heads)))

    def upgrade(self) -> None:
        def upgrade(heads: t.Any, context: t.Any) -> t.Iterator[t.Any]:
            for step in self.steps(heads):
                facts = described(step)
                self.revision, self.statement, self.statements, self.partial = facts["revision"], None, 0, False
                self.emit("start", **facts)
                began = time.monotonic()
                yield step  # resumed when the revision's transaction, where env.py gives it its own, is committed
                if getattr(context, "_transaction", None) is not None:
                    # One transaction for all: a failure would undo the record of a revision whose concurrent index
                    # stays, and every lock would be held to the end. Entering the block commits, and begins anew.
                    with context.autocommit_block():
                        pass
                self.emit("done", **facts, seconds=round(time.monotonic() - began, 3))
            self.revision = None

        self.in_environment(upgrade)

    def upgrade_with_retries(self) -> None:
        for left in range(self.request["lock_retries"], -1, -1):
            try:
                return self.upgrade()
            except Exception as error:
                state = state_of(error)
                if state not in RETRIED or self.partial or not left:
                    raise
                self.emit("retry", revision=self.revision, sqlstate=state, left=left)
            finally:
                self.failed_in, self.revision = self.revision, None
            time.sleep(random.uniform(0.3, 0.7))
        return None

    # The lock between runners

    def lock(self, side: Side) -> None:
        """Polled: a waiter in pg_advisory_lock deadlocks with CREATE INDEX CONCURRENTLY."""
        until = time.monotonic() + self.request["lock_wait"]
        told = False
        while not side.value(f"SELECT pg_try_advisory_lock({LOCK[0]}, {LOCK[1]})"):
            found = side.rows(HOLDER)
            holder = dict(zip(("pid", "program", "host", "seconds"), found[0], strict=True)) if found else {}
            if not told:
                self.emit("waiting", holder=holder)
                told = True
            if time.monotonic() >= until:
                raise Fault("locked", holder=holder)
            time.sleep(random.uniform(0.15, 0.45))

    def unlock(self, side: Side) -> None:
        try:
            released = side.value(f"SELECT pg_advisory_unlock({LOCK[0]}, {LOCK[1]})")
        except Exception:
            released = False
        if not released:
            self.emit("lock_lost")

    def connect(self) -> Side:
        """The connection beside Alembic's, to a server that can be migrated."""
        try:
            side, second = Side(self.url), Side(self.url)
        except ImportError as error:
            raise Fault("no_driver", detail=str(error)) from error
        except Exception as error:
            raise Fault("connect", detail=words_of(error), listens=listens(self.url)) from error
        try:
            if pooled_by_transaction(side, second):
                raise Fault("pooled")
        finally:
            second.close()
        if side.value("SELECT pg_is_in_recovery()"):
            raise Fault("replica")
        # The lock's connection idles while revisions run: no limit on idling may end it.
        for name, value in (("idle_session_timeout", "0"), ("application_name", self.request["application_name"])):
            side.rows(
                f"SELECT set_config(name, {literal(value)}, false) FROM pg_settings WHERE name = {literal(name)}"  # noqa: S608
            )
        return side

    def run(self) -> None:
        self.open()
        self.side = side = self.connect()
        self.read_only = self.request["check"]
        self.listen()
        if self.request["check"]:
            self.emit("plan", **self.plan())
            return
        plan = self.plan()
        if not plan["pending"]:
            self.emit("plan", **plan)
            self.emit("final", **plan)
            return
        self.lock(side)
        try:
            # Alembic reads the heads before it calls anything of ours: what counts is the plan under the lock.
            self.emit("plan", **self.plan())
            self.upgrade_with_retries()
        finally:
            self.unlock(side)
        final = self.plan()
        self.emit("final", **final)
        if final["pending"]:
            raise Fault("not_recorded", pending=final["pending"])

    def tell(self, error: Exception) -> None:
        """What happened, and where it left the database."""
        failed_in = self.failed_in
        if isinstance(error, Fault):
            fault = error.event
        else:
            fault = {
                "event": "fault",
                "kind": "revision" if failed_in else "environment",
                "revision": failed_in,
                "partial": self.partial,
                "sqlstate": state_of(error),
                "detail": words_of(error),
                "statement": self.statement if original(error) else None,
            }
        if failed_in:
            with contextlib.suppress(Exception):
                self.emit("final", **self.plan())
        self.emit(**fault)


def listens(url: str) -> bool:
    """Whether anything answers at the database's address at all."""
    import socket  # noqa: PLC0415

    from sqlalchemy.engine import make_url  # noqa: PLC0415

    parts = make_url(url)
    try:
        socket.create_connection((parts.host, parts.port), timeout=5).close()
    except OSError:
        return False
    return True


def autocommitted(connection: t.Any) -> bool:
    return str(connection.get_execution_options().get("isolation_level", "")).upper() == "AUTOCOMMIT"


def described(step: t.Any) -> dict[str, str]:
    revision = step.revision
    return {"revision": revision.revision, "doc": (revision.doc or "").strip().splitlines()[0] if revision.doc else ""}


def config_path(named: str) -> Path:
    """``/path/alembic.ini``, or ``package:alembic.ini`` for one inside an installed package."""
    if ":" not in named:
        path = Path(named)
    else:
        import importlib.util  # noqa: PLC0415

        package, _colon, inside = named.partition(":")
        try:
            spec = importlib.util.find_spec(package)
        except ImportError:
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise Fault("no_package", package=package)
        path = Path(next(iter(spec.submodule_search_locations))) / inside
    if not path.is_file():
        raise Fault("no_config", path=str(path))
    return path


def main() -> int:
    request = json.load(sys.stdin)
    run = Run(request, os.environ[request["url_variable"]])
    try:
        run.run()
    except Exception as error:
        run.tell(error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
