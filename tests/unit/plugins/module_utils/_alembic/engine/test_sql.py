from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import (
    CONCURRENTLY,
    CREATED_INDEX,
    only_sets_up,
)


@pytest.mark.parametrize(
    ("statement", "name", "table"),
    [
        ("CREATE INDEX CONCURRENTLY things_name ON things (name)", "things_name", "things"),
        ('create unique index concurrently if not exists "A b" ON ONLY public."T" (x)', '"A b"', 'public."T"'),
        ("CREATE INDEX things_name ON things (name)", None, None),
    ],
)
def test_concurrent_indexes_are_known(statement: str, name: str | None, table: str | None) -> None:
    found = CREATED_INDEX.match(statement)
    assert (found["name"], found["table"]) == (name, table) if found else name is None
    assert bool(CONCURRENTLY.match(statement)) == (name is not None)


@pytest.mark.parametrize(
    ("sql", "left_out"),
    [
        ("CREATE SCHEMA IF NOT EXISTS a", True),
        ("/* ours */ create schema a; -- and\nCREATE EXTENSION IF NOT EXISTS citext;", True),
        ("CREATE UNLOGGED TABLE t (id int GENERATED ALWAYS AS IDENTITY)", True),
        ("GRANT USAGE ON SCHEMA a TO app", True),
        ("COMMENT ON SCHEMA a IS 'as SELECT'", True),
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA a GRANT SELECT ON TABLES TO app", True),
        ('ALTER TABLE a.alembic_version ALTER COLUMN "version_num" TYPE varchar(128)', True),
        ("ALTER TABLE IF EXISTS ONLY alembic_version ALTER version_num SET DATA TYPE text", True),
        ("", False),
        ("-- nothing", False),
        ("SELECT 1", False),
        ("CREATE TABLE a.alembic_version AS SELECT * FROM alembic_version", False),
        ("CREATE TABLE a.alembic_version AS TABLE alembic_version", False),
        ("CREATE SCHEMA a CREATE TABLE alembic_version AS (SELECT 1)", False),
        ("CREATE SCHEMA a; DROP TABLE t", False),
        ("CREATE ROLE app", False),
        ("CREATE DATABASE other", False),
        ("DROP SCHEMA a", False),
        ("ALTER TABLE alembic_version RENAME TO old", False),
        ("ALTER TABLE t ALTER name TYPE text", False),
        ("INSERT INTO alembic_version VALUES ('1')", False),
        ("DO $$ BEGIN CREATE SCHEMA a; END $$", False),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", False),
    ],
)
def test_what_a_plan_leaves_out(sql: str, left_out: bool) -> None:
    assert only_sets_up(sql) is left_out
