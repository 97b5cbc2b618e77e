"""What preflight asks AWS, and what it says to the answer."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.aws import judge_aws, notes, wanted
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import CONTROLLER, Inputs

VALUES = {
    "provider_aws_region": "us-east-1",
    "provider_aws_account": "123456789012",
    "provider_aws_zones": ["us-east-1a", "us-east-1b"],
    "provider_aws_cidr": "10.20.0.0/16",
    "provider_aws_rds_engine_version": 15,
    "provider_aws_rds_storage_gb": 100,
    "provider_aws_rds_storage_max_gb": 500,
    "ecs_service_version": "1.4.0",
    "ecs_service_image": ":1.4.0",
}
FOUND = {
    "account": "123456789012",
    "regions": ["eu-west-1", "us-east-1"],
    "zones": ["us-east-1a", "us-east-1b", "us-east-1c"],
    "networks": [{"id": "vpc-1", "name": "", "environment": "", "cidrs": ["172.31.0.0/16"]}],
    "engine_versions": ["14.12", "15.8", "16.4"],
    "instance": {"storage_gb": 100, "version": "15.8"},
    "image": "yes",
    "refused": [],
    "not_checked": [],
}


def inputs(provider: str = "aws", **changes: t.Any) -> Inputs:
    values = {(CONTROLLER, name): value for name, value in {**VALUES, **changes}.items()}
    return Inputs("staging", provider, {}, {}, {}, values)


SERVICE = {"cluster": "nexod-staging", "service": "api"}


@pytest.mark.parametrize(
    ("given", "tags", "asked"),
    [
        pytest.param(
            {}, ["all"], {"repository": "nexod-staging-api", "tag": "1.4.0", **SERVICE}, id="our own repository"
        ),
        pytest.param(
            {"ecs_service_image": "localhost/api:1"},
            ["backend"],
            {"image": "localhost/api:1", **SERVICE},
            id="another image",
        ),
        pytest.param({}, ["monitoring"], {}, id="a stage that needs no image"),
        pytest.param({"provider_aws_prefix": "shop"}, ["monitoring"], {"instance": "shop"}, id="another prefix"),
    ],
)
def test_what_is_asked(given: dict[str, t.Any], tags: list[str], asked: dict[str, str]) -> None:
    always = {"region": "us-east-1", "account": "123456789012", "instance": "nexod-staging"}
    assert wanted(inputs(**given), tags)["asked"] == {**always, **asked}


@pytest.mark.parametrize(
    ("provider", "given"),
    [("lab", {}), ("aws", {"provider_aws_region": None}), ("aws", {"provider_aws_endpoints_declared": {"api": {}}})],
)
def test_where_nobody_is_asked(provider: str, given: dict[str, t.Any]) -> None:
    assert wanted(inputs(provider, **given)) == {}


@pytest.mark.parametrize(
    ("given", "found", "faults"),
    [
        pytest.param({}, {}, [], id="all there"),
        pytest.param(
            {"provider_aws_region": "us-east-9"},
            {},
            ["provider_aws_region is us-east-9, which is no region that the account 123456789012 can use"],
            id="wrong region",
        ),
        pytest.param(
            {"provider_aws_zones": ["us-east-1a", "us-east-1z"]},
            {},
            ["provider_aws_zones contains us-east-1z, which the account has no access to"],
            id="a zone that does not exist",
        ),
        pytest.param(
            {},
            {"networks": [{"id": "vpc-2", "name": "shop", "environment": "", "cidrs": ["10.0.0.0/8"]}]},
            ["provider_aws_cidr is 10.20.0.0/16, which overlaps with 10.0.0.0/8 of vpc-2 (shop)"],
            id="the network of another VPC",
        ),
        pytest.param(
            {},
            {
                "networks": [
                    {"id": "vpc-2", "name": "shop", "environment": "", "cidrs": ["10.0.0.0/8"]},
                    {"id": "vpc-3", "name": "nexod-staging", "environment": "staging", "cidrs": ["10.20.0.0/16"]},
                ]
            },
            [],
            id="ours exists",
        ),
        pytest.param(
            {"provider_aws_rds_engine_version": 11},
            {},
            ["provider_aws_rds_engine_version is 11, which RDS does not offer"],
            id="an engine version that is no longer offered",
        ),
        pytest.param(
            {"provider_aws_rds_engine_version": 11},
            {"instance": {"storage_gb": 100, "version": "11.22"}},
            [],
            id="a version in extended support",
        ),
        pytest.param(
            {},
            {"instance": {"storage_gb": 500, "version": "15.8"}},
            ["provider_aws_rds_storage_max_gb is 500, and the database already has 500 GB"],
            id="storage below what is there",
        ),
        pytest.param({}, {"image": "no"}, ["the image nexod-staging-api:1.4.0 is not in ECR"], id="no such tag"),
        pytest.param({}, {"image": "no repository yet"}, [], id="the first deploy"),
        pytest.param(
            {},
            {"refused": [{"about": "zones", "cause": "AccessDenied: no", "next_step": "Let it."}], "zones": None},
            ["AWS does not say whether the availability zones exist: AccessDenied: no"],
            id="a refusal",
        ),
    ],
)
def test_problems(given: dict[str, t.Any], found: dict[str, t.Any], faults: list[str]) -> None:
    rows = judge_aws(wanted(inputs(**given)), {**FOUND, **found})
    assert len(rows) == len(faults)
    for row, text in zip(rows, faults, strict=True):
        assert f"{row.subject} {row.cause}".startswith(text)
        assert row.next_step


def test_no_answer_is_a_problem() -> None:
    error = {
        "object": "account 123456789012",
        "cause": "the credentials are of the account 999999999999",
        "next_step": "Set AWS_PROFILE.",
    }
    (fault,) = judge_aws(wanted(inputs()), {"msg": "Cannot use AWS", "error": error})
    assert (fault.cause, fault.next_step) == (
        f"can't be used (account 123456789012): {error['cause']}",
        "Set AWS_PROFILE.",
    )
    assert judge_aws(wanted(inputs()), {"skipped": True}) == []


def test_what_is_no_problem_is_said() -> None:
    found = {**FOUND, "not_checked": ["zones"], "instance": {"storage_gb": 150}}
    first, alarms, second = notes(wanted(inputs()), found)
    assert alarms.startswith("No subscription to the alarms of AWS is declared")
    assert first == "Not checked, as the emulator can't say it: whether the availability zones exist."
    assert second.startswith("provider_aws_rds_storage_gb is 100, and the database has 150 GB")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, True),
        ({"provider_aws_alarm_subscriptions": [{"protocol": "email", "endpoint": "ops@example.com"}]}, False),
        ({"provider_aws_endpoint_url": "http://127.0.0.1:4566"}, False),
    ],
)
def test_alarms_that_nobody_is_declared_for(given: dict[str, t.Any], said: bool) -> None:
    assert any("alarms" in line for line in notes(wanted(inputs(**given)), FOUND)) == said
