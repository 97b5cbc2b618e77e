from __future__ import annotations

import shutil
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import lint as _alembic_lint
from ansible_collections.nexod.infra.plugins.module_utils._alembic.effects import widens
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import statements_in, table_of
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import (
    ask_squawk,
    judge,
    refusal,
)

LARGE = {"exists": True, "name": "users", "rows": 2_000_000, "empty": False, "columns": {}, "checks": []}
SMALL = {**LARGE, "rows": 100}
EMPTY = {**LARGE, "rows": 0, "empty": True}
ABSENT = {"exists": False, "rows": None, "empty": True}
CHECKED = {**LARGE, "checks": ["CHECK ((email IS NOT NULL))"]}
UNPROVEN = {**LARGE, "checks": ["CHECK ((email IS NOT NULL)) NOT VALID"]}
TYPED = {**LARGE, "columns": {"email": "character varying(20)", "age": "integer"}}

INDEX = "CREATE INDEX ix ON users (name);"
CONCURRENTLY = "CREATE INDEX CONCURRENTLY ix ON users (name);"
REQUIRED = "ALTER TABLE users ALTER COLUMN email SET NOT NULL;"
ADDED = "ALTER TABLE users ADD COLUMN age bigint NOT NULL;"


def verdict(sql: str, table: dict[str, t.Any] | None, *, contract: bool = False) -> list[tuple[str, str, str | None]]:
    """Rule, level and the weighing of each finding that squawk and our own rules have in `sql`."""
    given = {"1": sql}
    found = judge(
        given,
        ask_squawk(squawk(), given, server=150018, lock_timeout=200),
        {"users": table} if table else {},
        contracts={"1"} if contract else set(),
        small=10_000,
        waivers=[],
    )
    return [(one["rule"], one["level"], one["weighed"]) for one in found.findings]


def squawk() -> str:
    beside = Path(sys.executable).with_name("squawk")
    found = str(beside) if beside.exists() else shutil.which("squawk")
    if found is None:
        pytest.fail("squawk is not here: pip install -r requirements.txt", pytrace=False)
    return found


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        (INDEX, "require-concurrent-index-creation"),
        (
            "BEGIN;\nCREATE INDEX CONCURRENTLY ix ON users (name);\nCOMMIT;",
            "ban-concurrent-index-creation-in-transaction",
        ),
        ("ALTER TABLE users ADD CONSTRAINT x CHECK (age > 0);", "constraint-missing-not-valid"),
        (REQUIRED, "adding-not-nullable-field"),
        (ADDED, "adding-required-field"),
        ("ALTER TABLE users ADD COLUMN at timestamptz DEFAULT clock_timestamp();", "adding-field-with-default"),
        ("ALTER TABLE users ALTER COLUMN email TYPE text;", "changing-column-type"),
        ("ALTER TABLE users RENAME COLUMN a TO b;", "renaming-column"),
        ("ALTER TABLE users RENAME TO people;", "renaming-table"),
        ("ALTER TABLE users DROP COLUMN a;", "ban-drop-column"),
        ("DROP TABLE users;", "ban-drop-table"),
        ("TRUNCATE users CASCADE;", "ban-truncate-cascade"),
        ("UPDATE users SET name = 'x';", "whole-table-write"),
        ("DELETE FROM users;", "whole-table-write"),
        ("LOCK TABLE users;", "explicit-lock"),
        ("REFRESH MATERIALIZED VIEW users;", "blocking-refresh"),
        ("VACUUM (FULL) users;", "table-rewrite"),
        ("CLUSTER users USING users_pkey;", "table-rewrite"),
    ],
)
def test_what_harms_a_large_table_is_an_error(sql: str, rule: str) -> None:
    assert (rule, "error", None) in verdict(sql, LARGE)


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN;\nCREATE TABLE users (id bigint);\nCREATE INDEX ix ON users (id);\nCOMMIT;",
        CONCURRENTLY,
        "ALTER TABLE users ADD COLUMN age integer DEFAULT 2 NOT NULL;",
        "UPDATE users SET name = 'x' WHERE id = 1;",
        "LOCK TABLE users IN ACCESS SHARE MODE;",
        "SELECT 1;",
        "",
    ],
)
def test_what_does_no_harm_is_not_told(sql: str) -> None:
    assert verdict(sql, LARGE) == []


@pytest.mark.parametrize(
    ("sql", "table", "contract", "level", "weighed"),
    [
        pytest.param(INDEX, SMALL, False, "info", "the table has about 100 rows", id="small"),
        pytest.param(INDEX, EMPTY, False, "info", "the table is empty", id="empty"),
        pytest.param(INDEX, ABSENT, False, "info", "the table does not exist yet", id="absent"),
        pytest.param(INDEX, None, False, "error", None, id="nothing is known"),
        pytest.param("ALTER TABLE users DROP COLUMN a;", SMALL, False, "error", None, id="readers break at any size"),
        pytest.param(
            "ALTER TABLE users DROP COLUMN a;",
            LARGE,
            True,
            "info",
            "the revision is declared a contract",
            id="contract",
        ),
        pytest.param(ADDED, SMALL, False, "error", None, id="fails on rows"),
        pytest.param(
            "BEGIN;\nDROP INDEX CONCURRENTLY users;\nCREATE INDEX CONCURRENTLY ix ON users (a);\nCOMMIT;",
            EMPTY,
            False,
            "error",
            None,
            id="25001 at any size",
        ),
        pytest.param(
            REQUIRED,
            CHECKED,
            False,
            "info",
            "a validated CHECK proves it, so nothing is scanned",
            id="proven by the database",
        ),
        pytest.param(REQUIRED, UNPROVEN, False, "error", None, id="not valid"),
        pytest.param(
            "ALTER TABLE users ALTER COLUMN email TYPE varchar(50);",
            TYPED,
            False,
            "info",
            "character varying(20) can be widened without a rewrite",
            id="widened",
        ),
        pytest.param("ALTER TABLE users ALTER COLUMN age TYPE bigint;", TYPED, False, "error", None, id="rewritten"),
    ],
)
def test_findings_are_weighed(
    sql: str, table: dict[str, t.Any] | None, contract: bool, level: str, weighed: str | None
) -> None:
    assert (level, weighed) in [one[1:] for one in verdict(sql, table, contract=contract)]


def test_without_a_lock_timeout_every_statement_on_a_large_table_is_named() -> None:
    sql = {"1": "ALTER TABLE users ADD COLUMN a bigint;"}
    said = ask_squawk(squawk(), sql, server=150018, lock_timeout=0)
    assert "require-lock-timeout" in [row["rule"] for row in said]


@pytest.mark.parametrize(("table", "levels"), [(UNPROVEN, []), (LARGE, ["error"])])
def test_a_check_that_an_earlier_revision_validates_proves_it(table: dict[str, t.Any], levels: list[str]) -> None:
    sql = {"1": "ALTER TABLE users VALIDATE CONSTRAINT c;", "2": REQUIRED}
    said = ask_squawk(squawk(), sql, server=150018, lock_timeout=200)
    found = judge(sql, said, {"users": table}, contracts=set(), small=1, waivers=[])
    assert [one["level"] for one in found.findings] == levels


def test_a_waiver_needs_its_finding() -> None:
    waiver = {"rule": "whole-table-write", "revision": "2", "reason": "ten rows"}
    unused = {"rule": "whole-table-write", "revision": "3", "reason": "gone"}
    sql = {"1": "UPDATE users SET a = 1;", "2": "UPDATE users SET a = 2;"}
    found = judge(sql, [], {"users": LARGE}, contracts=set(), small=1, waivers=[waiver, unused])
    assert [(one["revision"], one.get("waived")) for one in found.findings] == [("1", None), ("2", "ten rows")]
    assert found.unused == [unused]
    assert [one["revision"] for one in found.stopping] == ["1"]
    text = str(refusal(found, '"app" at db:5432'))
    assert "1 statement would block or break running code (the first in revision 1: whole-table-write)" in text
    assert "1: whole-table-write on users (about 2000000 rows): every row is rewritten" in text


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("character varying(20)", "varchar(50)", True),
        ("character varying(20)", "text", True),
        ("character varying(20)", "VARCHAR(10)", False),
        ("character varying", "varchar(10)", False),
        ("text", "varchar(10)", False),
        ("numeric(10,2)", "NUMERIC(12, 2)", True),
        ("numeric(10,2)", "numeric(12,4)", False),
        ("numeric(10,2)", "numeric", True),
        ("integer", "bigint", False),
        ("integer", "integer", True),
    ],
)
def test_types_that_keep_their_rows(old: str, new: str, kept: bool) -> None:
    assert widens(old, new) is kept


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("ALTER TABLE IF EXISTS ONLY app.users ADD COLUMN a int", "app.users"),
        ('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "Ix" ON "T a" (b)', '"T a"'),
        ("CREATE INDEX ON users (a)", "users"),
        ("DROP INDEX CONCURRENTLY ix", "ix"),
        ("-- said\nUPDATE ONLY users SET a = 1", "users"),
        ("INSERT INTO users VALUES (1)", "users"),
        ("TRUNCATE TABLE users", "users"),
        ("SELECT 1", None),
        ("CREATE TABLE users ()", None),
    ],
)
def test_the_table_of_a_statement(statement: str, table: str | None) -> None:
    assert table_of(statement) == table


def test_statements_are_told_apart_through_quotes() -> None:
    sql = "SELECT ';';\n\n-- a; comment\nDO $x$ BEGIN; END $x$;\nSELECT 2"
    assert statements_in(sql) == [
        (0, "SELECT ';'"),
        (2, "-- a; comment\nDO $x$ BEGIN; END $x$"),
        (4, "SELECT 2"),
    ]


def test_squawk_that_fails_is_said(tmp_path: Path) -> None:
    broken = tmp_path / "squawk"
    broken.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(_alembic_lint.InfraError, match="rc 3: broken"):
        ask_squawk(str(broken), {"1": "SELECT 1;"}, server=150018, lock_timeout=200)
