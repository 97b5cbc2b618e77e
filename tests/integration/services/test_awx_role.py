"""The playbook configure_awx, with the role's example, on the stand-in for AWX, which awxkit judges.

What is refused, pruned and removed are tables of unit tests: each run of a playbook takes seconds.
"""

from __future__ import annotations

import itertools
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.fixtures.services import awx, running
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, play, tasks_of

NAMES = (
    "SLACK_TOKEN",
    "DEPLOY_SSH_KEY",
    "STAGING_AWS_SECRET",
    "PRODUCTION_AWS_SECRET",
    "SUPABASE_ACCESS_TOKEN",
    "STAGING_OWNER_PASSWORD",
    "STAGING_CACHE_PASSWORD",
    "PRODUCTION_OWNER_PASSWORD",
    "PRODUCTION_CACHE_PASSWORD",
)
#: AWX takes only a private key for a machine's.
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n"
SECRETS = {**{name: f"canary of {name}" for name in NAMES}, "DEPLOY_SSH_KEY": KEY}


class Configured:
    """The playbook with the options of the example, which a test may change."""

    def __init__(self, server: awx.Awx, folder: pathlib.Path) -> None:
        server.playbooks = [f"playbooks/{path.name}" for path in (ROOT / "playbooks").glob("*.yml")]
        self.server, self.path, self.token = server, folder / "awx.yml", awx.TOKEN
        (example,) = yaml.safe_load((ROOT / "examples/roles/awx.yml").read_text(encoding="utf-8"))
        self.options: dict[str, t.Any] = example["roles"][0]["vars"]

    def run(self, *arguments: str, **options: t.Any) -> dict[str, t.Any]:
        """The result of the last task."""
        self.path.write_text(yaml.safe_dump({**self.options, **options}))
        account = {"CONTROLLER_HOST": self.server.url, "CONTROLLER_OAUTH_TOKEN": self.token}
        playbook = str(ROOT / "playbooks/configure_awx.yml")
        done = play(playbook, "-i", "localhost,", "-e", f"@{self.path}", *arguments, **account, **SECRETS, **AS_JSON)
        assert "canary" not in done.stdout + done.stderr
        answer = dict(tasks_of(done)[-1]["hosts"]["localhost"])
        assert bool(done.returncode) == bool(answer.get("failed")), done.stdout[-3000:] + done.stderr
        return answer


@pytest.fixture
def configured(services: running.Services, tmp_path: pathlib.Path) -> Configured:
    return Configured(services.awx, tmp_path)


def test_predicted_made_and_left_alone(configured: Configured) -> None:
    server = configured.server

    def did(answer: dict[str, t.Any]) -> list[tuple[str, str]]:
        assert not answer.get("failed"), answer["msg"]
        return [(one["key"], one["action"]) for one in answer["changes"]]

    predicted = configured.run("--check", "--diff")
    assert server.writes() == []
    assert "awx_workflow_node/release-approval (create)" in {one["after_header"] for one in predicted["diff"]}
    assert did(configured.run("--diff")) == did(predicted)
    written = len(server.writes())
    assert did(configured.run()) == []
    assert len(server.writes()) == written

    nodes = {row["identifier"]: row for row in server.rows("workflow_job_template_nodes")}
    order = ["release-staging", "release-tests", "release-plan", "release-approval", "release-production"]
    for before, after in itertools.pairwise(order):
        assert nodes[before]["_sets"]["success_nodes"] == [nodes[after]["id"]]
    (workflow,) = server.rows("workflow_job_templates")
    approvers = server.roles_of(workflow)["approval_role"]["_teams"]
    assert [server.one("teams", number)["name"] for number in approvers] == ["release-managers"]
    templates = {row["name"]: row for row in server.rows("job_templates")}
    assert templates["drift-check-production"]["job_type"] == "check"
    assert templates["drift-check-production"]["extra_vars"] == '{"plan_must_be_empty": true}'
    assert "keep-awake-staging" not in templates
    (kind,) = [row for row in server.rows("credential_types") if row["name"] == "nexod-environment"]
    assert kind["injectors"]["env"]["NEXOD_CACHE_PASSWORD"] == "{{ cache_password }}"
    assert "extra_vars" not in kind["injectors"]
