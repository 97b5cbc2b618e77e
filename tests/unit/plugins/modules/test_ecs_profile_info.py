"""The command that profiles a task of ECS: refused where the service can't be profiled. On the emulator moto."""

from __future__ import annotations

import typing as t

import boto3
import pytest

from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

Run = t.Callable[..., dict[str, t.Any]]
OPTIONS = {"cluster": "main", "service": "api", "region": "us-east-1"}


@pytest.fixture(autouse=True)
def ecs(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Any]:
    with emulated_aws(monkeypatch):
        yield boto3.client("ecs", region_name="us-east-1")


def test_services_that_cannot_be_profiled(run_module: Run, ecs: t.Any) -> None:
    assert "there is no such service" in run_module("ecs_profile_info", OPTIONS)["msg"]
    ecs.create_cluster(clusterName="main")
    assert "there is no such service" in run_module("ecs_profile_info", OPTIONS)["msg"]
    ecs.register_task_definition(family="api", containerDefinitions=[{"name": "api", "image": "api:1", "memory": 64}])
    ecs.create_service(cluster="main", serviceName="api", taskDefinition="api", desiredCount=1)
    result = run_module("ecs_profile_info", OPTIONS)
    assert "ECS Exec is disabled for it" in result["msg"]
    assert "provider_aws_profiler_image" in result["error"]["next_step"]


@pytest.mark.parametrize("changes", [{"seconds": 0}, {"seconds": 301}, {"rate": 1001}])
def test_ranges(run_module: Run, changes: dict[str, int]) -> None:
    assert next(iter(changes)) in run_module("ecs_profile_info", {**OPTIONS, **changes})["msg"]
