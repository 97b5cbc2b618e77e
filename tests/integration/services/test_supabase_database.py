"""The database that stands in for Supabase's has what their users run into."""

from __future__ import annotations

import contextlib
import typing as t

import psycopg2
import pytest

from ..supabase_database import SupabaseDatabase

OPEN = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
"""


@pytest.fixture
def table(supabase_database: SupabaseDatabase) -> t.Iterator[SupabaseDatabase]:
    supabase_database.rows("CREATE TABLE public.facts (id serial PRIMARY KEY, text text)")
    yield supabase_database
    supabase_database.rows("DROP TABLE public.facts")


def test_it_is_postgresql_15_with_supabase_s_schemas(supabase_database: SupabaseDatabase) -> None:
    assert supabase_database.rows("SHOW server_version_num")[0][0].startswith("15")
    schemas = {name for (name,) in supabase_database.rows("SELECT nspname FROM pg_namespace")}
    assert schemas > {"auth", "storage", "realtime", "extensions", "graphql", "vault", "supabase_migrations", "public"}
    in_extensions = "SELECT extname FROM pg_extension WHERE extnamespace = 'extensions'::regnamespace"
    assert ("pgcrypto",) in supabase_database.rows(in_extensions)


def test_postgres_is_no_superuser_but_makes_roles_and_databases(supabase_database: SupabaseDatabase) -> None:
    assert supabase_database.rows(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = 'postgres'"
    ) == [(False, True, True, True)]
    supabase_database.rows("CREATE ROLE facts_reader")
    supabase_database.rows("DROP ROLE facts_reader")


def test_a_new_table_in_public_is_open_to_the_anon_key(table: SupabaseDatabase) -> None:
    assert table.rows(OPEN) == [("facts",)]
    with contextlib.closing(table.connect(user="authenticator")) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE anon")
        cursor.execute("INSERT INTO public.facts (text) VALUES ('by anybody') RETURNING text")
        assert cursor.fetchall() == [("by anybody",)]


def test_row_level_security_closes_it(table: SupabaseDatabase) -> None:
    table.rows("ALTER TABLE public.facts ENABLE ROW LEVEL SECURITY")
    assert table.rows(OPEN) == []
    with contextlib.closing(table.connect(user="authenticator")) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE anon")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security"):
            cursor.execute("INSERT INTO public.facts (text) VALUES ('by anybody')")


def test_the_services_tables_are_not_postgres_own(supabase_database: SupabaseDatabase) -> None:
    assert supabase_database.rows("SELECT count(*) FROM auth.users") == [(0,)]
    for statement in ("ALTER TABLE auth.users ADD facts text", "CREATE TABLE auth.facts (id int)"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            supabase_database.rows(statement)


@pytest.mark.parametrize(("mode", "same"), [("session", True), ("transaction", False)])
def test_the_pooler_keeps_a_session_in_session_mode_only(
    supabase_database: SupabaseDatabase, mode: str, same: bool
) -> None:
    """What a migration needs: a lock or a setting that outlives the transaction."""
    port = getattr(supabase_database, mode)
    with contextlib.ExitStack() as stack:
        one, other = (
            stack.enter_context(contextlib.closing(supabase_database.connect(port=port))) for _try in range(2)
        )
        pids = []
        for connection in (one, other):
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_user, pg_backend_pid()")
                user, pid = cursor.fetchone()
                assert user == "postgres"
                pids.append(pid)
        assert (pids[0] != pids[1]) is same
