"""What preflight asks AWS, on the emulator moto: read-only, and nothing with another account's credentials."""

from __future__ import annotations

import datetime
import time
import typing as t

import boto3
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws import facts
from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.aws import NAMES
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

Run = t.Callable[..., dict[str, t.Any]]
REGION = "us-east-1"
ASKED = {"region": REGION, "instance": "nexod-staging", "repository": "api", "tag": "1.4.0"}


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    # moto can't list them.
    monkeypatch.setattr(facts, "engine_versions", lambda _api: ["15.8"])
    with emulated_aws(monkeypatch):
        yield


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_there_is(run_module: Run, check_mode: bool) -> None:
    ec2, rds, ecr = (boto3.client(service, REGION) for service in ("ec2", "rds", "ecr"))
    tags = [{"Key": "Name", "Value": "nexod-staging"}, {"Key": "nexod:environment", "Value": "staging"}]
    ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}])
    rds.create_db_instance(
        DBInstanceIdentifier="nexod-staging",
        Engine="postgres",
        EngineVersion="15.8",
        DBInstanceClass="db.t4g.medium",
        AllocatedStorage=50,
        MasterUsername="postgres",
        MasterUserPassword="canary-password",
    )
    ecr.create_repository(repositoryName="api")
    found = run_module("aws_info", ASKED, check_mode=check_mode)
    assert found["changed"] is False
    assert (REGION in found["regions"], "us-east-1a" in found["zones"]) == (True, True)
    ours = [row for row in found["networks"] if row["environment"] == "staging"]
    assert [(row["name"], row["cidrs"]) for row in ours] == [("nexod-staging", ["10.20.0.0/16"])]
    assert found["instance"] == {"storage_gb": 50, "version": "15.8"}
    assert found["image"] == "no"
    assert "canary" not in str(found)


def test_an_empty_account(run_module: Run) -> None:
    found = run_module("aws_info", ASKED)
    assert (found["instance"], found["image"], found["refused"]) == ({}, "no repository yet", [])


def test_another_account_is_asked_nothing_else(run_module: Run) -> None:
    failed = run_module("aws_info", {**ASKED, "account": "999999999999"})
    assert failed["failed"]
    assert "the credentials are of the account 123456789012" in failed["error"]["cause"]
    api = Api(REGION, check=True)
    with pytest.raises(InfraError):
        facts.gather(api, api, {**ASKED, "account": "999999999999"}, emulated=False)
    assert [call.operation for call in api.calls] == ["GetCallerIdentity"]


def test_in_a_region_that_is_none_nothing_is_asked(run_module: Run) -> None:
    home, nowhere = Api(REGION, check=True), Api("us-east-9", check=True)
    found = facts.gather(nowhere, home, ASKED, emulated=False)
    assert "us-east-9" not in found["regions"]
    assert nowhere.calls == []


@pytest.mark.parametrize(
    ("meaning", "emulated", "refused"),
    [("denied", False, True), ("denied", True, True), ("unavailable", True, False), ("unavailable", False, True)],
)
def test_what_an_emulator_does_not_know_is_no_refusal(meaning: str, emulated: bool, refused: bool) -> None:
    def ask() -> t.NoReturn:
        raise InfraError("call", "rds:DescribeDBEngineVersions", meaning, "Do something.", meaning=meaning)

    found: dict[str, t.Any] = {"refused": [], "not_checked": []}
    facts.answer(found, {"engine_versions": ask}, emulated=emulated)
    assert ([row["about"] for row in found["refused"]], found["not_checked"]) == (
        (["engine_versions"], []) if refused else ([], ["engine_versions"])
    )


@pytest.mark.parametrize(
    ("region", "home"),
    [("eu-west-1", "us-east-1"), ("cn-northwest-1", "cn-north-1"), ("us-gov-east-1", "us-gov-west-1")],
)
def test_where_the_account_is_asked_for(region: str, home: str) -> None:
    assert facts.home_of(region) == home


def test_what_a_service_runs(run_module: Run) -> None:
    ecs = boto3.client("ecs", REGION)
    wants = {**ASKED, "cluster": "nexod-staging", "service": "api"}
    assert run_module("aws_info", wants)["serving"] == []
    ecs.create_cluster(clusterName="nexod-staging")
    before = run_module("aws_info", wants)
    assert (before["serving"], before["serving_since"]) == ([], 0)
    container = {"name": "api", "image": "registry.example/api:1.4.0", "memory": 512}
    ecs.register_task_definition(family="api", containerDefinitions=[container], cpu="1024", memory="2048")
    ecs.create_service(cluster="nexod-staging", serviceName="api", taskDefinition="api", desiredCount=3)
    found = run_module("aws_info", wants)
    assert found["serving"] == ["registry.example/api:1.4.0"]
    assert found["serving_since"] == pytest.approx(time.time(), abs=60)
    assert found["tasks"] == {"least": 3, "most": 0, "cpu": 1024, "memory_mb": 2048}
    scaled = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
    boto3.client("application-autoscaling", REGION).register_scalable_target(
        **scaled, ResourceId="service/nexod-staging/api", MinCapacity=2, MaxCapacity=10
    )
    assert run_module("aws_info", wants)["tasks"] == {"least": 2, "most": 10, "cpu": 1024, "memory_mb": 2048}
    ecs.delete_service(cluster="nexod-staging", service="api", force=True)
    found = run_module("aws_info", wants)
    assert (found["serving"], found["tasks"]) == ([], {})


@pytest.mark.parametrize(
    ("deployments", "since"),
    [
        pytest.param([{"updatedAt": 200, "createdAt": 100, "rolloutState": "COMPLETED"}], 200, id="completed"),
        pytest.param([{"createdAt": 100}], 100, id="of another deployment controller"),
        pytest.param([{"updatedAt": 200, "createdAt": 100, "rolloutState": "IN_PROGRESS"}], 1000, id="rolled out now"),
        pytest.param([{"createdAt": 900, "rolloutState": "COMPLETED"}, {"createdAt": 100}], 1000, id="two serve"),
    ],
)
def test_since_when_a_service_runs_its_release(
    deployments: list[dict[str, t.Any]], since: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = {"createdAt", "updatedAt"}
    rows = [
        {
            name: datetime.datetime.fromtimestamp(value, datetime.UTC) if name in at else value
            for name, value in one.items()
        }
        for one in deployments
    ]
    monkeypatch.setattr(facts, "service_of", lambda *_: {"deployments": rows})
    monkeypatch.setattr(facts.time, "time", lambda: 1000.0)
    assert facts.serving_since(t.cast("t.Any", None), "nexod-staging", "api") == since


def test_whatever_aws_refuses_to_say_has_a_name() -> None:
    wants = {"cluster": "nexod-staging", "service": "api"}
    assert {"regions", *facts.questions(t.cast("t.Any", None), wants)} == set(NAMES)
