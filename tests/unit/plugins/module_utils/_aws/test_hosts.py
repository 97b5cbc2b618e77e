"""Hosts on the emulator moto."""

from __future__ import annotations

import base64
import typing as t

import boto3
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import Seen, Wanted
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import (
    REGION,
    SUBNETS,
    VPC,
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

KEY = "ec2_instance/prometheus"
LATEST = "/images/latest"
# moto has these.
IMAGES = ("ami-03cf127a", "ami-12c6146b")
KEY_BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(32))
PUBLIC = f"ssh-ed25519 {base64.b64encode(KEY_BLOB).decode()} ops"
ROWS: list[Row] = [
    VPC,
    SUBNETS[0],
    SUBNETS[1],
    ("security_group", "monitoring", {"vpc": "@vpc/main", "description": "Monitoring"}),
    ("security_group", "other", {"vpc": "@vpc/main", "description": "Other"}),
    ("iam_role", "hosts", {"service": "ec2.amazonaws.com"}),
    ("instance_profile", "hosts", {"role": "@iam_role/hosts"}),
    ("key_pair", "ops", {"public_key": PUBLIC}),
    (
        "ec2_instance",
        "prometheus",
        {
            "image": f"resolve:ssm:{LATEST}",
            "type": "t3.small",
            "subnet": "@subnet/a",
            "security_groups": ["@security_group/monitoring"],
            "instance_profile": "@instance_profile/hosts",
            "groups": ["monitoring", "prometheus"],
        },
    ),
]


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    with emulated_aws(monkeypatch):
        release_image(0)
        yield


def release_image(number: int) -> None:
    client = boto3.client("ssm", REGION)
    client.put_parameter(Name=LATEST, Value=IMAGES[number], Type="String", Overwrite=True)


def test_from_nothing_and_away() -> None:
    must_live(ROWS, {KEY})


@pytest.mark.parametrize(
    ("value", "action"),
    [
        pytest.param({"type": "t3.medium"}, "update", id="type"),
        pytest.param({"security_groups": ["@security_group/other"]}, "update", id="security_groups"),
        pytest.param({"instance_profile": ""}, "update", id="no instance_profile"),
        pytest.param({"groups": ["monitoring"]}, "update", id="groups"),
        pytest.param({"running": False}, "update", id="running"),
        pytest.param({"type": "t3.medium", "running": False}, "update", id="type of one that is to be stopped"),
        pytest.param({"root_gb": 40}, "update", id="root_gb"),
        pytest.param({"subnet": "@subnet/b"}, "replace", id="subnet"),
        pytest.param({"key": "@key_pair/ops.name"}, "replace", id="key"),
        pytest.param({"encrypted": False}, "replace", id="encrypted"),
        pytest.param({"public_address": True}, "replace", id="public_address"),
    ],
)
def test_each_property_is_changed_and_changed_back(value: dict[str, t.Any], action: str) -> None:
    # A volume has grown, and never shrinks; a host keeps the key that it has.
    must_change(ROWS, KEY, value, back=not {"root_gb", "key"} & value.keys(), action=action, lose=frozenset({KEY}))


def test_a_host_is_not_replaced_unless_allowed_by_name() -> None:
    rows = needed(ROWS, KEY, "subnet/b")
    bring(*rows)
    refused, api = bring(*changed(rows, KEY, subnet="@subnet/b"))
    assert "it holds data that would be lost (subnet can't be changed in place)" in str(refused.faults[0][1])
    assert writes(api) == []


def test_a_new_release_of_the_image_is_no_reason_to_replace_a_host() -> None:
    rows = needed(ROWS, KEY)
    bring(*rows)
    release_image(1)
    assert bring(*rows)[0].changes == []
    assert actions(bring(*changed(rows, KEY, image=IMAGES[1]), lose=frozenset({KEY}))[0]) == [(KEY, "replace")]


def test_what_was_weakened_or_stopped_behind_our_back() -> None:
    rows = needed(ROWS, KEY)
    ec2 = boto3.client("ec2", REGION)
    instance = bring(*rows)[0].outputs[KEY]["id"]
    ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="optional")
    ec2.stop_instances(InstanceIds=[instance])
    done, _api = bring(*rows)
    assert actions(done) == [(KEY, "update")]
    assert dict(done.changes[0].before) == {"metadata_tokens": False, "running": False}
    assert bring(*rows)[0].changes == []


def test_a_profile_is_replaced_without_a_moment_without_one() -> None:
    """moto goes on showing the former one, so the calls themselves are looked at."""
    sent: list[tuple[str, dict[str, t.Any]]] = []

    class Calls:
        def call(self, _service: str, operation: str, **arguments: t.Any) -> t.Any:
            sent.append((operation, arguments))
            return {"IamInstanceProfileAssociations": [{"AssociationId": "a-1", "State": "associated"}]}

    seen = Seen({"running": True}, {"id": "i-1"})
    wanted = Wanted("prometheus", {"instance_profile": "others"}, {})
    KINDS["ec2_instance"].update(t.cast("t.Any", Calls()), wanted, seen, ["instance_profile"])
    replaced = {"AssociationId": "a-1", "IamInstanceProfile": {"Name": "others"}}
    assert sent[1:] == [("ReplaceIamInstanceProfileAssociation", replaced)]


def test_tags_and_groups_are_changed_together() -> None:
    rows = needed(ROWS, KEY)
    instance = bring(*rows)[0].outputs[KEY]["id"]
    ec2 = boto3.client("ec2", REGION)
    ec2.delete_tags(Resources=[instance], Tags=[{"Key": "team"}])
    done, _api = bring(*changed(rows, KEY, groups=["monitoring"]))
    assert (done.faults, set(done.changes[0].after)) == ([], {"groups", "tags"})
    tags = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["Tags"]
    assert {one["Key"]: one["Value"] for one in tags}["nexod:groups"] == "monitoring"


def test_another_public_key_makes_another_pair() -> None:
    rows = needed(ROWS, "key_pair/ops")
    bring(*rows)
    assert bring(*changed(rows, "key_pair/ops", public_key=PUBLIC.replace(" ops", " other comment")))[0].changes == []
    other = PUBLIC.replace(PUBLIC.split()[1], base64.b64encode(KEY_BLOB[::-1]).decode())
    assert not KINDS["key_pair"].properties["public_key"].same(other, PUBLIC)
