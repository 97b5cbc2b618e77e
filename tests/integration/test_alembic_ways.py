"""The ways in which applications configure Alembic and connect: Flask-Migrate, pyproject.toml, labels, sys.argv."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .alembic_project import FIRST, REVISION, SECOND, SYNC_ENV, Project

FLASK_APP = """
import os
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_migrate import Migrate

db = SQLAlchemy()
migrate = Migrate()

class Thing(db.Model):
    __tablename__ = "things"
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.Text)

def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("SHOP_URL", "sqlite://")
    db.init_app(app)
    migrate.init_app(app, db)
    return app
"""


@pytest.fixture
def flask(project: Project) -> dict[str, t.Any]:
    """Flask-Migrate's own template, as `flask db init` writes it."""
    site = next((Path(project.parameters["python"]).parents[1] / "lib").glob("python*/site-packages"))
    template = site / "flask_migrate/templates/flask"
    project.revise(FIRST, SECOND)
    (project.folder / "alembic.ini").unlink()
    shutil.copy(template / "env.py", project.folder / "migrations/env.py")
    (project.folder / "migrations/alembic.ini").write_text((template / "alembic.ini.mako").read_text())
    (project.folder / "shop.py").write_text(FLASK_APP)
    return {"config": str(project.folder / "migrations/alembic.ini"), "url_env": "SHOP_URL"}


def test_flask_migrate(project: Project, flask: dict[str, t.Any]) -> None:
    with pytest.raises(InfraError, match=r"(?s)script_location.*set `flask_app`"):
        project.upgrade(check=True, **flask)
    flask["flask_app"] = "shop:create_app()"
    with project.nothing_written():
        assert project.upgrade(check=True, **flask).after == ("0002",)
    done = project.upgrade(check_drift=True, **flask)
    assert (done.after, project.recorded(), done.facts["drift"]) == (("0002",), ["0002"], [])
    assert project.upgrade(**flask).changed is False
    assert project.info(**flask)["current"] == ["0002"]
    with pytest.raises(InfraError, match=r"(?s)Flask application \"nowhere\" can't be loaded.*Set `flask_app`"):
        project.upgrade(**{**flask, "flask_app": "nowhere"})


def test_an_application_that_connects_elsewhere_is_refused(project: Project) -> None:
    project.revise(FIRST)
    text = SYNC_ENV % {"options": ""}
    elsewhere = project.url(name="postgres")
    project.environment(text.replace('os.environ["DATABASE_URL"]', repr(elsewhere)))
    with pytest.raises(InfraError, match=r'(?s)does not connect to it, but to "postgres" at 127.0.0.1.*url_env'):
        project.upgrade()
    with pytest.raises(InfraError, match="does not connect to it"):
        project.info()
    assert project.postgres.rows("SELECT to_regclass('things')", "postgres") == [(None,)]


PYPROJECT = '[project]\nname = "app"\n\n[tool.alembic]\nscript_location = "%(here)s/migrations"\n'


@pytest.mark.parametrize(
    ("ini", "config"),
    [
        pytest.param(None, "pyproject.toml", id="alone"),
        pytest.param(None, "alembic.ini", id="alone, found by itself"),
        pytest.param("[alembic]\n", "alembic.ini", id="beside the ini"),
        pytest.param("[alembic]\n", "pyproject.toml", id="beside the ini, named"),
        pytest.param("[loggers]\nkeys = root\n", "alembic.ini", id="beside an ini without its section"),
    ],
)
def test_pyproject(project: Project, ini: str | None, config: str) -> None:
    (project.folder / "pyproject.toml").write_text(PYPROJECT)
    (project.folder / "alembic.ini").unlink()
    if ini:
        (project.folder / "alembic.ini").write_text(ini)
    project.revise(FIRST)
    assert project.upgrade(config=str(project.folder / config), check=True).after == ("0001",)
    assert project.upgrade(config=config, chdir=str(project.folder)).after == ("0001",)


def test_a_pyproject_without_alembic_is_not_read(project: Project) -> None:
    (project.folder / "pyproject.toml").write_text('[project]\nname = "app"\n')
    project.revise(FIRST)
    assert project.upgrade().after == ("0001",)
    with pytest.raises(InfraError, match=r"no section \[tool\.alembic\]"):
        project.upgrade(config=str(project.folder / "pyproject.toml"))


def test_one_branch_by_its_label(project: Project) -> None:
    for name, down, label in (("a1", None, "billing"), ("b1", None, "users"), ("a2", '"a1"', None)):
        text = REVISION.format(doc=name, name=name, down=down, body="    pass")
        text = text.replace("def upgrade", f"branch_labels = {label!r}\n\ndef upgrade")
        (project.folder / f"migrations/versions/{name}.py").write_text(text)
    assert project.upgrade(revision="billing@head", check=True).after == ("a2",)
    assert project.upgrade(revision="billing@head").after == ("a2",)
    assert project.upgrade(revision="billing@head").changed is False
    assert project.upgrade(revision="users@head").after == ("a2", "b1")
    for name in ("a1", "a2"):
        project.undo(name, "    op.execute('SELECT 1')")
    assert project.downgrade("billing@base").after == ("b1",)
    with pytest.raises(InfraError, match="no revision nowhere@head"):
        project.upgrade(revision="nowhere@head")


def test_an_env_py_that_reads_the_command_line(project: Project) -> None:
    project.environment(
        "import sys\nfrom alembic import context as c\n"
        "assert sys.argv[0].endswith('/alembic'), sys.argv\n"
        "assert sys.argv[1:] == ['-c', c.config.config_file_name, '-x', 'tenant=a', 'upgrade', 'head'], sys.argv\n"
        "assert c.config.cmd_opts.cmd[0].__name__ == 'upgrade'\n" + SYNC_ENV % {"options": ""}
    )
    project.revise(FIRST)
    given = {"x_args": {"tenant": "a"}}
    assert project.upgrade(check=True, **given).after == ("0001",)
    assert project.upgrade(**given).after == ("0001",)


GIVEN_ENV = """
from alembic import context
connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=None)
%s
"""
BEGINS = "with context.begin_transaction():\n    context.run_migrations()"


@pytest.mark.parametrize("text", [BEGINS, "context.run_migrations()"], ids=["begins", "leaves it to the caller"])
def test_an_env_py_that_wants_the_connection(project: Project, text: str) -> None:
    project.environment(GIVEN_ENV % text)
    project.revise(FIRST, SECOND)
    with pytest.raises(InfraError, match="Set `pass_connection: true`"):
        project.upgrade()
    with project.nothing_written():
        assert project.upgrade(check=True, pass_connection=True).after == ("0002",)
    done = project.upgrade(pass_connection=True)
    assert (done.after, project.recorded()) == (("0002",), ["0002"])
    with pytest.raises(InfraError, match="asynchronous driver"):
        project.info(pass_connection=True, url=project.url("asyncpg"))
