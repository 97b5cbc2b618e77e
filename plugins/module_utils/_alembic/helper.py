# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs Alembic inside the application's own interpreter, for the modules ``alembic_*``.

The module writes this file into a private folder and starts it with the application's interpreter: env.py is Alembic's
interface (it may be asynchronous, print, or take the logging over), so it must run where the application runs.
Nothing here may import Ansible or need more than Python 3.9, and nothing of Alembic or SQLAlchemy is imported before
`main`: Ansible's own interpreter imports this file too, to send it.

Request: JSON on stdin. The database's URL: in the environment, nowhere else. Answers: JSON lines in the file that the
request names, each written out at once, so that what was reached survives a crash.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import sys
import threading
import time
import typing as t
from pathlib import Path

OURS = "nexod_side"  # marks connections that Alembic has nothing to do with
URL_VARIABLE = "NEXOD_ALEMBIC_URL"
# "nexo", "alem": one lock for all runners on a database, whatever their release.
LOCK = (0x6E65786F, 0x616C656D)
READ_ONLY = "25006"
RETRIED = ("55P03", "40P01")  # lock_not_available, deadlock_detected: nothing was done, another try may succeed
KEPT_STATEMENTS = 200  # of one revision: one that fills a table row by row has as many as the table has rows
NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
QUALIFIED = rf"{NAME}(?:\s*\.\s*{NAME})?"
CONCURRENTLY = re.compile(
    r"^\s*(?:CREATE\s+(?:UNIQUE\s+)?|DROP\s+|RE)INDEX\s+(?:\([^)]*\)\s*)?(?:(?:INDEX|TABLE|SCHEMA)\s+)?CONCURRENTLY\b",
    re.IGNORECASE,
)
CREATED_INDEX = re.compile(
    r"^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>(?:\"(?:[^\"]|\"\")+\"|\w+))"
    r"\s+ON\s+(?:ONLY\s+)?(?P<table>(?:(?:\"(?:[^\"]|\"\")+\"|\w+)\.)?(?:\"(?:[^\"]|\"\")+\"|\w+))",
    re.IGNORECASE,
)
# The table that a statement locks or changes; of DROP INDEX the index, for which the server knows the table.
TABLE = re.compile(
    r"^\s*(?:"
    rf"(?:ALTER|DROP)\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?P<a>{QUALIFIED})"
    rf"|CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(?:{NAME}\s+)?"
    rf"ON\s+(?:ONLY\s+)?(?P<b>{QUALIFIED})"
    rf"|CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\b.*?\bON\s+(?P<c>{QUALIFIED})"
    rf"|DROP\s+INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?(?P<d>{QUALIFIED})"
    rf"|TRUNCATE\s+(?:TABLE\s+)?(?:ONLY\s+)?(?P<e>{QUALIFIED})"
    rf"|(?:UPDATE|DELETE\s+FROM|INSERT\s+INTO|MERGE\s+INTO)\s+(?:ONLY\s+)?(?P<f>{QUALIFIED})"
    rf"|LOCK\s+(?:TABLE\s+)?(?:ONLY\s+)?(?P<g>{QUALIFIED})"
    rf"|(?:REFRESH|DROP)\s+MATERIALIZED\s+VIEW\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?(?P<h>{QUALIFIED})"
    rf"|(?:VACUUM|CLUSTER|REINDEX)\b\s*(?:\([^)]*\)\s*)?(?:(?:FULL|FREEZE|VERBOSE|ANALYZE|TABLE|INDEX|CONCURRENTLY)\s+)*"
    rf"(?P<i>{QUALIFIED})"
    r")",
    re.IGNORECASE | re.DOTALL,
)
# What an env.py does before it migrates, and a plan is right without: it adds, takes nothing away, fills nothing. Not
# `CREATE TABLE ... AS`: where the version table is copied from elsewhere, the heads are those of the copy.
PREPARES = re.compile(
    r"^\s*(?:CREATE\s+(?:SCHEMA|EXTENSION|(?:UNLOGGED\s+)?TABLE|SEQUENCE|TYPE|DOMAIN|COLLATION)\b(?!.*\bAS\s*\(?\s*"
    r"(?:SELECT|WITH|VALUES|TABLE|EXECUTE)\b)|COMMENT\s+ON|GRANT|ALTER\s+DEFAULT\s+PRIVILEGES"
    r"|ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?\S+\s+ALTER\s+(?:COLUMN\s+)?\"?version_num\"?\s+(?:SET\s+DATA\s+)?TYPE)\b",
    re.IGNORECASE | re.DOTALL,
)
# Says nothing new to a connection that only reads, returns no rows, and every driver takes it.
NOTHING = "SET TRANSACTION READ ONLY"
READS = re.compile(r"^\s*(?:SELECT|SHOW|SET|VALUES|TABLE)\b", re.IGNORECASE)
# For asyncpg, whose names count from 1 in each process. Without any it has a statement parsed again in the step that
# runs it, so that behind a pooler each step may meet another server.
NOTHING_PREPARED = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
BUILDING = "SELECT FROM pg_stat_progress_create_index AS building WHERE building.index_relid = index_class.oid"
INVALID_INDEX = f"""
SELECT index_class.oid::regclass::text
FROM pg_index JOIN pg_class AS index_class ON index_class.oid = pg_index.indexrelid
WHERE NOT pg_index.indisvalid AND index_class.relkind = 'i'
  AND pg_index.indrelid = to_regclass({{table}}) AND index_class.relname = {{name}} AND NOT EXISTS ({BUILDING})
"""  # noqa: S608  a constant
INVALID_INDEXES = f"""
SELECT format('%I.%I', space.nspname, index_class.relname), pg_index.indrelid::regclass::text, index_class.relname
FROM pg_index JOIN pg_class AS index_class ON index_class.oid = pg_index.indexrelid
JOIN pg_namespace AS space ON space.oid = index_class.relnamespace
WHERE NOT pg_index.indisvalid AND index_class.relkind = 'i' AND NOT EXISTS ({BUILDING}) ORDER BY 1
"""  # noqa: S608  a constant
HOLDER = f"""
SELECT pid, activity.application_name, coalesce(host(activity.client_addr), 'an address not shown'),
       extract(epoch FROM now() - activity.backend_start)::int, activity.backend_start::text
FROM pg_locks LEFT JOIN pg_stat_activity AS activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = {LOCK[0]} AND objid = {LOCK[1]} AND objsubid = 2
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608  two constants
HOLDER_NAMES = ("pid", "program", "host", "seconds", "since")
BLOCKERS = """
SELECT pid, usename::text, application_name, coalesce(host(client_addr), 'an address not shown'), state,
       left(query, 500), extract(epoch FROM now() - xact_start)::int
FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids({pid}))
"""
BLOCKER_NAMES = ("pid", "user", "program", "host", "state", "query", "seconds")
TABLE_FACTS = """
SELECT relation.oid::regclass::text,
  (SELECT sum(greatest(part.reltuples, pg_stat_get_live_tuples(part.oid), 0))::bigint FROM pg_class AS part
   WHERE part.oid = relation.oid OR part.oid IN (SELECT relid FROM pg_partition_tree(relation.oid))),
  (SELECT sum(pg_relation_size(part.oid))::bigint FROM pg_class AS part WHERE part.relkind IN ('r', 'm', 't')
   AND (part.oid = relation.oid OR part.oid IN (SELECT relid FROM pg_partition_tree(relation.oid)))),
  (SELECT json_object_agg(attname, format_type(atttypid, atttypmod))::text FROM pg_attribute
   WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped),
  (SELECT json_agg(pg_get_constraintdef(pg_constraint.oid))::text FROM pg_constraint
   WHERE conrelid = relation.oid AND contype = 'c')
FROM pg_class AS relation
WHERE relation.oid = coalesce(
  (SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass({name})), to_regclass({name}))
"""


class Fault(Exception):  # noqa: N818  as InfraError's twin it would be taken for it
    """What ends the run; `kind` chooses the words on the other side."""

    def __init__(self, kind: str, **facts: t.Any) -> None:
        super().__init__(kind)
        self.event = {"event": "fault", "kind": kind, **facts}


class Side:
    """A connection beside Alembic's, each statement its own transaction.

    Never Alembic's: a statement before `context.configure` on that one makes Alembic commit nothing, with rc 0.
    """

    def __init__(self, url: str, application_name: str) -> None:
        import sqlalchemy as sa  # noqa: PLC0415

        self._loop: t.Any = None
        self._turn = threading.Lock()  # the watcher asks from a thread of its own
        dialect = sa.engine.make_url(url).get_dialect()
        named: dict[str, t.Any] = {"application_name": application_name}
        if dialect.driver == "asyncpg":
            named = {"server_settings": named, **NOTHING_PREPARED}
        options: dict[str, t.Any] = {
            "isolation_level": "AUTOCOMMIT",
            "execution_options": {"no_parameters": True, OURS: True},  # a `%` would be a parameter
            "poolclass": sa.pool.NullPool,
            "connect_args": named if dialect.driver in ("psycopg", "psycopg_async", "psycopg2", "asyncpg") else {},
        }
        if dialect.is_async:
            self._start_loop()
            from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

            engine: t.Any = create_async_engine(url, **options)
            self._connection = self._wait(engine.connect())
        else:
            self._connection = sa.create_engine(url, **options).connect()
        prepare_nothing(self._driver())

    def _start_loop(self) -> None:
        """A loop in a thread of its own: env.py runs another one in the main thread."""
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

    def do(self, sql: str) -> t.Any:
        with self._turn:
            return self._wait(self._connection.exec_driver_sql(sql))

    def rows(self, sql: str) -> list[tuple[t.Any, ...]]:
        with self._turn:
            return [tuple(row) for row in self._wait(self._connection.exec_driver_sql(sql)).fetchall()]

    def value(self, sql: str) -> t.Any:
        return self.rows(sql)[0][0]

    def rows_soon(self, sql: str) -> list[tuple[t.Any, ...]]:
        """Rows of a question that would wait for a locked table, or nothing."""
        self.do("BEGIN")
        try:
            self.do("SET LOCAL lock_timeout = '200ms'")
            self.do("SET LOCAL statement_timeout = '2s'")
            return self.rows(sql)
        except Exception:
            return []
        finally:
            self.do("ROLLBACK")

    def startup_pid(self) -> int:
        """The backend's process as the server named it when the connection began."""
        driver = self._driver()
        return int(driver.get_server_pid() if hasattr(driver, "get_server_pid") else driver.info.backend_pid)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._wait(self._connection.close())


def prepare_nothing(driver: t.Any) -> None:
    """psycopg prepares on the server what it sends often; behind a pooler another server would be asked for it."""
    if hasattr(driver, "prepare_threshold"):
        driver.prepare_threshold = None


def refuse_old_asyncpg() -> None:
    """Since 0.31 it gives what is prepared no name where nothing is cached."""
    import asyncpg  # noqa: PLC0415

    if tuple(int(part) for part in re.findall(r"\d+", asyncpg.__version__)[:2]) < (0, 31):
        raise Fault("pooled_driver")


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def setting(values: dict[str, str], transaction: str) -> str:
    """One statement that sets all of `values`; `transaction`: whether only to its end."""
    return "SELECT " + ", ".join(f"set_config('{name}', {literal(one)}, {transaction})" for name, one in values.items())


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


def fault_in(error: BaseException) -> Fault | None:
    """Ours, also where SQLAlchemy or env.py has wrapped it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Fault):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def table_of(statement: str) -> str | None:
    """The table that `statement` locks or changes, as it is written there; of DROP INDEX the index."""
    found = TABLE.match(COMMENTS.sub(" ", statement))
    return next((name for name in found.groups() if name), None) if found else None


def statements_in(sql: str) -> list[tuple[int, str]]:
    """The statements of `sql`, each with the line (from 0) that it begins on; quotes are looked through."""
    token = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$\w*\$).*?\1|;", re.DOTALL)
    found, begin = [], 0
    ends = [match.end() for match in token.finditer(sql) if match[0] == ";"]
    for end in [*ends, len(sql)]:
        text = sql[begin:end]
        if text.strip(" \t\r\n;"):
            found.append((sql.count("\n", 0, begin + len(text) - len(text.lstrip())), text.strip().rstrip(";")))
        begin = end
    return found


def prepares(sql: str) -> bool:
    """Whether all that `sql` does is what a plan leaves out."""
    found = statements_in(sql)
    return bool(found) and all(PREPARES.match(COMMENTS.sub(" ", statement)) for _line, statement in found)


class Watcher:
    """Sees who blocks a statement that waits: once the server gave up waiting, nobody can say any more."""

    def __init__(self, side: Side, patience: float) -> None:
        self._side = side
        self._patience = patience
        self._wake = threading.Event()
        self._watched: tuple[int, int] | None = None  # number of the statement, server's process
        self._count = 0
        self.blockers: list[dict[str, t.Any]] = []
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self, process: int | None) -> None:
        self._count += 1
        self.blockers = []
        self._watched = (self._count, process) if process is not None else None
        self._wake.set()

    def end(self) -> None:
        self._watched = None
        self._wake.clear()

    def _watch(self) -> None:
        while True:
            self._wake.wait()
            watched = self._watched
            time.sleep(self._patience)
            if watched is None or watched != self._watched:
                continue
            try:
                rows = self._side.rows(BLOCKERS.format(pid=watched[1]))
            except Exception:
                return
            if rows and watched[0] == self._count:
                self.blockers = [dict(zip(BLOCKER_NAMES, row)) for row in rows]  # noqa: B905  Python 3.9


class Run:
    """One request, from the plan to the proof."""

    def __init__(self, request: dict[str, t.Any], url: str) -> None:
        self.request = request
        self.url = url
        self.command: str = request["command"]
        self.events = os.open(request["events"], os.O_WRONLY | os.O_APPEND)
        self.side: Side | None = None
        self.lock_side: Side | None = None
        self.pooled = False
        self.revision: str | None = None  # the one that runs now
        self.statement: str | None = None
        self.statements: list[dict[str, t.Any]] = []  # done in this revision
        self.count = 0
        self.began = 0.0
        self.partial = False  # something is committed of what is not recorded
        self.read_only = True
        self.env_writes = False
        self.left_out: list[str] = []  # what env.py would do first, and a plan does not
        self.failed_in: str | None = None
        self.failed_partial = False
        self.version_table = "alembic_version"
        self.told_settings = False
        self.server = 0
        self.blockers: list[dict[str, t.Any]] = []
        self.watcher: Watcher | None = None

    def emit(self, event: str, **facts: t.Any) -> None:
        # Unbuffered: what was told is in the file, whatever becomes of this process.
        os.write(self.events, (json.dumps({"event": event, **facts}, default=str) + "\n").encode())

    # What every connection of Alembic's gets. A listener, because PGOPTIONS is ignored by asyncpg.

    def settings(self) -> dict[str, str]:
        return {
            "lock_timeout": str(self.request["lock_timeout"]),
            "statement_timeout": str(self.request["statement_timeout"]),
            # A server notices within a second that its runner was killed, and drops the statement and its locks.
            **({"client_connection_check_interval": "1000"} if self.server >= 140000 else {}),
            "default_transaction_read_only": "on" if self.read_only else "off",
        }

    def listen(self) -> None:
        from sqlalchemy import event  # noqa: PLC0415
        from sqlalchemy.engine import Engine  # noqa: PLC0415
        from sqlalchemy.pool import Pool  # noqa: PLC0415

        # At check-out: an engine of the application's own, with a pool, keeps connections from the plan to the run.
        event.listen(Pool, "checkout", self.on_checkout)
        event.listen(Engine, "begin", self.on_begin)
        event.listen(Engine, "commit", self.on_commit)
        event.listen(Engine, "before_cursor_execute", self.before_statement, retval=True)
        event.listen(Engine, "after_cursor_execute", self.after_statement)
        event.listen(Engine, "do_connect", self.on_connect)

    def on_connect(self, dialect: t.Any, _record: t.Any, _arguments: t.Any, named: dict[str, t.Any]) -> None:
        if self.pooled and dialect.driver == "asyncpg":
            refuse_old_asyncpg()
            named.update(NOTHING_PREPARED)
            # An env.py that minds the pooler chooses names; one that has none leaves nothing behind.
            named.pop("prepared_statement_name_func", None)

    def on_checkout(self, connection: t.Any, record: t.Any, _proxy: t.Any) -> None:
        prepare_nothing(getattr(connection, "driver_connection", connection))
        wanted = self.settings()
        # Through a pooler a setting would stay behind for its other clients: there each transaction gets them.
        if self.pooled or record.info.get("nexod_settings") == wanted:
            return
        cursor = connection.cursor()
        cursor.execute(setting({**wanted, "application_name": self.request["application_name"]}, "false"))
        cursor.fetchall()
        connection.commit()
        record.info["nexod_process"] = self.read_back(cursor, wanted)
        record.info["nexod_settings"] = wanted
        cursor.close()
        connection.rollback()

    def on_begin(self, connection: t.Any) -> None:
        if not self.pooled or autocommitted(connection):
            return
        wanted = self.settings()
        wanted["transaction_read_only"] = wanted.pop("default_transaction_read_only")
        cursor = connection.connection.cursor()
        cursor.execute(setting(wanted, "true"))
        cursor.fetchall()
        connection.info["nexod_process"] = self.read_back(cursor, wanted)
        cursor.close()

    def read_back(self, cursor: t.Any, wanted: dict[str, str]) -> int:
        """Proves that the server took the settings; its process, to know whom a waiting statement waits for."""
        names = ", ".join(literal(name) for name in wanted)
        cursor.execute(f"SELECT name, setting, pg_backend_pid() FROM pg_settings WHERE name IN ({names})")  # noqa: S608
        rows = cursor.fetchall()
        found = {name: value for name, value, _process in rows}
        wrong = sorted(name for name, value in wanted.items() if found.get(name) != value)
        if wrong:
            raise Fault("settings", names=wrong)
        if not self.read_only and not self.told_settings:
            self.emit("settings", values={**found, "application_name": self.request["application_name"]})
            self.told_settings = True
        return int(rows[0][2])

    def on_commit(self, _connection: t.Any) -> None:
        self.partial = self.partial or (self.revision is not None and self.count > 0)

    def before_statement(
        self, connection: t.Any, cursor: t.Any, statement: str, values: t.Any, _context: t.Any, _many: t.Any
    ) -> tuple[str, t.Any]:
        """Gives what is sent in its place."""
        if connection.get_execution_options().get(OURS):
            return statement, values
        if self.revision is None:
            return self.only_read(connection, statement), values
        self.statement = statement
        if autocommitted(connection) and CONCURRENTLY.match(statement):
            self.drop_invalid_index(statement)
            # It waits without standing in anybody's way, and stopped in between it leaves an invalid index.
            self.set_timeouts(cursor, "0", "0")
        if self.watcher:
            self.watcher.begin(connection.info.get("nexod_process"))
        self.began = time.monotonic()
        return statement, values

    def only_read(self, connection: t.Any, statement: str) -> str:
        """In a plan: what the server would refuse, and the plan is right without, is told instead of sent."""
        if not self.read_only:
            return statement
        if prepares(statement):
            said = " ".join(statement.split())
            if said not in self.left_out:
                self.left_out.append(said)
                if self.request["check"]:
                    self.emit("left_out", statement=said)
            return NOTHING
        if self.request["check"] and self.pooled and autocommitted(connection) and not READS.match(statement):
            raise Fault("unguarded", statement=statement)
        return statement

    def after_statement(
        self, connection: t.Any, cursor: t.Any, statement: str, _values: t.Any, _context: t.Any, _many: t.Any
    ) -> None:
        if self.revision is None or connection.get_execution_options().get(OURS):
            return
        if self.watcher:
            self.watcher.end()
        if self.version_table not in statement:
            self.count += 1
            if len(self.statements) < KEPT_STATEMENTS:
                ms, rows = round((time.monotonic() - self.began) * 1000, 1), cursor.rowcount
                self.statements.append({"sql": statement, "ms": ms, "rows": rows if rows >= 0 else None})
        if autocommitted(connection):
            self.partial = True
            if CONCURRENTLY.match(statement):
                other = connection.connection.cursor()
                self.set_timeouts(other, str(self.request["lock_timeout"]), str(self.request["statement_timeout"]))
                other.close()

    def set_timeouts(self, cursor: t.Any, lock: str, statement: str) -> None:
        if self.pooled:
            return
        cursor.execute(setting({"lock_timeout": lock, "statement_timeout": statement}, "false"))
        cursor.fetchall()

    # Indexes that a run which was killed has left

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

    def invalid_indexes(self, when: str) -> list[str]:
        if self.side is None:
            raise AssertionError("connected before this")
        rows = self.side.rows(INVALID_INDEXES)
        self.emit("invalid_indexes", when=when, indexes=[{"index": row[0], "table": row[1]} for row in rows])
        return [row[0] for row in rows]

    def rebuild(self) -> None:
        if self.side is None:
            raise AssertionError("connected before this")
        for index, table, name in self.side.rows(INVALID_INDEXES):
            # What REINDEX CONCURRENTLY itself has left when it was stopped is a copy; the index beside it is whole.
            word = "DROP" if re.search(r"_cc(?:new|old)\d*$", name) else "REINDEX"
            self.side.do(f"{word} INDEX CONCURRENTLY {index}")
            self.emit("index_rebuilt", index=index, table=table)

    # Alembic

    def open(self) -> None:
        try:
            from alembic.config import Config  # noqa: PLC0415
            from alembic.script import ScriptDirectory  # noqa: PLC0415
        except ImportError as error:
            raise Fault("no_alembic", detail=str(error)) from error
        chdir = self.request["chdir"]
        if chdir:
            try:
                os.chdir(chdir)
            except OSError as error:
                raise Fault("no_config", path=chdir) from error
        path = config_path(self.request["config"])
        if not chdir:
            os.chdir(path.parent)
        name = self.request["name"]
        arguments = argparse.Namespace(
            config=str(path),
            name=name,
            raiseerr=False,
            x=[f"{key}={value}" for key, value in self.request["x_args"].items()],
            cmd=None,
            revision=self.request["revision"],
            sql=False,
            tag=None,
        )
        self.config = Config(str(path), ini_section=name, cmd_opts=arguments)
        try:
            if not self.config.file_config.has_section(name):
                raise Fault("no_section", path=str(path), section=name)
            # `%` begins an interpolation for the parser.
            self.config.set_section_option(name, self.request["url_option"], self.url.replace("%", "%%"))
            # Its revisions are not read yet: an env.py may say first where they are.
            self.script = ScriptDirectory.from_config(self.config)
        except Fault:
            raise
        except Exception as error:
            raise Fault("config", path=str(path), detail=words_of(error)) from error

    def check_target(self) -> None:
        try:
            heads = sorted(self.script.get_heads())
        except Exception as error:
            path = self.config.config_file_name
            raise Fault("config", path=path, detail=words_of(error)) from error
        wanted = self.request["revision"]
        if wanted == "head" and len(heads) > 1:
            raise Fault("many_heads", heads=heads)
        if wanted not in ("head", "heads", "base"):
            try:
                self.script.get_revision(wanted)
            except Exception as error:
                raise Fault("unknown_revision", revision=wanted, heads=heads) from error

    def in_environment(self, function: t.Callable[..., t.Any], name: str, **options: t.Any) -> None:
        """Run env.py as Alembic does. `name`: of Alembic's own function, some env.py look at it."""
        from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415

        function.__name__ = name
        with EnvironmentContext(
            self.config, self.script, fn=function, destination_rev=self.request["revision"], **options
        ) as environment:
            given, context, offline = environment.run_migrations, environment.get_context, environment.is_offline_mode

            def run_migrations(**arguments: t.Any) -> None:
                self.given = arguments
                given(**arguments)

            # On the object: Alembic's module-level functions find their way by its class. What a revision that is
            # rendered asks its environment must be answered as it is offline.
            environment.run_migrations = run_migrations
            environment.get_context = lambda: self.offline or context()
            environment.is_offline_mode = lambda: self.offline is not None or offline()
            self.script.run_env()

    given: dict[str, t.Any] = {}
    offline: t.Any = None

    def plan(self, *, render: t.Callable[[t.Any], bool] = lambda _step: False, drift: bool = False) -> dict[str, t.Any]:
        """Where the database is and what is pending; written is nothing, not even the version table."""
        seen: dict[str, t.Any] = {}
        heads_seen: set[str] = set()
        pending: dict[str, dict[str, t.Any]] = {}
        was, self.read_only = self.read_only, not self.env_writes

        def look(heads: t.Any, context: t.Any) -> list[t.Any]:
            # Once for each database of an env.py that has several.
            seen["called"] = True
            self.check_target()
            self.version_table = context.version_table
            heads_seen.update(heads)
            steps = self.steps(heads)
            for step in steps:
                if step.revision.revision not in pending:
                    facts = described(step)
                    rendered = self.rendered(context, step) if render(step) else {}
                    pending[facts["revision"]] = {**facts, **rendered}
            seen["after"] = sorted(set(seen.get("after", ())) | self.heads_after(heads, steps))
            if drift:
                seen["drift"] = drift_of(context)
            return []

        try:
            self.in_environment(look, "downgrade" if self.command == "downgrade" else "upgrade", dont_mutate=True)
        except Exception as error:
            stopped = state_of(error) == READ_ONLY or (self.left_out and fault_in(error) is None)
            if not stopped or self.env_writes:
                raise
            if self.request["check"]:
                if state_of(error) == READ_ONLY:
                    raise
                raise Fault("left_out", statements=self.left_out, detail=words_of(error)) from error
            # An env.py that fills a table first. In check mode it can't; before a run it may, as it does by hand.
            self.env_writes = True
            return self.plan(render=render, drift=drift)
        finally:
            self.read_only = was
        if not seen:
            raise Fault("no_migrations_run")
        return {**seen, "heads": sorted(heads_seen), "pending": list(pending.values())}

    def known(self, heads: t.Iterable[str]) -> tuple[list[str], list[str]]:
        """Those of `heads` that the release knows, and those that it does not."""
        here: list[str] = []
        unknown: list[str] = []
        for head in heads:
            try:
                found = self.script.get_revision(head)
            except Exception:
                found = None
            (unknown if found is None else here).append(head)
        return here, unknown

    def steps(self, heads: t.Iterable[str]) -> list[t.Any]:
        if self.command == "stamp":
            return []
        here, unknown = self.known(heads)
        if unknown and self.command == "info":
            return []
        if unknown:
            raise Fault("ahead", heads=sorted(unknown), known=sorted(self.script.get_heads()))
        if self.command != "downgrade":
            return list(self.script._upgrade_revs(self.request["revision"], tuple(here)))
        try:
            return list(self.script._downgrade_revs(self.request["revision"], tuple(here)))
        except Exception as error:
            raise Fault("not_below", revision=self.request["revision"], heads=sorted(here)) from error

    def heads_after(self, heads: t.Iterable[str], steps: list[t.Any]) -> set[str]:
        found = set(heads)
        for step in steps:
            down = step.revision.down_revision or ()
            below = {down} if isinstance(down, str) else set(down)
            if step.is_upgrade:
                found = (found - below) | {step.revision.revision}
            else:
                found = (found - {step.revision.revision}) | below
        if steps and not steps[0].is_upgrade:
            # One of two lines that is taken back to their fork stands on what the other one holds anyway.
            below_others = {
                one.revision
                for head in found
                for one in self.script.iterate_revisions(head, "base")
                if one.revision != head
            }
            found -= below_others
        return found

    def rendered(self, context: t.Any, step: t.Any) -> dict[str, t.Any]:
        """The SQL of one revision, on its own: one that reads data says that it can't be shown, the rest still is."""
        import alembic.op  # noqa: PLC0415
        from alembic.operations import Operations  # noqa: PLC0415
        from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

        buffer, why = io.StringIO(), None
        offline = MigrationContext.configure(
            # Of its own: the driver's would double each `%`.
            dialect_name="postgresql",
            dialect_opts={"paramstyle": "named"},
            environment_context=context.environment_context,
            opts={**context.opts, "as_sql": True, "output_buffer": buffer, "literal_binds": True},
        )
        offline.dialect.server_version_info = getattr(context.dialect, "server_version_info", None)
        outer = getattr(alembic.op, "_proxy", None)
        Operations(offline)._install_proxy()
        self.offline = offline
        try:
            step.migration_fn(**self.given)
        except Exception as error:
            why = words_of(error)
        finally:
            self.offline = None
            if outer is not None:
                outer._install_proxy()
        text = f"BEGIN;\n\n{buffer.getvalue()}COMMIT;\n"
        return {"sql": re.sub(r"BEGIN;\s*COMMIT;\s*", "", text), "not_rendered": why}

    def tables(self, pending: list[dict[str, t.Any]]) -> dict[str, t.Any]:
        """How large the tables are that the rendered statements lock or change, as they are named there."""
        if self.side is None:
            raise AssertionError("connected before this")
        names = [
            table_of(statement) for step in pending for _line, statement in statements_in(str(step.get("sql") or ""))
        ]
        found: dict[str, t.Any] = {}
        for name in dict.fromkeys(name for name in names if name):
            rows = self.side.rows_soon(TABLE_FACTS.format(name=literal(name)))
            if not rows:
                there = self.side.value(f"SELECT to_regclass({literal(name)}) IS NOT NULL")
                found[name] = {"exists": bool(there), "rows": None, "bytes": None, "empty": not there}
                continue
            table, count, size, columns, checks = rows[0]
            empty = not size or self.side.rows_soon(f"SELECT NOT EXISTS (SELECT FROM {table})") == [(True,)]  # noqa: S608
            found[name] = {
                "exists": True,
                "name": table,
                "rows": 0 if empty else int(count or 0),
                "bytes": int(size or 0),
                "empty": empty,
                "columns": json.loads(columns or "{}"),
                "checks": json.loads(checks or "[]"),
            }
        return found

    def run_revisions(self) -> None:
        """What Alembic's own command does, one revision after another, each told when it begins and ends."""

        def go(heads: t.Any, context: t.Any) -> t.Iterator[t.Any]:
            steps = self.steps(heads)
            self.partial = False
            for number, step in enumerate(steps, start=1):
                facts = described(step)
                # Where env.py has one transaction for all, what one has committed is recorded only with the last.
                if getattr(context, "_transaction", None) is None or self.request["transaction"] == "per_revision":
                    self.partial = False
                self.revision, self.statement, self.statements, self.count = facts["revision"], None, [], 0
                self.emit("start", **facts, number=number, of=len(steps))
                began = time.monotonic()
                yield step  # resumed when the revision's transaction, where env.py gives it its own, is committed
                if self.request["transaction"] == "per_revision" and getattr(context, "_transaction", None) is not None:
                    # Entering the block commits, and begins anew: locks are not held to the end, and a failure does
                    # not undo the record of a revision whose concurrent index stays.
                    with context.autocommit_block():
                        pass
                seconds = round(time.monotonic() - began, 3)
                self.emit("done", **facts, seconds=seconds, statements=self.statements, count=self.count)
            self.revision = None

        self.in_environment(go, self.command)

    def run_with_retries(self) -> None:
        patience = min(max(self.request["lock_timeout"] / 5000, 0.005), 0.25)
        if self.side is None:
            raise AssertionError("connected before this")
        self.watcher = Watcher(self.side, patience)
        for left in range(self.request["lock_retries"], -1, -1):
            try:
                return self.run_revisions()
            except Exception as error:
                state = state_of(error)
                if self.watcher:
                    self.watcher.end()
                    self.blockers = self.watcher.blockers
                if state not in RETRIED or self.partial or not left:
                    raise
                self.emit("retry", revision=self.revision, sqlstate=state, left=left, blockers=self.blockers)
            finally:
                self.failed_in, self.revision = self.revision, None
                self.failed_partial = self.partial
            time.sleep(random.uniform(0.3, 0.7))
        return None

    def stamp(self) -> None:
        def do_stamp(heads: t.Any, _context: t.Any) -> t.Any:
            return self.script._stamp_revs(self.request["revision"], tuple(heads))

        self.in_environment(do_stamp, "do_stamp", purge=self.request["purge"])

    # The lock between runners

    def try_lock(self, side: Side) -> bool:
        if not self.pooled:
            return bool(side.value(f"SELECT pg_try_advisory_lock({LOCK[0]}, {LOCK[1]})"))
        # A session's lock would stay with whichever server connection the pooler gave. READ COMMITTED: a transaction
        # that keeps its snapshot would hang CREATE INDEX CONCURRENTLY.
        side.do("BEGIN ISOLATION LEVEL READ COMMITTED")
        if side.value(f"SELECT pg_try_advisory_xact_lock({LOCK[0]}, {LOCK[1]})"):
            # Last, for it needs no snapshot: asyncpg keeps that of what it has run last, and CREATE INDEX CONCURRENTLY
            # would wait for it.
            side.do("SET LOCAL idle_in_transaction_session_timeout = 0")
            return True
        side.do("ROLLBACK")
        return False

    def holder(self, side: Side) -> dict[str, t.Any]:
        found = side.rows(HOLDER)
        return dict(zip(HOLDER_NAMES, found[0])) if found else {}  # noqa: B905  Python 3.9

    def lock(self, side: Side) -> None:
        """Polled: a waiter in pg_advisory_lock deadlocks with CREATE INDEX CONCURRENTLY."""
        began = time.monotonic()
        told = False
        while not self.try_lock(side):
            holder = self.holder(side)
            if not told:
                self.emit("waiting", holder=holder)
                told = True
            if time.monotonic() - began >= self.request["runner_lock_wait"]:
                raise Fault("locked", holder=holder)
            time.sleep(random.uniform(0.15, 0.45))
        self.emit("locked", seconds=round(time.monotonic() - began, 3))

    def unlock(self, side: Side) -> None:
        try:
            if self.pooled:
                released = side.value("SELECT true")
                side.do("COMMIT")
            else:
                released = side.value(f"SELECT pg_advisory_unlock({LOCK[0]}, {LOCK[1]})")
        except Exception:
            released = False
        if not released:
            self.emit("lock_lost")

    def connect(self) -> None:
        """The connections beside Alembic's, to a server that can be migrated."""
        name = self.request["application_name"]
        try:
            self.side, self.lock_side = Side(self.url, name), Side(self.url, name)
        except ImportError as error:
            raise Fault("no_driver", detail=str(error)) from error
        except Exception as error:
            facts = {"detail": words_of(error), "sqlstate": state_of(error)}
            raise Fault("connect", **facts, listens=listens(self.url)) from error
        side = self.side
        self.pooled = pooled_by_transaction(side, self.lock_side)
        if self.pooled and not self.request["via_pooler"]:
            raise Fault("pooled")
        if self.pooled and "+asyncpg" in self.url.partition(":")[0]:
            refuse_old_asyncpg()
        version, replica, database = side.rows(
            "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_database()"
        )[0]
        self.server = int(version)
        self.emit("server", version=self.server, database=database, pooled=self.pooled, replica=replica)
        if replica and self.command != "info":
            raise Fault("replica")
        if not self.pooled and self.server >= 140000:
            # The lock's connection idles while revisions run: no limit on idling may end it.
            self.lock_side.rows("SELECT set_config('idle_session_timeout', '0', false)")

    # What is asked for

    def run(self) -> None:
        self.open()
        self.connect()
        self.listen()
        getattr(self, f"run_{self.command}")()

    def full_plan(self) -> dict[str, t.Any]:
        """The plan with the SQL that the caller wants to see, or that says whether a contract breaks anything."""
        shown = self.request["render"]
        plan = self.plan(render=lambda step: shown or is_contract(step), drift=self.request["check_drift"])
        plan["tables"] = self.tables(plan["pending"])
        return plan

    def refuse_contract(self, plan: dict[str, t.Any]) -> None:
        """What drops what older code reads needs a word of consent, unless there is nothing yet that anyone reads."""
        if self.request["allow_contract"] or not plan["heads"]:
            return
        named = []
        for step in plan["pending"]:
            if not step["contract"]:
                continue
            tables = {table_of(statement) for _line, statement in statements_in(step.get("sql") or "")} - {None}
            if step.get("not_rendered") or not tables or not all(plan["tables"][name]["empty"] for name in tables):
                named.append(step["revision"])
        if named:
            raise Fault("contract", revisions=named)

    def run_upgrade(self) -> None:
        plan = self.full_plan()
        self.emit("plan", **plan)
        invalid = self.invalid_indexes("before")
        self.refuse_contract(plan)
        if self.request["check"] or (plan["pending"] and self.request["stop_at_plan"]):
            return
        rebuild = bool(invalid) and self.request["rebuild_invalid_indexes"]
        if plan["pending"] or rebuild:
            self.under_lock(self.upgrade_now)
        if not plan["pending"]:
            self.emit("final", **plan)
            if rebuild:
                self.invalid_indexes("after")
            return
        final = self.plan(drift=self.request["check_drift"])
        self.emit("final", **final)
        self.invalid_indexes("after")
        if final["pending"]:
            raise Fault("not_recorded", pending=final["pending"])

    def upgrade_now(self) -> None:
        # Alembic reads the heads before it calls anything of ours: what counts is the plan under the lock.
        plan = self.plan()
        planned = self.request["linted"]
        fresh = [
            step["revision"] for step in plan["pending"] if planned is not None and step["revision"] not in planned
        ]
        if fresh:
            raise Fault("unseen", revisions=fresh)
        self.emit("plan", **plan)
        self.read_only = False
        if plan["pending"]:
            try:
                self.run_with_retries()
            finally:
                self.read_only = True
                self.audit(plan)
        if self.request["rebuild_invalid_indexes"]:
            self.rebuild()

    def run_downgrade(self) -> None:
        plan = self.full_plan()
        self.emit("plan", **plan)
        allowed = set(self.request["allow_empty"])
        empty = [step["revision"] for step in plan["pending"] if step["empty"] and step["revision"] not in allowed]
        if empty:
            raise Fault("empty_downgrade", revisions=empty)
        if self.request["check"]:
            return
        if not plan["pending"]:
            self.emit("final", **plan)
            return

        def go() -> None:
            again = self.plan()
            self.emit("plan", **again)
            self.read_only = False
            try:
                self.run_with_retries()
            finally:
                self.read_only = True
                self.audit(again)

        self.under_lock(go)
        final = self.plan()
        self.emit("final", **final)
        if final["pending"]:
            raise Fault("not_recorded", pending=final["pending"])

    def run_stamp(self) -> None:
        plan = self.plan()
        wanted = self.request["revision"]
        after = [] if wanted == "base" else sorted(one.revision for one in self.script.get_revisions(wanted))
        self.emit("plan", **{**plan, "after": after})
        _here, unknown = self.known(plan["heads"])
        if unknown and not self.request["purge"]:
            raise Fault("ahead", heads=sorted(unknown), known=sorted(self.script.get_heads()))
        if self.request["check"]:
            return
        if plan["heads"] == after:
            self.emit("final", **plan)
            return

        def go() -> None:
            self.read_only = False
            try:
                self.stamp()
            finally:
                self.read_only = True

        self.under_lock(go)
        final = self.plan()
        self.emit("final", **final)

    def run_info(self) -> None:
        if self.side is None:
            raise AssertionError("connected before this")
        plan = self.full_plan()
        here, unknown = self.known(plan["heads"])
        done = {one.revision for one in self.script.iterate_revisions(tuple(here), "base")} if here else set()
        revisions = [
            {**about(one), "applied": one.revision in done, "branch_point": one.is_branch_point}
            for one in self.script.walk_revisions()
        ]
        self.emit(
            "info",
            **plan,
            script_heads=sorted(self.script.get_heads()),
            unknown=sorted(unknown),
            history=list(reversed(revisions)),
            holder=self.holder(self.side),
        )
        self.invalid_indexes("before")

    def under_lock(self, action: t.Callable[[], None]) -> None:
        if self.lock_side is None:
            raise AssertionError("connected before this")
        self.lock(self.lock_side)
        try:
            action()
        finally:
            self.unlock(self.lock_side)

    def audit(self, plan: dict[str, t.Any]) -> None:
        """One row for each revision that ran: who, for which job and release, how long, and how it ended."""
        table = self.request["audit_table"]
        if not table:
            return
        if self.side is None:
            raise AssertionError("connected before this")
        self.side.do(
            f"CREATE TABLE IF NOT EXISTS {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "at timestamptz NOT NULL DEFAULT now(), who text, job text, release text, direction text NOT NULL, "
            "revision text NOT NULL, ms integer, outcome text NOT NULL)"
        )
        left = {step["revision"] for step in self.plan()["pending"]}
        took = {event["revision"]: event["seconds"] for event in self.told() if event["event"] == "done"}
        rows = [
            (step["revision"], round(took[step["revision"]] * 1000) if step["revision"] in took else None, "applied")
            for step in plan["pending"]
            if step["revision"] not in left
        ]
        if self.failed_in in left:
            rows.append((str(self.failed_in), None, "failed"))
        who = [self.request[name] for name in ("audit_who", "audit_job", "label")]
        for revision, ms, how in rows:
            values = [literal(value) if value else "NULL" for value in [*who, self.command, revision]]
            ended = f"{'NULL' if ms is None else ms}, {literal(how)}"
            self.side.do(
                f"INSERT INTO {table} (who, job, release, direction, revision, ms, outcome) "  # noqa: S608
                f"VALUES ({', '.join(values)}, {ended})"
            )
        self.emit("audited", rows=len(rows))

    def told(self) -> list[dict[str, t.Any]]:
        text = Path(self.request["events"]).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def tell(self, error: BaseException) -> None:
        """What happened, and where it left the database."""
        failed_in, ours = self.failed_in, fault_in(error)
        if ours is not None:
            fault = ours.event
        else:
            fault = {
                "event": "fault",
                "kind": "revision" if failed_in else "environment",
                "revision": failed_in,
                "partial": self.failed_partial,
                "sqlstate": state_of(error),
                "detail": words_of(error),
                "statement": self.statement if original(error) else None,
                "blockers": self.blockers,
            }
        if failed_in:
            with contextlib.suppress(Exception):
                self.emit("final", **self.plan())
            with contextlib.suppress(Exception):
                self.invalid_indexes("after")
        self.emit(**fault)


def listens(url: str) -> bool:
    """Whether anything answers at the database's address at all."""
    import socket  # noqa: PLC0415

    from sqlalchemy.engine import make_url  # noqa: PLC0415

    parts = make_url(url)
    try:
        socket.create_connection((parts.host, parts.port or 5432), timeout=5).close()
    except OSError:
        return False
    return True


def autocommitted(connection: t.Any) -> bool:
    return str(connection.get_execution_options().get("isolation_level", "")).upper() == "AUTOCOMMIT"


def first_line(text: str | None) -> str:
    return text.strip().splitlines()[0] if text and text.strip() else ""


def about(revision: t.Any) -> dict[str, t.Any]:
    down = revision.down_revision or ()
    return {
        "revision": revision.revision,
        "doc": first_line(revision.doc),
        "down": [down] if isinstance(down, str) else list(down),
        "branches": sorted(revision.branch_labels or ()),
        "contract": contract(revision),
    }


def contract(revision: t.Any) -> bool:
    """Whether the revision says that it removes what older code reads."""
    return getattr(revision.module, "contract", False) is True or first_line(revision.doc).lower().startswith(
        "contract:"
    )


def is_contract(step: t.Any) -> bool:
    return step.is_upgrade and contract(step.revision)


def described(step: t.Any) -> dict[str, t.Any]:
    found = about(step.revision)
    facts = {name: found[name] for name in ("revision", "doc", "contract")}
    return facts if step.is_upgrade else {**facts, "empty": not takes_back(step.revision)}


def takes_back(revision: t.Any) -> bool:
    """Whether the downgrade does anything; of an upgrade that does nothing (a merge) it need not."""
    import ast  # noqa: PLC0415

    try:
        module = ast.parse(Path(revision.path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return True
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}

    def does_something(name: str) -> bool:
        for node in functions[name].body if name in functions else ():
            if isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                continue
            # `raise NotImplementedError`, or whatever else is raised at once.
            return not isinstance(node, ast.Raise)
        return False

    return does_something("downgrade") or ("upgrade" in functions and not does_something("upgrade"))


def drift_of(context: t.Any) -> dict[str, t.Any]:
    """What separates the database from the models that env.py names."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415

    metadata = context.opts.get("target_metadata")
    if metadata is None:
        return {"compared": False, "differences": []}
    found = compare_metadata(context, metadata)
    return {"compared": True, "differences": [difference(one) for part in found for one in as_list(part)]}


def as_list(part: t.Any) -> list[t.Any]:
    return list(part) if isinstance(part, list) else [part]


def difference(one: t.Sequence[t.Any]) -> str:
    """`("add_column", None, "users", Column("age"))` -> "add_column users.age"."""
    words = []
    for part in one[1:]:
        table = getattr(getattr(part, "table", None), "name", None)
        if isinstance(part, str):
            words.append(part)
        elif getattr(part, "name", None):
            words.append(f"{table}.{part.name}" if table and table not in words else str(part.name))
    return f"{one[0]} {'.'.join(words)}".strip()


def config_path(named: str) -> Path:
    """``/path/alembic.ini``, or ``package:alembic.ini`` for one inside an installed package."""
    if ":" not in named:
        path = Path(named).absolute()
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
    # The private folder that this file lies in: the application must find its own modules only.
    sys.path[:] = [folder for folder in sys.path if folder != str(Path(__file__).parent)]
    request = json.load(sys.stdin)
    url = os.environ.pop(URL_VARIABLE)
    if request["url_env"]:
        os.environ[request["url_env"]] = url
    run = Run(request, url)
    try:
        run.run()
    except (Exception, SystemExit) as error:
        run.tell(error)
        return 1
    return 0


if __name__ == "__main__":
    # os._exit: a thread of the application's, or of the watcher's, must not keep a run that is done.
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
