"""An application's Alembic tree to run the modules on, and what a test does to those that run."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import operations
from ansible_collections.nexod.infra.plugins.module_utils._alembic.answers import Outcome
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import database_url
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.modules import (
    alembic_downgrade,
    alembic_info,
    alembic_stamp,
    alembic_upgrade,
)

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


def of(module: t.Any) -> dict[str, t.Any]:
    """The defaults of a module's options."""
    return {name: option.get("default") for name, option in module.ARGUMENTS.items()}


class Project:
    """An application's Alembic tree and the parameters to run it."""

    def __init__(self, folder: Path, postgres: Postgres, database: str, python: str) -> None:
        self.folder = folder
        self.postgres = postgres
        self.name = database
        self.said = ""  # what a person saw while it ran
        self.parameters: dict[str, t.Any] = {
            **of(alembic_upgrade),
            "config": str(folder / "alembic.ini"),
            "label": "release 1.1.0",
            "lint": "off",
            "lock_retries": 3,
            "python": python,
            "runner_lock_wait": "20s",
            "timeout": "60s",
            "transaction": "per_revision",
            "url": self.url(),
            "url_env": "DATABASE_URL",
        }
        (folder / "migrations/versions").mkdir(parents=True)
        (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
        self.environment(SYNC_ENV % {"options": ""})

    def url(self, driver: str = "psycopg", **changed: t.Any) -> str:
        server = self.postgres
        given = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
        return database_url({**given, "name": self.name, **changed}, driver)

    def environment(self, text: str) -> None:
        (self.folder / "migrations/env.py").write_text(text)

    def revise(self, *bodies: str) -> None:
        """Write revisions 0001, 0002, ... that stand on each other."""
        for number, body in enumerate(bodies, start=1):
            down = f'"{number - 1:04}"' if number > 1 else None
            text = REVISION.format(doc=f"Step {number}", name=f"{number:04}", down=down, body=body)
            (self.folder / f"migrations/versions/{number:04}.py").write_text(text)

    def undo(self, name: str, body: str) -> None:
        """Write the downgrade of a revision."""
        file = self.folder / f"migrations/versions/{name}.py"
        text = file.read_text()
        file.write_text(f"{text[: text.index('def downgrade')]}def downgrade():\n{body}\n")

    def upgrade(
        self, *, check: bool = False, approve: t.Callable[[Outcome], bool] | None = None, **changed: t.Any
    ) -> Outcome:
        given = {**self.parameters, **changed}
        return operations.upgrade(given, check=check, folder=str(self.folder), approve=approve)

    def downgrade(self, revision: str, *, check: bool = False, **changed: t.Any) -> Outcome:
        given = {**of(alembic_downgrade), **self.shared(), "revision": revision, "confirm": True, **changed}
        return operations.downgrade(given, check=check, folder=str(self.folder))

    def stamp(self, revision: str, *, check: bool = False, **changed: t.Any) -> Outcome:
        given = {**of(alembic_stamp), **self.shared(), "revision": revision, **changed}
        return operations.stamp(given, check=check, folder=str(self.folder))

    def info(self, **changed: t.Any) -> dict[str, t.Any]:
        return operations.info({**of(alembic_info), **self.shared(), **changed}, folder=str(self.folder))

    def shared(self) -> dict[str, t.Any]:
        return {name: self.parameters[name] for name in ("config", "python", "url", "url_env", "timeout", "label")}

    def upgrade_that_is_killed(self) -> None:
        with pytest.raises(InfraError, match="rc -9"):
            self.upgrade()

    def rows(self, sql: str) -> list[tuple[t.Any, ...]]:
        return self.postgres.rows(sql, self.name)

    @contextlib.contextmanager
    def nothing_written(self) -> t.Iterator[None]:
        """Proves it: whoever writes anything, in whichever database, takes a number, and a rollback gives none back.

        A sequence moves without one.
        """
        question = (
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text, "
            "(SELECT string_agg(sequencename || ' ' || coalesce(last_value, 0), ',') FROM pg_sequences)"
        )
        before = self.rows(question)
        yield
        assert self.rows(question) == before

    def recorded(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT version_num FROM alembic_version")]


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
