# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every connection of Alembic's is set to: the limits, and whether it may write.

Set by listeners of SQLAlchemy's: asyncpg ignores PGOPTIONS.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import os
import sys
import typing as t

from .protocol import Fault
from .session import NO_STATEMENT_CACHE, PLACE, Session, disable_prepared_statements, refuse_old_asyncpg
from .sql import literal, set_config

# libpq's variable: also for the connections that a revision opens itself, past SQLAlchemy.
OPTIONS = "PGOPTIONS"
READ_ONLY_OPTION = "-c default_transaction_read_only=on"
PROCESS = "nexod_process"  # key in connection.info: the server's process
APPLIED = "nexod_settings"


class ConnectionSettings:
    """Read-only unless `writable()` says otherwise."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.read_only = True
        self.processes: set[int] = set()  # the server's, of all connections that Alembic has had
        self.places: dict[tuple[str, str], str] = {}  # of those connections, each with the server's address
        self._reported = False
        self.given_options = os.environ.get(OPTIONS)
        # A pooler of any mode answers with a process number of its own, and may refuse start-up options.
        self._direct = session.admin.startup_pid() == session.admin.value("SELECT pg_backend_pid()")
        self._guard()

    @contextlib.contextmanager
    def writable(self) -> t.Iterator[None]:
        self.read_only = False
        self._guard()
        try:
            yield
        finally:
            self.read_only = True
            self._guard()

    def _guard(self) -> None:
        """Make libpq open read-only connections while planning, and in a rehearsal wherever they lead to."""
        given = self.given_options
        if self._guarded():
            os.environ[OPTIONS] = f"{given} {READ_ONLY_OPTION}" if given else READ_ONLY_OPTION
        elif given is not None:
            os.environ[OPTIONS] = given
        else:
            os.environ.pop(OPTIONS, None)

    def _guarded(self) -> bool:
        return self._direct and (self.read_only or bool(self.session.request.only_database))

    def guard_asyncpg(self, module: t.Any) -> None:
        """The same for asyncpg, which ignores that variable."""
        connect = module._connect

        async def guarded(**named: t.Any) -> t.Any:
            if self._guarded():
                given = named.get("server_settings") or {}
                named["server_settings"] = {**given, "default_transaction_read_only": "on"}
            return await connect(**named)

        module._connect = guarded

    def values(self) -> dict[str, str]:
        request = self.session.request
        return {
            "lock_timeout": str(request.lock_timeout),
            "statement_timeout": str(request.statement_timeout),
            # The server then notices within a second that its runner was killed, and drops the statement and its locks.
            **({"client_connection_check_interval": "1000"} if self.session.version >= 140000 else {}),
            "default_transaction_read_only": "on" if self.read_only else "off",
        }

    def listen(self) -> None:
        from sqlalchemy import event  # noqa: PLC0415
        from sqlalchemy.engine import Engine  # noqa: PLC0415
        from sqlalchemy.pool import Pool  # noqa: PLC0415

        after_import("asyncpg.connect_utils", self.guard_asyncpg)
        # At check-out: a pooled engine of the application's keeps its connections between the plan and the run.
        event.listen(Pool, "checkout", self.on_checkout)
        event.listen(Engine, "begin", self.on_begin)
        event.listen(Engine, "do_connect", self.on_connect)

    def on_connect(self, dialect: t.Any, _record: t.Any, _arguments: t.Any, named: dict[str, t.Any]) -> None:
        if self.session.pooled and dialect.driver == "asyncpg":
            refuse_old_asyncpg()
            named.update(NO_STATEMENT_CACHE)
            # An env.py written for a pooler names its prepared statements; unnamed ones leave nothing behind.
            named.pop("prepared_statement_name_func", None)

    def on_checkout(self, connection: t.Any, record: t.Any, _proxy: t.Any) -> None:
        disable_prepared_statements(getattr(connection, "driver_connection", connection))
        values = self.values()
        # Through a pooler a setting would leak to its other clients: there each transaction gets them.
        if self.session.pooled or record.info.get(APPLIED) == values:
            return
        cursor = connection.cursor()
        self._stay_in_copy(cursor)
        name = self.session.request.application_name
        cursor.execute(set_config({**values, "application_name": name}, local=False))
        cursor.fetchall()
        connection.commit()
        record.info[PROCESS] = self._verify(cursor, values)
        record.info[APPLIED] = values
        cursor.close()
        connection.rollback()

    def _stay_in_copy(self, cursor: t.Any) -> None:
        """An env.py that finds its database elsewhere than in the URL must not be rehearsed there."""
        only = self.session.request.only_database
        if only is None:
            return
        cursor.execute("SELECT current_database()")
        if cursor.fetchall()[0][0] != only:
            raise Fault("rehearsed_elsewhere", detail="env.py connects to another database than that of the URL")

    def on_begin(self, connection: t.Any) -> None:
        if not self.session.pooled or is_autocommit(connection):
            return
        values = self.values()
        values["transaction_read_only"] = values.pop("default_transaction_read_only")
        cursor = connection.connection.cursor()
        cursor.execute(set_config(values, local=True))
        cursor.fetchall()
        connection.info[PROCESS] = self._verify(cursor, values)
        cursor.close()

    def set_timeouts(self, cursor: t.Any, lock: str, statement: str) -> None:
        if self.session.pooled:
            return
        cursor.execute(set_config({"lock_timeout": lock, "statement_timeout": statement}, local=False))
        cursor.fetchall()

    def limits(self) -> dict[str, str]:
        """Those of `values` that limit a statement."""
        values = self.values()
        return {name: values[name] for name in values if name != "default_transaction_read_only"}

    def enforce(self, connection: t.Any, revision: str) -> dict[str, str]:
        """Set the limits again where env.py or an earlier revision has changed them, just before `revision` runs.

        Returns where the revision runs. On the driver's own cursor: Alembic would take a statement that SQLAlchemy sees
        for the beginning of somebody else's transaction.
        """
        pooled, limits = self.session.pooled, self.limits()
        if pooled and not connection.in_transaction():
            return {}
        names = list(limits)
        read = ", ".join(f"current_setting({literal(name)})" for name in names)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(
                f"SELECT current_database()::text, current_setting('search_path'), {read}, "
                + set_config(limits, local=pooled).partition(" ")[2]
            )
            database, path, *values = cursor.fetchall()[0]
        finally:
            cursor.close()
        found = dict(zip(names, values))  # noqa: B905  Python 3.9
        changed = {name: found[name] for name, now in zip(names, values[len(names) :]) if found[name] != now}  # noqa: B905
        if changed:
            self.session.events.emit("overridden", revision=revision, found=changed)
        return {"database": database, "search_path": path}

    def _verify(self, cursor: t.Any, values: dict[str, str]) -> int:
        """Check that the server accepted `values`. The server's process, by which blockers are looked up."""
        names = ", ".join(literal(name) for name in values)
        question = f"SELECT name, setting, pg_backend_pid(), {PLACE} FROM pg_settings WHERE name IN ({names})"  # noqa: S608
        cursor.execute(question)
        rows = cursor.fetchall()
        found = {row[0]: row[1] for row in rows}
        process, (started, database, address) = int(rows[0][2]), rows[0][3:]
        self.places[str(started), str(database)] = str(address)
        self.processes.add(process)
        wrong = sorted(name for name, value in values.items() if found.get(name) != value)
        if wrong:
            raise Fault("settings", names=wrong)
        if not self.read_only and not self._reported:
            name = self.session.request.application_name
            self.session.events.emit("settings", values={**found, "application_name": name})
            self._reported = True
        return process


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls `action` with a module as soon as it is imported."""

    def __init__(self, name: str, action: t.Callable[[t.Any], None]) -> None:
        self.name, self.action = name, action

    def find_spec(self, fullname: str, _path: t.Any, _target: t.Any = None) -> t.Any:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        loader = spec.loader if spec else None
        if loader is not None:
            run: t.Callable[[t.Any], None] = loader.exec_module

            def run_and_act(module: t.Any) -> None:
                run(module)
                self.action(module)

            loader.exec_module = run_and_act  # type: ignore[method-assign]
        return spec


def after_import(name: str, action: t.Callable[[t.Any], None]) -> None:
    if name in sys.modules:
        action(sys.modules[name])
    else:
        sys.meta_path.insert(0, AfterImport(name, action))


def is_autocommit(connection: t.Any) -> bool:
    return str(connection.get_execution_options().get("isolation_level", "")).upper() == "AUTOCOMMIT"
