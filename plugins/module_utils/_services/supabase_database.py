# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Supabase project's database must be looked at for: its size, and tables that anybody can read."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import identifier, literal
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_seeds import (
    MARKER,
    SCHEMA,
    environment_of,
    marking,
    refuse_another,
)

Facts = t.Mapping[str, t.Any]
MEGA = 1 << 20
#: Share of the limit from which on there is a warning.
NEARLY = 0.8
#: The roles of the REST API; the key of the first is public.
ROLES = ("anon", "authenticated")
WAYS_OUT = (
    "Move each to a schema that is not exposed (ALTER TABLE ... SET SCHEMA private), or revoke the rights of the API's "
    "roles (REVOKE ALL ON ... FROM anon, authenticated), or enable row level security, without policies if nobody "
    "needs it there (ALTER TABLE ... ENABLE ROW LEVEL SECURITY)."
)
# What grants rights to new tables is in pg_default_acl, by the role that creates them.
QUERY = """
SELECT json_build_object(
  'bytes', pg_database_size(current_database()),
  'marker', {marker},
  'read_only', current_setting('default_transaction_read_only') = 'on',
  'largest', (SELECT coalesce(json_agg(json_build_object('name', name, 'kind', kind, 'bytes', bytes)), '[]') FROM (
    SELECT oid::regclass::text AS name, CASE relkind WHEN 'i' THEN 'index' ELSE 'table' END AS kind,
      pg_relation_size(oid) + CASE WHEN reltoastrelid <> 0 THEN pg_relation_size(reltoastrelid) ELSE 0 END AS bytes
    FROM pg_class WHERE relkind IN ('r', 'm', 'i') ORDER BY 3 DESC LIMIT 10) AS listed),
  'open', (SELECT coalesce(json_agg(oid::regclass::text ORDER BY oid::regclass::text), '[]') FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relrowsecurity
    AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ({exposed}))
    AND EXISTS (SELECT FROM pg_roles WHERE rolname IN ({roles})
      AND has_table_privilege(pg_roles.oid, pg_class.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE'))),
  'granted', (SELECT coalesce(json_agg(DISTINCT nspname ORDER BY nspname), '[]')
    FROM pg_default_acl JOIN pg_namespace ON pg_namespace.oid = defaclnamespace, aclexplode(defaclacl) AS acl
    JOIN pg_roles ON pg_roles.oid = acl.grantee
    WHERE defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user) AND rolname IN ({roles})
      AND nspname IN ({closed})));
"""


class Server(t.Protocol):
    """What is needed of `RemotePsql`."""

    def exists(self) -> bool: ...

    def ask(self, query: str, database: str = ...) -> t.Any: ...

    def execute(self, statements: t.Sequence[str], database: str) -> None: ...


@dataclasses.dataclass(frozen=True)
class Wanted:
    database: str
    exposed: tuple[str, ...] = ("public",)
    closed: tuple[str, ...] = ()
    limit_mb: int = 0
    #: Without one, the database is not marked.
    environment: str = ""


def query(wanted: Wanted) -> str:
    def listed(names: t.Iterable[str]) -> str:
        return ", ".join(map(literal, names)) or "NULL"

    return QUERY.format(
        exposed=listed(wanted.exposed), closed=listed(wanted.closed), roles=listed(ROLES), marker=MARKER
    )


def statements(granted: t.Iterable[str]) -> list[str]:
    """What ends the rights that the API's roles get in these schemas to whatever is created there."""
    return [
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {identifier(schema)} REVOKE ALL ON {kind} FROM {', '.join(ROLES)}"
        for schema in granted
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS")
    ]


def marked(facts: Facts, wanted: Wanted) -> list[str]:
    """What marks the database as this environment's. Raises InfraError if it is another's, or if the API serves it."""
    if not wanted.environment:
        return []
    if SCHEMA in wanted.exposed:
        raise InfraError(
            "use",
            f'database "{wanted.database}"',
            f"the REST API serves the schema {SCHEMA}, which is for what deploys record",
            "Remove it there (Project Settings, Data API) and from provider_supabase_exposed_schemas.",
        )
    refuse_another(facts["marker"], wanted.environment, "migrate", wanted.database)
    return [] if environment_of(facts["marker"]) else marking(wanted.environment)


def size_words(facts: Facts, limit_mb: int) -> str:
    """`450 MB of 500 MB; the largest are public.facts (table, 300 MB), ...`"""
    rows = [row for row in facts["largest"] if row["bytes"] >= MEGA][:5]
    shown = ", ".join(f"{row['name']} ({row['kind']}, {row['bytes'] / MEGA:.0f} MB)" for row in rows)
    words = f"{facts['bytes'] / MEGA:.0f} MB of {limit_mb} MB are used"
    return f"{words}; the largest are {shown}" if shown else words


def warnings(facts: Facts, limit_mb: int) -> list[str]:
    if limit_mb and facts["bytes"] >= NEARLY * limit_mb * MEGA:
        return [f"The database is nearly full: {size_words(facts, limit_mb)}. At the limit, it becomes read-only."]
    return []


def refuse_full(facts: Facts, wanted: Wanted) -> None:
    full = wanted.limit_mb and facts["bytes"] >= wanted.limit_mb * MEGA
    if not full and not facts["read_only"]:
        return
    cause = size_words(facts, wanted.limit_mb) if wanted.limit_mb else "it has no limit here"
    raise InfraError(
        "migrate",
        f'database "{wanted.database}"',
        f"it is {'read-only' if facts['read_only'] else 'full'}: {cause}",
        "Delete what is not needed and shrink it (VACUUM FULL; where it is read-only, begin with SET "
        "default_transaction_read_only = off), or use a larger plan and set provider_supabase_database_size_mb.",
    )


def refuse_open(facts: Facts, wanted: Wanted) -> None:
    if not facts["open"]:
        return
    count = len(facts["open"])
    raise InfraError(
        "accept the schema of",
        f'database "{wanted.database}"',
        f"{count} table{'s' * (count != 1)} without row level security can be read or written by whoever has the "
        f"public key of the REST API: {', '.join(facts['open'])}",
        WAYS_OUT,
        open_tables=list(facts["open"]),
    )


def room_mb(facts: Facts, limit_mb: int) -> int | None:
    return max(0, limit_mb - int(facts["bytes"] / MEGA)) if limit_mb else None
