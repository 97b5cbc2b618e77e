"""Alembic trees that nobody here wrote, from packages of PyPI, up from empty to head and down as far as they allow."""

from __future__ import annotations

import dataclasses
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .alembic_project import Project
from .conftest import made_environment

# Each package's environment is large, and hours may lie between two changes that matter to it.
pytestmark = pytest.mark.long


@dataclasses.dataclass(frozen=True)
class Tree:
    """Where a package has its tree, and how its env.py wants the URL."""

    packages: tuple[str, ...]
    folder: str
    url_env: str | None
    revisions: int
    down_to: str | None

    def environment(self) -> Path:
        return made_environment(f"tree-{'-'.join(self.packages).replace('==', '-')}", sys.executable, *self.packages)


TREES = {
    # Reads the option; its downgrade of v3.0.0.c names what its models no longer have.
    "optuna": Tree(("optuna==5.0.0", "psycopg2-binary==2.9.13"), "optuna/storages/_rdb", None, 10, "v3.0.0.c"),
    # Reads a variable, and writes the option over.
    "argilla": Tree(
        ("argilla-server==2.8.0", "psycopg2-binary==2.9.13", "asyncpg==0.32.0"),
        "argilla_server",
        "ARGILLA_DATABASE_URL",
        20,
        None,
    ),
}


@pytest.fixture(params=TREES)
def tree(request: pytest.FixtureRequest) -> Tree:
    return TREES[request.param]


def test_up_from_empty_and_down(tree: Tree, project: Project) -> None:
    home = tree.environment()
    # argilla's own env.py takes no `%` in a URL.
    project.rows("CREATE ROLE plain LOGIN PASSWORD 'plain'; GRANT ALL ON SCHEMA public TO plain")
    given: dict[str, t.Any] = {
        "python": str(home / "bin/python"),
        "chdir": str(next(home.glob(f"lib/python3*/site-packages/{tree.folder}"))),
        "config": "alembic.ini",
        "url": project.url("psycopg2", user="plain", password="plain"),
        "url_env": tree.url_env,
        "timeout": "10min",
        "environment": {"ARGILLA_HOME_PATH": str(project.folder)},
    }
    planned = project.upgrade(check=True, **given)
    assert project.rows("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]
    done = project.upgrade(**given)
    assert done.after == planned.after
    assert [step["revision"] for step in done.migrations] == [step["revision"] for step in planned.migrations]
    assert len(done.migrations) >= tree.revisions
    assert project.upgrade(**given).changed is False
    first = tree.down_to or done.migrations[0]["revision"]
    try:
        back = project.downgrade(first, **given)
    except InfraError as error:
        assert "is empty or not implemented" in str(error)
        empty = str(error).partition("the downgrade of ")[2].partition(" is empty")[0].split(", ")
        back = project.downgrade(first, allow_empty=empty, **given)
    assert back.after == (first,)
    project.rows("DROP OWNED BY plain; DROP ROLE plain")
