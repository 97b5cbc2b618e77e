"""The helper in the environments of applications: Python 3.9 to 3.13, Alembic 1.13 to 1.20, SQLAlchemy 1.4 to 2.1."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .alembic_project import ASYNC_ENV, CONCURRENT, FIRST, SECOND, SYNC_ENV, Project
from .conftest import Postgres, made_environment

# Each environment is installed once, which takes its time.
pytestmark = pytest.mark.long


@dataclasses.dataclass(frozen=True)
class Environment:
    python: str
    alembic: str
    sqlalchemy: str
    drivers: tuple[str, ...]

    def __str__(self) -> str:
        return f"Python {self.python}, Alembic {self.alembic}, SQLAlchemy {self.sqlalchemy}"

    def made(self) -> str:
        """Its interpreter."""
        python = interpreter(self.python)
        if python is None:
            pytest.skip(f"no Python {self.python} with venv is here (looked for python{self.python} and in pyenv)")
        wanted = [f"alembic=={self.alembic}", f"sqlalchemy[asyncio]=={self.sqlalchemy}"]
        wanted += [PACKAGES[driver] for driver in self.drivers]
        name = f"matrix-{self.python}-alembic-{self.alembic}-sqlalchemy-{self.sqlalchemy}"
        return str(made_environment(name, python, *wanted) / "bin/python")


PACKAGES = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "asyncpg": "asyncpg"}
OLD = ("psycopg2", "asyncpg")  # SQLAlchemy 1.4 does not know psycopg
ALL = ("psycopg", *OLD)
# Each Python with the oldest and the newest that it takes, each minor release of Alembic, each series of SQLAlchemy.
ENVIRONMENTS = (
    Environment("3.9", "1.13.0", "1.4.54", OLD),
    Environment("3.9", "1.16.5", "2.0.52", ALL),
    Environment("3.10", "1.13.3", "2.0.30", ALL),
    Environment("3.10", "1.14.1", "1.4.54", OLD),
    Environment("3.11", "1.13.0", "1.4.54", OLD),
    Environment("3.11", "1.15.2", "2.0.52", ALL),
    Environment("3.12", "1.16.5", "1.4.54", OLD),
    Environment("3.12", "1.17.2", "2.0.52", ALL),
    Environment("3.13", "1.18.5", "2.0.52", ALL),
    Environment("3.13", "1.19.2", "2.1.0", ALL),
    Environment("3.13", "1.20.1", "2.1.9", ALL),
)


def interpreter(version: str) -> str | None:
    """One of that version that can make a virtual environment; a name in the path may be only a stand-in."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [sys.executable] if version == here else []
    found += [shutil.which(f"python{version}") or "", *map(str, sorted(versions.glob(f"{version}.*/bin/python")))]
    ask = f"import ensurepip, sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for python in filter(None, found):
        if subprocess.run([python, "-c", ask], check=False, capture_output=True).returncode == 0:
            return python
    return None


@pytest.mark.parametrize(
    ("environment", "driver"),
    [
        pytest.param(environment, driver, id=f"{environment}, {driver}")
        for environment in ENVIRONMENTS
        for driver in environment.drivers
    ],
)
def test_plan_up_fail_and_down(
    environment: Environment, driver: str, tmp_path: Path, postgres: Postgres, database: str
) -> None:
    project = Project(tmp_path, postgres, database, environment.made())
    project.environment(ASYNC_ENV if driver == "asyncpg" else SYNC_ENV % {"options": ""})
    project.revise(FIRST, SECOND, CONCURRENT)
    project.undo("0003", "    op.drop_index('things_name', 'things')")
    url = project.url(driver)
    with project.nothing_written():
        planned = project.upgrade(check=True, url=url)
    assert [step["revision"] for step in planned.migrations] == ["0001", "0002", "0003"]
    assert planned.facts["sql"]["0003"].startswith("CREATE INDEX CONCURRENTLY")
    assert planned.facts["not_rendered"] == {}

    done = project.upgrade(url=url)
    assert [(step["revision"], step["statements_total"]) for step in done.facts["applied"]] == [
        ("0001", 1),
        ("0002", 1),
        ("0003", 1),
    ]
    assert done.facts["settings"]["lock_timeout"] == "200"
    assert project.upgrade(url=url).changed is False

    back = project.downgrade("0002", url=url)
    assert (back.before, back.after, project.recorded()) == (("0003",), ("0002",), ["0002"])

    project.revise(FIRST, SECOND, CONCURRENT, "    op.execute('CREATE TABLE more ()'); op.execute('SELECT 1/0')")
    with pytest.raises(InfraError, match="22012") as caught:
        project.upgrade(url=url)
    failure = t.cast("dict[str, t.Any]", caught.value.report()["failure"])
    assert (failure["revision"], failure["statement"]) == ("0004", "SELECT 1/0")
    assert project.recorded() == ["0003"]
    seen = project.info(url=url, check_drift=True)
    assert (seen["current"], seen["heads"], seen["drift"]) == (["0003"], ["0004"], None)
