"""alembic_upgrade on a real PostgreSQL: with unmodified env.py, killed, raced, locked out, behind a pooler."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import threading
import time
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils import _alembic
from ansible_collections.nexod.infra.plugins.module_utils._alembic_archive import pack_tree
from ansible_collections.nexod.infra.plugins.module_utils._errors import InfraError

if t.TYPE_CHECKING:
    from .conftest import Postgres

SYNC_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None%(options)s)
    with context.begin_transaction():
        context.run_migrations()
"""
ASYNC_ENV = """
import asyncio, os
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine

def migrate(connection):
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = create_async_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()

print("env.py prints")
asyncio.run(main())
"""
REVISION = '''"""{doc}"""
import time
from alembic import op
revision = "{name}"
down_revision = {down}

def upgrade():
{body}

def downgrade():
    raise RuntimeError("nobody asked for the way back")
'''
CONCURRENT = """    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS things_name ON things (name)")"""
FIRST = "    op.execute('CREATE TABLE things (id int PRIMARY KEY, name text)')"
SECOND = "    op.execute(\"INSERT INTO things SELECT n, 'thing ' || n FROM generate_series(1, 100) AS n\")"


class Project:
    """An application's Alembic tree and the parameters to run it."""

    def __init__(self, folder: Path, postgres: Postgres, database: str, python: str) -> None:
        self.folder = folder
        self.postgres = postgres
        self.name = database
        self.database: dict[str, t.Any] = {
            "host": postgres.host,
            "port": postgres.port,
            "name": database,
            "user": postgres.user,
            "password": postgres.password,
            "sslmode": "prefer",
        }
        self.parameters: dict[str, t.Any] = {
            "chdir": None,
            "config": str(folder / "alembic.ini"),
            "database": self.database,
            "driver": "psycopg",
            "label": "release 1.1.0",
            "lock_retries": 3,
            "lock_timeout": 200,
            "lock_wait": 20,
            "python": python,
            "revision": "head",
            "statement_timeout": 0,
            "timeout": 60,
            "tree": None,
            "url_variable": "DATABASE_URL",
        }
        (folder / "migrations/versions").mkdir(parents=True)
        (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
        self.environment(SYNC_ENV % {"options": ""})

    def environment(self, text: str) -> None:
        (self.folder / "migrations/env.py").write_text(text)

    def revise(self, *bodies: str) -> None:
        """Write revisions 0001, 0002, ... that stand on each other."""
        for number, body in enumerate(bodies, start=1):
            down = f'"{number - 1:04}"' if number > 1 else None
            text = REVISION.format(doc=f"Step {number}", name=f"{number:04}", down=down, body=body)
            (self.folder / f"migrations/versions/{number:04}.py").write_text(text)

    def upgrade(self, *, check: bool = False, **changed: t.Any) -> _alembic.Outcome:
        return _alembic.upgrade({**self.parameters, **changed}, check=check, folder=str(self.folder))

    def upgrade_that_is_killed(self) -> None:
        with pytest.raises(InfraError, match="rc -9"):
            self.upgrade()

    def rows(self, sql: str) -> list[tuple[t.Any, ...]]:
        return self.postgres.rows(sql, self.name)

    def recorded(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT version_num FROM alembic_version")]


@pytest.fixture
def project(tmp_path: Path, postgres: Postgres, database: str, application_python: str) -> Project:
    return Project(tmp_path, postgres, database, application_python)


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

    planned = project.upgrade(check=True, driver=driver)
    assert [step["revision"] for step in planned.migrations] == ["0001", "0002", "0003"]
    assert (planned.before, planned.after) == ((), ("0003",))
    assert project.rows("SELECT to_regclass('alembic_version') IS NULL, to_regclass('things') IS NULL") == [
        (True, True)
    ]

    done = project.upgrade(driver=driver)
    assert [(step["revision"], step["doc"]) for step in done.migrations] == [
        ("0001", "Step 1"),
        ("0002", "Step 2"),
        ("0003", "Step 3"),
    ]
    assert all(step["seconds"] >= 0 for step in done.migrations)
    assert (done.before, done.after, project.recorded()) == ((), ("0003",), ["0003"])

    again = project.upgrade(driver=driver)
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
    planned = project.upgrade(check=True, python=str(releases / "2/bin/python"), config=config, tree=tree)
    assert [step["revision"] for step in planned.migrations] == ["0003"]
    assert planned.looked
    assert project.recorded() == ["0002"]


def test_explicit_revision_and_never_back(project: Project) -> None:
    project.revise(FIRST, SECOND)
    assert project.upgrade(revision="0001").after == ("0001",)
    assert project.upgrade().after == ("0002",)
    back = project.upgrade(revision="0001")
    assert (back.migrations, back.after, project.recorded()) == ((), ("0002",), ["0002"])


def test_check_mode_cannot_write_even_where_env_py_does(project: Project) -> None:
    project.revise(FIRST)
    project.environment(
        SYNC_ENV.replace(
            "    context.configure", "    connection.exec_driver_sql('CREATE TABLE stray ()')\n    context.configure"
        )
        % {"options": ""}
    )
    with pytest.raises(InfraError, match="25006"):
        project.upgrade(check=True)
    assert project.rows("SELECT to_regclass('stray') IS NULL") == [(True,)]


def test_silent_no_op_is_found(project: Project) -> None:
    """A statement before context.configure makes Alembic leave the commit to somebody else, with rc 0."""
    project.revise(FIRST)
    project.environment(
        SYNC_ENV.replace("    context.configure", "    connection.exec_driver_sql('SELECT 1')\n    context.configure")
        % {"options": ""}
    )
    with pytest.raises(InfraError, match="nothing of 0001 is in the database"):
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
        first, second = _alembic._alembic_helper.LOCK
        cursor.execute(f"SET application_name = 'somebody'; SELECT pg_advisory_lock({first}, {second})")
        with pytest.raises(InfraError) as caught:
            project.upgrade(lock_wait=0)
        pid = other.info.backend_pid
    assert f'held by pid {pid} ("somebody", from 127.0.0.1' in str(caught.value)
    assert f"SELECT pg_terminate_backend({pid});" in str(caught.value)


def test_a_busy_table_is_tried_again_and_readers_do_not_queue(project: Project) -> None:
    project.revise(FIRST)
    project.upgrade()
    project.revise(FIRST, "    op.execute('ALTER TABLE things ADD COLUMN more text')")
    reader = project.postgres.connect(project.name)
    reader.autocommit = False
    reader.cursor().execute("SELECT * FROM things")

    with pytest.raises(InfraError, match=r"(?s)55P03.*The database is at 0001"):
        project.upgrade(lock_retries=0)
    threading.Timer(1.5, reader.rollback).start()
    done = project.upgrade(lock_retries=20)
    reader.close()
    assert done.after == ("0002",)
    assert "tried again" in done.warnings[0]


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


def wait_for(project: Project, question: str) -> None:
    for _try in range(200):
        if project.rows(question) == [(True,)]:
            return
        time.sleep(0.05)
    pytest.fail(f"never came true: {question}")


def kill_the_helper_once(project: Project, statement: str) -> None:
    """SIGKILL to the helper of this test while the server runs `statement` for it."""
    wait_for(
        project,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' "
        f"AND pid <> pg_backend_pid() AND query LIKE '%{statement}%'",
    )
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(project.folder).encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


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
        pytest.param("", {"config": "/nowhere/alembic.ini"}, "no /nowhere/alembic.ini", id="no configuration"),
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
    project.database["password"] = "wr0ng%secret"
    with pytest.raises(InfraError) as caught:
        project.upgrade(check=True)
    assert "password authentication failed" in str(caught.value)
    assert "wr0ng" not in str(caught.value.report())


def test_pooler_in_transaction_mode_is_refused(project: Project, pgbouncer: t.Callable[[str], int]) -> None:
    project.revise(FIRST)
    project.database["port"] = pgbouncer("transaction")
    with pytest.raises(InfraError, match="shares sessions by transaction"):
        project.upgrade()
    project.database["port"] = pgbouncer("session")
    assert project.upgrade().after == ("0001",)


@pytest.fixture
def pgbouncer(postgres: Postgres, account_folder: Path) -> t.Iterator[t.Callable[[str], int]]:
    from .conftest import free_port, program  # noqa: PLC0415

    running: list[subprocess.Popen[bytes]] = []

    def start(mode: str) -> int:
        port, folder = free_port(), account_folder / f"pgbouncer-{mode}"
        folder.mkdir()
        (folder / "users").write_text(f'"owner" "{postgres.password}"\n')
        (folder / "ini").write_text(
            f"[databases]\n* = host={postgres.host} port={postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nauth_type = scram-sha-256\nauth_file = {folder}/users\npool_mode = {mode}\n"
            f"unix_socket_dir =\nlogfile = {folder}/log\n"
        )
        argv = [program("pgbouncer", "pgbouncer"), str(folder / "ini")]
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
            argv += ["-u", "postgres"]
        running.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for _try in range(100):
            if (folder / "log").exists() and re.search("listening on", (folder / "log").read_text()):
                return port
            time.sleep(0.05)
        pytest.fail(f"pgbouncer did not come up: {(folder / 'log').read_text()}")

    yield start
    for process in running:
        process.kill()
        process.wait()
