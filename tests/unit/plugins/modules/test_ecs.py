"""A service and a task of ECS through the modules: predicted, made, refused. On the emulator moto.

Its services never run more than one task, and it stores no deployment configuration: what rollouts do is tested on a
stand-in (tests/unit/plugins/module_utils/_aws/ecs) and with real containers (tests/integration/aws).
"""

from __future__ import annotations

import json
import typing as t

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    monkeypatch.setenv("MOTO_ECS_SERVICE_RUNNING", "1")
    with emulated_aws(monkeypatch):
        boto3.client("ecs", region_name="us-east-1").create_cluster(clusterName="main")
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}]}
        iam = boto3.client("iam", region_name="us-east-1")
        iam.create_role(RoleName="exec", AssumeRolePolicyDocument=json.dumps(trust))
        yield


def subnet() -> str:
    """One of the default network, which moto has in every account."""
    rows = boto3.client("ec2", region_name="us-east-1").describe_subnets()["Subnets"]
    return str(rows[0]["SubnetId"])


def task_definition(image: str = "api:1", **more: t.Any) -> dict[str, t.Any]:
    container = {"name": "api", "image": image, "ports": [8000], "environment": {"LEVEL": "info"}}
    return {"cpu": 256, "memory_mb": 512, "execution_role": "exec", "containers": [container], **more}


def service(**more: t.Any) -> dict[str, t.Any]:
    return {
        "name": "api",
        "cluster": "main",
        "region": "us-east-1",
        "subnets": [subnet()],
        "desired_count": 1,
        "deployment": {"circuit_breaker": False},
        "wait_seconds": 5,
        "task_definition": task_definition(),
        **more,
    }


def test_predicted_made_and_made_again(run_module: Run) -> None:
    predicted = run_module("ecs_deploy", service(), check_mode=True)
    made = run_module("ecs_deploy", service())
    for result in (predicted, made):
        assert (result["action"], result["changed"], result["missing"]) == ("create", True, [])
        assert '"image": "api:1"' in result["diff"][0]["after"]
        assert '"desiredCount": 1' in result["diff"][1]["after"]
    assert "ecs:CreateService" in made["rights"]
    assert not {"ecs:CreateService", "ecs:RegisterTaskDefinition"} & set(predicted["rights"])
    again = run_module("ecs_deploy", service())
    assert (again["changed"], again["action"], again["diff"]) == (False, "none", [])
    assert again["rights"] == ["ecs:DescribeServices", "ecs:DescribeTaskDefinition"]


def test_an_update_that_is_predicted_changes_nothing(run_module: Run) -> None:
    run_module("ecs_deploy", service())
    predicted = run_module("ecs_deploy", service(task_definition=task_definition("api:2")), check_mode=True)
    assert (predicted["action"], predicted["changes"]) == ("update", ["taskDefinition"])
    assert '"image": "api:1"' in predicted["diff"][0]["before"]
    assert '"image": "api:2"' in predicted["diff"][0]["after"]
    assert not run_module("ecs_deploy", service())["changed"]


def test_removed(run_module: Run) -> None:
    run_module("ecs_deploy", service())
    for check_mode, changed in ((True, True), (False, True), (False, False)):
        result = run_module("ecs_deploy", service(state="absent", task_definition=None), check_mode=check_mode)
        assert result["changed"] is changed


@pytest.mark.parametrize(
    ("module", "options", "text"),
    [
        ("ecs_deploy", {"desired_count": -1}, "desired_count"),
        ("ecs_deploy", {"deployment": {"min_percent": 101}}, "min_percent"),
        ("ecs_deploy", {"wait_seconds": 0}, "wait_seconds"),
        ("ecs_deploy", {"keep_definitions": 1}, "keep_definitions"),
        ("ecs_deploy", {"capacity_providers": [{"name": "FARGATE", "weight": 1001}]}, "weight"),
        ("ecs_deploy", {"load_balancers": [{"target_group": "a", "container": "b", "port": 0}]}, "port"),
        ("ecs_deploy", {"task_definition": task_definition(ephemeral_storage_gb=20)}, "ephemeral_storage_gb"),
        (
            "ecs_deploy",
            {"task_definition": task_definition(containers=[{"name": "a", "image": "i", "ports": [70000]}])},
            "ports",
        ),
        ("ecs_deploy", {"task_definition": task_definition("")}, "name the version to deploy (backend_version)"),
        ("ecs_deploy", {"task_definition": None}, "task_definition"),
        ("ecs_run_task", {"wait_seconds": 0}, "wait_seconds"),
        ("ecs_run_task", {"definition": "api"}, "mutually exclusive"),
        ("ecs_run_task", {"task_definition": None}, "it is not set"),
    ],
)
def test_what_is_out_of_range_calls_nobody(run_module: Run, module: str, options: dict[str, t.Any], text: str) -> None:
    own = ("desired_count", "deployment")
    given = {**service(), **options}
    if module == "ecs_run_task":
        given = {name: value for name, value in given.items() if name not in own}
    result = run_module(module, given)
    assert result["failed"]
    assert text in result["msg"]


def test_faults_are_one_list(run_module: Run) -> None:
    wrong = task_definition(execution_role="gone", memory_mb=600)
    result = run_module("ecs_deploy", service(cluster="other", task_definition=wrong))
    assert len(result["faults"]) == 3
    assert "nothing was changed" in result["msg"]
    predicted = run_module("ecs_deploy", service(cluster="other"), check_mode=True)
    assert predicted["warnings"] == ["In check mode, not verified: there is no cluster other in us-east-1"]


@pytest.mark.parametrize("module", ["ecs_deploy", "ecs_run_task"])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExpiredTokenException", "Sign in again"),
        ("UnrecognizedClientException", "AWS does not know these credentials"),
        ("AccessDeniedException", "attach the current policies of roles/provider_aws/templates/policies"),
        ("ThrottlingException", "limits the rate"),
        ("LimitExceededException", "servicequotas/home/services/ecs/quotas"),
        ("RequestExpired", "Sign in again"),
        ("RequestTimeTooSkewed", "Set the clock"),
        ("OptInRequired", "Check the region, which is us-east-1"),
        ("ServerException", "health.aws.amazon.com"),
    ],
)
def test_what_aws_refuses_is_named(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, module: str, code: str, words: str
) -> None:
    wanted, operation = (task(), "ecs:DescribeTaskDefinition")
    if module == "ecs_deploy":
        wanted, operation = (service(), "ecs:DescribeServices")

    def refuse(_client: t.Any, called: str, _given: t.Any) -> t.NoReturn:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, called)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    result = run_module(module, wanted)
    assert result["msg"].startswith(f"Cannot call {operation}: {code}: no.\n")
    assert words.lower() in result["msg"].lower()
    assert result["code"] == code


@pytest.mark.parametrize("module", ["ecs_deploy", "ecs_run_task"])
def test_an_address_that_nobody_answers_is_named(run_module: Run, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    wanted = service() if module == "ecs_deploy" else task()

    def refuse(_client: t.Any, _called: str, _given: t.Any) -> t.NoReturn:
        raise EndpointConnectionError(endpoint_url="https://ecs.us-east-1.amazonaws.com/")

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    result = run_module(module, wanted)
    assert 'Could not connect to the endpoint URL: "https://ecs.us-east-1.amazonaws.com/"' in result["msg"]
    assert "port 443 is reachable" in result["msg"]
    assert "Check the region as well: us-east-1" in result["msg"]


def task(**more: t.Any) -> dict[str, t.Any]:
    return {
        "name": "migrate-1.0",
        "cluster": "main",
        "region": "us-east-1",
        "subnets": [subnet()],
        "task_definition": task_definition(),
        **more,
    }


def test_a_task_is_predicted_without_being_started(run_module: Run) -> None:
    result = run_module("ecs_run_task", task(command=["migrate"]), check_mode=True)
    assert (result["changed"], result["task_arn"], result["exit_code"]) == (True, None, None)
    assert "migrate" in result["diff"][0]["after"]
    assert "ecs:RunTask" not in result["rights"]
