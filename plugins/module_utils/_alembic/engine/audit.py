# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One row for each revision that ran: who, for which job and release, how long, and how it ended."""

from __future__ import annotations

import typing as t

from .errors import message_of, sqlstate_of
from .protocol import Fault
from .runner import Runner
from .session import Session
from .sql import literal

LATEST = 200  # rows that are read
NAMES = ("at", "who", "job", "release", "direction", "revision", "ms", "outcome")
# UTC, whatever the session's time zone.
COLUMNS = ("to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", *NAMES[1:])


def prepare(session: Session) -> None:
    """Make the table if it is missing. Before the migration: a fault after it would come too late."""
    table = session.request.audit_table
    if not table:
        return
    check(session)
    try:
        if not exists(session):
            session.admin.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
                "at timestamptz NOT NULL DEFAULT now(), who text, job text, release text, direction text NOT NULL, "
                "revision text NOT NULL, ms integer, outcome text NOT NULL)"
            )
    except Exception as error:
        raise Fault("audit", table=table, sqlstate=sqlstate_of(error), detail=message_of(error)) from error


def check(session: Session) -> None:
    """Refuse a table that can't be written, before anything runs and in check mode; nothing is written."""
    table = session.request.audit_table
    if not table:
        return
    try:
        if exists(session):
            if not session.admin.value(f"SELECT has_table_privilege({literal(table)}, 'INSERT')"):
                raise Fault("audit", table=table, sqlstate="42501", detail=f"permission denied for table {table}")
            # Plans the statement and checks the rights, also where the connection is read-only.
            session.admin.execute(f"EXPLAIN {insert(session, 'none', None, 'none')}")
            return
        schema, dot, _name = table.rpartition(".")
        found = f"to_regnamespace({literal(schema)})" if dot else "to_regnamespace(quote_ident(current_schema()))"
        oid, may_create = session.admin.rows(f"SELECT {found}::oid, has_schema_privilege({found}, 'CREATE')")[0]
    except Fault:
        raise
    except Exception as error:
        raise Fault("audit", table=table, sqlstate=sqlstate_of(error), detail=message_of(error)) from error
    if oid is None:
        raise Fault("audit", table=table, sqlstate="3F000", detail=f"its schema {schema} does not exist", schema=schema)
    if not may_create:
        raise Fault("audit", table=table, sqlstate="42501", detail="the user may not create it in its schema")


def exists(session: Session) -> bool:
    return bool(session.admin.value(f"SELECT to_regclass({literal(str(session.request.audit_table))}) IS NOT NULL"))


def latest(session: Session) -> list[dict[str, t.Any]]:
    """The rows of the table, the latest first; empty if there is no table yet."""
    table = session.request.audit_table
    if not table:
        return []
    try:
        if not exists(session):
            return []
        rows = session.admin.rows(f"SELECT {', '.join(COLUMNS)} FROM {table} ORDER BY at DESC LIMIT {LATEST}")  # noqa: S608
    except Exception as error:
        raise Fault("audit_read", table=table, sqlstate=sqlstate_of(error), detail=message_of(error)) from error
    return [dict(zip(NAMES, row)) for row in rows]  # noqa: B905  Python 3.9


def record(session: Session, runner: Runner, pending: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    """Write the rows. A fault here must not hide how the migration itself ended: it is reported as an event."""
    if not session.request.audit_table:
        return
    try:
        rows = _rows(runner, pending)
        for revision, ms, outcome in rows:
            session.admin.execute(insert(session, revision, ms, outcome))
    except Exception as error:
        session.events.emit("audit_failed", table=session.request.audit_table, detail=message_of(error))
    else:
        session.events.emit("audited", rows=len(rows))


def _rows(runner: Runner, pending: t.Sequence[t.Mapping[str, t.Any]]) -> list[tuple[str, int | None, str]]:
    left = {step["revision"] for step in runner.planner.plan()["pending"]}
    rows: list[tuple[str, int | None, str]] = []
    for step in pending:
        if step["revision"] not in left:
            seconds = runner.seconds.get(step["revision"])
            rows.append((step["revision"], None if seconds is None else round(seconds * 1000), "applied"))
    failed = runner.failure.revision if runner.failure else None
    if failed in left:
        rows.append((str(failed), None, "failed"))
    return rows


def insert(session: Session, revision: str, ms: int | None, outcome: str) -> str:
    request = session.request
    who = [request.audit_who, request.audit_job, request.label, request.command, revision]
    values = [literal(value) if value else "NULL" for value in who]
    return (
        f"INSERT INTO {request.audit_table} (who, job, release, direction, revision, ms, outcome) "  # noqa: S608
        f"VALUES ({', '.join(values)}, {'NULL' if ms is None else ms}, {literal(outcome)})"
    )
