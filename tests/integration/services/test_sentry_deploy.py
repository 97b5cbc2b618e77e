"""What a deploy does with Sentry: the API gets its client key, new issues are judged, the deploy is recorded once."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.fixtures.services import running, sentry_core
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, Done, play, plays_of

ENDPOINTS = {"cache": {"host": "192.0.2.2", "port": 6379, "db": 0, "tls": False}, "api": {"url": "http://192.0.2.3"}}
INVENTORY = {
    "infra_environment": "staging",
    "infra_provider": "hosts",
    "infra_domain": "example.com",
    "infra_sentry_project": "api",
    "backend_version": "1.0.0",
    "backend_environment": {"SENTRY_TRACES_SAMPLE_RATE": "1"},
    "services_sentry_organization": sentry_core.ORGANIZATION,
    "services_sentry_team": sentry_core.TEAM,
    "services_sentry_projects": [{"name": "api", "platform": "python-fastapi"}],
    # Only what is done with Sentry.
    "infra_endpoints_declared": ENDPOINTS,
    "verify_urls": [],
    "verify_metrics_url": "",
    "verify_prometheus_host": "",
    "verify_grafana_host": "",
}
HOSTS = """\
all:
  children:
    database_primary: {hosts: {db: {ansible_host: 192.0.2.1}}}
    api: {hosts: {api-1: {ansible_connection: local}}}
"""
#: What the role backend writes as the application's environment.
API = {
    "hosts": "api",
    "gather_facts": False,
    "tags": "backend",
    "tasks": [
        {"ansible.builtin.include_vars": {"file": str(ROOT / "roles/backend/vars/main.yml")}},
        {
            "name": "Environment of the API",
            "ansible.builtin.debug": {"msg": "{{ __backend_plain_files[1].content }}"},
            "vars": {"backend_secret_environment": {}, "backend_unit": "api"},
        },
    ],
}
TOKENS = {"SENTRY_AUTH_TOKEN": sentry_core.TOKEN}
VERSION = "api@1.0.0"


class Deploy:
    """The plays of a deploy that know Sentry, in an inventory of their own."""

    def __init__(self, services: running.Services, folder: pathlib.Path) -> None:
        self.folder = folder
        self.values: dict[str, t.Any] = {**INVENTORY, "services_sentry_url": services.sentry.url}
        inventory = folder / "inventory"
        (inventory / "group_vars").mkdir(parents=True)
        (inventory / "hosts.yml").write_text(HOSTS)
        (inventory / "nexod.yml").write_text("plugin: nexod.infra.environment\n")
        stage = {name: yaml.safe_load((ROOT / f"playbooks/stages/{name}.yml").read_text()) for name in STAGES}
        (read,) = [one for one in stage["backend"] if one["name"] == "Backend | Read where the API reports its errors"]
        (folder / "deploy.yml").write_text(yaml.safe_dump([stage["services"][-1], read, API, stage["verify"][-1]]))

    def run(self, *arguments: str, **tokens: str) -> Done:
        (self.folder / "inventory/group_vars/all.yml").write_text(json.dumps(self.values))
        python = ("-e", f"ansible_python_interpreter={sys.executable}")
        environment = {**AS_JSON, **TOKENS, **tokens}
        inventory = self.folder / "inventory"
        return play("-i", inventory, self.folder / "deploy.yml", *python, *arguments, cwd=self.folder, **environment)


STAGES = ("services", "backend", "verify")


@pytest.fixture
def deploy(services: running.Services, tmp_path: pathlib.Path) -> Deploy:
    return Deploy(services, tmp_path)


def tasks_of(done: Done) -> list[dict[str, t.Any]]:
    return [task for one in plays_of(done) for task in one["tasks"]]


def result(done: Done, name: str) -> dict[str, t.Any]:
    rows = [row for one in tasks_of(done) if one["task"]["name"].endswith(name) for row in one["hosts"].values()]
    assert len(rows) == 1, (name, done.stdout[-3000:] + done.stderr)
    return t.cast(dict[str, t.Any], rows[0])


def environment(done: Done) -> dict[str, str]:
    lines = result(done, "Environment of the API")["msg"].splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip('"') for name, _equals, value in pairs}


def recorded(services: running.Services) -> list[str]:
    releases = services.sentry.state["releases"]
    return [one["environment"] for one in releases[VERSION]["deploys"]] if VERSION in releases else []


def test_predicted_deployed_and_deployed_again(deploy: Deploy, services: running.Services) -> None:
    predicted = deploy.run("--check", "--diff")
    assert predicted.returncode == 0, predicted.stdout[-3000:]
    assert services.sentry.writes() == []
    record = "release | Record the deploy at Sentry"
    assert environment(predicted)["SENTRY_DSN"] == "known when the client key exists"
    done = deploy.run("-vvv")
    assert done.returncode == 0, done.stdout[-3000:]
    found = environment(done)
    assert found.pop("SENTRY_DSN").startswith("http")
    assert found == {
        "SENTRY_ENVIRONMENT": "staging",
        "SENTRY_RELEASE": VERSION,
        # What the inventory sets itself wins.
        "SENTRY_TRACES_SAMPLE_RATE": "1",
        "SENTRY_PROFILES_SAMPLE_RATE": "0.01",
    }
    assert result(done, record)["steps"] == result(predicted, record)["steps"]
    assert recorded(services) == ["staging"]
    assert sentry_core.TOKEN not in done.stdout + done.stderr
    written = len(services.sentry.writes())
    again = deploy.run()
    assert not result(again, record)["changed"]
    assert (len(services.sentry.writes()), recorded(services)) == (written, ["staging"])


def test_a_stage_by_itself_reads_the_client_key(deploy: Deploy, services: running.Services) -> None:
    without = deploy.run("--tags", "backend")
    assert without.returncode != 0
    assert "the project api has no client key at Sentry yet" in without.stdout
    assert deploy.run("--tags", "services").returncode == 0
    written = len(services.sentry.writes())
    done = deploy.run("--tags", "backend")
    assert done.returncode == 0, done.stdout[-3000:]
    assert environment(done)["SENTRY_DSN"].startswith("http")
    assert len(services.sentry.writes()) == written


@pytest.mark.parametrize(
    ("values", "fails", "says"),
    [
        ({}, False, "missed (1 since the deploy: KeyError: new http"),
        ({"verify_if_new_issues": "accept"}, False, ""),
        ({"verify_if_new_issues": "fail"}, True, "missed (1 since the deploy: KeyError: new http"),
        ({"backend_version": "1.0.1", "verify_if_issues_unknown": "fail"}, True, "not enough data"),
        ({"infra_sentry_project": ""}, False, ""),
    ],
)
def test_new_types_of_issues(
    deploy: Deploy, services: running.Services, values: dict[str, t.Any], fails: bool, says: str
) -> None:
    assert deploy.run("--tags", "services").returncode == 0
    services.sentry.add_event("api", VERSION, "staging")
    services.sentry.add_issue("api", "KeyError: new", firstRelease=VERSION, environment="staging")
    deploy.values.update({"verify_deploy_began": 1.0, **values})
    done = deploy.run("--tags", "verify")
    assert (done.returncode != 0) is fails, done.stdout[-3000:]
    shown = [
        str(row.get("msg", ""))
        for one in tasks_of(done)
        if "accept |" in one["task"]["name"]
        for row in one["hosts"].values()
    ]
    assert says in " ".join(shown)
    assert bool(says) is any("new issue types" in line for line in shown)
    # What was not accepted is no deploy.
    asked = bool(deploy.values["infra_sentry_project"])
    assert recorded(services) == (["staging"] if asked and not fails else [])


def test_what_clerk_signs_is_a_part_of_the_verdict(deploy: Deploy) -> None:
    """Of an API that is away, each check fails; check mode sends nothing and fails nothing."""
    given = {"infra_sentry_project": "", "verify_clerk_url": "http://127.0.0.1:9", "verify_clerk_jwks_url": ""}
    deploy.values.update({**given, "infra_clerk_issuer": "https://clerk.example.com"})
    secret = "whsec_Y2FuYXJ5IG9mIGEgd2ViaG9vaw=="
    done = deploy.run("--tags", "verify", "-vvv", CLERK_WEBHOOK_SIGNING_SECRET=secret)
    assert done.returncode != 0
    said = result(done, "or as the answers to latency targets and new issues say")["msg"]
    assert "Clerk: check failed: a token that Clerk has not signed is refused (no answer: " in said
    assert "Clerk: check failed: a webhook of Clerk is accepted (no answer: " in said
    assert secret not in done.stdout + done.stderr
    assert deploy.run("--tags", "verify", "--check").returncode == 0


def test_a_sentry_that_is_away_fails_no_deploy(deploy: Deploy, services: running.Services) -> None:
    assert deploy.run("--tags", "services").returncode == 0
    services.sentry.order("create_deploy", lost=True)
    done = deploy.run("--tags", "verify")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Whether it was done is unknown" in result(done, "release | Record the deploy at Sentry")["problem"]
    assert result(done, "Add to the summary that it is not recorded")["changed"] is False
    assert deploy.run("--tags", "verify", SENTRY_AUTH_TOKEN="sntryu_wrong").returncode == 0
    assert not result(deploy.run("--tags", "verify"), "release | Record the deploy at Sentry")["changed"]
    assert recorded(services) == ["staging"]
