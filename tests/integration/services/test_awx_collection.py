"""`awx.awx` takes the stand-in for AWX, and shows why it is not what declares things on AWX (docs/awx.md).

If one of its tests fails after an update of the package `ansible`, the decision should be looked at again. The example
of that page is run as it is there.
"""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.fixtures.services import awx, running
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, play, tasks_of

OF = {"organization": "nexod"}
APPROVAL = {
    "identifier": "approval",
    "workflow": "Release",
    "approval_node": {"name": "Approve", "timeout": 3600},
    **OF,
}
SLACK = {"notification_type": "slack", "notification_configuration": {"token": "canary", "channels": ["#deploys"]}}
TEMPLATE = {"project": "infra", "inventory": "staging", "playbook": "playbooks/deploy.yml"}
TASKS: list[tuple[str, dict[str, t.Any]]] = [
    ("organization", {"name": "nexod"}),
    ("team", {"name": "releases", **OF}),
    ("project", {"name": "infra", "scm_type": "git", "scm_url": "https://git.example/a.git", "wait": False, **OF}),
    ("inventory", {"name": "staging", **OF}),
    ("notification_template", {"name": "slack", **SLACK, **OF}),
    ("job_template", {"name": "Deploy", **TEMPLATE, **OF}),
    ("workflow_job_template", {"name": "Release", **OF}),
    ("workflow_job_template_node", APPROVAL),
    ("role", {"teams": ["releases"], "workflows": ["Release"], "role": "approval", "lookup_organization": "nexod"}),
]


@pytest.fixture
def folder(services: running.Services, tmp_path: pathlib.Path) -> pathlib.Path:
    account = {"controller_host": services.awx.url, "controller_oauthtoken": awx.TOKEN}
    tasks = [{f"awx.awx.{module}": {**options, **account}} for module, options in TASKS]
    variables = {"ansible_python_interpreter": sys.executable}
    shared = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{**shared, "tasks": tasks}]))
    (tmp_path / "hosts.yml").write_text("all: {hosts: {localhost: }}\n")
    return tmp_path


def ran(folder: pathlib.Path, *arguments: str) -> dict[str, dict[str, t.Any]]:
    """What each module answered, up to the first that failed."""
    done = play(str(folder / "play.yml"), "-i", str(folder / "hosts.yml"), *arguments, **AS_JSON)
    answers = [task["hosts"]["localhost"] for task in tasks_of(done)]
    return {module: answer for (module, _options), answer in zip(TASKS, answers, strict=False)}


def test_check_mode_knows_nothing_of_what_an_earlier_task_would_create(folder: pathlib.Path) -> None:
    answers = ran(folder, "--check")
    assert list(answers) == ["organization", "team"]
    assert answers["organization"]["changed"] is True
    assert "returned 0 items, expected 1" in answers["team"]["msg"]


def test_a_second_run_sends_changes(services: running.Services, folder: pathlib.Path) -> None:
    answers = ran(folder)
    assert len(answers) == len(TASKS)
    assert [module for module, answer in answers.items() if answer.get("failed")] == []
    before = len(services.awx.writes())
    again = ran(folder)
    # A token can't be read back, and this module has no update_secrets.
    assert [module for module, answer in again.items() if answer["changed"]] == ["notification_template"]
    # It sends null for what was not given, which AWX stores as an empty text.
    assert [seen.operation for seen in services.awx.writes()[before:]] == [
        "update_inventory",
        "update_notification_template",
    ]


def test_the_example_of_the_documentation(services: running.Services, tmp_path: pathlib.Path) -> None:
    text = (ROOT / "docs/awx.md").read_text(encoding="utf-8")
    (tmp_path / "play.yml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    account = {"CONTROLLER_HOST": services.awx.url, "CONTROLLER_OAUTH_TOKEN": awx.TOKEN}
    secrets = {"SLACK_TOKEN": "canary", "DATABASE_PASSWORD": "canary2"}

    def applied(*arguments: str) -> dict[str, t.Any]:
        done = play(
            str(tmp_path / "play.yml"), "-i", "localhost,", "--diff", *arguments, **account, **secrets, **AS_JSON
        )
        assert "canary" not in done.stdout + done.stderr
        answer = dict(tasks_of(done)[-1]["hosts"]["localhost"])
        assert done.returncode == 0, answer["msg"]
        return answer

    predicted = applied("--check")
    assert services.awx.writes() == []
    made = applied()
    assert [one["key"] for one in made["changes"]] == [one["key"] for one in predicted["changes"]]
    written = len(services.awx.writes())
    assert applied()["changed"] is False
    assert len(services.awx.writes()) == written
    (workflow,) = services.awx.rows("workflow_job_templates")
    nodes = {row["identifier"]: row for row in services.awx.rows("workflow_job_template_nodes")}
    assert nodes["staging"]["_sets"]["success_nodes"] == [nodes["approval"]["id"]]
    assert nodes["approval"]["_sets"]["success_nodes"] == [nodes["production"]["id"]]
    approvers = services.awx.roles_of(workflow)["approval_role"]
    assert [services.awx.one("teams", number)["name"] for number in approvers["_teams"]] == ["releases"]
