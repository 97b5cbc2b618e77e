"""The module supabase_database on a PostgreSQL laid out as Supabase's, through the pooler in session mode."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ..playbook import run_task
from ..supabase_database import SupabaseDatabase

GRANTED = "SELECT has_table_privilege('anon', 'public.facts', 'SELECT')"


@pytest.fixture
def database(supabase_database: SupabaseDatabase) -> t.Iterator[SupabaseDatabase]:
    try:
        yield supabase_database
    finally:
        supabase_database.as_it_was()


def run(folder: Path, database: SupabaseDatabase, *flags: str, **options: t.Any) -> dict[str, t.Any]:
    given = {
        "host": "127.0.0.1",
        "port": database.session,
        "user": database.pooler_user,
        "password": database.direct.password,
        "sslmode": "disable",
        **options,
    }
    found, _said, output = run_task(folder, {"nexod.infra.supabase_database": given}, "-vvv", *flags)
    assert database.direct.password not in output
    return found


def test_a_schema_is_closed_once_and_predicted_before(tmp_path: Path, database: SupabaseDatabase) -> None:
    options = {"state": "prepared", "closed_schemas": ["public"]}
    predicted = run(tmp_path, database, "--check", **options)
    database.rows("CREATE TABLE public.facts (id int)")
    assert database.rows(GRANTED) == [(True,)]
    database.rows("DROP TABLE public.facts")

    done = run(tmp_path, database, **options)
    assert (predicted["changed"], predicted["statements"]) == (done["changed"], done["statements"])
    assert len(done["statements"]) == 3
    database.rows("CREATE TABLE public.facts (id int)")
    assert database.rows(GRANTED) == [(False,)]
    assert run(tmp_path, database, **options)["changed"] is False
    assert run(tmp_path, database, state="verified")["open_tables"] == []


def test_a_database_of_another_environment_is_refused(tmp_path: Path, database: SupabaseDatabase) -> None:
    options = {"state": "prepared", "environment": "dev"}
    predicted = run(tmp_path, database, "--check", **options)
    assert database.rows("SELECT to_regnamespace('nexod_infra')") == [(None,)]
    done = run(tmp_path, database, **options)
    assert (predicted["changed"], predicted["statements"]) == (True, done["statements"])
    assert run(tmp_path, database, **options)["changed"] is False
    for flags in (("--check",), ()):
        found = run(tmp_path, database, *flags, state="prepared", environment="production", closed_schemas=["public"])
        assert "it is the one of the environment dev, and this is a deploy of production" in found["msg"]
    assert len(run(tmp_path, database, "--check", closed_schemas=["public"], **options)["statements"]) == 3


WAYS_OUT = {
    "a private schema": "CREATE SCHEMA private; ALTER TABLE public.facts SET SCHEMA private",
    "no rights": "REVOKE ALL ON public.facts FROM anon, authenticated",
    "row level security": "ALTER TABLE public.facts ENABLE ROW LEVEL SECURITY",
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_an_open_table_is_named_until_it_is_closed(tmp_path: Path, database: SupabaseDatabase, way: str) -> None:
    database.rows("CREATE TABLE public.facts (id int)")
    found = run(tmp_path, database, state="verified")
    assert found["failed"]
    assert found["open_tables"] == ["facts"]
    assert "1 table without row level security" in found["msg"]
    assert run(tmp_path, database)["open_tables"] == ["facts"]
    assert "failed" not in run(tmp_path, database, "--check", state="verified")
    database.rows(WAYS_OUT[way])
    assert "failed" not in run(tmp_path, database, state="verified")


def test_a_database_that_is_full_or_nearly_so(tmp_path: Path, database: SupabaseDatabase) -> None:
    database.rows("CREATE TABLE public.facts AS SELECT n, repeat('x', 500) FROM generate_series(1, 10000) AS n")
    size = run(tmp_path, database, state="prepared")["size_mb"]
    full = run(tmp_path, database, state="prepared", size_limit_mb=size)
    assert full["failed"]
    assert f"it is full: {size} MB of {size} MB are used; the largest are facts (table, 5 MB)" in full["msg"]
    nearly = run(tmp_path, database, state="prepared", size_limit_mb=size + 2)
    assert nearly["room_mb"] == 2
    assert "The database is nearly full" in nearly["warnings"][0]
    assert "warnings" not in run(tmp_path, database, state="prepared", size_limit_mb=2 * size)


def test_check_mode_of_a_project_that_is_paused(tmp_path: Path, database: SupabaseDatabase) -> None:
    found = run(tmp_path, database, "--check", state="prepared", host="supabase-project.is-paused.invalid")
    assert (found["changed"], found["inspected"]) == (False, False)
