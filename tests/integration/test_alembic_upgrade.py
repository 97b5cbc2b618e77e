"""alembic_upgrade on a real PostgreSQL: with unmodified env.py, killed, raced, locked out, behind a pooler."""

from __future__ import annotations

import contextlib
import io
import tarfile
import threading
import time
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.archive import pack_tree
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.protocol import LOCK
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .alembic_project import (
    ASYNC_ENV,
    CONCURRENT,
    FIRST,
    REVISION,
    SECOND,
    SYNC_ENV,
    Project,
    kill_the_helper_once,
    wait_for,
)


@pytest.mark.parametrize(
    ("driver", "environment"),
    [
        pytest.param("psycopg", SYNC_ENV % {"options": ""}, id="psycopg"),
        pytest.param("psycopg2", SYNC_ENV % {"options": ", transaction_per_migration=True"}, id="psycopg2"),
        pytest.param("asyncpg", ASYNC_ENV, id="asyncpg"),
    ],
)
def test_plan_upgrade_and_nothing_more_to_do(project: Project, driver: str, environment: str) -> None:
    project.environment(environment)
    project.revise(FIRST, SECOND, CONCURRENT)

    planned = project.upgrade(check=True, url=project.url(driver))
    assert [step["revision"] for step in planned.migrations] == ["0001", "0002", "0003"]
    assert (planned.before, planned.after) == ((), ("0003",))
    assert project.rows("SELECT to_regclass('alembic_version') IS NULL, to_regclass('things') IS NULL") == [
        (True, True)
    ]

    done = project.upgrade(url=project.url(driver))
    assert [(step["revision"], step["doc"]) for step in done.migrations] == [
        ("0001", "Step 1"),
        ("0002", "Step 2"),
        ("0003", "Step 3"),
    ]
    assert all(step["seconds"] >= 0 for step in done.migrations)
    assert (done.before, done.after, project.recorded()) == ((), ("0003",), ["0003"])

    again = project.upgrade(url=project.url(driver))
    assert (again.migrations, again.before, again.after) == ((), ("0003",), ("0003",))


def test_plan_of_a_release_that_is_not_on_the_host_yet(project: Project, tmp_path: Path) -> None:
    """In check mode nothing is installed: the new release's migrations are read in the old one's environment."""
    project.revise(FIRST, SECOND)
    project.upgrade()
    project.revise(FIRST, SECOND, CONCURRENT)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as wheel:
        wheel.writestr("nexod_app/alembic.ini", "[alembic]\nscript_location = nexod_app:migrations\n")
        for file in sorted((project.folder / "migrations").rglob("*.py")):
            wheel.writestr(f"nexod_app/{file.relative_to(project.folder)}", file.read_text())
        wheel.writestr("nexod_app/__init__.py", "")
        wheel.writestr("nexod_app/migrations/__init__.py", "")
    with tarfile.open(tmp_path / "app.tar", "w") as archive:
        member = tarfile.TarInfo("wheels/nexod_app-2-py3-none-any.whl")
        member.size = len(content.getvalue())
        archive.addfile(member, io.BytesIO(content.getvalue()))
    releases = tmp_path / "app"
    releases.mkdir()
    (releases / "1").symlink_to(Path(project.parameters["python"]).parents[1])

    config = "nexod_app:alembic.ini"
    tree = pack_tree(tmp_path / "app.tar", config)
    planned = project.upgrade(
        check=True, python=str(releases / "2/bin/python"), config=config, _internal={"tree": tree}
    )
    assert [step["revision"] for step in planned.migrations] == ["0003"]
    assert planned.inspected
    assert project.recorded() == ["0002"]


def test_explicit_revision_and_never_back(project: Project) -> None:
    project.revise(FIRST, SECOND)
    assert project.upgrade(revision="0001").after == ("0001",)
    assert project.upgrade().after == ("0002",)
    back = project.upgrade(revision="0001")
    assert (back.migrations, back.after, project.recorded()) == ((), ("0002",), ["0002"])


def prepared(statement: str, *, configure: str = "", environment: str = SYNC_ENV % {"options": ""}) -> str:
    """An env.py that runs `statement` before it configures, with more to say to that."""
    run = f"    connection.exec_driver_sql({statement!r}); connection.commit()\n    context.configure({configure}"
    return environment.replace("    context.configure(", run)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("INSERT INTO runs DEFAULT VALUES", id="fills"),
        pytest.param("DROP TABLE IF EXISTS runs", id="takes away"),
        pytest.param("SELECT nextval('runs_id_seq')", id="moves a sequence"),
        pytest.param("CREATE TABLE copy AS SELECT * FROM runs", id="copies"),
        pytest.param("CREATE SCHEMA a; DELETE FROM runs", id="among others"),
        pytest.param("DO $$ BEGIN CREATE TABLE stray (); END $$", id="hidden in a block"),
    ],
)
def test_check_mode_cannot_write_even_where_env_py_does(project: Project, statement: str) -> None:
    project.revise(FIRST)
    project.rows("CREATE TABLE runs (id serial); ALTER TABLE runs OWNER TO owner")
    project.environment(prepared(statement))
    with project.nothing_written(), pytest.raises(InfraError, match=r"(?s)25006.*the others to a revision"):
        project.upgrade(check=True)


SCHEMA_ENV = prepared("CREATE SCHEMA IF NOT EXISTS a", configure='version_table_schema="a", ')
WIDER = "ALTER TABLE IF EXISTS public.alembic_version ALTER COLUMN version_num TYPE varchar(64)"


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    ("environment", "driver", "left_out"),
    [
        pytest.param(SCHEMA_ENV, "psycopg", "CREATE SCHEMA IF NOT EXISTS a", id="psycopg"),
        pytest.param(SCHEMA_ENV, "psycopg2", "CREATE SCHEMA IF NOT EXISTS a", id="psycopg2"),
        pytest.param(
            prepared("CREATE SCHEMA IF NOT EXISTS a", configure='version_table_schema="a", ', environment=ASYNC_ENV),
            "asyncpg",
            "CREATE SCHEMA IF NOT EXISTS a",
            id="asyncpg",
        ),
        pytest.param(prepared("CREATE TABLE IF NOT EXISTS kept ()"), "psycopg", "CREATE TABLE", id="table"),
        pytest.param(prepared("CREATE EXTENSION IF NOT EXISTS plpgsql"), "psycopg", "CREATE EXTENSION", id="extension"),
        pytest.param(prepared(WIDER), "psycopg", WIDER, id="wider version_num"),
        pytest.param(
            SYNC_ENV.replace(
                "    context.configure(",
                "    one = connection.execution_options(isolation_level='AUTOCOMMIT')\n"
                "    one.exec_driver_sql('/* ours */ CREATE SCHEMA IF NOT EXISTS a; COMMENT ON SCHEMA a IS NULL')\n"
                "    connection.commit(); connection.execution_options(isolation_level='READ COMMITTED')\n"
                "    context.configure(",
            )
            % {"options": ""},
            "psycopg2",
            "CREATE SCHEMA IF NOT EXISTS a; COMMENT",
            id="autocommit",
        ),
    ],
)
def test_check_mode_leaves_out_what_env_py_only_prepares(
    project: Project, environment: str, driver: str, left_out: str, there: bool
) -> None:
    project.environment(environment)
    project.revise(FIRST)
    url = project.url(driver)
    if there:
        assert project.upgrade(url=url).after == ("0001",)
        project.revise(FIRST, SECOND)
    with project.nothing_written():
        planned = project.upgrade(check=True, url=url)
        assert project.info(url=url)["current"] == list(planned.before)
    assert [step["revision"] for step in planned.migrations] == (["0002"] if there else ["0001"])
    assert [warning for warning in planned.warnings if left_out in warning]
    done = project.upgrade(url=url)
    assert (done.before, done.after) == (planned.before, planned.after)
    assert not done.warnings


def test_an_env_py_that_needs_what_it_makes_runs_and_says_why_no_plan_is_there(project: Project) -> None:
    statement = "CREATE TABLE IF NOT EXISTS runs (at timestamptz)"
    text = prepared(statement)
    read = "    connection.exec_driver_sql('SELECT count(*) FROM runs'); connection.rollback()\n    context.configure("
    project.environment(text.replace("    context.configure(", read))
    project.revise(FIRST)
    with (
        project.nothing_written(),
        pytest.raises(InfraError, match=r"(?s)skipped what env.py runs first: CREATE TABLE.*without check mode"),
    ):
        project.upgrade(check=True)
    assert project.upgrade().after == ("0001",)
    assert project.upgrade(check=True).migrations == ()


def test_through_a_pooler_autocommit_cannot_be_kept_from_writing(
    project: Project, pgbouncer: t.Callable[[str], int]
) -> None:
    project.rows("CREATE TABLE runs (); ALTER TABLE runs OWNER TO owner")
    text = prepared("DROP TABLE runs")
    project.environment(
        text.replace("engine.connect()", "engine.connect().execution_options(isolation_level='AUTOCOMMIT')")
    )
    project.revise(FIRST)
    with project.nothing_written(), pytest.raises(InfraError, match=r"env\.py runs in autocommit mode"):
        project.upgrade(check=True, url=project.url(port=pgbouncer("transaction")), via_pooler=True)


def test_silent_no_op_is_found(project: Project) -> None:
    """A statement before context.configure makes Alembic leave the commit to somebody else, with rc 0."""
    project.revise(FIRST)
    project.environment(
        SYNC_ENV.replace("    context.configure", "    connection.exec_driver_sql('SELECT 1')\n    context.configure")
        % {"options": ""}
    )
    with pytest.raises(InfraError, match="did not record 0001 in the database"):
        project.upgrade()


def test_two_runners_at_once(project: Project) -> None:
    project.revise(FIRST, "    op.execute('SELECT pg_sleep(0.5)')", SECOND)
    outcomes: list[t.Any] = []

    def run() -> None:
        try:
            outcomes.append(len(project.upgrade().migrations))
        except InfraError as error:
            outcomes.append(error)

    runners = [threading.Thread(target=run) for _runner in range(3)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert sorted(outcomes) == [0, 0, 3]
    assert project.recorded() == ["0003"]


def test_lock_held_names_the_holder(project: Project) -> None:
    project.revise(FIRST)
    with contextlib.closing(project.postgres.connect(project.name, "owner")) as other, other.cursor() as cursor:
        first, second = LOCK
        cursor.execute(f"SET application_name = 'somebody'; SELECT pg_advisory_lock({first}, {second})")
        with pytest.raises(InfraError) as caught:
            project.upgrade(runner_lock_wait=0)
        pid = other.info.backend_pid
    assert f'held by pid {pid} ("somebody", from 127.0.0.1' in str(caught.value)
    assert f"SELECT pg_terminate_backend({pid});" in str(caught.value)


def leave_when_waited_for(project: Project, reader: t.Any) -> None:
    wait_for(project, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    time.sleep(0.4)
    reader.rollback()


def test_a_busy_table_is_tried_again_and_readers_do_not_queue(project: Project) -> None:
    project.revise(FIRST)
    project.upgrade()
    project.revise(FIRST, "    op.execute('ALTER TABLE things ADD COLUMN more text')")
    reader = project.postgres.connect(project.name)
    reader.autocommit = False
    reader.cursor().execute("SELECT * FROM things")

    with pytest.raises(InfraError, match=r"(?s)55P03.*The database is at 0001"):
        project.upgrade(lock_retries=0)
    leaving = threading.Thread(target=leave_when_waited_for, args=(project, reader))
    leaving.start()
    done = project.upgrade(lock_retries=20)
    leaving.join()
    reader.close()
    assert done.after == ("0002",)
    assert "was retried" in done.warnings[0]


def test_a_failing_revision_is_named_with_where_it_left_the_database(project: Project) -> None:
    project.revise(FIRST, CONCURRENT, "    op.execute(\"INSERT INTO things VALUES (1, 'Jane'), (1, 'Joe')\")")
    with pytest.raises(InfraError) as caught:
        project.upgrade()
    report = caught.value.report()
    assert (report["failed_revision"], report["sqlstate"]) == ("0003", "23505")
    assert (report["revision_before"], report["revision_after"]) == ("no revision (empty database)", "0002")
    assert [step["revision"] for step in t.cast("list[dict[str, str]]", report["migrations"])] == ["0001", "0002"]
    assert "INSERT INTO things" in str(caught.value)
    assert project.recorded() == ["0002"]


def test_killed_runner_frees_the_table_and_the_next_one_converges(project: Project) -> None:
    project.revise(FIRST, SECOND, "    op.execute('LOCK TABLE things; SELECT pg_sleep(300)')")
    project.upgrade(revision="0002")
    runner = threading.Thread(target=project.upgrade_that_is_killed)
    runner.start()
    kill_the_helper_once(project, "pg_sleep(300)")
    runner.join()
    project.revise(FIRST, SECOND, "    op.execute('ALTER TABLE things ADD COLUMN more text')")
    began = time.monotonic()
    assert project.upgrade().after == ("0003",)
    assert time.monotonic() - began < 10


def test_killed_concurrent_index_is_built_anew(project: Project) -> None:
    project.revise(FIRST, SECOND, CONCURRENT)
    project.upgrade(revision="0002")
    blocker = project.postgres.connect(project.name)
    blocker.autocommit = False
    blocker.cursor().execute("INSERT INTO things VALUES (1000, 'not yet committed')")
    runner = threading.Thread(target=project.upgrade_that_is_killed)
    runner.start()
    kill_the_helper_once(project, "CREATE INDEX CONCURRENTLY")
    runner.join()
    wait_for(
        project,
        "SELECT count(*) = 0 FROM pg_stat_activity "
        "WHERE query LIKE '%CREATE INDEX CONC%' AND state = 'active' AND pid <> pg_backend_pid()",
    )
    blocker.rollback()
    blocker.close()
    assert project.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_name'::regclass") == [(False,)]

    done = project.upgrade()
    assert done.after == ("0003",)
    assert "things_name was invalid" in done.warnings[0]
    assert project.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_name'::regclass") == [(True,)]


@pytest.mark.parametrize(
    ("prepare", "changed", "words"),
    [
        pytest.param(
            "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('9999'); "
            "ALTER TABLE alembic_version OWNER TO owner",
            {},
            "is at 9999, which this release does not know",
            id="database ahead",
        ),
        pytest.param("", {"revision": "0042"}, "no revision 0042", id="unknown revision"),
        pytest.param("", {"config": "/nowhere/alembic.ini"}, "alembic.ini does not exist", id="no configuration"),
        pytest.param("", {"config": "nexod_none:alembic.ini"}, 'no package "nexod_none"', id="no package"),
        pytest.param("", {"python": "/nowhere/python"}, "Install the release first", id="no interpreter"),
    ],
)
def test_refused(project: Project, prepare: str, changed: dict[str, t.Any], words: str) -> None:
    project.revise(FIRST)
    if prepare:
        project.rows(prepare)
    with pytest.raises(InfraError, match=words):
        project.upgrade(**changed)


def test_two_heads(project: Project) -> None:
    project.revise(FIRST)
    for name in ("a", "b"):
        text = REVISION.format(doc=name, name=name, down='"0001"', body="    pass")
        (project.folder / f"migrations/versions/{name}.py").write_text(text)
    with pytest.raises(InfraError, match=r"has 2 heads: a, b"):
        project.upgrade()
    assert project.upgrade(revision="heads").after == ("a", "b")


def test_wrong_password_is_not_shown(project: Project) -> None:
    project.revise(FIRST)
    with pytest.raises(InfraError) as caught:
        project.upgrade(check=True, url=project.url(password="wr0ng%secret"))
    assert "password authentication failed" in str(caught.value)
    assert "wr0ng" not in str(caught.value.report())


def test_pooler_in_transaction_mode_is_refused(project: Project, pgbouncer: t.Callable[[str], int]) -> None:
    project.revise(FIRST)
    with pytest.raises(InfraError, match="transaction-mode pooler"):
        project.upgrade(url=project.url(port=pgbouncer("transaction")))
    assert project.upgrade(url=project.url(port=pgbouncer("session"))).after == ("0001",)
