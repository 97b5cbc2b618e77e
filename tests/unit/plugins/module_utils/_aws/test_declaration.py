"""Declarations: what is refused, and in which order the rest is handled."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import minor_upgraded
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared, references, resolved

VPC = {"kind": "vpc", "name": "main", "properties": {"cidr": "10.0.0.0/16"}}


def subnet(**changed: t.Any) -> dict[str, t.Any]:
    properties = {"vpc": "@vpc/main", "cidr": "10.0.1.0/24", "zone": "us-east-1a", **changed}
    return {"kind": "subnet", "name": "a", "properties": properties}


def test_order_and_defaults() -> None:
    rows = declared([subnet(), VPC], KINDS)
    assert [one.key for one in rows] == ["vpc/main", "subnet/a"]
    assert rows[1].properties["public_addresses"] is False


def test_every_fault_at_once() -> None:
    rows = [
        {"kind": "vcp", "name": "main"},
        {"kind": "vpc", "name": "other", "properties": {"cidr": "10.0.0.0/16", "dns": True}},
        {"kind": "vpc", "name": "other", "properties": {}},
        subnet(vpc="@vpc/nowhere", public_addresses="perhaps"),
    ]
    with pytest.raises(InfraError) as raised:
        declared(rows, KINDS)
    said = str(raised.value)
    assert f"there is no kind vcp; there are {min(KINDS)}, " in said
    assert "vpc/other is declared twice" in said
    assert "vpc/other: dns" in said
    assert "missing required arguments: cidr" in said
    assert "subnet/a: vpc/nowhere is not declared" in said
    assert "perhaps" in said
    assert "nothing was changed" in said


@pytest.mark.parametrize(
    ("kind", "properties", "words"),
    [
        pytest.param("subnet", {"vpc": "@vpc/main.arn"}, "vpc/main has no output arn; it has id", id="no such output"),
        pytest.param(
            "load_balancer", {"idle_seconds": 0}, "idle_seconds is 0, and must be from 1 to 4000", id="too little"
        ),
        pytest.param("load_balancer", {"idle_seconds": 4001}, "must be from 1 to 4000", id="too much"),
        pytest.param("scaling_policy", {"scale_in_seconds": -1}, "must be at least 0", id="negative"),
        pytest.param(
            "log_group", {"retention_days": 31}, "value of retention_days must be one of", id="no such number"
        ),
        pytest.param("rds_instance", {"storage_max_gb": 20}, "storage_max_gb is 20, and storage_gb 100", id="no room"),
    ],
)
def test_what_aws_would_refuse(kind: str, properties: dict[str, t.Any], words: str) -> None:
    required: dict[str, dict[str, t.Any]] = {
        "subnet": {"cidr": "10.0.1.0/24", "zone": "us-east-1a"},
        "load_balancer": {"subnets": ["a", "b"], "security_groups": ["c"]},
        "scaling_policy": {"target": "t", "metric": "ECSServiceAverageCPUUtilization", "value": 60},
        "log_group": {},
        "rds_instance": {
            **dict.fromkeys(("engine_version", "instance_class", "database", "user", "subnet_group"), "x"),
            "security_groups": ["c"],
            "storage_gb": 100,
        },
    }
    row = {"kind": kind, "name": "one", "properties": {**required[kind], **properties}}
    with pytest.raises(InfraError, match=words):
        declared([VPC, row], KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_property_is_documented(kind: str) -> None:
    assert KINDS[kind].__doc__
    assert "id" in KINDS[kind].outputs
    assert [name for name, one in KINDS[kind].properties.items() if not one.about.endswith(".")] == []


@pytest.mark.parametrize(
    ("wanted", "seen", "same"),
    [
        ("15", "15.8", True),
        ("15.8", "15.8", True),
        ("15.8", "15.10", True),
        ("15.8", "15.7", False),
        ("15", "14.9", False),
        ("15", "16.1", False),
        ("7.1", "7.1.0", True),
        ("1", "15.8", False),
        ("15", None, False),
    ],
)
def test_minor_versions_that_aws_has_installed_are_kept(wanted: str, seen: str | None, same: bool) -> None:
    assert minor_upgraded(wanted, seen) == same


def test_a_circle() -> None:
    rows = [{**VPC, "properties": {"cidr": "@subnet/a"}}, subnet()]
    with pytest.raises(InfraError, match="these refer to each other: subnet/a, vpc/main"):
        declared(rows, KINDS)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param("@vpc/main", [("vpc/main", "id")], id="an id"),
        pytest.param("@vpc/main.arn", [("vpc/main", "arn")], id="an output"),
        pytest.param(["@vpc/a", {"x": "@vpc/b"}], [("vpc/a", "id"), ("vpc/b", "id")], id="deep"),
        pytest.param("@@vpc/main", [], id="no reference"),
        pytest.param("somebody@example.com/x", [], id="an address"),
        pytest.param(5, [], id="a number"),
    ],
)
def test_references(value: t.Any, found: list[tuple[str, str]]) -> None:
    assert list(references(value)) == found


def test_resolved() -> None:
    outputs = {"vpc/main": {"id": "vpc-1"}}
    assert resolved(["@vpc/main", "@@vpc/main", 5], outputs) == ["vpc-1", "@vpc/main", 5]
    with pytest.raises(InfraError, match="vpc/main has only id"):
        resolved("@vpc/main.arn", outputs)
