"""Task definitions: what is sent to AWS, and which differences are some."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.definition import (
    definition_from,
    log_place,
    normalised,
    same_definition,
)

OPTIONS: dict[str, t.Any] = {
    "cpu": 256,
    "memory_mb": 512,
    "execution_role": "exec",
    "containers": [
        {
            "name": "api",
            "image": "api:1",
            "ports": [8000],
            "environment": {"B": "2", "A": "", "DEBUG": False},
            "secrets": {"URL": "arn:aws:secretsmanager:us-east-1:1:secret:url"},
            "health_check": {"command": ["CMD", "true"]},
            "log": {"group": "/api"},
            "command": ["serve", ""],
        },
        {"name": "proxy", "image": "proxy:1", "essential": False},
    ],
}
WANTED = definition_from(OPTIONS, "api", "us-east-1")


def as_aws_shows() -> dict[str, t.Any]:
    """The same definition with what AWS adds and fills in, and in another order."""
    seen = copy.deepcopy(WANTED)
    api, proxy = seen["containerDefinitions"]
    for one in (api, proxy):
        one.update(cpu=0, mountPoints=[], volumesFrom=[], systemControls=[])
    api["portMappings"][0].update(hostPort=8000)
    api["environment"].reverse()
    api["healthCheck"].update(interval=30, timeout=5, retries=3)
    proxy.update(environment=[], portMappings=[])
    seen.update(
        containerDefinitions=[proxy, api],
        executionRoleArn="arn:aws:iam::123456789012:role/exec",
        taskDefinitionArn="arn:aws:ecs:us-east-1:123456789012:task-definition/api:7",
        revision=7,
        status="ACTIVE",
        volumes=[],
        placementConstraints=[],
        compatibilities=["EC2", "FARGATE"],
        requiresAttributes=[{"name": "ecs.capability.task-eni"}],
        registeredAt="2026-11-26",
        registeredBy="arn:aws:iam::123456789012:root",
        enableFaultInjection=False,
    )
    return seen


def test_what_aws_adds_is_no_difference() -> None:
    assert same_definition(WANTED, as_aws_shows())


def test_a_platform_that_is_not_shown_is_the_default() -> None:
    seen = as_aws_shows()
    del seen["runtimePlatform"]
    assert same_definition(WANTED, seen)


def changed(**values: t.Any) -> dict[str, t.Any]:
    seen = as_aws_shows()
    seen["containerDefinitions"][1].update(values)
    return seen


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(None, id="none"),
        pytest.param(changed(image="api:2"), id="image"),
        pytest.param(changed(command=["serve"]), id="an empty word of a command"),
        pytest.param(changed(environment=[{"name": "B", "value": "2"}]), id="an empty variable"),
        pytest.param(changed(essential=False), id="essential"),
        pytest.param(changed(portMappings=[{"containerPort": 8001, "protocol": "tcp"}]), id="port"),
        pytest.param(changed(portMappings=[{"containerPort": 8000, "protocol": "udp"}]), id="protocol"),
        pytest.param(changed(secrets=[]), id="secret removed"),
        pytest.param(changed(user="root"), id="something that is not declared"),
        pytest.param(changed(healthCheck={"command": ["CMD", "true"], "interval": 10}), id="health check"),
        pytest.param({**as_aws_shows(), "cpu": "512"}, id="cpu"),
        pytest.param({**as_aws_shows(), "executionRoleArn": "arn:aws:iam::1:role/other"}, id="role"),
        pytest.param({**as_aws_shows(), "runtimePlatform": {"cpuArchitecture": "ARM64"}}, id="processor"),
        pytest.param({**as_aws_shows(), "family": "other"}, id="family"),
    ],
)
def test_differences(seen: dict[str, t.Any] | None) -> None:
    assert not same_definition(WANTED, seen)


def test_variables_are_texts_and_normalising_changes_nothing_that_is_given() -> None:
    given = copy.deepcopy(WANTED)
    rows = {row["name"]: row["value"] for row in WANTED["containerDefinitions"][0]["environment"]}
    assert rows == {"A": "", "B": "2", "DEBUG": "False"}
    normalised(WANTED)
    assert given == WANTED


def test_parameters_in_aws_own_spelling_win() -> None:
    options = {**OPTIONS, "parameters": {"pidMode": "task"}, "containers": [{**OPTIONS["containers"][0]}]}
    options["containers"][0]["parameters"] = {"ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}]}
    found = definition_from(options, "api", "us-east-1")
    assert found["pidMode"] == "task"
    assert found["containerDefinitions"][0]["ulimits"][0]["hardLimit"] == 2


@pytest.mark.parametrize(
    ("log", "place"),
    [
        (
            {"logDriver": "awslogs", "options": {"awslogs-group": "/a", "awslogs-stream-prefix": "p"}},
            ("", "/a", "p/api/t1"),
        ),
        ({"logDriver": "awslogs", "options": {"awslogs-group": "/a"}}, "no stream prefix"),
        ({"logDriver": "splunk"}, "logs to splunk"),
        (None, "no log configuration"),
    ],
)
def test_where_the_log_is(log: dict[str, t.Any] | None, place: t.Any) -> None:
    found = log_place({"containerDefinitions": [{"name": "api", "logConfiguration": log}]}, "api", "t1")
    assert found == place if isinstance(place, tuple) else place in found


def test_a_role_that_is_not_created_yet_is_shown_as_such() -> None:
    role = "(known when iam_role/api is created)"
    assert normalised({**WANTED, "taskRoleArn": role})["taskRoleArn"] == role
    assert normalised({**WANTED, "taskRoleArn": "arn:aws:iam::1:role/a/api"})["taskRoleArn"] == "api"


def test_an_empty_command_is_the_one_of_the_image() -> None:
    options = {"containers": [{"name": "api", "image": "api:1", "command": []}]}
    assert "command" not in definition_from(options, "api", "us-east-1")["containerDefinitions"][0]
