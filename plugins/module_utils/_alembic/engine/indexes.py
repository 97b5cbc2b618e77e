# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Invalid indexes: what an interrupted CREATE or REINDEX INDEX CONCURRENTLY leaves behind."""

from __future__ import annotations

import re

from .session import Session
from .sql import CREATED_INDEX, literal, unquoted

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


def report_invalid(session: Session, when: str) -> list[str]:
    rows = session.admin.rows(INVALID_INDEXES)
    session.events.emit("invalid_indexes", when=when, indexes=[{"index": row[0], "table": row[1]} for row in rows])
    return [row[0] for row in rows]


def drop_left_by(session: Session, statement: str, revision: str | None) -> None:
    """Drop the invalid index that an earlier, killed run of `statement` left.

    CREATE INDEX ... IF NOT EXISTS would take it for the finished index.
    """
    found = CREATED_INDEX.match(statement)
    if found is None:
        return
    question = INVALID_INDEX.format(table=literal(found["table"]), name=literal(unquoted(found["name"])))
    for (index,) in session.admin.rows(question):
        session.admin.execute(f"DROP INDEX CONCURRENTLY {index}")
        session.events.emit("index_dropped", index=index, revision=revision)


def rebuild_invalid(session: Session) -> None:
    for index, table, name in session.admin.rows(INVALID_INDEXES):
        # An interrupted REINDEX CONCURRENTLY leaves a copy with this suffix; the index itself is valid.
        verb = "DROP" if re.search(r"_cc(?:new|old)\d*$", name) else "REINDEX"
        session.admin.execute(f"{verb} INDEX CONCURRENTLY {index}")
        session.events.emit("index_rebuilt", index=index, table=table)
