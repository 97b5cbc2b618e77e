"""A service as declared against the service as it is."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.service import (
    count_for,
    deployment_from,
    differences,
    fixed,
    missing_tags,
    service_from,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

GROUP = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/api/1"
OPTIONS: dict[str, t.Any] = {
    "launch_type": "FARGATE",
    "subnets": ["a", "b"],
    "security_groups": ["s"],
    "public_ip": False,
    "load_balancers": [{"target_group": GROUP, "container": "api", "port": 8000}],
    "health_check_grace_seconds": 60,
    "propagate_tags": "SERVICE",
    "enable_execute_command": False,
    "deployment": {"alarms": ["y", "x"]},
}
WANTED = service_from(OPTIONS)
NETWORK = {"subnets": ["b", "a"], "securityGroups": ["s"], "assignPublicIp": "DISABLED"}
SEEN: dict[str, t.Any] = {
    "launchType": "FARGATE",
    "platformVersion": "LATEST",
    "networkConfiguration": {"awsvpcConfiguration": NETWORK},
    "loadBalancers": [{"targetGroupArn": GROUP, "containerName": "api", "containerPort": 8000}],
    "healthCheckGracePeriodSeconds": 60,
    "propagateTags": "SERVICE",
    "enableExecuteCommand": False,
    "deploymentConfiguration": {
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
        "minimumHealthyPercent": 100,
        "maximumPercent": 200,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True, "resetOnHealthyTask": True},
        "alarms": {"alarmNames": ["x", "y"], "enable": True, "rollback": True},
    },
}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param({}, [], id="as declared, in another order, with what AWS adds"),
        pytest.param({"healthCheckGracePeriodSeconds": 0}, ["healthCheckGracePeriodSeconds"], id="grace"),
        pytest.param({"enableExecuteCommand": True}, ["enableExecuteCommand"], id="exec"),
        pytest.param({"loadBalancers": []}, ["loadBalancers"], id="balancer"),
        pytest.param(
            {"networkConfiguration": {"awsvpcConfiguration": {**NETWORK, "subnets": ["a"]}}},
            ["networkConfiguration"],
            id="subnet",
        ),
        pytest.param(
            {"networkConfiguration": {"awsvpcConfiguration": {**NETWORK, "securityGroups": ["s", "t"]}}},
            ["networkConfiguration"],
            id="a group too many",
        ),
        pytest.param(
            {"deploymentConfiguration": {**SEEN["deploymentConfiguration"], "deploymentCircuitBreaker": {}}},
            ["deploymentConfiguration"],
            id="no breaker",
        ),
        pytest.param(
            {"deploymentConfiguration": {**SEEN["deploymentConfiguration"], "strategy": "CANARY"}},
            ["deploymentConfiguration"],
            id="strategy",
        ),
        pytest.param({"launchType": "EC2"}, ["launchType"], id="launch type"),
        pytest.param(
            {
                "enableExecuteCommand": None,
                "deploymentConfiguration": {
                    "alarms": WANTED["deploymentConfiguration"]["alarms"],
                    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
                },
            },
            [],
            id="what AWS does not show is its default",
        ),
    ],
)
def test_differences(change: dict[str, t.Any], found: list[str]) -> None:
    assert differences(WANTED, {**SEEN, **change}) == found


def test_a_launch_type_can_not_be_changed() -> None:
    with pytest.raises(InfraError, match="its launchType is EC2, and AWS can't change that to FARGATE"):
        fixed(["launchType"], WANTED, {"launchType": "EC2"}, "the service")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}),
        ({"roll_back": False}, {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}),
        ({"circuit_breaker": False}, {"deploymentCircuitBreaker": {"enable": False, "rollback": False}}),
        ({"strategy": "BLUE_GREEN", "bake_minutes": 0}, {"bakeTimeInMinutes": 0}),
        (
            {"strategy": "CANARY", "step_percent": 5, "step_bake_minutes": 2},
            {"bakeTimeInMinutes": 5, "canaryConfiguration": {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 2}},
        ),
        (
            {"strategy": "LINEAR"},
            {"bakeTimeInMinutes": 5, "linearConfiguration": {"stepPercent": 10.0, "stepBakeTimeInMinutes": 5}},
        ),
    ],
)
def test_how_tasks_are_replaced(options: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    common = {"strategy": options.get("strategy", "ROLLING"), "minimumHealthyPercent": 100, "maximumPercent": 200}
    assert deployment_from(options) == {**common, **expected}


@pytest.mark.parametrize(
    ("declared", "seen", "scaled", "count"),
    [
        pytest.param(None, None, False, 1, id="new, not declared"),
        pytest.param(0, None, False, 0, id="new, none"),
        pytest.param(2, {"desiredCount": 7}, True, None, id="autoscaled: never touched"),
        pytest.param(2, {"desiredCount": 7}, False, 2, id="not autoscaled"),
        pytest.param(None, {"desiredCount": 7}, False, None, id="not declared"),
        pytest.param(2, {"desiredCount": 2}, False, None, id="as declared"),
    ],
)
def test_the_number_of_tasks(declared: int | None, seen: t.Any, scaled: bool, count: int | None) -> None:
    assert count_for(declared, seen, scaled) == count


def test_tags_of_others_are_kept() -> None:
    seen = {"tags": [{"key": "a", "value": "1"}, {"key": "theirs", "value": "x"}]}
    assert missing_tags({"a": 1, "b": "2"}, seen) == {"b": "2"}
