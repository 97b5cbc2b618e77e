# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook aws_policies writes the shipped policies with the names of an environment."""

from __future__ import annotations

import json
import pathlib
import typing as t

import boto3
import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._aws.grants import PARTS, policy
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.service import trusted
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, play, tasks_of

GIVEN = {
    "provider_aws_account": "123456789012",
    "provider_aws_region": "eu-west-1",
    "provider_aws_environment": "staging",
    "provider_aws_prefix": "nexod-staging",
}


NO_BOUNDARY = {"__provider_aws_boundary_operator": "StringLikeIfExists", "__provider_aws_boundary": "*"}


def written(folder: pathlib.Path, given: dict[str, t.Any], *flags: str) -> list[dict[str, t.Any]]:
    role = {"name": "nexod.infra.provider_aws", "tasks_from": "policies.yml"}
    task = {
        "ansible.builtin.include_role": role,
        "vars": {**given, "provider_aws_policies_folder": "out"},
    }
    one = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    # A relative path begins where the playbook is called, and not where it is.
    (folder / "playbooks").mkdir()
    (folder / "playbooks/play.yml").write_text(json.dumps([one]))
    return tasks_of(play(*flags, "playbooks/play.yml", cwd=folder, **AS_JSON))


def test_every_policy_is_written_for_its_environment_alone(tmp_path: pathlib.Path) -> None:
    written(tmp_path, GIVEN)
    for part in PARTS:
        text = (tmp_path / "out" / f"{part}.json").read_text()
        expected = json.dumps(policy(part))
        for name, value in {**GIVEN, **NO_BOUNDARY}.items():
            expected = expected.replace(f"{{{{ {name} }}}}", value)
        assert json.loads(text) == json.loads(expected)
        assert "{{" not in text


@pytest.mark.parametrize(
    ("boundary", "operator"), [("", "StringLikeIfExists"), ("arn:aws:iam::123456789012:policy/limits", "StringLike")]
)
def test_with_a_boundary_only_roles_that_have_it(tmp_path: pathlib.Path, boundary: str, operator: str) -> None:
    """Without one, a request that names none is allowed too: IfExists."""
    written(tmp_path, {**GIVEN, "provider_aws_permissions_boundary": boundary})
    rows = json.loads((tmp_path / "out/service.json").read_text())["Statement"]
    (one,) = [row for row in rows if "iam:CreateRole" in row["Action"]]
    assert one["Condition"] == {operator: {"iam:PermissionsBoundary": boundary or "*"}}


def test_without_an_account_no_policy_is_written(tmp_path: pathlib.Path) -> None:
    tasks = written(tmp_path, {**GIVEN, "provider_aws_account": ""})
    assert "NEXOD_AWS_ACCOUNT" in json.dumps(tasks)
    assert not (tmp_path / "out").exists()


def test_the_role_knows_all_of_them() -> None:
    known = yaml.safe_load((ROOT / "roles/provider_aws/vars/main.yml").read_text())["__provider_aws_policies"]
    assert tuple(known) == PARTS


ISSUER = "token.actions.githubusercontent.com"


@pytest.mark.parametrize("repository", ["shop/shop", "shop@123456/shop.api@456789"])
def test_only_workflows_of_the_environment_may_assume_its_roles(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, repository: str
) -> None:
    """The policies are those that moto takes; who gets in is decided by IAM, which no emulator does."""
    written(tmp_path, {**GIVEN, "provider_aws_github_repository": repository})
    ((kind, name, declared),) = [tuple(row.values()) for row in trusted({"github_repository": repository})]
    assert (kind, name) == ("oidc_provider", ISSUER)
    with emulated_aws(monkeypatch):
        iam = boto3.client("iam", "eu-west-1")
        made = iam.create_open_id_connect_provider(Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"])
        for use, environment in {"deploy": "staging", "plan": "staging-plan"}.items():
            text = (tmp_path / "out" / f"trust_{use}.json").read_text()
            role = iam.create_role(RoleName=use, AssumeRolePolicyDocument=text)["Role"]
            (one,) = role["AssumeRolePolicyDocument"]["Statement"]
            assert (one["Effect"], one["Action"]) == ("Allow", "sts:AssumeRoleWithWebIdentity")
            assert one["Principal"] == {"Federated": made["OpenIDConnectProviderArn"]}
            # What the environment declares is the provider that the policies name, for the audience that they want.
            assert declared["audiences"] == [one["Condition"]["StringEquals"][f"{ISSUER}:aud"]]
            assert one["Condition"] == {
                "StringEquals": {
                    f"{ISSUER}:aud": "sts.amazonaws.com",
                    f"{ISSUER}:sub": f"repo:{repository}:environment:{environment}",
                }
            }


@pytest.mark.parametrize("repository", ["", "shop", "shop/*", "*/shop", "shop/shop:ref", "shop/shop/x"])
def test_without_one_repository_nobody_is_trusted(tmp_path: pathlib.Path, repository: str) -> None:
    written(tmp_path, {**GIVEN, "provider_aws_github_repository": repository})
    assert not list(tmp_path.glob("out/trust_*.json"))
    # What is no repository is refused before anything is written.
    assert (tmp_path / "out").exists() == (not repository)
