"""What a rollout needs is looked for beforehand: the declaration itself, and what it refers to on the emulator moto."""

from __future__ import annotations

import json
import re
import typing as t

import boto3
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.definition import definition_from
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.verify import (
    faults_of,
    missing,
    size_faults,
    verify,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
NETWORK = {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["s"]}}}


@pytest.mark.parametrize(
    ("cpu", "memory", "right"),
    [
        (256, 512, True),
        (256, 1536, False),
        (256, 2048, True),
        (512, 512, False),
        (1024, 3072, True),
        (2048, 4096, True),
        (8192, 18432, False),
        (8192, 20480, True),
        (300, 512, False),
        (None, 512, False),
        ("1 vCPU", "2 GB", True),
    ],
)
def test_sizes_of_fargate(cpu: t.Any, memory: t.Any, right: bool) -> None:
    assert (size_faults(cpu, memory) == []) is right


def definition(*containers: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    rows = list(containers) or [{"name": "api", "image": "api:1", "ports": [8000]}]
    return definition_from({"cpu": 256, "memory_mb": 512, "containers": rows, **more}, "api", "us-east-1")


@pytest.mark.parametrize(
    ("wanted", "service", "fault"),
    [
        pytest.param(definition(), NETWORK, None, id="good"),
        pytest.param(definition(), {}, "set subnets", id="no subnets"),
        pytest.param(definition({"name": "a", "image": "i", "essential": False}), NETWORK, "essential", id="essential"),
        pytest.param(definition(*[{"name": "a", "image": "i"}] * 2), NETWORK, "2 containers a", id="twice"),
        pytest.param(
            definition({"name": "a", "image": "i", "secrets": {"A": "arn"}}), NETWORK, "execution_role", id="secrets"
        ),
        pytest.param(
            definition(),
            {**NETWORK, "loadBalancers": [{"containerName": "api", "containerPort": 80}]},
            r"port 80 of api, which has \[8000\]",
            id="port",
        ),
        pytest.param(
            definition(),
            {**NETWORK, "loadBalancers": [{"containerName": "web", "containerPort": 80}]},
            "container web, which is not declared",
            id="container",
        ),
    ],
)
def test_faults_of_the_declaration(wanted: t.Any, service: t.Any, fault: str | None) -> None:
    found = faults_of(wanted, service)
    assert len(found) == (1 if fault else 0), found
    if fault:
        assert re.search(fault, found[0])


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Api]:
    with emulated_aws(monkeypatch):
        yield Api("us-east-1")


def client(service: str) -> t.Any:
    return boto3.client(service, region_name="us-east-1")


def made() -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Everything that is referred to, and the declaration that refers to it."""
    client("ecs").create_cluster(clusterName="main")
    client("logs").create_log_group(logGroupName="/api")
    client("logs").create_log_group(logGroupName="/api-too")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}]}
    client("iam").create_role(RoleName="exec", AssumeRolePolicyDocument=json.dumps(trust))
    secret = client("secretsmanager").create_secret(Name="url", SecretString="s")["ARN"]
    client("ssm").put_parameter(Name="/api/key", Value="v", Type="String")
    client("ecr").create_repository(repositoryName="api")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": "sha256:0"},
        "layers": [],
    }
    client("ecr").put_image(repositoryName="api", imageManifest=json.dumps(manifest), imageTag="1")
    vpc = client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        client("ec2").create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")
        for n, zone in enumerate("ab")
    ]
    balancing = client("elbv2")
    group = balancing.create_target_group(Name="api", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    balancer = balancing.create_load_balancer(Name="a", Subnets=[one["Subnet"]["SubnetId"] for one in subnets])
    balancing.create_listener(
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
    )
    container = {
        "name": "api",
        "image": f"{REGISTRY}/api:1",
        "ports": [8000],
        "log": {"group": "/api"},
        "secrets": {"URL": f"{secret}:url::", "KEY": "arn:aws:ssm:us-east-1:123456789012:parameter/api/key"},
    }
    client("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        MetricName="m",
        Namespace="n",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    service = {
        **NETWORK,
        "deploymentConfiguration": {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}},
        "loadBalancers": [{"targetGroupArn": arn, "containerName": "api", "containerPort": 8000}],
    }
    return definition(container, execution_role="exec"), service


def test_what_is_there_is_found(api: Api) -> None:
    wanted, service = made()
    assert missing(api, "main", wanted, service) == []
    assert verify(api, "main", wanted, service, action="deploy", label="x") == []


def test_everything_that_is_missing_is_reported_at_once(api: Api) -> None:
    client("iam").create_role(RoleName="task", AssumeRolePolicyDocument='{"Statement": []}')
    group = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/gone/0123456789abcdef"
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gone-AbCdEf"
    container = {
        "name": "api",
        "image": f"{REGISTRY}/api:2",
        "ports": [8000],
        "log": {"group": "/api"},
        "secrets": {"URL": secret, "KEY": "arn:aws:ssm:us-east-1:123456789012:parameter/gone"},
    }
    wanted = definition(container, execution_role="gone", task_role="task")
    alarms = {"alarms": {"alarmNames": ["gone"], "enable": True, "rollback": True}}
    service = {**NETWORK, "deploymentConfiguration": alarms}
    service["loadBalancers"] = [{"targetGroupArn": group, "containerName": "api", "containerPort": 8000}]
    expected = [
        "there is no cluster main in us-east-1",
        f"there is no image {REGISTRY}/api:2 in ECR: push it first",
        f"there is no secret {secret}",
        "there is no parameter gone in Systems Manager",
        "there is no role gone",
        "the role task can't be assumed by ECS: its trust policy has to name ecs-tasks.amazonaws.com",
        "there is no log group /api",
        "there is no alarm gone",
        f"there is no target group {group}",
    ]
    assert sorted(missing(api, "main", wanted, service)) == sorted(expected)
    with pytest.raises(InfraError, match="there are 9 faults") as caught:
        verify(api, "main", wanted, service, action="deploy", label="x")
    assert caught.value.detail.count("\n") == 8


def test_in_check_mode_what_is_missing_may_be_made_by_an_earlier_task(api: Api) -> None:
    api.check = True
    assert len(verify(api, "main", definition(), NETWORK, action="deploy", label="x")) == 1


def test_what_an_earlier_task_would_create_is_named_and_not_asked_for(api: Api) -> None:
    """As a plan of an empty account has it: of the resources, it knows their names only."""
    api.check = True
    secret, role, group = (f"(known when {key} is created)" for key in ("secret/a", "iam_role/b", "target_group/c"))
    container = {
        "name": "api",
        "image": "api:1",
        "ports": [80],
        "secrets": {"X": f"{secret}:X::", "Y": f"{secret}:Y::"},
    }
    service = {**NETWORK, "loadBalancers": [{"targetGroupArn": group, "containerName": "api", "containerPort": 80}]}
    client("ecs").create_cluster(clusterName="main")
    absent = verify(
        api, "main", definition(container, execution_role=role, task_role=role), service, action="deploy", label="x"
    )
    assert absent == [f"{key} is not created yet" for key in ("iam_role/b", "secret/a", "target_group/c")]
    assert {call.operation for call in api.calls} == {"DescribeClusters"}


def test_what_can_not_be_looked_at_is_a_fault(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, service = made()
    whole = api.call

    def denied(name: str, operation: str, *more: t.Any, **given: t.Any) -> t.Any:
        if operation == "GetRole":
            raise InfraError("call", "iam:GetRole", "AccessDenied", "Let it.")
        return whole(name, operation, *more, **given)

    monkeypatch.setattr(api, "call", denied)
    assert missing(api, "main", wanted, service) == ["Cannot call iam:GetRole: AccessDenied. Let it."]


def test_targets_of_the_wrong_type_and_a_group_without_listener(api: Api) -> None:
    wanted, service = made()
    vpc = client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    group = client("elbv2").create_target_group(Name="b", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="instance")
    service["loadBalancers"][0]["targetGroupArn"] = group["TargetGroups"][0]["TargetGroupArn"]
    found = missing(api, "main", wanted, service)
    assert len(found) == 2
    assert "targets of type instance" in found[0]
    assert "no listener forwards" in found[1]
