"""What decides the design of the alembic modules, each fact on a real PostgreSQL (and PgBouncer)."""

from __future__ import annotations

import contextlib
import re
import statistics
import subprocess
import threading
import time
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.protocol import LOCK
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import secrets_of
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .alembic_project import (
    ASYNC_ENV,
    CONCURRENT,
    FIRST,
    SECOND,
    SYNC_ENV,
    Project,
    kill_the_helper_once,
    wait_for,
)

ONE_TRANSACTION = SYNC_ENV % {"options": ""}
ONE_EACH = SYNC_ENV % {"options": ", transaction_per_migration=True"}
NOTHING = "SELECT count(*) = 0 FROM pg_class WHERE relnamespace = 'public'::regnamespace"


def at_once(project: Project, count: int, **changed: t.Any) -> list[t.Any]:
    """How many revisions each of several runners has applied, or what it failed with."""
    outcomes: list[t.Any] = []

    def run() -> None:
        try:
            outcomes.append(len(project.upgrade(**changed).migrations))
        except InfraError as error:
            outcomes.append(error)

    runners = [threading.Thread(target=run) for _runner in range(count)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    return outcomes


# 1. Alembic has no lock between runners.


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.long)])
def test_1_of_three_runners_at_once_exactly_one_applies(project: Project, rounds: int) -> None:
    bodies = [FIRST]
    for number in range(rounds):
        project.revise(*bodies)
        assert sorted(at_once(project, 3)) == [0, 0, 1]
        assert project.recorded() == [f"{number + 1:04}"]
        bodies.append(f"    op.execute('ALTER TABLE things ADD COLUMN more{number} text')")


# 2. A statement before context.configure makes rc 0 with nothing committed: test_silent_no_op_is_found.


# 3. Commands that only read write.


def test_3_a_look_makes_no_table(project: Project) -> None:
    project.revise(FIRST, SECOND)
    seen = project.info(render=True)
    assert (seen["current"], seen["heads"]) == ([], ["0002"])
    assert [step["revision"] for step in seen["pending"]] == ["0001", "0002"]
    assert "CREATE TABLE things" in seen["pending"][0]["sql"]
    assert [(row["revision"], row["applied"]) for row in seen["history"]] == [("0001", False), ("0002", False)]
    project.upgrade(check=True)
    assert project.rows(NOTHING) == [(True,)]


# 4. A runner that waits for the lock must not stand in the way of CREATE INDEX CONCURRENTLY.


def test_4_who_waits_for_the_lock_does_not_deadlock_a_concurrent_index(project: Project) -> None:
    project.revise(FIRST, SECOND)
    project.upgrade()
    project.revise(FIRST, SECOND, CONCURRENT)
    blocker = project.postgres.connect(project.name)
    blocker.autocommit = False
    blocker.cursor().execute("INSERT INTO things VALUES (1000, 'not yet committed')")
    threading.Timer(3, blocker.rollback).start()
    assert sorted(at_once(project, 2)) == [0, 1]
    blocker.close()
    assert project.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_name'::regclass") == [(True,)]


# 5. Behind a pooler that shares sessions by transaction, locks and settings leak.


NAMES = "NullPool, connect_args={'prepared_statement_name_func': lambda: '\"' + os.urandom(8).hex() + '\"'}"


@contextlib.contextmanager
def busy_clients(project: Project, port: int) -> t.Iterator[None]:
    """Others that use the pooler's servers all the while, so that who lets go of one gets another one next."""
    over = threading.Event()
    server = type(project.postgres)(project.postgres.host, port)

    def ask() -> None:
        with contextlib.closing(server.connect(project.name, "owner")) as client, client.cursor() as cursor:
            while not over.is_set():
                cursor.execute("SELECT pg_sleep(random() * 0.002)")

    clients = [threading.Thread(target=ask) for _client in range(3)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        over.set()
        for client in clients:
            client.join()


@pytest.mark.parametrize(
    ("driver", "environment"),
    [
        pytest.param("psycopg", SYNC_ENV % {"options": ""}, id="psycopg"),
        pytest.param("psycopg2", SYNC_ENV % {"options": ""}, id="psycopg2"),
        pytest.param("asyncpg", ASYNC_ENV, id="asyncpg"),
        pytest.param("asyncpg", ASYNC_ENV.replace("NullPool", NAMES), id="asyncpg, by names of its own"),
    ],
)
def test_5_through_a_pooler_nothing_leaks(
    project: Project, pgbouncer: t.Callable[[str], int], driver: str, environment: str
) -> None:
    port = pgbouncer("transaction")
    url = project.url(driver, port=port)
    project.environment(environment)
    project.revise(
        FIRST,
        SECOND,
        CONCURRENT,
        "    op.execute(\"CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS lock_timeout\")",
    )
    planned = project.upgrade(check=True, url=url, via_pooler=True)
    assert planned.after == ("0004",)
    assert [word for word in planned.warnings if "works CONCURRENTLY" in word and "0003" in word]
    assert project.rows(NOTHING) == [(True,)]

    with busy_clients(project, port):
        both = at_once(project, 2, url=url, via_pooler=True)
    assert sorted(map(str, both)) == ["0", "4"], both
    assert project.rows("SELECT * FROM seen") == [("200ms",)]
    assert project.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    with contextlib.ExitStack() as opened:
        # Each in a transaction, so that each has a server of its own: all that the runners have used.
        for _client in range(10):
            server = type(project.postgres)(project.postgres.host, port)
            client = opened.enter_context(contextlib.closing(server.connect(project.name, "owner")))
            client.autocommit = False
            cursor = client.cursor()
            cursor.execute(
                "SELECT current_setting('lock_timeout'), current_setting('default_transaction_read_only'), "
                "(SELECT count(*) FROM pg_prepared_statements)"
            )
            assert cursor.fetchone() == ("0", "off", 0)


def test_5_a_direct_runner_and_one_through_a_pooler_keep_each_other_out(
    project: Project, pgbouncer: t.Callable[[str], int]
) -> None:
    project.revise(FIRST)
    first, second = LOCK
    with contextlib.closing(project.postgres.connect(project.name, "owner")) as other:
        other.cursor().execute(f"SELECT pg_advisory_lock({first}, {second})")
        with pytest.raises(InfraError, match="held by pid"):
            project.upgrade(url=project.url(port=pgbouncer("transaction")), via_pooler=True, runner_lock_wait="0")


# 6. Readers queue behind a statement that waits for their table.


def test_6_readers_do_not_queue_behind_a_migration_that_waits(project: Project) -> None:
    project.revise(FIRST, SECOND)
    project.upgrade()
    project.revise(FIRST, SECOND, "    op.execute('ALTER TABLE things ADD COLUMN more text')")
    holder = project.postgres.connect(project.name, "owner")
    holder.autocommit = False
    holder.cursor().execute("SELECT count(*), 'the holder' FROM things")
    outcomes: list[t.Any] = []
    runner = threading.Thread(target=lambda: outcomes.append(project.upgrade(lock_timeout="30ms", lock_retries=60)))
    runner.start()
    wait_for(project, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    took = []
    with contextlib.closing(project.postgres.connect(project.name)) as reader, reader.cursor() as cursor:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            began = time.monotonic()
            cursor.execute("SELECT count(*) FROM things")
            took.append((time.monotonic() - began) * 1000)
            time.sleep(0.005)
    holder.rollback()
    holder.close()
    runner.join()
    assert outcomes[0].after == ("0003",)
    assert outcomes[0].facts["retries"] >= 2
    blockers = [one for tried in outcomes[0].facts["retried"] for one in tried["blockers"]]
    assert any("'the holder' FROM things" in one["query"] for one in blockers)
    # The machine that tests may stall a reader itself; without a limit the median would be the whole two seconds.
    assert statistics.quantiles(took, n=100)[94] < 50


def test_6_the_one_who_blocks_is_named(project: Project) -> None:
    project.revise(FIRST)
    project.upgrade()
    project.revise(FIRST, "    op.execute('ALTER TABLE things ADD COLUMN more text')")
    with contextlib.closing(project.postgres.connect(project.name, "owner")) as holder:
        holder.autocommit = False
        holder.cursor().execute("SET application_name = 'report'; SELECT * FROM things")
        with pytest.raises(InfraError) as caught:
            project.upgrade(lock_retries=0, lock_timeout="500ms")
        pid = holder.info.backend_pid
    failure = t.cast("dict[str, t.Any]", caught.value.report()["failure"])
    assert (failure["revision"], failure["sqlstate"]) == ("0002", "55P03")
    assert [(one["pid"], one["program"]) for one in failure["blockers"]] == [(pid, "report")]
    assert f'Blocked by pid {pid} ("report"' in str(caught.value)
    assert "The database is at 0001" in failure["next"]


# 7. A runner that was killed holds its locks until the server looks whether it is still there.


@pytest.mark.parametrize(
    ("body", "statement"),
    [
        pytest.param("    op.execute('LOCK TABLE things; SELECT pg_sleep(300)')", "pg_sleep(300)", id="table locked"),
        pytest.param(
            "    op.execute('UPDATE things SET name = name || pg_sleep(5)::text')", "UPDATE things", id="data"
        ),
    ],
)
def test_7_after_a_kill_the_next_run_waits_no_more_than_two_seconds(
    project: Project, body: str, statement: str
) -> None:
    project.revise(FIRST, SECOND, body)
    project.upgrade(revision="0002")
    runner = threading.Thread(target=project.upgrade_that_is_killed)
    runner.start()
    kill_the_helper_once(project, statement)
    runner.join()
    project.revise(FIRST, SECOND, "    op.execute('ALTER TABLE things ADD COLUMN more text')")
    done = project.upgrade(lock_retries=20)
    assert done.after == ("0003",)
    assert done.facts["lock_wait_seconds"] <= 2
    assert done.facts["retries"] <= 4


# 8. PGOPTIONS is ignored by asyncpg.


@pytest.mark.parametrize(
    ("driver", "environment"),
    [
        pytest.param("psycopg", ONE_TRANSACTION, id="psycopg"),
        pytest.param("psycopg2", ONE_EACH, id="psycopg2"),
        pytest.param("asyncpg", ASYNC_ENV, id="asyncpg"),
    ],
)
def test_8_every_driver_gets_its_limits(project: Project, driver: str, environment: str) -> None:
    project.environment(environment)
    names = "'lock_timeout', 'statement_timeout', 'client_connection_check_interval', 'application_name'"
    project.revise(
        f'    op.execute("CREATE TABLE seen AS SELECT name, setting FROM pg_settings WHERE name IN ({names})")'
    )
    done = project.upgrade(url=project.url(driver), lock_timeout="1500ms", statement_timeout="2min")
    seen = dict(project.rows("SELECT name, setting FROM seen"))
    assert seen["application_name"].startswith("alembic_upgrade release 1.1.0 on ")
    assert (seen["lock_timeout"], seen["statement_timeout"]) == ("1500", "120000")
    assert seen["client_connection_check_interval"] == "1000"
    assert {name: done.facts["settings"][name] for name in seen} == seen


# 9. --sql from base ignores the database's state, and dies on a revision that reads data.


def test_9_each_pending_revision_is_rendered_alone(project: Project) -> None:
    reads = "    row = op.get_bind().exec_driver_sql('SELECT count(*) FROM things').scalar()"
    looks = "    assert op.get_context().as_sql\n    op.execute(\"UPDATE things SET name = '100%' WHERE id = 1\")"
    project.revise(FIRST, SECOND, reads, looks, CONCURRENT)
    project.upgrade(revision="0002")
    facts = project.upgrade(check=True).facts
    assert list(facts["sql"]) == ["0003", "0004", "0005"]
    assert list(facts["not_rendered"]) == ["0003"]
    assert "name = '100%' WHERE" in facts["sql"]["0004"]
    # Not in a transaction: its BEGIN and COMMIT stand around nothing.
    assert facts["sql"]["0005"].startswith("CREATE INDEX CONCURRENTLY")


# 10. configure() in env.py overwrites what is given from outside.


def test_10_what_env_py_configures_takes_nothing_away(project: Project) -> None:
    options = ", transaction_per_migration=False, on_version_apply=lambda **given: print(given['step'])"
    project.environment(SYNC_ENV % {"options": options})
    project.revise(FIRST, SECOND, "    op.execute('SELECT 1/0')")
    with pytest.raises(InfraError, match="22012") as caught:
        project.upgrade()
    applied = t.cast("list[dict[str, t.Any]]", caught.value.report()["applied"])
    assert [(step["revision"], step["statements_total"]) for step in applied] == [("0001", 1), ("0002", 1)]
    assert applied[1]["statements"][0]["rows"] == 100
    assert applied[1]["statements"][0]["sql"].startswith("INSERT INTO things")
    assert project.recorded() == ["0002"]


# What a failure leaves, and what it says.


@pytest.mark.parametrize(
    ("environment", "transaction", "left"),
    [
        pytest.param(ONE_TRANSACTION, "as_env", [], id="one for all"),
        pytest.param(ONE_EACH, "as_env", ["0002"], id="one each"),
        pytest.param(ONE_TRANSACTION, "per_revision", ["0002"], id="one each by the option"),
    ],
)
def test_a_failure_in_the_middle_of_five(project: Project, environment: str, transaction: str, left: list[str]) -> None:
    project.environment(environment)
    more = [f"    op.execute('CREATE TABLE t{number} ()')" for number in range(5)]
    more[2] += "\n    op.execute('SELECT 1/0')"
    project.revise(*more)
    with pytest.raises(InfraError) as caught:
        project.upgrade(transaction=transaction)
    report = caught.value.report()
    assert (report["after"], report["failed_revision"]) == (left, "0003")
    assert f"The database is at {left[0] if left else 'no revision'}" in str(caught.value)
    made = project.rows("SELECT relname::text FROM pg_class WHERE relname ~ '^t[0-4]$' ORDER BY 1")
    assert made == ([("t0",), ("t1",)] if left else [])


def test_an_invalid_index_is_named_and_rebuilt(project: Project) -> None:
    project.revise(FIRST, SECOND)
    project.upgrade()
    # A unique index over rows that are not unique: how PostgreSQL itself leaves one.
    project.rows("UPDATE things SET name = 'same'")
    with contextlib.suppress(Exception):
        project.rows("CREATE UNIQUE INDEX CONCURRENTLY things_unique ON things (name)")
    project.rows("UPDATE things SET name = id::text")
    seen = project.info()
    assert seen["invalid_indexes"] == [{"index": "public.things_unique", "table": "things"}]
    told = project.upgrade()
    assert (told.changed, told.facts["invalid_indexes"]) == (False, ["public.things_unique"])
    assert "REINDEX INDEX CONCURRENTLY public.things_unique" in told.warnings[0]
    done = project.upgrade(rebuild_invalid_indexes=True)
    assert (done.changed, done.facts["indexes_rebuilt"]) == (True, ["public.things_unique"])
    assert done.facts["invalid_indexes"] == []
    assert project.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_unique'::regclass") == [(True,)]


def test_a_contract_waits_for_consent(project: Project) -> None:
    contract = "    op.drop_column('things', 'name')\n\ncontract = True"
    project.revise(FIRST, contract)
    # On the empty database nothing reads the column: the first deploy is not stopped.
    assert project.upgrade(check=True).after == ("0002",)
    project.upgrade(revision="0001")
    project.rows("INSERT INTO things VALUES (1, 'Jane')")
    for check in (True, False):
        with pytest.raises(InfraError, match="0002 removes what older code reads") as caught:
            project.upgrade(check=check)
    assert "allow_contract" in str(caught.value)
    assert project.recorded() == ["0001"]
    later = int(time.time()) + 300
    for check in (True, False):
        with pytest.raises(InfraError, match="pages that were open before the last release") as caught:
            project.upgrade(check=check, allow_contract=True, contract_not_before=later)
    assert re.search(r"Run again in (300|2\d\d) s", str(caught.value))
    assert project.recorded() == ["0001"]
    assert project.upgrade(allow_contract=True, contract_not_before=later - 301).after == ("0002",)


# Each error its own words and its next step.


@pytest.mark.parametrize(
    ("changed", "environment", "words"),
    [
        pytest.param({"password": "wr0ng"}, None, "Correct the user or the password", id="password"),
        pytest.param({"name": "nowhere"}, None, "Create the database first", id="no database"),
        pytest.param({"port": 1}, None, "Check that PostgreSQL runs", id="host gone"),
        pytest.param({}, "raise KeyError('TENANT')", "(?s)KeyError: 'TENANT'.*Fix env.py", id="env.py raises"),
        pytest.param(
            {}, "import sys; sys.exit('no tenant')", "(?s)SystemExit: no tenant.*Fix env.py", id="env.py ends"
        ),
        pytest.param(
            {}, "from alembic import context", "did not call context.run_migrations", id="env.py does nothing"
        ),
    ],
)
def test_refused(project: Project, changed: dict[str, t.Any], environment: str | None, words: str) -> None:
    project.revise(FIRST)
    if environment:
        project.environment(environment)
    with pytest.raises(InfraError, match=words):
        project.upgrade(url=project.url(**changed))


def test_no_rights(project: Project) -> None:
    project.revise("    op.execute('CREATE TABLE pg_catalog.things ()')")
    with pytest.raises(InfraError, match=r"(?s)42501.*Grant the user the privilege"):
        project.upgrade()


def test_a_replica(project: Project, replica: int) -> None:
    project.revise(FIRST)
    with pytest.raises(InfraError, match=r"(?s)replica in recovery.*primary's address"):
        project.upgrade(url=project.url(port=replica, name="postgres"))


# env.py as people write it.

CONFIG_ENV = """
from logging.config import fileConfig
from alembic import context
from sqlalchemy import engine_from_config, pool
import logging, os

logging.disable(logging.CRITICAL)
tenant = context.get_x_argument(as_dictionary=True).get("tenant")
print("tenant", tenant, os.environ["STAGE"], os.getcwd())
engine = engine_from_config(context.config.get_section(context.config.config_ini_section), prefix="sqlalchemy.")
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None, version_table_schema=tenant)
    with context.begin_transaction():
        context.run_migrations()
"""


def test_url_in_the_configuration_section_x_arguments_and_a_schema(project: Project) -> None:
    project.environment(CONFIG_ENV)
    ini = project.folder / "alembic.ini"
    ini.write_text(ini.read_text() + "[tenants]\nscript_location = migrations\nprepend_sys_path = .\n")
    (project.folder / "helper.py").write_text("NAME = 'ours'\n")
    project.revise("    import helper\n    assert helper.NAME == 'ours'\n    op.execute('CREATE TABLE a.things ()')")
    project.rows("CREATE SCHEMA a AUTHORIZATION owner")
    given = {
        "chdir": str(project.folder),
        "config": "alembic.ini",
        "name": "tenants",
        "x_args": {"tenant": "a"},
        "url_env": None,
        "environment": {"STAGE": "test"},
    }
    assert project.upgrade(check=True, **given).after == ("0001",)
    done = project.upgrade(**given)
    assert (done.before, done.after) == ((), ("0001",))
    assert project.rows("SELECT version_num, to_regclass('public.alembic_version') FROM a.alembic_version") == [
        ("0001", None)
    ]


def test_an_env_py_that_makes_its_schema_first_runs_as_by_hand(project: Project) -> None:
    made = "connection.exec_driver_sql('CREATE SCHEMA IF NOT EXISTS a'); connection.commit()"
    project.environment(ONE_TRANSACTION.replace("    context.configure", f"    {made}\n    context.configure"))
    project.revise(FIRST, SECOND)
    assert project.upgrade().after == ("0002",)
    # What fills a table can't be left out of a plan, and is run where it is no check.
    filled = (
        "connection.exec_driver_sql('INSERT INTO things VALUES (1000) ON CONFLICT DO NOTHING'); connection.commit()"
    )
    project.environment(ONE_TRANSACTION.replace("    context.configure", f"    {filled}\n    context.configure"))
    project.revise(FIRST, SECOND, "    assert op.get_bind().exec_driver_sql('SELECT 1 FROM things WHERE id = 1000')")
    assert project.upgrade(transaction="as_env").after == ("0003",)


SEVERAL_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, make_url, pool

for name in ("", os.environ["OTHER"]):
    url = make_url(os.environ["DATABASE_URL"])
    engine = create_engine(url.set(database=name) if name else url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=None)
        with context.begin_transaction():
            context.run_migrations()
"""


def test_several_databases(project: Project) -> None:
    other = project.name + "b"
    project.rows(f"CREATE DATABASE {other} OWNER owner")
    try:
        project.environment(SEVERAL_ENV)
        project.revise(FIRST, SECOND)
        done = project.upgrade(environment={"OTHER": other})
        assert (done.after, [step["revision"] for step in done.migrations]) == (("0002",), ["0001", "0002"])
        assert project.postgres.rows("SELECT version_num FROM alembic_version", other) == [("0002",)]
    finally:
        project.rows(f"DROP DATABASE {other} WITH (FORCE)")


MODELS_ENV = """
import os
from alembic import context
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine

metadata = MetaData()
Table("things", metadata, Column("id", Integer, primary_key=True), Column("name", Text), Column("age", Integer))
engine = create_engine(os.environ["DATABASE_URL"])  # with a pool: what the plan has set must not last
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


def test_drift_audit_and_metrics(project: Project) -> None:
    project.environment(MODELS_ENV)
    project.revise(FIRST, "    op.execute('SELECT 1/0')")
    given = {
        "audit_table": "audit",
        "audit_who": "o'hara",
        "audit_job": "42",
        "check_drift": True,
        "metrics_file": str(project.folder / "alembic.prom"),
    }
    with pytest.raises(InfraError, match="22012"):
        project.upgrade(**given)
    assert "last_run_success{" in (project.folder / "alembic.prom").read_text()
    assert f'last_run_success{{database="{project.name}"}} 0' in (project.folder / "alembic.prom").read_text()
    project.revise(FIRST, "    pass")
    done = project.upgrade(**given)
    assert "add_column things.age" in done.facts["drift"]
    assert f'last_run_success{{database="{project.name}"}} 1' in (project.folder / "alembic.prom").read_text()
    rows = project.rows("SELECT who, job, release, direction, revision, ms IS NULL, outcome FROM audit ORDER BY id")
    assert rows == [
        ("o'hara", "42", "release 1.1.0", "upgrade", "0001", False, "applied"),
        ("o'hara", "42", "release 1.1.0", "upgrade", "0002", True, "failed"),
        ("o'hara", "42", "release 1.1.0", "upgrade", "0002", False, "applied"),
    ]
    assert "add_column things.age" in project.info(check_drift=True)["drift"]


# The other modules.


def test_downgrade_to_a_target_and_not_through_an_empty_step(project: Project) -> None:
    project.revise(FIRST, SECOND, "    op.execute('CREATE TABLE others ()')")
    project.upgrade()
    with pytest.raises(InfraError, match="downgrade of 0003 is empty or not implemented"):
        project.downgrade("0002")
    with pytest.raises(InfraError, match="set `confirm: true`"):
        project.downgrade("0002", confirm=False)
    with pytest.raises(InfraError, match="Give the identifier"):
        project.downgrade("-1")
    project.undo("0003", "    op.execute('DROP TABLE others')")
    planned = project.downgrade("0002", check=True)
    assert (planned.before, planned.after, list(planned.facts["sql"])) == (("0003",), ("0002",), ["0003"])
    assert "DROP TABLE others" in planned.facts["sql"]["0003"]
    assert project.recorded() == ["0003"]
    done = project.downgrade("0002")
    assert (done.changed, done.after, project.recorded()) == (True, ("0002",), ["0002"])
    assert [step["revision"] for step in done.facts["applied"]] == ["0003"]
    assert project.downgrade("0002").changed is False
    project.undo("0001", "    op.execute('DROP TABLE things')")
    project.undo("0002", '    """Nothing to undo: 0001 drops the table."""')
    assert project.downgrade("base", allow_empty=["0002"]).after == ()


def test_stamp_and_a_database_that_is_ahead(project: Project) -> None:
    project.revise(FIRST, SECOND)
    assert project.stamp("head", check=True).after == ("0002",)
    assert project.rows(NOTHING) == [(True,)]
    done = project.stamp("head")
    assert (done.changed, done.before, done.after, project.recorded()) == (True, (), ("0002",), ["0002"])
    assert project.rows("SELECT to_regclass('things') IS NULL") == [(True,)]
    assert project.stamp("head").changed is False
    project.rows("UPDATE alembic_version SET version_num = '9999'")
    assert project.info()["unknown"] == ["9999"]
    with pytest.raises(InfraError, match="is at 9999, which this release does not know"):
        project.stamp("0001")
    assert project.stamp("0001", purge=True).after == ("0001",)
    assert project.stamp("base").after == ()


def test_the_holder_of_the_lock_is_seen(project: Project) -> None:
    project.revise(FIRST)
    first, second = LOCK
    with contextlib.closing(project.postgres.connect(project.name, "owner")) as other:
        other.cursor().execute(f"SET application_name = 'somebody'; SELECT pg_advisory_lock({first}, {second})")
        pid = other.info.backend_pid
        holder = project.info()["lock_holder"]
    assert (holder["pid"], holder["program"]) == (pid, "somebody")
    assert project.info()["lock_holder"] is None


def test_no_secret_is_in_argv_or_left_behind(project: Project) -> None:
    project.revise("    op.execute('SELECT pg_sleep(1)')")
    runner = threading.Thread(target=project.upgrade)
    runner.start()
    wait_for(project, "SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(1)%'")
    shown = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    runner.join()
    assert str(project.folder) in shown
    for secret in secrets_of(project.url()):
        assert secret not in shown
    assert list(project.folder.glob("alembic-*")) == []


# An audit that can't be written never hides how the migration ended.


def test_an_audit_table_without_a_right_is_found_before_anything_runs(project: Project) -> None:
    project.revise(FIRST)
    project.rows("CREATE TABLE audit (id int)")  # of postgres
    with pytest.raises(InfraError, match=r"(?s)audit table audit can't be written.*42501.*No revision was run"):
        project.upgrade(audit_table="audit")
    assert project.rows("SELECT to_regclass('things')") == [(None,)]


@pytest.mark.parametrize("fails", [False, True])
def test_an_audit_that_fails_afterwards_is_a_warning(project: Project, fails: bool) -> None:
    project.revise(FIRST, "    op.execute('SELECT 1 / 0')" if fails else SECOND)
    project.rows(
        "CREATE TABLE audit (at timestamptz, who text, job text, release text, direction text, revision text, "
        "ms integer, outcome text CHECK (false)); GRANT ALL ON audit TO owner"
    )
    words = "The audit table audit could not be written"
    if fails:
        with pytest.raises(InfraError, match="22012") as caught:
            project.upgrade(audit_table="audit")
        assert [one for one in t.cast("list[str]", caught.value.facts["warnings"]) if words in one]
    else:
        done = project.upgrade(audit_table="audit")
        assert (done.after, [one for one in done.warnings if words in one] != []) == (("0002",), True)
