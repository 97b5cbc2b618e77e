"""The lint's own rules, without squawk: each statement on a large table with what is found, and at which level."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.effects import effects_of
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import search_path_in, tables_in
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import judge

LARGE: dict[str, t.Any] = {
    "exists": True,
    "name": "users",
    "kind": "r",
    "rows": 2_000_000,
    "empty": False,
    "columns": {"name": "text", "code": "character varying(20)", "net": "cidr", "age": "integer"},
    "checks": [],
    "persistence": "p",
}
PARTITIONED = {**LARGE, "name": "parted", "kind": "p"}
FITTING = {**LARGE, "name": "fitting", "checks": ["CHECK (((id >= 50) AND (id < 60)))"]}
TABLES = {"users": LARGE, "parted": PARTITIONED, "fitting": FITTING, "piece": {**LARGE, "name": "piece"}}


def found(sql: str, *, contract: bool = False, limit: int = 200, **given: t.Any) -> list[tuple[str, str]]:
    verdict = judge(
        {"1": sql},
        [],
        given.pop("tables", TABLES),
        contracts={"1"} if contract else set(),
        small=10_000,
        waivers=[],
        limit=limit,
        **given,
    )
    return [(one["rule"], one["level"]) for one in verdict.findings if one["level"] != "info"]


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        # Rows, or the whole of something, are lost.
        ("TRUNCATE users", "truncate"),
        ("truncate table only users, piece restart identity", "truncate"),
        ("DROP SCHEMA app CASCADE", "ban-drop-schema"),
        ("DROP OWNED BY app", "ban-drop-schema"),
        ("DROP DATABASE app", "ban-drop-database"),
        ("DROP TABLE IF EXISTS users", "ban-drop-table"),
        ("DROP VIEW people", "ban-drop-view"),
        ("DROP MATERIALIZED VIEW people", "ban-drop-view"),
        ("DROP TYPE mood", "ban-drop-type"),
        ("DROP DOMAIN email", "ban-drop-domain"),
        ("DROP FUNCTION f(int)", "ban-drop-function"),
        ("DROP SEQUENCE s", "ban-drop-sequence"),
        ("DROP EXTENSION citext CASCADE", "ban-drop-extension"),
        # Running code uses the old name, or finds no rows.
        ("ALTER TABLE users SET SCHEMA old", "ban-set-schema"),
        ("ALTER VIEW people SET SCHEMA old", "ban-set-schema"),
        ("ALTER TYPE mood RENAME VALUE 'sad' TO 'low'", "renaming-object"),
        ("ALTER TYPE mood RENAME TO temper", "renaming-object"),
        ("ALTER VIEW people RENAME TO persons", "renaming-object"),
        ("ALTER SEQUENCE s RENAME TO t", "renaming-object"),
        ("ALTER SCHEMA app RENAME TO app2", "renaming-object"),
        ("ALTER TABLE parted DETACH PARTITION piece", "require-concurrent-partition-detach"),
        ("ALTER TABLE parted DETACH PARTITION piece CONCURRENTLY", "detaching-partition"),
        ("ALTER TABLE users NO INHERIT people", "ban-detach-inheritance"),
        ("ALTER TABLE users ENABLE ROW LEVEL SECURITY", "ban-alter-row-level-security"),
        ("ALTER TABLE users FORCE ROW LEVEL SECURITY", "ban-alter-row-level-security"),
        ("ALTER TABLE users DISABLE TRIGGER ALL", "ban-disable-trigger"),
        ("SET session_replication_role = replica", "ban-disable-trigger"),
        ("REVOKE SELECT ON users FROM app", "ban-revoke"),
        # Rewritten or scanned while others wait.
        ("REINDEX TABLE users", "require-concurrent-reindex"),
        ("REINDEX (VERBOSE) INDEX users_pkey", "require-concurrent-reindex"),
        ("ALTER TABLE users ADD COLUMN n bigserial", "adding-field-with-default"),
        ("ALTER TABLE users ADD COLUMN n int GENERATED ALWAYS AS IDENTITY", "adding-field-with-default"),
        ("ALTER TABLE users ADD n uuid DEFAULT uuid_generate_v4()", "adding-field-with-default"),
        ("ALTER TABLE users SET UNLOGGED", "table-rewrite"),
        ("ALTER TABLE users SET TABLESPACE fast", "table-rewrite"),
        ("ALTER TABLE users SET ACCESS METHOD columnar", "table-rewrite"),
        ("ALTER INDEX users_pkey SET TABLESPACE fast", "table-rewrite"),
        ("ALTER MATERIALIZED VIEW people SET TABLESPACE fast", "table-rewrite"),
        ("ALTER TABLE ALL IN TABLESPACE slow SET TABLESPACE fast", "table-rewrite"),
        ("ALTER TABLE parted ATTACH PARTITION piece FOR VALUES FROM (50) TO (60)", "attaching-unchecked-partition"),
        ("ALTER TABLE users ALTER age SET EXPRESSION AS (id * 2)", "adding-field-with-default"),
        ("ALTER DOMAIN email SET NOT NULL", "ban-alter-domain-with-add-constraint"),
        ("LOCK users", "explicit-lock"),
        ("SELECT id FROM users FOR UPDATE", "explicit-lock"),
        # Every row.
        ("UPDATE users SET age = 1", "whole-table-write"),
        ("UPDATE users SET age = 1 WHERE true", "whole-table-write"),
        ("UPDATE users SET age = 1 WHERE (1 = 1)", "whole-table-write"),
        ("UPDATE users SET age = 1 WHERE age IS NULL", "whole-table-write"),
        ("UPDATE users SET age = (SELECT n FROM m WHERE m.id = users.id)", "whole-table-write"),
        ("UPDATE users SET name = 'where' /* where */", "whole-table-write"),
        ("UPDATE users SET age = m.age FROM m", "whole-table-write"),
        ("DELETE FROM users RETURNING id", "whole-table-write"),
        ("DELETE FROM users USING m", "whole-table-write"),
        ("WITH m AS (SELECT 1 WHERE true) UPDATE users SET age = 1", "whole-table-write"),
        ("WITH gone AS (DELETE FROM users RETURNING *) INSERT INTO old SELECT * FROM gone", "whole-table-write"),
        # The run's own limit is replaced.
        ("SET lock_timeout = 0", "own-lock-timeout"),
        ("SET LOCAL lock_timeout TO '5s'", "own-lock-timeout"),
        ("SET lock_timeout TO DEFAULT", "own-lock-timeout"),
        ("SELECT set_config('lock_timeout', '0', false)", "own-lock-timeout"),
        ("ALTER ROLE app SET lock_timeout = '1min'", "own-lock-timeout"),
        ("RESET ALL", "own-lock-timeout"),
        ("DISCARD ALL", "own-lock-timeout"),
    ],
)
def test_what_harms_is_found(sql: str, rule: str) -> None:
    assert (rule, "error") in found(sql)


@pytest.mark.parametrize(
    "sql", ["DO $$ BEGIN UPDATE users SET age = 1; END $$", "CALL fill()", "EXECUTE prepared", "do language plpgsql ''"]
)
def test_what_cannot_be_seen_is_a_level_of_its_own(sql: str) -> None:
    assert found(sql) == [("opaque-statement", "unknown")]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE users ADD COLUMN n int DEFAULT (1+1)",
        "ALTER TABLE users ADD COLUMN n text DEFAULT lower('A')",
        "ALTER TABLE users ADD COLUMN n text DEFAULT 'random()' NOT NULL",
        "ALTER TABLE users ADD COLUMN n int REFERENCES m (id)",
        "ALTER TABLE users ADD COLUMN n int NULL",
        "ALTER TABLE users ALTER COLUMN code TYPE varchar(40)",
        "ALTER TABLE users ALTER COLUMN name TYPE varchar",
        "ALTER TABLE users ALTER COLUMN net TYPE inet",
        "ALTER TABLE users SET LOGGED",
        "ALTER TABLE users RENAME CONSTRAINT a TO b",
        "ALTER TABLE parted ATTACH PARTITION fitting FOR VALUES FROM (50) TO (60)",
        "CREATE INDEX ix ON ONLY parted (name)",
        "CREATE INDEX CONCURRENTLY ix ON users (name)",
        "REINDEX INDEX CONCURRENTLY users_pkey",
        "REINDEX (CONCURRENTLY) INDEX users_pkey",
        "DROP INDEX CONCURRENTLY IF EXISTS ix",
        "ALTER TABLE users VALIDATE CONSTRAINT c",
        "ALTER TABLE users ADD CONSTRAINT c CHECK (age > 0) NOT VALID",
        "UPDATE users SET age = 1 WHERE id BETWEEN 1 AND 1000",
        "UPDATE users SET age = 1 WHERE id IN (SELECT id FROM users WHERE age IS NULL LIMIT 1000)",
        "INSERT INTO users SELECT * FROM old",
        "INSERT INTO users VALUES (1) ON CONFLICT (id) DO UPDATE SET age = 1",
        "SELECT id FROM users WHERE id = 1 FOR UPDATE",
        "SET LOCAL lock_timeout = '100ms'",
        "SET lock_timeout = 150",
        "SET statement_timeout = 0",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY people",
        "ALTER TYPE mood ADD VALUE 'calm'",
        "COMMENT ON TABLE users IS 'truncate; drop table users'",
        "GRANT TRUNCATE ON users TO app",
        "CREATE TABLE n (id int); CREATE INDEX ON n (id); UPDATE n SET id = 1; DROP TABLE n",
        "DROP VIEW people; CREATE VIEW people AS SELECT 1",
        "DROP FUNCTION f(int); CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "CREATE TYPE mood2 AS ENUM ('a'); DROP TYPE mood2",
    ],
)
def test_what_does_no_harm_is_not_found(sql: str) -> None:
    assert found(sql) == []


ADDED = "ALTER TABLE users ADD COLUMN n int"
BACKFILL = "UPDATE users SET n = 1 WHERE id < 1000"
UNCHECKED = "ALTER TABLE users ADD CONSTRAINT c CHECK (age > 0) NOT VALID"


@pytest.mark.parametrize(
    ("sql", "rules"),
    [
        pytest.param(f"BEGIN; {ADDED}; {BACKFILL}; COMMIT", ["lock-held"], id="backfill with its column"),
        pytest.param(f"BEGIN; {ADDED}; COMMIT; BEGIN; {BACKFILL}; COMMIT", [], id="two transactions"),
        pytest.param(f"BEGIN; {BACKFILL}; {ADDED}; COMMIT", [], id="the lock comes last"),
        pytest.param(
            f"{UNCHECKED}; ALTER TABLE users VALIDATE CONSTRAINT c", ["lock-held"], id="validated under the lock"
        ),
        pytest.param(f"{UNCHECKED}; COMMIT; ALTER TABLE users VALIDATE CONSTRAINT c", [], id="validated later"),
        pytest.param(f"{ADDED}; UPDATE piece SET age = 2 WHERE id = 1", [], id="another table"),
        pytest.param(f"{ADDED}; INSERT INTO users SELECT * FROM old", ["lock-held"], id="filled under the lock"),
    ],
)
def test_rows_that_are_read_or_written_under_an_earlier_lock(sql: str, rules: list[str]) -> None:
    assert [rule for rule, _level in found(sql)] == rules


def test_a_check_that_was_validated_before_proves_not_null() -> None:
    added = "ALTER TABLE users ADD CONSTRAINT c CHECK (name IS NOT NULL) NOT VALID"
    required = "ALTER TABLE users ALTER COLUMN name SET NOT NULL"
    assert found(f"{added}; COMMIT; ALTER TABLE users VALIDATE CONSTRAINT c; COMMIT; {required}") == []
    assert found(f"{added}; COMMIT; {required}") == [("adding-not-nullable-field", "error")]


@pytest.mark.parametrize(
    ("sql", "contract"),
    [
        ("DROP SCHEMA app CASCADE", True),
        ("TRUNCATE users", True),
        ("ALTER TABLE users RENAME name TO title", True),
        ("SET lock_timeout = 0", False),
        ("ALTER TABLE users SET UNLOGGED", False),
    ],
)
def test_a_contract_may_remove_but_not_block(sql: str, contract: bool) -> None:
    assert (found(sql, contract=True) == []) is contract


@pytest.mark.parametrize(
    ("table", "level"),
    [
        pytest.param({"exists": True, "name": "users", "rows": None, "empty": False}, "error", id="unknown size"),
        pytest.param({**LARGE, "rows": 100}, "info", id="small"),
        pytest.param({**LARGE, "rows": 0, "empty": True}, "info", id="empty"),
        pytest.param({"exists": False, "rows": None, "empty": True}, "info", id="absent"),
        pytest.param({**LARGE, "kind": "v", "rows": None}, "error", id="a view has no rows to count"),
    ],
)
def test_findings_are_weighed_by_the_table(table: dict[str, t.Any], level: str) -> None:
    verdict = judge({"1": "REINDEX TABLE users"}, [], {"users": table}, contracts=(), small=1000, waivers=[])
    assert [one["level"] for one in verdict.findings] == [level]


def test_of_several_tables_the_one_that_is_not_harmless_decides() -> None:
    tables = {"piece": {**LARGE, "name": "piece", "empty": True, "rows": 0}, "users": LARGE}
    verdict = judge({"1": "TRUNCATE piece, users"}, [], tables, contracts=(), small=1000, waivers=[])
    assert [(one["level"], one["table"]) for one in verdict.findings] == [("error", "users")]


@pytest.mark.parametrize(
    ("empty", "level"), [pytest.param(True, "info", id="first run"), pytest.param(False, "unknown", id="later")]
)
def test_what_was_not_rendered(empty: bool, level: str) -> None:
    verdict = judge(
        {"1": ""}, [], {}, contracts=(), small=1, waivers=[], incomplete={"1": "AttributeError"}, empty=empty
    )
    assert [(one["rule"], one["level"]) for one in verdict.findings] == [("not-rendered", level)]


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("DROP TABLE a, app.b CASCADE", ["a", "app.b"]),
        ("TRUNCATE ONLY a, only b", ["a", "b"]),
        ("LOCK TABLE a, b IN SHARE MODE", ["a", "b"]),
        ('ALTER TABLE parent ATTACH PARTITION app."P" DEFAULT', ["parent", 'app."P"']),
        ("ALTER INDEX IF EXISTS app.ix SET (fillfactor = 50)", ["app.ix"]),
        ("DROP MATERIALIZED VIEW v", ["v"]),
        ("SELECT a, b FROM c", []),
    ],
)
def test_all_tables_of_a_statement(statement: str, tables: list[str]) -> None:
    assert tables_in(statement) == tables


@pytest.mark.parametrize(
    ("statement", "path"),
    [
        ("SET search_path TO app, public", ("app", "public")),
        ("set local search_path = 'App', \"B\"", ("App", "B")),
        ('SET SESSION search_path TO "$user", App', ("app",)),
        ("SELECT set_config('search_path', 'a, b', true)", ("a", "b")),
        ("SET search_path TO DEFAULT", ()),
        ("SELECT 'SET search_path TO a'", None),
        ("SHOW search_path", None),
    ],
)
def test_the_search_path_that_a_statement_sets(statement: str, path: tuple[str, ...] | None) -> None:
    assert search_path_in(statement) == path


@pytest.mark.parametrize(
    "statement",
    [
        # Forms of newer servers than the one that the integration tests run on.
        "ALTER TABLE users ALTER COLUMN age SET EXPRESSION AS (id * 2)",
        "ALTER TABLE users ADD CONSTRAINT c NOT NULL name NOT VALID",
        "ALTER TABLE users ALTER CONSTRAINT c NOT ENFORCED",
        "ALTER TABLE users ALTER CONSTRAINT c NO INHERIT",
        "ALTER TABLE ALL IN TABLESPACE a OWNED BY b SET TABLESPACE c NOWAIT",
        "ALTER TABLE parted DETACH PARTITION piece FINALIZE",
        "ALTER FOREIGN TABLE f OPTIONS (SET schema_name 'x')",
    ],
)
def test_forms_of_other_servers_are_known(statement: str) -> None:
    assert effects_of(statement, {})


def test_a_form_that_is_not_known_is_left_to_squawk() -> None:
    assert effects_of("ALTER TABLE users FROBNICATE", {}) is None
    assert effects_of("SELECT 1", {}) is None
