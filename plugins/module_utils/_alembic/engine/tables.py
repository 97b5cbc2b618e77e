# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the tables are that the pending statements lock or change; the lint weighs its findings by that."""

from __future__ import annotations

import json
import typing as t

from .session import Session
from .sql import literal, statements_in, table_of

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


def tables_of(session: Session, pending: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """The facts of each table in the rendered SQL of the pending revisions, by the name written there."""
    names = [table_of(statement) for step in pending for _line, statement in statements_in(str(step.get("sql") or ""))]
    return {name: _facts(session, name) for name in dict.fromkeys(name for name in names if name)}


def _facts(session: Session, name: str) -> dict[str, t.Any]:
    rows = session.admin.rows_without_waiting(TABLE_FACTS.format(name=literal(name)))
    if not rows:
        exists = bool(session.admin.value(f"SELECT to_regclass({literal(name)}) IS NOT NULL"))
        return {"exists": exists, "rows": None, "bytes": None, "empty": not exists}
    table, count, size, columns, checks = rows[0]
    question = f"SELECT NOT EXISTS (SELECT FROM {table})"  # noqa: S608
    empty = not size or session.admin.rows_without_waiting(question) == [(True,)]
    return {
        "exists": True,
        "name": table,
        "rows": 0 if empty else int(count or 0),
        "bytes": int(size or 0),
        "empty": empty,
        "columns": json.loads(columns or "{}"),
        "checks": json.loads(checks or "[]"),
    }
