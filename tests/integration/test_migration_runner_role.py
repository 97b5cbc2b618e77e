"""The role migration_runner on a real database: what it passes on, and a schema that is ahead after a rollback."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.playbook import Done, play

from .alembic_project import FIRST, SECOND, Project
from .conftest import ROOT

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
ENVIRONMENT = ROOT / "roles/migration_runner/meta/environment.yml"


def upgrade(
    project: Project, running: t.Sequence[str], live_since: t.Mapping[str, int] | None = None, **variables: t.Any
) -> Done:
    """Upgrade to release 1.0.0, with what the stage has read.

    `running`: which version each instance of the API runs. `live_since`: of what is named so.
    """
    server = project.postgres
    wired = yaml.safe_load(ENVIRONMENT.read_text())["variables"]
    given = {
        "__migration_runner_python": project.parameters["python"],
        "backend_version": "1.0.0",
        "migration_runner_archive": "none.tar",
        "migration_runner_config": project.parameters["config"],
        "migration_runner_database": {
            "host": server.host,
            "port": server.port,
            "name": project.name,
            "user": server.user,
            "password": server.password,
        },
        "migration_runner_lint": "off",
        "migration_runner_live_since": wired["migration_runner_live_since"],
        "__migration_runner_unread": wired["__migration_runner_unread"],
        "migration_runner_running_version": wired["migration_runner_running_version"],
        "migration_runner_service": False,
        "migration_runner_version": "1.0.0",
        **variables,
    }
    hosts: dict[str, dict[str, t.Any]]
    hosts = {f"api-{number}": {"backend_running_version": one} for number, one in enumerate(running, start=1)}
    children: dict[str, t.Any] = {"api": {"hosts": hosts}}
    since = dict(live_since or {})
    if since:
        hosts["api-1"]["backend_live_since"] = since["API"]
        children["edge"] = {"hosts": {"edge-1": {"frontend_live_since": since["files"]}}}
    read = {"services_front_end_live_since": since.get("Vercel", 0)} if "Vercel" in since else {}
    read |= {"preflight_aws": {"serving_since": since["ECS"]}} if since.get("ECS") else {}
    # What the wiring of the environment knows on every host.
    read["infra_endpoints"] = {"api": {"service": {"name": "api"}} if "ECS" in since else None}
    inventory = {"all": {"hosts": {"localhost": {**LOCAL, **read}}, "children": children}}
    (project.folder / "hosts.json").write_text(json.dumps(inventory))
    role = {"name": "nexod.infra.migration_runner", "tasks_from": "upgrade.yml"}
    written = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_role": role, "vars": given}],
    }
    (project.folder / "play.yml").write_text(json.dumps([written]))
    done = play("-v", "-i", "hosts.json", "play.yml", cwd=project.folder)
    assert server.password not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    ("running", "passes"),
    [
        pytest.param(["1.0.0", "1.0.0"], True, id="rolled back"),
        pytest.param(["1.0.0", "1.1.0"], False, id="half rolled back"),
        pytest.param(["1.1.0", "1.1.0"], False, id="an older release"),
        pytest.param(["1.0.0", ""], False, id="an instance that was not reached"),
        pytest.param([], False, id="no instance"),
    ],
)
def test_only_the_release_that_runs_may_find_the_schema_ahead(
    project: Project, running: list[str], passes: bool
) -> None:
    project.revise(FIRST, SECOND)
    project.upgrade()
    (project.folder / "migrations/versions/0002.py").unlink()
    done = upgrade(project, running)
    assert (done.returncode == 0) is passes, done.stdout
    assert ("Nothing is run" if passes else "a newer release has migrated it") in done.stdout + done.stderr
    assert project.recorded() == ["0002"]


@pytest.mark.parametrize(
    ("young", "passes"),
    [
        pytest.param({"files": -200}, False, id="the front end is too young"),
        pytest.param({"API": -200}, False, id="the API is too young"),
        pytest.param({"Vercel": -200}, False, id="the front end at Vercel is too young"),
        pytest.param({"ECS": -200}, False, id="the service of ECS is too young"),
        pytest.param({"ECS": None}, False, id="the service of ECS was not asked"),
        pytest.param({"files": -301, "Vercel": -301, "ECS": -301}, True, id="all are old enough"),
    ],
)
def test_a_contract_waits_until_the_pages_before_are_no_longer_in_use(
    project: Project, young: dict[str, int | None], passes: bool
) -> None:
    project.revise(FIRST, "    op.drop_column('things', 'name')\n\ncontract = True")
    project.upgrade(revision="0001")
    project.rows("INSERT INTO things VALUES (1, 'Jane')")
    now = int(time.time())
    given = {"API": -1000, "files": -1000, **young}
    since = {name: 0 if seconds is None else now + seconds for name, seconds in given.items()}
    done = upgrade(project, ["1.0.0"], since, migration_runner_allow_contract=True)
    assert (done.returncode == 0) is passes, done.stdout
    assert passes or "Run again in" in done.stdout + done.stderr
    assert project.recorded() == ["0002" if passes else "0001"]


CONFIG_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine

assert os.getcwd() == {folder!r}, os.getcwd()
assert context.get_x_argument(as_dictionary=True) == {{"tenant": "a"}}
assert context.config.config_ini_section == "tenants"
engine = create_engine(context.config.get_section_option("tenants", "tenant.url"))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""


def test_what_env_py_needs_is_passed_on(project: Project) -> None:
    ini = project.folder / "alembic.ini"
    ini.write_text(ini.read_text().replace("[alembic]", "[tenants]"))
    project.environment(CONFIG_ENV.format(folder=str(project.folder / "migrations")))
    project.revise(FIRST)
    done = upgrade(
        project,
        [],
        migration_runner_x_args={"tenant": "a"},
        migration_runner_name="tenants",
        migration_runner_chdir=str(project.folder / "migrations"),
        migration_runner_url_option="tenant.url",
        migration_runner_audit_table="audit",
        migration_runner_check_drift=True,
    )
    assert done.returncode == 0, done.stdout
    assert project.rows("SELECT revision, release, outcome FROM audit") == [("0001", "api 1.0.0", "applied")]
    assert "env.py sets no target_metadata" in done.stdout + done.stderr
