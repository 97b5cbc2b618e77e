"""The stage services as ansible-playbook runs it, in an environment that declares what the product has at Sentry."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.fixtures.services import running, sentry_core
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, Done, play, tasks_of

INVENTORY = {
    "infra_environment": "staging",
    "infra_provider": "hosts",
    "infra_domain": "example.com",
    "backend_version": "1.0.0",
    "services_sentry_organization": sentry_core.ORGANIZATION,
    "services_sentry_team": sentry_core.TEAM,
    "services_sentry_projects": [{"name": "api", "platform": "python-fastapi"}],
    "services_sentry_slack": {"integration": "Nexod", "target": "C024BE91L", "title": "#alerts"},
    "services_sentry_pagerduty": {"integration": "nexod", "target": "71"},
}
HOSTS = "all: {children: {database_primary: {hosts: {db: {ansible_host: 192.0.2.1}}}}}\n"
TOKENS = {"SENTRY_AUTH_TOKEN": sentry_core.TOKEN}


class Stage:
    """Plays of the collection, in an inventory of their own."""

    def __init__(self, services: running.Services, folder: pathlib.Path) -> None:
        self.folder = folder
        self.values: dict[str, t.Any] = {**INVENTORY, "services_sentry_url": services.sentry.url}
        inventory = folder / "inventory"
        (inventory / "group_vars").mkdir(parents=True)
        (inventory / "hosts.yml").write_text(HOSTS)
        (inventory / "nexod.yml").write_text("plugin: nexod.infra.environment\n")
        stage = yaml.safe_load((ROOT / "playbooks/stages/services.yml").read_text())[-1]
        asked = yaml.safe_load((ROOT / "playbooks/stages/preflight.yml").read_text())[1]
        (task,) = [one for one in asked["tasks"] if one["name"].startswith("Ask Clerk")]
        del task["when"]
        report = {
            "name": "Report",
            "nexod.infra.preflight_report": {
                "inputs": {"environment": "staging", "faults": [], "asked": {}, "hosts": []},
                "answer": "none",
                "services": "{{ services_applied | default({}) }}",
            },
        }
        (folder / "stage.yml").write_text(yaml.safe_dump([stage]))
        (folder / "preflight.yml").write_text(yaml.safe_dump([{**asked, "tasks": [task, report]}]))

    def run(self, name: str, *arguments: str, tokens: t.Mapping[str, str] | None = None) -> Done:
        (self.folder / "inventory/group_vars/all.yml").write_text(json.dumps(self.values))
        python = ("-e", f"ansible_python_interpreter={sys.executable}")
        return play(
            *("-i", self.folder / "inventory", self.folder / name, *python, *arguments),
            cwd=self.folder,
            **AS_JSON,
            **(TOKENS if tokens is None else tokens),
        )


@pytest.fixture
def stage(services: running.Services, tmp_path: pathlib.Path) -> Stage:
    return Stage(services, tmp_path)


def changes(done: Done) -> dict[str, str]:
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    rows = [
        one["hosts"]["localhost"] for one in tasks_of(done) if one["task"]["name"].endswith("Clerk, Sentry and Vercel")
    ]
    return {change["key"]: change["action"] for row in rows for change in row.get("changes", ())}


def test_predicted_done_and_left_alone(stage: Stage, services: running.Services) -> None:
    predicted = changes(stage.run("stage.yml", "--check", "--diff"))
    assert services.sentry.writes() == []
    done = stage.run("stage.yml", "--diff", "-vvv")
    assert changes(done) == predicted
    assert predicted["sentry_project/api"] == "create"
    names = {one["name"] for one in services.sentry.state["workflows"].values()}
    assert names == {
        "api-errors-staging-team",
        "api-errors-staging-on-call",
        "api-slower-staging-team",
        "api-new-issues-staging-team",
    }
    assert sentry_core.TOKEN not in done.stdout + done.stderr
    written = len(services.sentry.writes())
    again = stage.run("stage.yml")
    assert (changes(again), len(services.sentry.writes())) == ({}, written)


@pytest.mark.parametrize(
    ("values", "tokens", "says"),
    [
        ({}, {}, "SENTRY_AUTH_TOKEN is empty"),
        ({}, {"SENTRY_AUTH_TOKEN": "sntryu_wrong"}, "HTTP 401: Invalid token"),
        ({}, {"SENTRY_AUTH_TOKEN": sentry_core.TOKEN_OF_ANOTHER}, "HTTP 403"),
        (
            {"services_sentry_slack": {"integration": "Nobody", "target": "C1"}},
            TOKENS,
            "Sentry has 0 integrations of slack named 'Nobody', and needs one (there is 'Nexod')",
        ),
    ],
)
def test_what_preflight_reports_before_anything_is_changed(
    stage: Stage, services: running.Services, values: dict[str, t.Any], tokens: dict[str, str], says: str
) -> None:
    stage.values.update(values)
    done = stage.run("preflight.yml", tokens=tokens)
    assert done.returncode != 0
    reported = [one["hosts"]["localhost"]["msg"] for one in tasks_of(done) if one["task"]["name"] == "Report"]
    assert says in reported[0]
    assert services.sentry.writes() == []
