"""Dumps of a database laid out as Supabase's, through the pooler in session mode, and what is never restored."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._services import supabase_dumps, supabase_seeds

from ..playbook import run_task
from ..supabase_database import SupabaseDatabase

OWN = ["auth", "storage", "realtime", "extensions", "graphql", "graphql_public", "vault", "pgbouncer"]
OWN += ["supabase_migrations"]


@pytest.fixture
def database(supabase_database: SupabaseDatabase) -> t.Iterator[SupabaseDatabase]:
    try:
        supabase_database.rows("CREATE SCHEMA private; CREATE TABLE private.facts (id int PRIMARY KEY)")
        supabase_database.rows("CREATE TABLE public.facts (id int); INSERT INTO public.facts VALUES (1)")
        supabase_database.rows("REVOKE ALL ON public.facts FROM anon")
        yield supabase_database
    finally:
        supabase_database.as_it_was()


class Dumps:
    def __init__(self, folder: Path, database: SupabaseDatabase) -> None:
        self.folder, self.database = folder, database

    def path(self, day: int = 27) -> Path:
        return self.folder / "dumps" / f"dev-202611{day}.dump"

    def run(self, *flags: str, day: int = 27, **options: t.Any) -> dict[str, t.Any]:
        given = {
            "path": str(self.path(day)),
            "environment": "dev",
            "own_schemas": OWN,
            "host": "127.0.0.1",
            "port": self.database.session,
            "user": self.database.pooler_user,
            "password": self.database.direct.password,
            "sslmode": "disable",
            **options,
        }
        found, _said, output = run_task(self.folder, {"nexod.infra.supabase_dump": given}, "-vvv", *flags)
        assert self.database.direct.password not in output
        return found


@pytest.fixture
def dumps(tmp_path: Path, database: SupabaseDatabase) -> Dumps:
    return Dumps(tmp_path, database)


def test_one_a_day_and_restored_with_its_rights(dumps: Dumps) -> None:
    assert dumps.run("--check")["changed"] is True
    assert not dumps.path().parent.exists()
    assert dumps.run()["changed"] is True
    modes = {one.name: one.stat().st_mode & 0o777 for one in dumps.path().parent.iterdir()}
    assert modes == {"dev-20261127.dump": 0o600}
    assert dumps.run()["changed"] is False

    rows = dumps.database.rows
    rows("DROP TABLE public.facts; INSERT INTO private.facts VALUES (7)")
    rows("INSERT INTO auth.users (id) VALUES (gen_random_uuid())")
    users = rows("SELECT count(*) FROM auth.users")
    assert dumps.run("--check", state="restored")["changed"] is True
    assert rows("SELECT count(*) FROM private.facts") == [(1,)]
    done = dumps.run(state="restored")
    assert "failed" not in done, done["msg"]
    assert rows("SELECT id FROM public.facts") == [(1,)]
    assert rows("SELECT count(*) FROM private.facts") == [(0,)]
    assert rows("SELECT has_table_privilege('anon', 'public.facts', 'SELECT')") == [(False,)]
    assert rows("SELECT count(*) FROM auth.users") == users
    # What is created later gets Supabase's rights again.
    rows("CREATE TABLE public.later (id int)")
    assert rows("SELECT has_table_privilege('anon', 'public.later', 'SELECT')") == [(True,)]
    rows("DELETE FROM auth.users")


def test_their_number_is_bounded(dumps: Dumps) -> None:
    for day in (24, 25):
        dumps.run(day=day)
    assert dumps.run("--check", day=26, keep=2)["removed"] == [str(dumps.path(24))]
    assert dumps.run(day=26, keep=2)["removed"] == [str(dumps.path(24))]
    assert sorted(one.name for one in dumps.path().parent.glob("*.dump")) == ["dev-20261125.dump", "dev-20261126.dump"]
    assert len(list(dumps.path().parent.iterdir())) == 2


def test_what_is_never_restored(dumps: Dumps) -> None:
    dumps.run()
    whole = dumps.path().read_bytes()
    content, begin, text = whole.rpartition(supabase_dumps.BEGIN)
    good = json.loads(text)
    dumps.database.rows("INSERT INTO public.facts VALUES (2)")

    def marked(marker: str, before: bytes = content) -> bytes:
        return before + begin + marker.encode() + b"\n"

    changed = "it has been changed since it was made"
    refusals = [
        ("it is a dump of production", marked(json.dumps({**good, "environment": "production"}))),
        (changed, marked(json.dumps({**good, "sha256": "0" * 64}))),
        (changed, marked(json.dumps(good), content[:-1])),
        (changed, marked(json.dumps(good), whole)),
        ("its marker names no environment", marked("{}")),
        ("its marker can't be read", marked("production")),
        ("its marker can't be read", whole + b"more"),
        ("it has no marker", content),
        ("it has no marker", b""),
    ]
    for says, data in refusals:
        dumps.path().write_bytes(data)
        assert says in dumps.run("--check", state="restored")["msg"]
    assert says in dumps.run(state="restored")["msg"]
    dumps.path().write_bytes(whole)
    found = dumps.run(state="restored", environment="production")
    assert "nothing is restored into production" in found["msg"]
    assert dumps.database.rows("SELECT count(*) FROM public.facts") == [(2,)]
    # It is found under any name, and restored.
    dumps.path().rename(dumps.path(26))
    assert "failed" not in dumps.run(state="restored", day=26)
    assert dumps.database.rows("SELECT count(*) FROM public.facts") == [(1,)]


def test_a_dump_of_a_database_that_is_marked_as_another_s(dumps: Dumps) -> None:
    """Whoever makes it says that it is dev's; the database knows better."""
    for sql in supabase_seeds.marking("it's production"):
        dumps.database.rows(sql)
    dumps.run()
    said = dumps.run("--check", state="restored")["msg"]
    assert "the database that it was made of is that of it's production" in said
    dumps.database.rows("COMMENT ON SCHEMA nexod_infra IS 'Environment of nexod.infra: dev'")
    dumps.path().unlink()
    dumps.run()
    assert "failed" not in dumps.run("--check", state="restored")


def test_programs_that_are_older_than_the_server(dumps: Dumps) -> None:
    for flags in ((), ("--check",)):
        assert "Cannot use psql: it is version" in dumps.run(*flags, database_version=99)["msg"]
    assert not dumps.path().parent.exists()
    dumps.run()
    assert "Cannot use psql: it is version" in dumps.run(state="restored", database_version=99)["msg"]
