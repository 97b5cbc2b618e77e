"""The resources of an environment through the module: predicted, made, refused. On the emulator moto."""

from __future__ import annotations

import json
import typing as t

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

Run = t.Callable[..., dict[str, t.Any]]
VPC = {"kind": "vpc", "name": "main", "properties": {"cidr": "10.20.0.0/16"}}
SUBNET = {
    "kind": "subnet",
    "name": "a",
    "properties": {"vpc": "@vpc/main", "cidr": "10.20.1.0/24", "zone": "us-east-1a"},
}


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    with emulated_aws(monkeypatch):
        yield


def options(*resources: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    return {"environment": "staging", "region": "us-east-1", "resources": list(resources), **more}


def test_predicted_made_and_made_again(run_module: Run) -> None:
    predicted = run_module("aws_resources", options(VPC, SUBNET), check_mode=True)
    made = run_module("aws_resources", options(VPC, SUBNET))
    for result in (predicted, made):
        assert [(row["key"], row["action"]) for row in result["changes"]] == [
            ("vpc/main", "create"),
            ("subnet/a", "create"),
        ]
        assert result["changed"]
    assert 'cidr: "10.20.0.0/16"' in made["diff"][0]["after"]
    assert "ec2:CreateVpc" in made["rights"]
    assert "ec2:CreateVpc" not in predicted["rights"]
    again = run_module("aws_resources", options(VPC, SUBNET))
    assert (again["changed"], again["diff"]) == (False, [])
    assert again["outputs"]["vpc/main"]["id"].startswith("vpc-")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExpiredToken", "Sign in again"),
        ("RequestTimeTooSkewed", "chrony"),
        ("InvalidClientTokenId", "AWS does not know these credentials"),
    ],
)
def test_what_ends_every_call_is_reported_once(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    def refuse(_client: t.Any, operation: str, _given: t.Any) -> t.NoReturn:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    others = [{**VPC, "name": name} for name in ("a", "b", "c")]
    result = run_module("aws_resources", options(*others))
    assert result["msg"].count(code) == 1
    assert words in result["msg"]
    denied = ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeVpcs")

    def deny(*_given: t.Any) -> t.NoReturn:
        raise denied

    monkeypatch.setattr(BaseClient, "_make_api_call", deny)
    # A right may be missing for some of them only.
    assert run_module("aws_resources", options(*others))["msg"].count("AccessDenied") == 3


def test_without_credentials_it_says_so_once(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("botocore.credentials.InstanceMetadataProvider.load", lambda _self: None)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    result = run_module("aws_resources", options(VPC, {**VPC, "name": "b"}))
    assert result["msg"].count("there are no AWS credentials") == 1
    assert "AWS_ACCESS_KEY_ID" in result["msg"]


def test_secrets_are_given_by_name_and_returned_nowhere(run_module: Run) -> None:
    secret = {"kind": "secret", "name": "api", "properties": {"value": "key"}}
    for value in ("canary-one", "canary-two"):
        result = run_module("aws_resources", options(secret, secrets={"key": value}))
        assert result["changed"]
        assert "canary" not in json.dumps(result)
    assert boto3.client("secretsmanager", "us-east-1").get_secret_value(SecretId="api")["SecretString"] == "canary-two"


def test_what_failed_does_not_hide_what_was_done(run_module: Run) -> None:
    result = run_module("aws_resources", options(VPC, {**SUBNET, "properties": {**SUBNET["properties"], "cidr": "x"}}))
    assert result["error"]["action"] == "call"
    assert "ec2:CreateSubnet" in result["msg"]
    assert [row["key"] for row in result["changes"] if row["key"] == "vpc/main"] == ["vpc/main"]
    assert result["changed"]


def test_a_declaration_with_faults_calls_nobody(run_module: Run) -> None:
    result = run_module("aws_resources", options({**VPC, "kind": "vcp"}, SUBNET))
    assert len(result["faults"]) == 2
    assert "nothing was changed" in result["msg"]


def test_what_has_a_secret_is_removed_without_it(run_module: Run) -> None:
    secret = {"kind": "secret", "name": "api", "properties": {"value": "api"}}
    assert run_module("aws_resources", options(secret, secrets={"api": "canary"}))["changed"]
    refused = run_module("aws_resources", options(secret))
    assert "secrets has no such entry, or an empty one" in "\n".join(refused["faults"])
    gone = run_module("aws_resources", options(secret, state="absent", lose=["secret/api"]))
    assert [(row["key"], row["action"]) for row in gone["changes"]] == [("secret/api", "delete")]
