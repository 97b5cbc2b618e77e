# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role awx declares, and what it refuses, as tables."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.plugins.module_utils._services.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.specs import is_secret
from ansible_collections.nexod.infra.plugins.plugin_utils._services import awx

ROOT = pathlib.Path(__file__).resolve().parents[5]
DEFAULTS = {
    name.removeprefix("awx_"): value
    for name, value in yaml.safe_load((ROOT / "roles/awx/defaults/main.yml").read_text()).items()
}
# As Ansible does with what refers to another option.
DEFAULTS["credential_types"][0]["name"] = DEFAULTS["environment_type_name"]
PLAYBOOKS = [path.name for path in (ROOT / "playbooks").glob("*.yml")]
GIVEN = {**DEFAULTS, "url": "https://awx.example.com", "token": "t", "project_repository": "https://git.example.com/a"}


def options(**more: t.Any) -> dict[str, t.Any]:
    return {**GIVEN, "playbooks": PLAYBOOKS, **more}


def properties(given: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {f"{row['kind']}/{row['name']}": row["properties"] for row in awx.declarations(given)}


def test_the_defaults_are_valid() -> None:
    given = options()
    assert awx.faults(given) == []
    declared(awx.declarations(given), KINDS, given["secrets"])


def test_a_release_waits_for_tests_and_an_approval() -> None:
    found = properties(options())
    order = ["staging", "tests", "plan", "approval", "production"]
    follows = [found[f"awx_workflow_node/release-{name}"]["success"] for name in order]
    assert follows == [*([f"@awx_workflow_node/release-{name}"] for name in order[1:]), []]
    assert found["awx_workflow_node/release-plan"]["template"] == "@awx_job_template/plan-production"
    assert found["awx_job_template/plan-production"]["job_type"] == "check"
    assert found["awx_workflow_node/release-approval"]["approval_seconds"] == 86400


def test_going_over_the_budget_can_be_approved() -> None:
    found = properties(options())
    for key in ("awx_job_template/plan-production", "awx_job_template/deploy-production", "awx_workflow/release"):
        (question,) = [one for one in found[key]["survey"] if one["variable"] == "cost_approved_usd"]
        assert question["required"] is False


@pytest.mark.parametrize(
    ("names", "there"), [(PLAYBOOKS, "profile.yml" in PLAYBOOKS), (["profile.yml"], True), ([], False)]
)
def test_a_job_whose_playbook_is_not_there(names: list[str], there: bool) -> None:
    assert ("profile" in awx.jobs(options(playbooks=names))) is there


READ = re.compile(r"env['\"]\s*,\s*['\"]([A-Z][A-Z0-9_]*)['\"]")
#: Not for the jobs of an environment: of the playbook that declares AWX itself, of continuous integration, and a file
#: that a controller has.
OF_OTHERS = {"CONTROLLER_HOST", "CONTROLLER_OAUTH_TOKEN", "GITHUB_SHA", "NEXOD_COMMIT", "NEXOD_GRAFANA_PACKAGE_PATH"}


def variables_that_are_read() -> dict[str, bool]:
    """Environment variables that roles and inventories read, and whether preflight takes their values for secrets."""
    specs = {
        name: spec
        for path in ROOT.glob("roles/*/meta/argument_specs.yml")
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values()
        for name, spec in (entry.get("options") or {}).items()
    }
    found: dict[str, bool] = {}

    def look(value: t.Any, secret: bool) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                look(inner, secret or is_secret(str(key).replace("-", "_").lower(), specs.get(key, {})))
        elif isinstance(value, list):
            for inner in value:
                look(inner, secret)
        else:
            found.update({name: secret or found.get(name, False) for name in READ.findall(str(value))})

    files = [*ROOT.glob("roles/*/defaults/main.yml"), *ROOT.glob("roles/*/meta/environment.yml")]
    for name in ("shared", "dev", "staging", "production"):
        files += (ROOT / "inventories" / name).rglob("*.yml")
    for path in files:
        look(yaml.safe_load(path.read_text()), False)
    for path in ROOT.glob("roles/*/meta/environment.yml"):
        for credential in yaml.safe_load(path.read_text()).get("credentials", ()):
            # AWX has a type of its own for AWS.
            names = [name for way in credential["ways"] for name in way.get("variables", ())]
            found |= {name: True for name in names if not name.startswith("AWS_")}
    return found


def test_a_credential_hands_over_all_that_an_environment_reads() -> None:
    fields = [field for kind in DEFAULTS["credential_types"] for field in kind["fields"]]
    handed = {field["env"]: field.get("secret", True) for field in fields}
    read = variables_that_are_read()
    assert set(handed) == set(read) - OF_OTHERS
    assert {name for name, secret in read.items() if secret} - OF_OTHERS - {
        name for name, secret in handed.items() if secret
    } == set()
    # No field of two, and no variable from two fields.
    assert len({field["name"] for field in fields}) == len(handed) == len(fields)


def test_secrets_are_environment_variables_and_files() -> None:
    fields = [{"name": "password", "env": "PGPASSWORD"}, {"name": "key", "file": "KEY_FILE", "required": True}]
    found = awx.credential_type({"name": "a", "fields": fields})
    assert found["injectors"] == {
        "env": {"PGPASSWORD": "{{ password }}", "KEY_FILE": "{{ tower.filename.key }}"},
        "file": {"template.key": "{{ key }}"},
    }
    assert [field["secret"] for field in found["inputs"]["fields"]] == [True, True]
    assert found["inputs"]["required"] == ["key"]


def test_the_hosts_of_an_inventory_are_asked_for_with_its_key_for_aws() -> None:
    """AWX reads the inventory before the job, and without the job's credentials."""
    credentials = [{"name": "machines", "type": "ssh"}, {"name": "aws-staging", "type": "aws"}]
    environments = [{"name": "dev"}, {"name": "staging", "credentials": ["machines", "aws-staging"]}]
    found = properties(options(credentials=credentials, environments=environments))
    asked = {name: found[f"awx_inventory_source/{name}"].get("credential") for name in ("dev", "staging")}
    assert asked == {"dev": None, "staging": "@awx_credential/aws-staging"}


def test_without_a_channel_nobody_is_notified() -> None:
    assert properties(options())["awx_job_template/deploy-staging"]["notify_on_failure"] == []
    found = properties(options(slack_channels=["#deploys"], secrets={"slack": "x"}))
    assert found["awx_workflow/release"]["notify_on_approval"] == ["@awx_notification_template/slack"]


DEPLOY = {"name": "production", "job": "deploy", "environment": "production"}
APPROVAL = {"name": "approval", "approval": "Go"}
STAGING = {"name": "staging", "job": "deploy", "environment": "staging"}


@pytest.mark.parametrize(
    ("nodes", "refused"),
    [
        pytest.param([DEPLOY], ["production"], id="none"),
        pytest.param([APPROVAL, DEPLOY], [], id="before it"),
        pytest.param([STAGING, APPROVAL, DEPLOY], [], id="between"),
        pytest.param([DEPLOY, APPROVAL], ["production"], id="after it"),
        pytest.param([APPROVAL, STAGING, DEPLOY], [], id="earlier"),
        pytest.param([APPROVAL, {**DEPLOY, "after": []}], ["production"], id="beside it"),
        pytest.param(
            [STAGING, APPROVAL, {**DEPLOY, "after": ["approval", "staging"]}], ["production"], id="a second way"
        ),
        pytest.param([APPROVAL, {**DEPLOY, "after_failure": ["approval"]}], ["production"], id="when it is refused"),
        pytest.param([STAGING, APPROVAL, {**DEPLOY, "after_failure": ["staging"]}], ["production"], id="on a failure"),
        pytest.param([{**DEPLOY, "job": "migrate"}], ["production"], id="a migration"),
        pytest.param([{**DEPLOY, "job": "plan"}], [], id="only a plan"),
        pytest.param([STAGING], [], id="an environment that needs none"),
    ],
)
def test_production_is_not_reached_without_an_approval(nodes: list[dict[str, t.Any]], refused: list[str]) -> None:
    workflow = {"name": "release", "nodes": nodes}
    assert awx.unapproved(options(), workflow) == refused
    said = awx.faults(options(workflows=[workflow]))
    assert [one for one in said if "without an approval" not in one] == []
    assert len(said) == len(refused)


RULE = "DTSTART:20260101T010000Z RRULE:FREQ=DAILY;INTERVAL=1"
KEY = {"name": "key", "env": "KEY"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"url": ""}, "awx_url is empty"),
        ({"token": " "}, "awx_token is empty"),
        ({"project_repository": ""}, "awx_project_repository is empty"),
        ({"slack_channels": ["#a"]}, "awx_slack_value_from names slack, and awx_secrets has no such entry"),
        ({"teams": [{"name": "two words"}]}, "awx_teams has the name 'two words'"),
        ({"teams": [{"name": "a"}, {"name": "a"}]}, "awx_teams has a twice"),
        ({"teams": [{"name": "a", "approves": ["x"]}]}, "awx_teams.a.approves names x"),
        ({"teams": [{"name": "a", "runs": ["keep-awake-staging"]}]}, "awx_teams.a.runs names keep-awake-staging"),
        ({"organization": "a b"}, "awx_organization is 'a b'"),
        ({"environments": [{"name": "a", "jobs": ["x"]}]}, "awx_environments.a.jobs names x"),
        ({"environments": [{"name": "a", "credentials": ["x"]}]}, "awx_environments.a.credentials names x"),
        ({"project_access": "x"}, "awx_project_access names x"),
        (
            {"project_access": "m", "credentials": [{"name": "m", "type": "ssh"}]},
            "awx_project_access names m, which is of the type ssh: AWX takes one of the type scm",
        ),
        ({"credentials": [{"name": "a", "type": "ssh", "secrets": {"k": "x"}}]}, "awx_credentials.a.secrets.k names x"),
        ({"credential_types": [{"name": "a", "fields": [{"name": "k"}]}]}, "jobs would not get it"),
        (
            {"credential_types": [{"name": "a", "fields": [{**KEY, "env": "ANSIBLE_X"}]}]},
            "no environment variable ANSIBLE_X",
        ),
        ({"credential_types": [{"name": "a", "fields": [{**KEY, "name": "tower"}]}]}, "no field of this name"),
        ({"schedules": [{"rule": RULE}]}, "awx_schedules[0] needs either a job"),
        ({"schedules": [{"job": "cost", "rule": RULE}]}, "awx_schedules[0] has no environments"),
        ({"schedules": [{"workflow": "x", "rule": RULE}]}, "awx_schedules[0].workflow names x"),
        ({"schedules": [{"job": "cost", "environments": ["x"], "rule": RULE}]}, "awx_schedules[0].environment names x"),
        ({"schedules": [{"job": "cost", "environments": ["dev"], "rule": RULE}]}, "awx_schedules[0].job names cost"),
        (
            {
                "schedules": [
                    {
                        "job": "deploy",
                        "environments": ["production"],
                        "rule": RULE,
                        "variables": {"backend_version": "1"},
                    }
                ]
            },
            "awx_schedules[0] runs deploy on production without an approval",
        ),
        (
            {"schedules": [{"job": "verify", "environments": ["staging"], "rule": RULE}]},
            "awx_schedules[0] runs verify, which requires backend_version: add it to the variables of the schedule",
        ),
        (
            {"schedules": [{"workflow": "release", "rule": RULE}]},
            "awx_schedules[0] runs release, which requires backend_version",
        ),
        (
            {"schedules": [{"job": "cost", "environments": ["staging"], "rule": RULE, "variables": {"a": 1}}]},
            "awx_schedules[0].variables has a, which cost does not ask for: set it in awx_environments.variables",
        ),
        (
            {"workflows": [{"name": "a", "nodes": [{"name": "b"}]}]},
            "awx_workflows.a.b needs either a job or an approval",
        ),
        ({"workflows": [{"name": "a", "nodes": [STAGING, STAGING]}]}, "awx_workflows.a has the node staging twice"),
        (
            {"workflows": [{"name": "a", "nodes": [{**STAGING, "after": ["x"]}]}]},
            "awx_workflows.a.staging.after names x",
        ),
    ],
)
def test_what_is_refused(more: dict[str, t.Any], says: str) -> None:
    found = awx.faults(options(**more))
    assert [one for one in found if says in one], found
