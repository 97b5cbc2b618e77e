"""Roles, instance profiles, secrets and clusters, on the emulator moto."""

from __future__ import annotations

import json
import typing as t

import boto3
import pytest
from botocore.client import BaseClient
from moto.iam.models import iam_backends

from ansible_collections.nexod.infra.plugins.module_utils._aws.kinds.identity import same_document
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import (
    REGION,
    Row,
    actions,
    bring,
    changed,
    must_change,
    must_live,
    needed,
    writes,
)
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

GITHUB = "token.actions.githubusercontent.com"
TASKS = "ecs-tasks.amazonaws.com"
# moto has none of Amazon's own unless it loads all of them.
MANAGED, ADMINISTRATOR = (f"arn:aws:iam::123456789012:policy/{name}" for name in ("managed", "administrator"))
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::b/*"}],
}
WRITE = {**READ, "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/*"}]}
ROWS: list[Row] = [
    ("iam_role", "tasks", {"service": TASKS, "policies": {"read": READ}, "managed_policies": [MANAGED]}),
    ("iam_role", "hosts", {"service": "ec2.amazonaws.com"}),
    ("iam_role", "others", {"service": "ec2.amazonaws.com", "permissions_boundary": MANAGED}),
    ("instance_profile", "hosts", {"role": "@iam_role/hosts"}),
    ("oidc_provider", GITHUB, {"audiences": ["sts.amazonaws.com"]}),
    ("secret", "staging/api", {"value": "api", "description": "The API"}),
    ("ecs_cluster", "staging", {}),
]
SECRETS = {"api": "canary-1", "other": "@canary/2"}


def make_policies() -> None:
    for arn in (MANAGED, ADMINISTRATOR):
        name = arn.rpartition("/")[2]
        boto3.client("iam", REGION).create_policy(PolicyName=name, PolicyDocument=json.dumps(READ))


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    with emulated_aws(monkeypatch):
        make_policies()
        yield


def test_from_nothing_and_away() -> None:
    must_live(ROWS, (), secrets=SECRETS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("iam_role/tasks", {"service": "ec2.amazonaws.com"}, id="role service"),
        pytest.param("iam_role/tasks", {"policies": {"write": READ}}, id="role policies"),
        pytest.param("iam_role/tasks", {"policies": {"read": WRITE}}, id="role policy"),
        pytest.param("iam_role/tasks", {"managed_policies": []}, id="role managed_policies"),
        pytest.param("iam_role/others", {"permissions_boundary": ADMINISTRATOR}, id="role permissions_boundary"),
        pytest.param("instance_profile/hosts", {"role": "@iam_role/others"}, id="profile role"),
        pytest.param("secret/staging/api", {"value": "other"}, id="secret value"),
        pytest.param("secret/staging/api", {"description": "Keys"}, id="secret description"),
        pytest.param("ecs_cluster/staging", {"container_insights": "disabled"}, id="cluster container_insights"),
        pytest.param("ecs_cluster/staging", {"capacity_providers": ["FARGATE"]}, id="cluster capacity_providers"),
    ],
)
def test_each_property_is_changed_and_changed_back(key: str, value: dict[str, t.Any]) -> None:
    must_change(ROWS, key, value, secrets=SECRETS)


@pytest.mark.parametrize(
    ("statement", "same"),
    [
        pytest.param({"Action": ["s3:ListBucket", "s3:GetObject"]}, True, id="another order"),
        pytest.param({"Resource": ["arn:aws:s3:::b/*"]}, True, id="a list of one"),
        pytest.param({"Action": "s3:GetObject"}, False, id="less"),
        pytest.param({"Effect": "Deny"}, False, id="the opposite"),
        pytest.param({"Condition": {"Bool": {"aws:SecureTransport": True}}}, False, id="a condition"),
    ],
)
def test_policies_are_compared_by_meaning(statement: dict[str, t.Any], same: bool) -> None:
    rows = [{**READ["Statement"][0], **statement}]  # type: ignore[dict-item]
    assert same_document({**READ, "Statement": rows}, READ) == same
    assert same_document({**READ, "Statement": rows[0]}, {**READ, "Statement": rows})


def test_conditions_are_compared_by_meaning() -> None:
    def document(value: t.Any) -> dict[str, t.Any]:
        return {"Statement": [{"Condition": {"Bool": {"aws:SecureTransport": value}}}]}

    assert same_document(document(True), document("true"))
    assert same_document(document(["true"]), document("true"))
    assert not same_document(document(True), document(False))


def test_a_right_that_was_granted_behind_our_back_is_taken_away() -> None:
    rows = needed(ROWS, "iam_role/tasks")
    bring(*rows)
    iam = boto3.client("iam", REGION)
    iam.attach_role_policy(RoleName="tasks", PolicyArn=ADMINISTRATOR)
    trust = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}'
    iam.update_assume_role_policy(RoleName="tasks", PolicyDocument=trust)
    done, _api = bring(*rows)
    assert actions(done) == [("iam_role/tasks", "update")]
    assert set(done.changes[0].after) == {"managed_policies", "service"}
    assert bring(*rows)[0].changes == []


def test_an_audience_is_added_and_none_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environments of an account share the provider, so what another one has added stays.

    moto can't add one: this stands in for it.
    """
    send = BaseClient._make_api_call

    def add(client: t.Any, operation: str, given: dict[str, t.Any]) -> t.Any:
        if operation != "AddClientIDToOpenIDConnectProvider":
            return send(client, operation, given)
        providers = iam_backends["123456789012"]["aws"].open_id_providers
        providers[given["OpenIDConnectProviderArn"]].client_id_list.append(given["ClientID"])
        return {}

    monkeypatch.setattr(BaseClient, "_make_api_call", add)
    rows = needed(ROWS, f"oidc_provider/{GITHUB}")
    arn = f"arn:aws:iam::123456789012:oidc-provider/{GITHUB}"
    made, _api = bring(*rows)
    assert made.outputs[f"oidc_provider/{GITHUB}"]["arn"] == arn
    more = changed(rows, f"oidc_provider/{GITHUB}", audiences=["shop"])
    predicted, api = bring(*more, check=True)
    assert (actions(predicted), writes(api)) == ([(f"oidc_provider/{GITHUB}", "update")], [])
    assert actions(bring(*more)[0]) == actions(predicted)
    for again in (rows, more):
        assert bring(*again)[0].changes == []
    found = boto3.client("iam", REGION).get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert sorted(found["ClientIDList"]) == ["shop", "sts.amazonaws.com"]
    assert bring(*rows, gone=True)[0].changes == []
    assert boto3.client("iam", REGION).list_open_id_connect_providers()["OpenIDConnectProviderList"] == [{"Arn": arn}]


def test_a_provider_without_an_audience_is_refused() -> None:
    with pytest.raises(InfraError, match="audiences is empty"):
        bring(("oidc_provider", GITHUB, {"audiences": []}))


def boundary(role: str) -> str | None:
    found = boto3.client("iam", REGION).get_role(RoleName=role)["Role"]
    return found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")


def test_a_role_is_created_with_its_boundary_and_gets_it_before_other_rights() -> None:
    rows = needed(ROWS, "iam_role/tasks")
    bounded = changed(rows, "iam_role/tasks", permissions_boundary=MANAGED)
    _done, api = bring(*bounded)
    assert boundary("tasks") == MANAGED
    assert "PutRolePermissionsBoundary" not in [call.operation for call in api.calls]
    bring(*bounded, gone=True)
    bring(*rows)
    assert boundary("tasks") is None
    there = changed(bounded, "iam_role/tasks", policies={"read": WRITE}, managed_policies=[ADMINISTRATOR])
    _done, api = bring(*there)
    assert writes(api)[0] == "PutRolePermissionsBoundary"
    assert boundary("tasks") == MANAGED


def test_a_boundary_is_never_taken_away() -> None:
    """Whoever could do that would have all rights that a role may have."""
    rows = needed(ROWS, "iam_role/tasks")
    bring(*rows)
    boto3.client("iam", REGION).put_role_permissions_boundary(RoleName="tasks", PermissionsBoundary=MANAGED)
    again, api = bring(*rows)
    assert (again.changes, writes(api), boundary("tasks")) == ([], [], MANAGED)
    with pytest.raises(InfraError, match="permissions_boundary is '', and must be the ARN of a policy"):
        bring(*changed(rows, "iam_role/tasks", permissions_boundary=""))


def test_a_boundary_that_was_removed_behind_our_back_is_set_again() -> None:
    rows = needed(ROWS, "iam_role/others")
    bring(*rows)
    boto3.client("iam", REGION).delete_role_permissions_boundary(RoleName="others")
    done, _api = bring(*rows)
    assert (actions(done), boundary("others")) == ([("iam_role/others", "update")], MANAGED)


def test_the_default_strategy_of_a_cluster_stays() -> None:
    rows = needed(ROWS, "ecs_cluster/staging")
    bring(*rows)
    ecs = boto3.client("ecs", REGION)
    strategy = [{"capacityProvider": name, "weight": 1, "base": 0} for name in ("FARGATE", "FARGATE_SPOT")]
    both = ["FARGATE", "FARGATE_SPOT"]
    ecs.put_cluster_capacity_providers(
        cluster="staging", capacityProviders=both, defaultCapacityProviderStrategy=strategy
    )
    assert bring(*changed(rows, "ecs_cluster/staging", capacity_providers=["FARGATE"]))[0].faults == []
    cluster = ecs.describe_clusters(clusters=["staging"])["clusters"][0]
    assert [one["capacityProvider"] for one in cluster["defaultCapacityProviderStrategy"]] == ["FARGATE"]


def test_a_removed_secret_is_restored_with_its_new_value() -> None:
    rows = needed(ROWS, "secret/staging/api")
    client = boto3.client("secretsmanager", REGION)
    bring(*rows, secrets=SECRETS)
    bring(*rows, gone=True, secrets=SECRETS)
    rows = changed(rows, "secret/staging/api", value="other")
    outcome, _api = bring(*rows, secrets=SECRETS)
    assert (outcome.faults, actions(outcome)) == ([], [("secret/staging/api", "create")])
    assert client.get_secret_value(SecretId="staging/api")["SecretString"] == SECRETS["other"]
    assert "canary" not in str(outcome)


def test_the_removed_secret_of_somebody_else_is_left_alone() -> None:
    client = boto3.client("secretsmanager", REGION)
    client.create_secret(Name="staging/api", SecretString="theirs")
    client.delete_secret(SecretId="staging/api")
    outcome, _api = bring(*needed(ROWS, "secret/staging/api"), secrets=SECRETS)
    assert "its tags don't say that it is ours" in str(outcome.faults[0][1])
