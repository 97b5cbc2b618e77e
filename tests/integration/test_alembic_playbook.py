"""alembic_upgrade as a playbook calls it: the lint on the controller, the example's tree, no secret in any output."""

from __future__ import annotations

import json
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import secrets_of
from ansible_collections.nexod.infra.tests.playbook import BINARIES

from .alembic_project import FIRST, Project
from .conftest import ROOT, program
from .playbook import run_task

LATER = ["0009_task_priority.py", "0010_urgent_titles.py", "0011_index_open_tasks.py", "0012_task_comments.py"]


@pytest.fixture(autouse=True)
def squawk() -> None:
    program("squawk", "squawk-cli (from PyPI)", BINARIES)


def task(project: Project, *flags: str, **arguments: t.Any) -> dict[str, t.Any]:
    """The result of one task, run by ansible-playbook."""
    given = {name: project.parameters[name] for name in ("python", "config", "url", "url_env")} | arguments
    module = given.pop("module", "alembic_upgrade")
    result, project.said, everything = run_task(project.folder, {f"nexod.infra.{module}": given}, "-vvv", *flags)
    for secret in secrets_of(project.url()):
        assert secret not in everything
    return result


def test_the_example_passes_the_lint_from_nothing_and_upgrades(project: Project, tmp_path: Path) -> None:
    """Its contract is no question on an empty database; what comes after is looked at with rows in the tables."""
    source = tmp_path / "src/nexod_api"
    subprocess.run(["cp", "-r", ROOT / "examples/api/src", tmp_path], check=True)
    kept = {name: (source / "migrations/versions" / name).read_text() for name in LATER}
    for name in LATER:
        (source / "migrations/versions" / name).unlink()
    given = {"config": "nexod_api:alembic.ini", "environment": {"PYTHONPATH": str(tmp_path / "src")}}
    first = task(project, **given, transaction="per_revision")
    assert first["after"] == ["0008_contract_name"], first
    assert [one["level"] for one in first["lint"] if one["level"] == "error"] == []

    project.rows(
        "INSERT INTO users (email, full_name) SELECT 'u' || n, 'x' FROM generate_series(1, 20000) AS n; "
        "INSERT INTO tasks (user_id, title) SELECT id, 'urgent' FROM users; ANALYZE"
    )
    for name, text in kept.items():
        (source / "migrations/versions" / name).write_text(text)
    planned = task(project, "--check", "--diff", **given)
    assert project.recorded() == ["0008_contract_name"]
    assert planned["before"] == ["0008_contract_name"]
    assert planned["after"] == ["0012_task_comments"]
    assert "ADD COLUMN priority" in planned["sql"]["0009_task_priority"]
    assert "ADD COLUMN priority" in planned["diff"]["after"]
    assert list(planned["not_rendered"]) == ["0010_urgent_titles"]
    # It reads what it changes: its statements can't all be known beforehand.
    assert [(one["level"], one["revision"]) for one in planned["lint"]] == [("unknown", "0010_urgent_titles")]
    done = task(project, **given, transaction="per_revision")
    assert done["after"] == ["0012_task_comments"], done
    assert [step["revision"] for step in done["applied"]] == [name.removesuffix(".py") for name in LATER]


def test_what_blocks_is_refused_waived_and_only_told(project: Project) -> None:
    project.revise(FIRST)
    project.upgrade()
    project.rows("INSERT INTO things SELECT n, 'thing' FROM generate_series(1, 20000) AS n; ANALYZE things")
    project.revise(FIRST, "    op.execute('CREATE INDEX things_name ON things (name)'); time.sleep(5)")

    refused = task(project)
    assert refused["failed"] is True
    found = refused["lint"][0]
    assert (found["rule"], found["revision"], found["table"], found["rows"], found["level"]) == (
        "require-concurrent-index-creation",
        "0002",
        "things",
        20000,
        "error",
    )
    assert "CONCURRENTLY" in refused["msg"]
    assert project.recorded() == ["0001"]
    unused = {"rule": "renaming-column", "revision": "0002", "reason": "no more"}
    waiver = {"rule": "require-concurrent-index-creation", "revision": "0002", "reason": "nobody writes it"}
    done = task(project, lint_waivers=[waiver, unused])
    assert (done["after"], done["unused_waivers"]) == (["0002"], [unused])
    assert done["lint"][0]["waived"] == "nobody writes it"
    # It took a while, so it said how far it was; and left nothing behind.
    assert "alembic: revision 1 of 1: 0002 Step 2, " in project.said
    assert list(Path(tempfile.gettempdir()).glob(".nexod-alembic-*")) == []


def test_the_audit_knows_who_and_which_job(project: Project) -> None:
    project.revise(FIRST)
    project.undo("0001", "    op.execute('DROP TABLE things')")
    awx = ("-e", json.dumps({"awx_job_id": 42, "tower_job_id": 42, "awx_user_name": "jane"}))
    task(project, *awx, audit_table="audit")
    task(project, *awx, module="alembic_downgrade", revision="base", confirm=True, audit_table="audit")
    task(project, *awx, audit_table="audit", audit_who="joe", audit_job="7")
    assert project.rows("SELECT who, job, direction, outcome FROM audit ORDER BY id") == [
        ("jane", "42", "upgrade", "applied"),
        ("jane", "42", "downgrade", "applied"),
        ("joe", "7", "upgrade", "applied"),
    ]


def test_the_other_modules_from_a_playbook(project: Project) -> None:
    project.revise(FIRST)
    project.undo("0001", "    op.execute('DROP TABLE things')")
    project.upgrade()
    seen = task(project, module="alembic_info")
    assert (seen["changed"], seen["current"], seen["heads"], seen["pending"]) == (False, ["0001"], ["0001"], [])
    back = task(project, "--diff", module="alembic_downgrade", revision="base", confirm=True)
    assert (back["changed"], back["before"], back["after"]) == (True, ["0001"], [])
    assert back["diff"]["before"] == "at 0001\n"
    done = task(project, module="alembic_stamp", revision="head")
    assert (done["changed"], done["before"], done["after"]) == (True, [], ["0001"])
