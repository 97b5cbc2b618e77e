"""What goes wrong beside the revisions: side records, limits that env.py sets, heads, locks, names in messages."""

from __future__ import annotations

import contextlib
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .alembic_project import ASYNC_ENV, FIRST, REVISION, SECOND, SYNC_ENV, Project, wait_for

BROKEN = "    op.execute('SELECT 1 / 0')"
ONE_TRANSACTION = SYNC_ENV % {"options": ""}


def before_configure(statement: str, *, commit: bool, environment: str = ONE_TRANSACTION) -> str:
    """An env.py that runs `statement` before it configures."""
    run = f"    connection.exec_driver_sql({statement!r})" + ("; connection.commit()" if commit else "")
    return environment.replace("    context.configure(", f"{run}\n    context.configure(")


# Side records never change the outcome.


@pytest.mark.parametrize("transaction", ["as_env", "per_revision"])
@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("prepare", "table", "words"),
    [
        pytest.param("SELECT 1", "ops.audit", r"(?s)schema ops does not exist.*CREATE SCHEMA ops", id="no schema"),
        pytest.param(
            "CREATE SCHEMA ops",
            "ops.audit",
            "(?s)permission denied.*CREATE on its schema",
            id="no right",
        ),
        pytest.param(
            "CREATE TABLE audit (id int); GRANT ALL ON audit TO owner",
            "audit",
            "(?s)column.*Rename the",
            id="other columns",
        ),
        pytest.param("CREATE VIEW audit AS SELECT 1", "audit", "audit table audit can't be written", id="a view"),
    ],
)
def test_an_audit_table_is_checked_before_anything_runs(
    project: Project, prepare: str, table: str, words: str, check: bool, transaction: str
) -> None:
    project.revise(FIRST, SECOND)
    project.rows(prepare)
    with pytest.raises(InfraError, match=words) as caught:
        project.upgrade(check=check, audit_table=table, transaction=transaction)
    assert caught.value.facts["after"] == []
    assert caught.value.facts["changed"] is False
    assert project.rows("SELECT to_regclass('things'), to_regclass('alembic_version')") == [(None, None)]


def test_metrics_that_cannot_be_written_are_a_warning(project: Project) -> None:
    project.revise(FIRST)
    with project.nothing_written():
        planned = project.upgrade(check=True, metrics_file=str(project.folder / "missing/alembic.prom"))
    assert "its folder does not exist" in planned.warnings[-1]
    assert list(project.upgrade(check=True, metrics_file=str(project.folder / "alembic.prom")).warnings) == []
    done = project.upgrade(metrics_file=str(project.folder / "missing/alembic.prom"))
    assert (done.after, project.recorded()) == (("0001",), ["0001"])
    assert "Cannot write the metrics" in done.warnings[0]


def test_a_comparison_that_fails_afterwards_is_a_warning(project: Project) -> None:
    project.environment(
        "import sqlalchemy as sa\nmetadata = sa.MetaData()\n"
        "sa.Table('things', metadata, sa.Column('id', sa.Integer, sa.Computed('1'), server_default=None))\n"
        "def stops(*_all):\n"
        "    from alembic import context\n"
        "    if context.get_context().get_current_heads(): raise RuntimeError('no comparison')\n"
        "    return True\n"
        + ONE_TRANSACTION.replace("target_metadata=None", "target_metadata=metadata, include_object=stops")
    )
    project.revise(FIRST)
    done = project.upgrade(check_drift=True)
    assert (done.after, project.recorded()) == (("0001",), ["0001"])
    assert [one for one in done.warnings if "could not compare the schema" in one], done.warnings


# Limits that somebody else sets.

HOUR = "SET lock_timeout = '1h'"
SHOWN = "    op.execute(\"CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS value\")"


@pytest.mark.parametrize(
    ("environment", "driver"),
    [
        pytest.param(before_configure(HOUR, commit=True), "psycopg", id="committed"),
        pytest.param(before_configure(HOUR, commit=True), "psycopg2", id="committed, psycopg2"),
        pytest.param(before_configure(HOUR, commit=True, environment=ASYNC_ENV), "asyncpg", id="committed, asyncpg"),
        pytest.param(
            before_configure("SET LOCAL lock_timeout = '1h'", commit=False).replace(
                "        context.run_migrations()", "        context.run_migrations()\n    connection.commit()"
            ),
            "psycopg",
            id="in the transaction",
        ),
        pytest.param(
            ONE_TRANSACTION.replace(
                "target_metadata=None", "target_metadata=None, transaction_per_migration=True"
            ).replace("        context.run", f"        connection.exec_driver_sql({HOUR!r})\n        context.run"),
            "psycopg",
            id="a transaction for each",
        ),
    ],
)
@pytest.mark.parametrize("transaction", ["as_env", "per_revision"])
def test_the_limits_are_read_back_inside_each_revision(
    project: Project, environment: str, driver: str, transaction: str
) -> None:
    project.environment(environment)
    project.revise(FIRST, SHOWN)
    done = project.upgrade(url=project.url(driver), transaction=transaction)
    assert project.rows("SELECT value FROM seen") == [("200ms",)]
    assert (done.after, done.facts["settings"]["lock_timeout"]) == (("0002",), "200")
    assert [one for one in done.warnings if "had set lock_timeout to 1h; revision 0001" in one], done.warnings


def test_a_revision_that_sets_a_limit_sets_it_for_itself(project: Project) -> None:
    project.revise(FIRST, f"    op.execute({HOUR!r})", SHOWN)
    done = project.upgrade()
    assert project.rows("SELECT value FROM seen") == [("200ms",)]
    assert "had set lock_timeout to 1h; revision 0003" in done.warnings[0]


# Where a run leaves the database.


@pytest.mark.parametrize(("transaction", "after", "changed"), [("per_revision", ["0001"], True), ("as_env", [], False)])
def test_after_a_failure_after_is_what_is_recorded(
    project: Project, transaction: str, after: list[str], changed: bool
) -> None:
    project.revise(FIRST, BROKEN, SECOND)
    with pytest.raises(InfraError) as caught:
        project.upgrade(transaction=transaction)
    assert (caught.value.facts["after"], caught.value.facts["changed"]) == (after, changed)


def test_a_failure_between_revisions(project: Project) -> None:
    project.environment(
        ONE_TRANSACTION + "    if context.is_offline_mode() is False:\n        raise ValueError('late')\n"
    )
    project.revise(FIRST)
    with pytest.raises(InfraError, match=r"env\.py failed: ValueError: late"):
        project.upgrade()
    project.environment(
        ONE_TRANSACTION
        + "if connection.closed and 'things' in __import__('sqlalchemy').inspect(engine).get_table_names():\n"
        + "    raise ValueError('late')\n"
    )
    with pytest.raises(InfraError, match=r"env\.py failed: ValueError: late \(.*env\.py, line \d+") as caught:
        project.upgrade()
    assert caught.value.facts["changed"] is True
    assert project.recorded() == ["0001"]


def branch(project: Project, name: str, down: str, **more: str) -> None:
    text = REVISION.format(doc=name, name=name, down=down, body="    pass")
    text += "".join(f"{key} = {value}\n" for key, value in more.items())
    (project.folder / f"migrations/versions/{name}.py").write_text(text)


def test_after_of_a_plan_with_dependencies_is_what_the_run_leaves(project: Project) -> None:
    project.revise(FIRST)
    branch(project, "a1", '"0001"')
    branch(project, "b1", '"0001"', depends_on='"a1"')
    branch(project, "a2", '"a1"')
    branch(project, "b2", '"b1"', depends_on='"a2"')
    for revision in ("b1", "heads"):
        planned = project.upgrade(check=True, revision=revision)
        done = project.upgrade(revision=revision)
        assert (planned.after, sorted(project.recorded())) == (done.after, list(done.after)), revision


def test_after_of_a_stamp_keeps_the_other_branch(project: Project) -> None:
    project.revise(FIRST)
    branch(project, "a1", '"0001"')
    branch(project, "b1", '"0001"')
    branch(project, "a2", '"a1"')
    project.upgrade(revision="b1")
    project.upgrade(revision="a1")
    planned = project.stamp("a2", check=True)
    assert planned.after == project.stamp("a2").after == ("a2", "b1")


# Locks.

CONCURRENT = (
    "    with op.get_context().autocommit_block():\n"
    "        op.execute('CREATE INDEX CONCURRENTLY things_name ON things (name)')"
)


def test_a_concurrent_index_behind_an_idle_snapshot_is_bounded_and_names_it(project: Project) -> None:
    project.revise(FIRST)
    project.upgrade()
    project.revise(FIRST, CONCURRENT)
    with contextlib.closing(project.postgres.connect(project.name, "owner")) as idle:
        idle.set_session(isolation_level="REPEATABLE READ", autocommit=False)
        idle.cursor().execute("SELECT count(*) FROM pg_class")
        pid = idle.info.backend_pid
        with pytest.raises(InfraError) as caught:
            project.upgrade(concurrent_lock_timeout="1s")
        text = str(caught.value)
        assert "55P03" in text
        assert f"SELECT pg_terminate_backend({pid});" in text
        assert caught.value.facts["retries"] == 0
        idle.rollback()
    done = project.upgrade()
    assert done.after == ("0002",)
    assert project.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_name'::regclass") == [(True,)]


def test_a_revision_that_waits_for_itself_is_not_retried(project: Project) -> None:
    second = (
        "    import os\n    import sqlalchemy as sa\n"
        "    op.execute('ALTER TABLE things ADD COLUMN a int')\n"
        "    with sa.create_engine(os.environ['DATABASE_URL']).begin() as other:\n"
        "        other.execute(sa.text('ALTER TABLE things ADD COLUMN b int'))"
    )
    project.revise(FIRST, second)
    with pytest.raises(InfraError, match=r"(?s)own run holds on another connection.*op\.get_bind\(\)") as caught:
        project.upgrade()
    assert caught.value.facts["retries"] == 0


def test_a_new_value_of_an_enum_says_how_to_use_it(project: Project) -> None:
    project.revise(
        "    op.execute(\"CREATE TYPE mood AS ENUM ('calm')\")",
        "    op.execute(\"ALTER TYPE mood ADD VALUE 'glad'\")\n    op.execute(\"SELECT 'glad'::mood\")",
    )
    with pytest.raises(InfraError, match=r"(?s)55P04.*transaction: per_revision.*autocommit_block"):
        project.upgrade()


# Names in messages.


def test_a_missing_import_names_its_file(project: Project) -> None:
    project.revise(FIRST, "    import nowhere")
    with pytest.raises(InfraError, match=r"No module named 'nowhere' \(.*/versions/0002\.py, line 8\)"):
        project.upgrade()
    file = project.folder / "migrations/versions/0002.py"
    file.write_text("import nowhere_at_all\n" + file.read_text())
    with pytest.raises(InfraError, match=r"No module named 'nowhere_at_all' \(.*/versions/0002\.py, line 1\)"):
        project.upgrade()
    file.write_text("def broken(:\n")
    with pytest.raises(InfraError, match=r"SyntaxError.*/versions/0002\.py, line 1"):
        project.upgrade()


TENANTS_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine

engine = create_engine(os.environ["DATABASE_URL"])
for tenant in ("a", "b"):
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET search_path TO {tenant}")
        connection.commit()
        connection.dialect.default_schema_name = tenant
        context.configure(connection=connection, target_metadata=None%s)
        with context.begin_transaction():
            context.run_migrations()
"""


@pytest.mark.parametrize(
    ("options", "words"),
    [("", "failed in search_path b"), (", version_table_schema=tenant", 'failed in schema "b"')],
)
def test_a_tenant_that_fails_is_named(project: Project, options: str, words: str) -> None:
    project.rows("CREATE SCHEMA a AUTHORIZATION owner; CREATE SCHEMA b AUTHORIZATION owner; CREATE TABLE b.things ()")
    project.environment(TENANTS_ENV % options)
    project.revise(FIRST)
    with pytest.raises(InfraError, match=f"revision 0001 {words}: ") as caught:
        project.upgrade()
    failure = t.cast("dict[str, t.Any]", caught.value.facts["failure"])
    assert failure["place"]["search_path"] == "b"


def test_the_holder_is_shown_while_a_concurrent_index_waits(project: Project) -> None:
    project.revise(FIRST)
    project.upgrade()
    project.revise(FIRST, CONCURRENT)
    events = project.folder / "progress"
    idle = project.postgres.connect(project.name, "owner")
    idle.set_session(isolation_level="REPEATABLE READ", autocommit=False)
    idle.cursor().execute("SELECT count(*) FROM pg_class")
    runner = threading.Thread(target=project.upgrade, kwargs={"_internal": {"progress_file": str(events)}})
    runner.start()
    try:
        wait_for(project, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'virtualxid'")
        for _try in range(400):
            if '"blocked"' in events.read_text():
                break
            threading.Event().wait(0.05)
        assert f'"pid": {idle.info.backend_pid}' in events.read_text()
    finally:
        idle.close()
        runner.join()


# The SQL of a plan.

READS = """    import sqlalchemy as sa
    bind = op.get_bind()
    rows = [{"name": "o'hara", "id": 1}, {"name": "x", "id": 2}]
    bind.execute(sa.text("UPDATE things SET name = :name WHERE id = :id"), rows)
    things = sa.table("things", sa.column("id"), sa.column("name"))
    bind.execute(things.insert(), {"id": 7, "name": "seven"})
    renamed = things.update().where(things.c.id == sa.bindparam("which")).values(name=sa.bindparam("new"))
    bind.execute(renamed, {"which": 1, "new": "n"})
    bind.exec_driver_sql("SELECT '50%' AS half")
    with bind.begin_nested():
        pass
"""
ASKS = '    bind.execute(sa.text("SELECT id FROM things WHERE id > :last LIMIT :batch"), {"last": 0, "batch": 1000})'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param("", None, id="reads nothing"),
        pytest.param(f"{ASKS}.all()", "it uses the result of a statement: SELECT id FROM things", id="all"),
        pytest.param(f"    for _row in {ASKS.strip()}: pass", "it uses the result of a statement", id="loop"),
        pytest.param("    bind.scalar(sa.text('SELECT 1'))", "it uses the result of a statement", id="scalar"),
        pytest.param("    sa.inspect(bind).get_table_names()", "it inspects the schema", id="inspects"),
        pytest.param("    bind.connect()", "it uses connect of the connection", id="connects"),
    ],
)
def test_the_sql_of_a_plan_has_its_values_and_says_what_it_needs(project: Project, body: str, why: str | None) -> None:
    project.revise(FIRST)
    project.upgrade()
    project.revise(FIRST, READS + body)
    facts = project.upgrade(check=True).facts
    sql = facts["sql"]["0002"]
    for words in (
        "SET name = 'o''hara' WHERE id = 1",
        "SET name = 'x' WHERE id = 2",
        "INSERT INTO things (id, name) VALUES (7, 'seven')",
        "SET name='n' WHERE things.id = 1",
        "SELECT '50%' AS half;",
    ):
        assert words in sql
    assert "NULL" not in sql
    if "LIMIT" in body:
        assert "WHERE id > 0 LIMIT 1000" in sql
    found = facts["not_rendered"].get("0002")
    assert found == why if why is None else why in found


# Backfills in batches.

FILL = """    from nexod_backfill import in_batches
    in_batches(op, "things", "UPDATE things SET name = name || '!' WHERE id > :after AND id <= :until", batch=30)"""


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_a_backfill_is_resumed_after_it_has_failed(project: Project, driver: str) -> None:
    project.environment(ASYNC_ENV if driver == "asyncpg" else ONE_TRANSACTION)
    project.revise(FIRST, SECOND)
    project.upgrade(url=project.url(driver))
    project.rows("ALTER TABLE things ADD CONSTRAINT stops CHECK (id <> 70 OR name NOT LIKE '%!')")
    project.revise(FIRST, SECOND, FILL)
    planned = project.upgrade(check=True, url=project.url(driver))
    assert "for each 30 rows of things" in planned.facts["sql"]["0003"]
    with pytest.raises(InfraError, match=r"(?s)23514.*part of 0003 is committed") as caught:
        project.upgrade(url=project.url(driver))
    assert caught.value.facts["changed"] is True
    assert project.rows("SELECT count(*) FROM things WHERE name LIKE '%!'") == [(60,)]
    project.rows("ALTER TABLE things DROP CONSTRAINT stops")
    assert project.upgrade(url=project.url(driver)).after == ("0003",)
    assert project.rows("SELECT count(*) FROM things WHERE name LIKE '%!' AND name NOT LIKE '%!!'") == [(100,)]
    assert project.rows("SELECT to_regclass('nexod_backfill')") == [(None,)]


def test_a_backfill_retries_a_batch_that_is_locked_and_reports_its_progress(project: Project) -> None:
    project.revise(FIRST, SECOND)
    project.upgrade()
    project.revise(FIRST, SECOND, FILL)
    events = project.folder / "progress"
    with contextlib.closing(project.postgres.connect(project.name)) as other:
        other.autocommit = False
        other.cursor().execute("UPDATE things SET name = name WHERE id = 50")
        runner = threading.Thread(target=project.upgrade, kwargs={"_internal": {"progress_file": str(events)}})
        runner.start()
        wait_for(project, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        assert '"event": "backfill", "table": "things", "done": 30' in events.read_text()
        other.rollback()
        runner.join()
    assert project.rows("SELECT count(*) FROM things WHERE name LIKE '%!'") == [(100,)]


def test_a_backfill_without_limits_and_one_of_an_empty_table(project: Project) -> None:
    project.revise(FIRST, FILL, FILL.replace("id > :after AND", ""))
    with pytest.raises(InfraError, match=r"revision 0003 failed.*must be limited by :after and :until"):
        project.upgrade()
    assert project.recorded() == ["0002"]
