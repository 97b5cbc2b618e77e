"""Which pending statements would open a table to a public API, and how much room they need."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.exposed import exposed, room_needed
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import check_room, judge, refusal
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

NEW = "CREATE TABLE facts (id int);"
BOTH = "anon, authenticated"


@pytest.mark.parametrize(
    ("revisions", "open_tables"),
    [
        ([NEW], ["public.facts"]),
        (['CREATE TABLE IF NOT EXISTS "public"."Facts" (id int);'], ["public.Facts"]),
        (["CREATE UNLOGGED TABLE facts AS SELECT 1;"], ["public.facts"]),
        (["CREATE TABLE part PARTITION OF facts FOR VALUES IN (1);"], ["public.part"]),
        (["CREATE TEMPORARY TABLE facts (id int);"], []),
        # Ways out: a private schema.
        (["CREATE TABLE private.facts (id int);"], []),
        (["SET search_path TO private, public;" + NEW], []),
        (["SET search_path TO private;" + NEW, NEW], ["public.facts"]),
        ([NEW + "ALTER TABLE facts SET SCHEMA private;"], []),
        # Row level security, also in a later revision, and by another name.
        ([NEW, "ALTER TABLE public.facts ENABLE ROW LEVEL SECURITY;"], []),
        ([NEW + "ALTER TABLE facts RENAME TO others;", "ALTER TABLE others ENABLE ROW LEVEL SECURITY;"], []),
        ([NEW + "ALTER TABLE facts RENAME TO others;"], ["public.others"]),
        ([NEW + "ALTER TABLE others ENABLE ROW LEVEL SECURITY;"], ["public.facts"]),
        (
            [NEW + "ALTER TABLE facts ENABLE ROW LEVEL SECURITY;ALTER TABLE facts DISABLE ROW LEVEL SECURITY;"],
            ["public.facts"],
        ),
        (["ALTER TABLE facts DISABLE ROW LEVEL SECURITY;"], ["public.facts"]),
        # Rights, of both roles.
        ([NEW + f"REVOKE ALL ON facts FROM {BOTH};"], []),
        ([NEW + f"REVOKE ALL PRIVILEGES ON TABLE others, public.facts FROM {BOTH} CASCADE;"], []),
        ([NEW + f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {BOTH};"], []),
        ([NEW + "REVOKE ALL ON facts FROM anon;"], ["public.facts"]),
        ([NEW + f"REVOKE SELECT ON facts FROM {BOTH};"], ["public.facts"]),
        ([f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM {BOTH};" + NEW], []),
        ([NEW + f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM {BOTH};"], ["public.facts"]),
        ([NEW + "DROP TABLE facts;"], []),
        # Extensions.
        (["CREATE EXTENSION pgcrypto;"], ["pgcrypto"]),
        (['CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;'], ["uuid-ossp"]),
        (["CREATE EXTENSION pgcrypto WITH SCHEMA extensions;"], []),
    ],
)
def test_what_is_open_when_all_has_run(revisions: list[str], open_tables: list[str]) -> None:
    given = {f"{number:04}": text for number, text in enumerate(revisions, start=1)}
    assert [one.table for one in exposed(given, ["public"])] == open_tables
    assert exposed(given, []) == []


def test_it_is_an_error_that_names_the_three_ways_out() -> None:
    verdict = judge({"1": NEW}, [], {}, contracts=(), small=10_000, waivers=[], exposed_schemas=["public"])
    assert [(one["rule"], one["level"]) for one in verdict.stopping] == [("table-without-row-level-security", "error")]
    said = str(refusal(verdict, "the database"))
    assert "1 statement would open data to a public API" in said
    for way in ("CREATE SCHEMA private", "REVOKE ALL ON ... FROM anon, authenticated", "ENABLE ROW LEVEL SECURITY"):
        assert way in said


def test_it_can_be_waived() -> None:
    waiver = {"rule": "table-without-row-level-security", "revision": "1", "reason": "it is public"}
    verdict = judge({"1": NEW}, [], {}, contracts=(), small=1, waivers=[waiver], exposed_schemas=["public"])
    assert verdict.stopping == []
    assert list(verdict.unused) == []


MEGA = 1 << 20
TABLES = {"facts": {"exists": True, "name": "public.facts", "bytes": 100 * MEGA, "rows": 9, "empty": False}}


@pytest.mark.parametrize(
    ("sql", "megabytes"),
    [
        ("ALTER TABLE facts ALTER COLUMN id TYPE bigint;", 100),
        ("CREATE INDEX CONCURRENTLY ix ON facts (id);", 50),
        ("ALTER TABLE facts ADD CONSTRAINT u UNIQUE (id);", 50),
        ("UPDATE facts SET id = 1;", 100),
        ("UPDATE facts SET id = 1 WHERE id = 2;", 0),
        ("ALTER TABLE facts ADD COLUMN text text;", 0),
        ("CREATE INDEX ix ON others (id);", 0),
    ],
)
def test_the_room_that_is_needed(sql: str, megabytes: int) -> None:
    facts = {**TABLES["facts"], "columns": {"id": "integer"}, "checks": []}
    assert sum(room_needed({"1": sql}, {"facts": facts}).values()) == megabytes * MEGA


def test_what_does_not_fit_is_refused() -> None:
    sql = {"1": "CREATE INDEX ix ON facts (id);"}
    with pytest.raises(InfraError, match=r"need about 50 MB, and 49 MB are left: public\.facts \(50 MB\)"):
        check_room({"room_mb": 49}, sql, TABLES, "the database")
    check_room({"room_mb": 50}, sql, TABLES, "the database")
    check_room({}, sql, TABLES, "the database")
