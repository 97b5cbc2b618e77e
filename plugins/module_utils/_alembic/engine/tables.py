# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the tables are that the pending statements lock or change; the lint weighs its findings by that."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from .session import Session
from .sql import (
    FUNCTION,
    NAME,
    literal,
    search_path_in,
    shape,
    statements_in,
    tables_in,
    tokens,
    unquoted,
)

AT_ONCE = 500  # names in one query
# A partitioned table has no rows of its own, although ANALYZE stores the sum of its partitions for it. As the planner
# does, the rows of a table are estimated by how many there were on a page at the last ANALYZE, and by its size now. A
# table without statistics is estimated by the width of its columns: rather too many rows than none.
TABLE_FACTS = """
WITH asked(number, oid) AS (
  SELECT number, coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = name), name)
  FROM (VALUES {names}) AS given(number, name)
)
SELECT asked.number, relation.oid::regclass::text, relation.relkind::text,
  (SELECT sum(CASE WHEN part.reltuples > 0 AND part.relpages > 0
      THEN greatest(part.reltuples / part.relpages * (size / current_setting('block_size')::int), live)
      WHEN size > 0 THEN greatest(live, size / (28 +
        (SELECT coalesce(sum(CASE WHEN attlen > 0 THEN attlen ELSE 32 END), 0)
         FROM pg_attribute WHERE attrelid = part.oid AND attnum > 0)))
      ELSE live END)::bigint
   FROM pg_class AS part,
     LATERAL (SELECT pg_relation_size(part.oid) AS size, pg_stat_get_live_tuples(part.oid) AS live) AS measured
   WHERE part.relkind IN ('r', 'm')
     AND (part.oid = relation.oid OR part.oid IN (SELECT relid FROM pg_partition_tree(relation.oid)))),
  (SELECT sum(pg_relation_size(part.oid))::bigint FROM pg_class AS part WHERE part.relkind IN ('r', 'm', 't')
   AND (part.oid = relation.oid OR part.oid IN (SELECT relid FROM pg_partition_tree(relation.oid)))),
  (SELECT json_object_agg(attname, format_type(atttypid, atttypmod))::text FROM pg_attribute
   WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped),
  (SELECT json_agg(pg_get_constraintdef(pg_constraint.oid))::text FROM pg_constraint
   WHERE conrelid = relation.oid AND contype = 'c'),
  (SELECT json_agg(attname)::text FROM pg_attribute
   WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped AND attnotnull),
  (SELECT json_object_agg(indexrelid::regclass::text, (SELECT json_agg(attname) FROM pg_attribute
     WHERE attrelid = relation.oid AND attnum = ANY (indkey)))::text FROM pg_index WHERE indrelid = relation.oid),
  relation.relpersistence::text,
  (SELECT amname::text FROM pg_am WHERE pg_am.oid = relation.relam),
  coalesce((SELECT spcname::text FROM pg_tablespace WHERE pg_tablespace.oid = relation.reltablespace),
    (SELECT spcname::text FROM pg_database JOIN pg_tablespace ON dattablespace = pg_tablespace.oid
     WHERE datname = current_database()))
FROM asked JOIN pg_class AS relation ON relation.oid = asked.oid
"""
# Domains whose constraints a new column has to be checked against.
DOMAINS = """
SELECT typname::text FROM pg_type WHERE typtype = 'd'
  AND (typnotnull OR EXISTS (SELECT FROM pg_constraint WHERE contypid = pg_type.oid))
"""
FUNCTIONS = "SELECT proname::text, bool_or(provolatile = 'v') FROM pg_proc WHERE proname IN ({names}) GROUP BY 1"


@dataclasses.dataclass(frozen=True)
class Names:
    """How a connection resolves names: its search_path (None: as a new connection does), and the schemas that
    SQLAlchemy replaces on it (``schema_translate_map``).
    """

    path: tuple[str, ...] | None = None
    replaced: tuple[tuple[str | None, str], ...] = ()

    def found(self, name: str) -> str:
        """SQL for the relation that `name` is there."""
        parts = re.findall(NAME, name)
        replaced = dict(self.replaced)
        schemas: t.Sequence[str] | None = self.path
        if len(parts) > 1:
            schema = unquoted(parts[0])
            schemas = (replaced.get(schema, schema),)
        elif None in replaced:
            schemas = (replaced[None],)
        if schemas is None:
            return f"to_regclass({literal(name)})"
        looked = [f"to_regclass({literal(quoted(schema) + '.' + parts[-1])})" for schema in schemas]
        return f"coalesce({', '.join([*looked, 'NULL::regclass'])})"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def names_on(connection: t.Any) -> Names:
    """How Alembic's connection resolves names after all that env.py has set on it."""
    rows = connection.exec_driver_sql("SELECT array_to_json(current_schemas(false))::text").fetchall()
    replaced = connection.get_execution_options().get("schema_translate_map") or {}
    pairs = tuple((key, str(schema)) for key, schema in replaced.items() if schema is not None)
    return Names(tuple(json.loads(rows[0][0])), pairs)


def tables_of(
    session: Session, pending: t.Sequence[t.Mapping[str, t.Any]], contexts: t.Sequence[Names] = ()
) -> dict[str, t.Any]:
    """The facts of each table in the rendered SQL of the pending revisions, by the name written there.

    If one name is several tables (env.py runs the revisions for one tenant after another, or a revision sets the
    search_path), the facts of the largest: what is harmless must be so for all of them.
    """
    statements = [one for step in pending for _line, one in statements_in(str(step.get("sql") or ""))]
    names = list(dict.fromkeys(name for one in statements for name in tables_in(one)))
    paths = [Names(path) for path in (search_path_in(one) for one in statements) if path is not None]
    resolved = list(dict.fromkeys([*(contexts or (Names(),)), *paths]))
    asked = [(name, how.found(name)) for name in names for how in resolved]
    found: dict[str, list[dict[str, t.Any]]] = {}
    for begin in range(0, len(asked), AT_ONCE):
        for name, facts in _facts(session, asked[begin : begin + AT_ONCE]):
            found.setdefault(name, []).append(facts)
    shared = {**_domains(session, statements), **_functions(session, statements)}
    return {name: {**largest(found.get(name) or []), **shared} for name in names}


def largest(tables: t.Sequence[dict[str, t.Any]]) -> dict[str, t.Any]:
    known = [one for one in tables if one["exists"]]
    if not known:
        return {"exists": False, "rows": None, "bytes": None, "empty": True}
    # A table that was locked has no known number of rows: it may be the largest.
    chosen = max(known, key=lambda one: (not one["empty"], one["rows"] is None, one["rows"] or 0))
    checks = [check for check in chosen.get("checks", []) if all(check in one.get("checks", []) for one in known)]
    return {**chosen, "checks": checks, **({"tables": len(known)} if len(known) > 1 else {})}


def _facts(session: Session, asked: t.Sequence[tuple[str, str]]) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    if not asked:
        return
    values = ", ".join(f"({number}, {sql}::oid)" for number, (_name, sql) in enumerate(asked))
    rows = session.admin.rows_without_waiting(TABLE_FACTS.format(names=values))
    if rows:
        for row in rows:
            yield asked[row[0]][0], _described(session, row[1:])
        return
    # Nothing exists yet, or one table is locked: then each is asked for alone.
    if len(asked) == 1:
        name, sql = asked[0]
        if session.admin.value(f"SELECT {sql} IS NOT NULL"):
            yield name, {"exists": True, "rows": None, "bytes": None, "empty": False}
        return
    middle = len(asked) // 2
    if not session.admin.value(f"SELECT coalesce({', '.join(sql for _name, sql in asked)}) IS NOT NULL"):
        return
    yield from _facts(session, asked[:middle])
    yield from _facts(session, asked[middle:])


def _described(session: Session, row: t.Sequence[t.Any]) -> dict[str, t.Any]:
    table, kind, count, size, columns, checks, required, indexes, persistence, method, tablespace = row
    stored = kind in ("r", "m", "p")
    question = f"SELECT NOT EXISTS (SELECT FROM {table})"  # noqa: S608
    empty = stored and (not size or session.admin.rows_without_waiting(question) == [(True,)])
    return {
        "exists": True,
        "name": table,
        "kind": kind,
        "rows": 0 if empty else int(count or 0) if stored else None,
        "bytes": int(size or 0),
        "empty": empty,
        "columns": json.loads(columns or "{}"),
        "checks": json.loads(checks or "[]"),
        "required": json.loads(required or "[]"),
        "indexes": json.loads(indexes or "{}"),
        "persistence": persistence,
        "access_method": method,
        "tablespace": tablespace,
    }


def _domains(session: Session, statements: t.Sequence[str]) -> dict[str, t.Any]:
    if not any(re.search(r"\bADD\b", one, re.IGNORECASE) for one in statements):
        return {}
    return {"domains": [name for (name,) in session.admin.rows(DOMAINS)]}


def _functions(session: Session, statements: t.Sequence[str]) -> dict[str, t.Any]:
    """Which of the functions that new columns call in their defaults are volatile."""
    calls = [
        name.rpartition(".")[2].strip().strip('"')
        for one in statements
        if re.search(r"\bADD\b.*\bDEFAULT\b.*\(", one, re.IGNORECASE | re.DOTALL)
        for name in FUNCTION.findall(shape(tokens(one)))
    ]
    if not calls:
        return {}
    names = ", ".join(literal(name) for name in dict.fromkeys(calls))
    return {"functions": {name: bool(found) for name, found in session.admin.rows(FUNCTIONS.format(names=names))}}
