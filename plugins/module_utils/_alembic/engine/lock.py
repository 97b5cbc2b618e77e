# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock between runners: one at a time on a database."""

from __future__ import annotations

import contextlib
import random
import time
import typing as t

from .protocol import LOCK, Fault
from .session import AdminConnection, Session

HOLDER = f"""
SELECT pid, activity.application_name, coalesce(host(activity.client_addr), 'an address not shown'),
       extract(epoch FROM now() - activity.backend_start)::int, activity.backend_start::text
FROM pg_locks LEFT JOIN pg_stat_activity AS activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = {LOCK[0]} AND objid = {LOCK[1]} AND objsubid = 2
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608  two constants
NAMES = ("pid", "program", "host", "seconds", "since")


@contextlib.contextmanager
def runner_lock(session: Session) -> t.Iterator[None]:
    """Hold the lock; wait for another runner for `runner_lock_wait` seconds."""
    _acquire(session)
    try:
        yield
    finally:
        _release(session)


def holder(connection: AdminConnection) -> dict[str, t.Any]:
    """The runner that holds the lock; empty if there is none."""
    found = connection.rows(HOLDER)
    return dict(zip(NAMES, found[0])) if found else {}  # noqa: B905  Python 3.9


def _acquire(session: Session) -> None:
    """Poll: a client that waits in pg_advisory_lock deadlocks with CREATE INDEX CONCURRENTLY."""
    began = time.monotonic()
    reported = False
    while not _try(session):
        other = holder(session.locking)
        if not reported:
            session.events.emit("waiting", holder=other)
            reported = True
        if time.monotonic() - began >= session.request.runner_lock_wait:
            raise Fault("locked", holder=other)
        time.sleep(random.uniform(0.15, 0.45))
    session.events.emit("locked", seconds=round(time.monotonic() - began, 3))


def _try(session: Session) -> bool:
    connection = session.locking
    if not session.pooled:
        return bool(connection.value(f"SELECT pg_try_advisory_lock({LOCK[0]}, {LOCK[1]})"))
    # A session's lock would stay with whichever server connection the pooler assigned, so the lock is a transaction's.
    # READ COMMITTED: CREATE INDEX CONCURRENTLY would wait for a transaction that keeps its snapshot.
    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    if connection.value(f"SELECT pg_try_advisory_xact_lock({LOCK[0]}, {LOCK[1]})"):
        # Run last because it needs no snapshot: asyncpg keeps the snapshot of its last statement, and CREATE INDEX
        # CONCURRENTLY would wait for it.
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        return True
    connection.execute("ROLLBACK")
    return False


def _release(session: Session) -> None:
    connection = session.locking
    try:
        if session.pooled:
            released = connection.value("SELECT true")
            connection.execute("COMMIT")
        else:
            released = connection.value(f"SELECT pg_advisory_unlock({LOCK[0]}, {LOCK[1]})")
    except Exception:
        released = False
    if not released:
        session.events.emit("lock_lost")
