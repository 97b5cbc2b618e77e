"""Seeds in a database laid out as Supabase's, through the pooler in session mode."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ..playbook import run_task
from ..supabase_database import SupabaseDatabase

#: What a text could end too early, in every layer that it goes through: psql, DO, EXECUTE.
AWKWARD = "it's $$a$$ \\n :name; ä"
USERS = f"""
CREATE TABLE public.users (id int PRIMARY KEY, name text);
INSERT INTO public.users VALUES (1, '{AWKWARD.replace("'", "''")}');
CREATE FUNCTION public.one() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN 1; END; $f$;
SELECT * FROM public.users; -- the end
"""


class Seeds:
    def __init__(self, folder: Path, database: SupabaseDatabase) -> None:
        self.folder, self.database = folder, database

    def file(self, name: str, sql: str) -> dict[str, t.Any]:
        (self.folder / name).write_text(sql)
        return {"file": str(self.folder / name)}

    def run(self, *flags: str, **options: t.Any) -> dict[str, t.Any]:
        given = {
            "environment": "dev",
            "host": "127.0.0.1",
            "port": self.database.session,
            "user": self.database.pooler_user,
            "password": self.database.direct.password,
            "sslmode": "disable",
            **options,
        }
        found, _said, output = run_task(self.folder, {"nexod.infra.supabase_seed": given}, "-vvv", *flags)
        assert self.database.direct.password not in output
        return found

    def names(self) -> list[str]:
        return [name for (name,) in self.database.rows("SELECT name FROM nexod_infra.seeds ORDER BY run_at")]


@pytest.fixture
def seeds(tmp_path: Path, supabase_database: SupabaseDatabase) -> t.Iterator[Seeds]:
    try:
        yield Seeds(tmp_path, supabase_database)
    finally:
        supabase_database.rows("DROP FUNCTION IF EXISTS public.one")
        supabase_database.as_it_was()


def test_each_is_run_once_in_order(seeds: Seeds) -> None:
    declared = [seeds.file("users.sql", USERS), seeds.file("facts.sql", "UPDATE public.users SET id = 2")]
    paths = [row["file"] for row in declared]
    planned = seeds.run("--check", seeds=declared)
    assert (planned["changed"], planned["seeds"]) == (True, paths)
    assert seeds.database.rows("SELECT to_regclass('public.users'), to_regnamespace('nexod_infra')") == [(None, None)]
    done = seeds.run(seeds=declared)
    assert (done["changed"], done["seeds"]) == (True, paths)
    assert seeds.database.rows("SELECT id, name FROM public.users") == [(2, AWKWARD)]
    assert seeds.names() == ["users.sql", "facts.sql"]
    for flags in (("--check",), ()):
        assert seeds.run(*flags, seeds=declared)["changed"] is False
    # The API has no way to the records.
    for role in ("anon", "authenticated"):
        assert seeds.database.rows(f"SELECT has_schema_privilege('{role}', 'nexod_infra', 'USAGE')") == [(False,)]


def test_a_file_that_has_changed(seeds: Seeds) -> None:
    seeds.database.rows("CREATE TABLE public.facts (id int)")
    seeds.run(seeds=[seeds.file("facts.sql", "INSERT INTO public.facts VALUES (1)")])
    changed = seeds.file("facts.sql", "INSERT INTO public.facts VALUES (2)")
    left = seeds.run(seeds=[changed])
    assert (left["changed"], left["not_run_again"]) == (False, [changed["file"]])
    assert "has changed since it was run, and is not run again" in left["warnings"][0]
    assert seeds.run("--check", seeds=[{**changed, "again": True}])["changed"] is True
    assert seeds.run(seeds=[{**changed, "again": True}])["changed"] is True
    assert seeds.database.rows("SELECT id FROM public.facts ORDER BY 1") == [(1,), (2,)]
    assert seeds.run(seeds=[changed])["changed"] is False


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("INSERT INTO public.facts VALUES (1); INSERT INTO public.nowhere VALUES (1)", "nowhere"),
        ("INSERT INTO public.facts VALUES (1); COMMIT; SELECT 1/0", "EXECUTE of transaction commands"),
        ("INSERT INTO public.facts VALUES (1);\n\\! touch /tmp/no\n", "syntax error"),
    ],
)
def test_one_that_fails_leaves_nothing_and_stops_those_behind_it(seeds: Seeds, sql: str, says: str) -> None:
    seeds.database.rows("CREATE TABLE public.facts (id int)")
    before, behind = (seeds.file(f"{name}.sql", "INSERT INTO public.facts VALUES (9)") for name in ("before", "behind"))
    found = seeds.run(seeds=[before, seeds.file("bad.sql", sql), behind])
    assert found["failed"]
    assert found["error"]["cause"].startswith(("ERROR:", "psql:"))
    assert says in found["msg"]
    assert seeds.database.rows("SELECT id FROM public.facts") == [(9,)]
    assert seeds.names() == ["before.sql"]


def test_where_nothing_is_seeded(seeds: Seeds) -> None:
    declared = [seeds.file("facts.sql", "CREATE TABLE public.facts (id int)")]
    assert "only dev is seeded" in seeds.run(seeds=declared, environment="production")["msg"]
    seeds.database.rows(
        "CREATE SCHEMA nexod_infra; COMMENT ON SCHEMA nexod_infra IS 'Environment of nexod.infra: production'"
    )
    for flags in (("--check",), ()):
        assert "it is the one of the environment production" in seeds.run(*flags, seeds=declared)["msg"]
    assert seeds.database.rows("SELECT to_regclass('public.facts')") == [(None,)]


def test_check_mode_of_a_project_that_is_paused(seeds: Seeds) -> None:
    declared = [seeds.file("facts.sql", "SELECT 1")]
    found = seeds.run("--check", seeds=declared, host="supabase-project.is-paused.invalid")
    assert (found["changed"], found["inspected"], found["seeds"]) == (True, False, [declared[0]["file"]])
