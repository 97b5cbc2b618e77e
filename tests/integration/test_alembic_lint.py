"""What the lint knows of the database when it weighs a plan, on a real PostgreSQL."""

from __future__ import annotations

import os
import signal
import time
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.answers import Outcome
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import facts_for_lint, lint
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .alembic_project import FIRST, SYNC_ENV, Project, wait_for
from .conftest import ROOT, program

FILL = "INSERT INTO {table} SELECT n, 'thing ' || n FROM generate_series(1, {rows}) AS n"
INDEX = "    op.create_index('ix', 'things', ['name'])"
# Alembic's cookbook: one schema for each tenant, chosen by the search_path.
TENANT_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool, text

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
for tenant in %(tenants)r:
    with engine.connect() as connection:
        %(set)s
        context.configure(connection=connection, target_metadata=None%(options)s)
        with context.begin_transaction():
            context.run_migrations()
"""
BY_PATH = 'connection.execute(text(f"SET search_path TO {tenant}")); connection.commit()'
BY_DEFAULT_SCHEMA = f"{BY_PATH}; connection.dialect.default_schema_name = tenant"
BY_TRANSLATION = "connection = connection.execution_options(schema_translate_map={None: tenant})"


def findings(project: Project, **changed: t.Any) -> dict[str, t.Any]:
    squawk = program("squawk", "squawk-cli (from PyPI)", ROOT / ".venv/bin")
    plan = project.upgrade(check=True, **changed)
    return lint(project.parameters, "error", plan.facts["pending"], facts_for_lint(plan.facts), squawk)


def levels(found: dict[str, t.Any]) -> list[tuple[str, str, str | None, int | None]]:
    return [(one["rule"], one["level"], one["table"], one["rows"]) for one in found["lint"]]


@pytest.mark.parametrize(
    ("tenants", "how"),
    [
        pytest.param(["big"], BY_PATH, id="search_path"),
        pytest.param(["small", "big"], BY_DEFAULT_SCHEMA, id="a loop"),
        pytest.param(["big", "small"], BY_PATH, id="the last one is small"),
        pytest.param(["big"], BY_TRANSLATION, id="schema_translate_map"),
    ],
)
def test_sizes_are_those_of_the_schema_that_env_py_chooses(project: Project, tenants: list[str], how: str) -> None:
    for tenant, rows in (("small", 10), ("big", 30_000)):
        project.rows(f"CREATE SCHEMA {tenant} AUTHORIZATION owner")
        project.rows(f"CREATE TABLE {tenant}.things (id int, name text); ALTER TABLE {tenant}.things OWNER TO owner")
        project.rows(FILL.format(table=f"{tenant}.things", rows=rows))
        project.rows(f"ANALYZE {tenant}.things")
    options = ", version_table_schema=tenant" if how is BY_TRANSLATION else ""
    project.environment(TENANT_ENV % {"tenants": tenants, "set": how, "options": options})
    project.revise(INDEX)
    found = findings(project)
    assert levels(found) == [("require-concurrent-index-creation", "error", "big.things", 30_000)]
    assert found["failed"]


def test_sizes_are_those_of_the_schema_that_a_revision_chooses(project: Project) -> None:
    project.rows("CREATE SCHEMA big; CREATE TABLE big.things (id int, name text); GRANT ALL ON SCHEMA big TO owner")
    project.rows("GRANT ALL ON big.things TO owner")
    project.rows(FILL.format(table="big.things", rows=20_000) + "; ANALYZE big.things")
    project.revise(f"    op.execute('SET LOCAL search_path TO big, public')\n{INDEX}")
    assert levels(findings(project)) == [("require-concurrent-index-creation", "error", "big.things", 20_000)]


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_table_without_statistics_is_weighed_by_its_size(project: Project, analyzed: bool) -> None:
    project.revise(FIRST)
    project.upgrade()
    if analyzed:
        # Statistics that are older than most of the rows.
        project.rows(FILL.format(table="things", rows=100) + "; ANALYZE things; TRUNCATE things")
    project.rows(FILL.format(table="things", rows=50_000))
    # Not those that the server counts as they are written, which a restart or a restore loses.
    project.rows("SELECT pg_stat_reset()")
    project.revise(FIRST, INDEX)
    [(rule, level, table, rows)] = levels(findings(project))
    assert (rule, level, table) == ("require-concurrent-index-creation", "error", "things")
    assert 25_000 < int(rows or 0) < 100_000


def test_a_partitioned_table_is_counted_once(project: Project) -> None:
    project.rows(
        "CREATE TABLE things (id int, name text) PARTITION BY RANGE (id); "
        "CREATE TABLE things_1 PARTITION OF things FOR VALUES FROM (0) TO (4000); "
        "CREATE TABLE things_2 PARTITION OF things DEFAULT; "
        "ALTER TABLE things OWNER TO owner"
    )
    project.rows(FILL.format(table="things", rows=6_000) + "; ANALYZE things")
    project.revise("    op.execute('UPDATE things SET name = null')")
    assert levels(findings(project)) == [("whole-table-write", "info", "things", 6_000)]


def test_building_an_index_on_only_the_parent_is_harmless(project: Project) -> None:
    project.rows(
        "CREATE TABLE things (id int, name text) PARTITION BY RANGE (id); "
        "CREATE TABLE things_1 PARTITION OF things DEFAULT; ALTER TABLE things OWNER TO owner"
    )
    project.rows(FILL.format(table="things", rows=20_000) + "; ANALYZE things")
    project.revise("    op.execute('CREATE INDEX ix ON ONLY things (name)')")
    assert [one[1] for one in levels(findings(project))] == ["info"]
    project.revise("    op.execute('CREATE INDEX ix ON things (name)')")
    assert [one[1] for one in levels(findings(project))] == ["error"]


def test_what_could_not_be_rendered_is_a_finding_of_its_own(project: Project) -> None:
    project.revise(FIRST)
    assert findings(project)["lint"] == []
    project.upgrade()
    reads = "    count = op.get_bind().exec_driver_sql('SELECT count(*) FROM things').scalar()"
    project.revise(FIRST, f"{reads}\n{INDEX}")
    found = findings(project)
    assert [(one["rule"], one["revision"], one["level"]) for one in found["lint"]] == [
        ("not-rendered", "0002", "unknown")
    ]
    assert not found.get("failed")
    assert "0002: not-rendered: its SQL depends on what it reads" in found["warnings"][0]
    project.parameters["lint_unknown"] = "error"
    found = findings(project)
    assert found["failed"]
    assert "1 revision can't be linted in full" in found["msg"]
    project.parameters["lint_waivers"] = [{"rule": "not-rendered", "revision": "0002", "reason": "read by hand"}]
    assert not findings(project).get("failed")


OWN_CONNECTIONS = {
    "psycopg2": "    import psycopg2\n    c = psycopg2.connect(os.environ['PLAIN'])\n"
    "    c.cursor().execute('{sql}')\n    c.commit()",
    "psycopg": "    import psycopg\n    psycopg.connect(os.environ['PLAIN'], autocommit=True).execute('{sql}')",
    "engine": "    import sqlalchemy\n    with sqlalchemy.create_engine(os.environ['DATABASE_URL']).begin() as c:\n"
    "        c.exec_driver_sql('{sql}')",
    "asyncpg": "    import asyncio, asyncpg\n    async def write():\n"
    "        c = await asyncpg.connect(os.environ['PLAIN'])\n"
    "        await c.execute('{sql}')\n    asyncio.run(write())",
}  # fmt: skip


@pytest.mark.parametrize("driver", OWN_CONNECTIONS)
def test_check_mode_does_not_write_through_a_revisions_own_connection(project: Project, driver: str) -> None:
    project.revise(FIRST)
    project.upgrade()
    body = OWN_CONNECTIONS[driver].format(sql="INSERT INTO things VALUES (1)")
    counted = "    open(os.environ['CALLS'], 'a').write('x')"
    project.revise(FIRST, f"    import os\n{counted}\n{body}")
    calls = project.folder / "calls"
    environment = {"PLAIN": project.url().replace("+psycopg", ""), "CALLS": str(calls)}
    with project.nothing_written():
        plan = project.upgrade(check=True, environment=environment)
    assert "read-only transaction" in plan.facts["not_rendered"]["0002"]
    # Rendering calls upgrade() once, as the run does.
    assert calls.read_text() == "x"
    assert project.upgrade(environment=environment).after == ("0002",)
    assert project.rows("SELECT count(*) FROM things") == [(1,)]


def test_a_users_own_options_are_kept(project: Project) -> None:
    project.environment(SYNC_ENV % {"options": ""})
    project.rows("CREATE SCHEMA app AUTHORIZATION owner")
    project.revise(FIRST)
    environment = {"PGOPTIONS": "-c search_path=app"}
    assert project.upgrade(check=True, environment=environment).after == ("0001",)
    project.upgrade(environment=environment)
    assert project.rows("SELECT to_regclass('app.things') IS NOT NULL") == [(True,)]


READS = "    count = op.get_bind().exec_driver_sql('SELECT count(*) FROM things').scalar()"
LEFT = "SELECT count(*) FROM pg_database WHERE datname LIKE 'nexod_rehearsal_%'"


@pytest.fixture
def rehearsed(project: Project) -> t.Iterator[Project]:
    project.rows("ALTER ROLE owner CREATEDB")
    project.parameters["rehearsal_url"] = project.url(name="postgres")
    project.revise(FIRST)
    project.upgrade()
    project.rows(FILL.format(table="things", rows=30_000) + "; ANALYZE things")
    yield project
    assert project.rows(LEFT) == [(0,)]
    project.rows("ALTER ROLE owner NOCREATEDB")


@pytest.mark.parametrize(
    "schema", [pytest.param("copied", id="pg_dump"), pytest.param("replayed", id="a table that may not be read")]
)
def test_a_rehearsal_shows_the_sql_of_a_revision_that_reads(rehearsed: Project, schema: str) -> None:
    if schema == "replayed":
        rehearsed.rows("CREATE TABLE others (id int)")
    rehearsed.revise(FIRST, f"{READS}\n{INDEX}")
    before = rehearsed.rows("SELECT count(*) FROM things")
    found = findings(rehearsed)
    assert [(one["rule"], one["level"]) for one in found["lint"]] == [
        ("require-concurrent-index-creation", "error"),
        ("not-rendered", "info"),
    ]
    plan = rehearsed.upgrade(check=True)
    assert plan.facts["rehearsal"] == {
        "schema": schema,
        "ran": ["0002"],
        "shown": ["0002"],
        "failed": None,
        "note": None,
    }
    assert "CREATE INDEX ix ON things (name)" in plan.facts["sql"]["0002"]
    assert (rehearsed.recorded(), rehearsed.rows("SELECT count(*) FROM things")) == (["0001"], before)


@pytest.mark.parametrize(
    ("body", "rule", "words"),
    [
        pytest.param("    op.execute('SELECT * FROM nowhere')", "fails-in-rehearsal", "nowhere", id="missing table"),
        pytest.param("    op.execute('CREATE ROLE more')", "fails-in-rehearsal", "permission denied", id="right"),
        pytest.param(f"{READS}\n    1 / count", "not-rehearsed", "ZeroDivisionError", id="no rows"),
    ],
)
def test_a_rehearsal_shows_what_would_fail(rehearsed: Project, body: str, rule: str, words: str) -> None:
    rehearsed.revise(FIRST, body)
    found = {one["rule"]: one for one in findings(rehearsed)["lint"]}
    assert words in found[rule]["reason"]
    assert found[rule]["level"] == ("error" if rule == "fails-in-rehearsal" else "unknown")


def test_a_rehearsal_shows_an_identifier_that_is_too_long(rehearsed: Project) -> None:
    name = "a" * 40
    text = (rehearsed.folder / "migrations/versions/0001.py").read_text()
    text = text.replace('revision = "0001"', f'revision = "{name}"').replace("= None", '= "0001"')
    (rehearsed.folder / "migrations/versions/long.py").write_text(text.replace("things", "more"))
    [found] = findings(rehearsed)["lint"]
    assert (found["rule"], found["revision"]) == ("fails-in-rehearsal", name)
    assert "too long" in found["reason"]


def test_an_env_py_that_connects_elsewhere_is_not_rehearsed_there(rehearsed: Project) -> None:
    rehearsed.environment((SYNC_ENV % {"options": ""}).replace('os.environ["DATABASE_URL"]', repr(rehearsed.url())))
    rehearsed.revise(FIRST, "    op.execute('ALTER TABLE things ADD COLUMN more int')")
    plan = rehearsed.upgrade(check=True)
    assert "env.py connects to another database" in plan.facts["rehearsal"]["note"]
    assert "could not be rehearsed" in " ".join(plan.warnings)
    assert rehearsed.recorded() == ["0001"]


def test_a_connection_of_a_revisions_own_writes_nowhere_in_a_rehearsal(rehearsed: Project) -> None:
    body = "    import os\n" + OWN_CONNECTIONS["psycopg2"].format(sql="INSERT INTO things VALUES (0)")
    rehearsed.revise(FIRST, body)
    environment = {"PLAIN": rehearsed.url().replace("+psycopg", "")}
    [found] = [one for one in findings(rehearsed, environment=environment)["lint"] if one["rule"] == "not-rehearsed"]
    assert "read-only transaction" in found["reason"]
    assert rehearsed.rows("SELECT count(*) FROM things WHERE id = 0") == [(0,)]


def test_without_the_right_to_create_databases_the_plan_goes_on(project: Project) -> None:
    project.revise(FIRST)
    plan = project.upgrade(check=True, rehearsal_url=project.url(name="postgres"))
    assert "permission denied to create database" in plan.facts["rehearsal"]["note"]
    assert plan.after == ("0001",)


def test_one_engine_plans_waits_for_the_lint_and_runs(project: Project) -> None:
    imported = "import os\nopen(os.environ['CALLS'], 'a').write('import ')\n"
    project.revise(FIRST + "\n    open(os.environ['CALLS'], 'a').write('upgrade ')")
    file = project.folder / "migrations/versions/0001.py"
    file.write_text(file.read_text().replace("import time\n", imported))
    calls = project.folder / "calls"
    seen: list[Outcome] = []

    def approve(plan: Outcome) -> bool:
        assert project.rows("SELECT to_regclass('things')") == [(None,)]
        seen.append(plan)
        return len(seen) > 1

    given: dict[str, t.Any] = {"environment": {"CALLS": str(calls)}, "lint": "error"}
    refused = project.upgrade(approve=approve, **given)
    assert (refused.migrations[0]["seconds"], project.rows("SELECT to_regclass('alembic_version')")) == (
        None,
        [(None,)],
    )
    calls.unlink()
    done = project.upgrade(approve=approve, **given)
    assert done.after == ("0001",)
    assert "CREATE TABLE things" in seen[1].facts["sql"]["0001"]
    # Rendered once, run once, by one process.
    assert calls.read_text() == "import upgrade upgrade "
    assert project.upgrade(approve=approve, **given).changed is False
    assert len(seen) == 2


def test_a_lint_that_fails_runs_nothing(project: Project) -> None:
    project.revise(FIRST)

    def approve(_plan: Outcome) -> bool:
        raise InfraError("lint", "it", "squawk failed", "Install it.")

    with pytest.raises(InfraError, match="squawk failed"):
        project.upgrade(approve=approve, lint="error")
    assert project.rows("SELECT to_regclass('things')") == [(None,)]


def test_an_engine_whose_caller_was_killed_while_it_waits_ends_and_runs_nothing(project: Project) -> None:
    project.revise(FIRST)
    child = os.fork()
    if child == 0:
        project.upgrade(lint="error", approve=lambda _plan: bool(time.sleep(60)))
        os._exit(0)
    engines = "SELECT count(*) {0} FROM pg_stat_activity WHERE application_name LIKE 'alembic_upgrade%'"
    wait_for(project, engines.format("> 0"))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    wait_for(project, engines.format("= 0"))
    assert project.rows("SELECT to_regclass('things')") == [(None,)]


def test_the_plan_of_a_downgrade_shows_what_it_would_lose_and_block(project: Project) -> None:
    project.revise(FIRST, "    op.execute('ALTER TABLE things ADD COLUMN more text')")
    project.undo("0002", "    op.drop_column('things', 'more')\n    op.create_index('ix', 'things', ['name'])")
    project.upgrade()
    project.rows(FILL.format(table="things (id, name)", rows=30_000) + "; ANALYZE things")
    plan = project.downgrade("0001", check=True)
    found = [(one["rule"], one["level"]) for one in plan.facts["lint"]]
    assert found == [("ban-drop-column", "error"), ("require-concurrent-index-creation", "error")]
    assert "Check that nobody needs the data any more" in " ".join(plan.warnings)
    assert project.recorded() == ["0002"]
