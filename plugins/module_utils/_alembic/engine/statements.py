# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every statement that Alembic, env.py or a revision sends: recorded while a revision runs, checked while planning."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from . import indexes
from .blockers import BlockerMonitor
from .protocol import Fault
from .session import ADMIN, Session
from .settings import PROCESS, ConnectionSettings, is_autocommit
from .sql import CONCURRENTLY, NO_OPERATION, READS, only_sets_up

KEPT_OF_REHEARSAL = 5000
KEPT = 200  # statements of one revision: one that fills a table row by row has as many as the table has rows


@dataclasses.dataclass
class Attempt:
    """One try of one revision, as far as it has come."""

    revision: str
    partial: bool = False  # something is committed that is not recorded
    statement: str | None = None  # the latest
    statements: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    count: int = 0


class StatementHooks:
    """Listens to all statements but those of the engine's own connections."""

    def __init__(self, session: Session, settings: ConnectionSettings) -> None:
        self.session = session
        self.settings = settings
        self.attempt: Attempt | None = None  # None while planning
        self.monitor: BlockerMonitor | None = None
        self.skipped: list[str] = []  # what env.py would run first, and a plan does not
        self.version_table = "alembic_version"
        self._began = 0.0

    def listen(self) -> None:
        from sqlalchemy import event  # noqa: PLC0415
        from sqlalchemy.engine import Engine  # noqa: PLC0415

        event.listen(Engine, "commit", self.on_commit)
        event.listen(Engine, "before_cursor_execute", self.before_statement, retval=True)
        event.listen(Engine, "after_cursor_execute", self.after_statement)

    def on_commit(self, _connection: t.Any) -> None:
        if self.attempt and self.attempt.count > 0:
            self.attempt.partial = True
            self._mark_end(self.attempt)

    def before_statement(
        self, connection: t.Any, cursor: t.Any, statement: str, values: t.Any, _context: t.Any, _many: t.Any
    ) -> tuple[str, t.Any]:
        """Returns what is sent instead."""
        if connection.get_execution_options().get(ADMIN):
            return statement, values
        if self.attempt is None:
            return self._while_planning(connection, statement), values
        self.attempt.statement = statement
        if is_autocommit(connection) and CONCURRENTLY.match(statement):
            indexes.drop_left_by(self.session, statement, self.attempt.revision)
            # It waits without blocking anybody, so it may wait longer; how long it works is not limited.
            self.settings.set_timeouts(cursor, str(self.session.request.concurrent_lock_timeout), "0")
        if self.monitor:
            self.monitor.begin(connection.info.get(PROCESS))
        self._began = time.monotonic()
        return statement, values

    def after_statement(
        self, connection: t.Any, cursor: t.Any, statement: str, _values: t.Any, _context: t.Any, _many: t.Any
    ) -> None:
        if self.attempt is None or connection.get_execution_options().get(ADMIN):
            return
        if self.monitor:
            self.monitor.end()
        if self.version_table not in statement:
            self._record(self.attempt, statement, cursor.rowcount)
        if is_autocommit(connection):
            self.attempt.partial = True
            self._mark_end(self.attempt)
            if CONCURRENTLY.match(statement):
                request, other = self.session.request, connection.connection.cursor()
                self.settings.set_timeouts(other, str(request.lock_timeout), str(request.statement_timeout))
                other.close()

    def _record(self, attempt: Attempt, statement: str, rows: int) -> None:
        attempt.count += 1
        if len(attempt.statements) < (KEPT_OF_REHEARSAL if self.session.request.only_database else KEPT):
            ms = round((time.monotonic() - self._began) * 1000, 1)
            attempt.statements.append({"sql": statement, "ms": ms, "rows": rows if rows >= 0 else None})

    def _mark_end(self, attempt: Attempt) -> None:
        """For the lint of a rehearsal: here all locks are released."""
        if self.session.request.only_database:
            attempt.statements.append({"sql": "COMMIT", "ms": 0, "rows": None})

    def _while_planning(self, connection: t.Any, statement: str) -> str:
        """Replace a set-up statement, which the read-only connection would refuse, and report it in check mode."""
        if not self.settings.read_only:
            return statement
        check = self.session.request.check
        if only_sets_up(statement):
            shown = " ".join(statement.split())
            if shown not in self.skipped:
                self.skipped.append(shown)
                if check:
                    self.session.events.emit("left_out", statement=shown)
            return NO_OPERATION
        if check and self.session.pooled and is_autocommit(connection) and not READS.match(statement):
            raise Fault("unguarded", statement=statement)
        return statement
