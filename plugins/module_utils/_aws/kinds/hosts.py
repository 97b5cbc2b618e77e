# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts: instances of EC2 and the keys by which people enter them."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import as_tags, from_tags
from ansible_collections.nexod.infra.plugins.module_utils._aws.kinds.network import Tagged
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    REPLACE,
    Facts,
    Property,
    Seen,
    Wanted,
    at_least,
    same_set,
)

#: The tag by which the inventory amazon.aws.aws_ec2 finds the groups of a host, separated by commas.
GROUPS = "nexod:groups"
#: How EC2 writes an image by the name of a parameter, as Amazon and Debian publish the latest of theirs.
BY_PARAMETER = "resolve:ssm:"


def same_image(wanted: t.Any, seen: t.Any) -> bool:
    """What a parameter names changes with each release of the image, which is no reason to replace a host."""
    return wanted == seen or (bool(seen) and str(wanted).startswith(BY_PARAMETER))


def same_key(wanted: t.Any, seen: t.Any) -> bool:
    """Whoever runs a deploy without a key at hand changes nothing: a key is only used by the first start."""
    return not wanted or bool(wanted == seen)


class Instance(Tagged):
    """A host. It is stopped for a while when its type is changed."""

    name, title, holds_data, patience = "ec2_instance", "EC2 instance", True, 900.0
    outputs = ("id", "private_ip", "public_ip")
    describe, field, id_field = "DescribeInstances", "Reservations", "InstanceId"
    not_yet = ("Invalid IAM Instance Profile",)
    properties = {
        "image": Property(
            required=True,
            change=REPLACE,
            same=same_image,
            about="An AMI, or resolve:ssm:NAME for that which a parameter names; a new one there replaces nothing.",
        ),
        "type": Property(required=True, about="Such as t3.small. The host is stopped for the change."),
        "subnet": Property(required=True, change=REPLACE, about="Where it is placed."),
        "security_groups": Property("list", required=True, same=same_set, about="Who reaches it."),
        "instance_profile": Property(default="", about="Name of the profile that gives it a role."),
        "key": Property(
            default="", change=REPLACE, same=same_key, about="Name of the key_pair that it lets in; empty accepts any."
        ),
        "public_address": Property("bool", default=False, change=REPLACE, about="Whether it has a public address."),
        "root_gb": Property(
            "int",
            default=20,
            same=at_least,
            about="Size of the root volume (gp3). It grows, and never shrinks.",
            least=1,
        ),
        "encrypted": Property("bool", default=True, change=REPLACE, about="Whether the root volume is encrypted."),
        "metadata_tokens": Property(
            "bool",
            default=True,
            choices=(True,),
            about="IMDSv2 is required: without it, a request forged on the host could read the credentials of its "
            "role.",
        ),
        "groups": Property(
            "list",
            default=[],
            same=same_set,
            about="Groups of the inventory, which amazon.aws.aws_ec2 reads from the tag nexod:groups, separated by "
            "commas.",
        ),
        "running": Property("bool", default=True, about="Whether it runs."),
        "user_data": Property(
            default="",
            same=lambda _wanted, _seen: True,
            about="What its first start runs. Later changes have no effect.",
        ),
    }

    def rows(self, answer: Facts) -> list[Facts]:
        found = [row for one in answer["Reservations"] for row in one["Instances"]]
        return [row for row in found if row["State"]["Name"] != "terminated"]

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.find(api, wanted)
        if row is None:
            return None
        state, tags = row["State"]["Name"], from_tags(row.get("Tags"))
        volume = self._root(api, row)
        network: Facts = next(
            (one for one in row.get("NetworkInterfaces", ()) if one["Attachment"]["DeviceIndex"] == 0), {}
        )
        properties = {
            "image": row["ImageId"],
            "type": row["InstanceType"],
            "subnet": row.get("SubnetId"),
            "security_groups": [one["GroupId"] for one in network.get("Groups", ())],
            "instance_profile": (row.get("IamInstanceProfile") or {}).get("Arn", "").rpartition("/")[2],
            "key": row.get("KeyName") or "",
            "public_address": bool(row.get("PublicIpAddress")) if state == "running" else wanted["public_address"],
            "root_gb": volume.get("Size"),
            "encrypted": bool(volume.get("Encrypted")),
            "metadata_tokens": (row.get("MetadataOptions") or {}).get("HttpTokens") == "required",
            "groups": [one for one in tags.get(GROUPS, "").split(",") if one],
            "running": state == "running",
        }
        outputs = {
            "id": row["InstanceId"],
            "private_ip": row.get("PrivateIpAddress"),
            "public_ip": row.get("PublicIpAddress"),
            "volume": volume.get("VolumeId"),
            "network_interface": network.get("NetworkInterfaceId"),
        }
        waiting = "" if state in ("running", "stopped") else f"its state is {state}"
        return Seen(properties, outputs, tags, waiting, leaving=state == "shutting-down")

    @staticmethod
    def _root(api: Api, row: Facts) -> Facts:
        """Its root volume, which it does not have yet in its first seconds."""
        mapped = {one["DeviceName"]: one["Ebs"]["VolumeId"] for one in row.get("BlockDeviceMappings", ())}
        volume = mapped.get(row.get("RootDeviceName", ""))
        found = api.call("ec2", "DescribeVolumes", VolumeIds=[volume])["Volumes"] if volume else ()
        return t.cast("Facts", found[0] if found else {})

    def create(self, api: Api, wanted: Wanted) -> None:
        image = str(wanted["image"])
        if image.startswith(BY_PARAMETER):
            image = api.call("ssm", "GetParameter", Name=image.removeprefix(BY_PARAMETER))["Parameter"]["Value"]
        device = api.call("ec2", "DescribeImages", ImageIds=[image])["Images"][0]["RootDeviceName"]
        volume = {"VolumeSize": wanted["root_gb"], "VolumeType": "gp3", "Encrypted": wanted["encrypted"]}
        tags = {**wanted.tags, GROUPS: ",".join(wanted["groups"])}
        tagged = Wanted(wanted.name, wanted.properties, tags)
        network = {
            "DeviceIndex": 0,
            "SubnetId": wanted["subnet"],
            "Groups": wanted["security_groups"],
            "AssociatePublicIpAddress": wanted["public_address"],
        }
        optional = {
            "IamInstanceProfile": {"Name": wanted["instance_profile"]} if wanted["instance_profile"] else None,
            "KeyName": wanted["key"],
            "UserData": wanted["user_data"],
        }
        api.call(
            "ec2",
            "RunInstances",
            ImageId=image,
            InstanceType=wanted["type"],
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[network],
            BlockDeviceMappings=[{"DeviceName": device, "Ebs": volume}],
            MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"},
            TagSpecifications=[
                *self.tag_specifications(tagged, "instance"),
                *self.tag_specifications(tagged, "volume"),
                # The deployer may change interfaces with this tag only, such as their security groups.
                *self.tag_specifications(tagged, "network-interface"),
            ],
            **{name: value for name, value in optional.items() if value},
        )

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> t.Collection[str] | None:
        identity, left = seen.outputs["id"], set(changed)
        if "type" in left and seen.properties["running"]:
            api.call("ec2", "StopInstances", InstanceIds=[identity])
            return sorted({*left, "running"})
        if "type" in left:
            api.call("ec2", "ModifyInstanceAttribute", InstanceId=identity, InstanceType={"Value": wanted["type"]})
        if "security_groups" in left:
            named = {"NetworkInterfaceId": seen.outputs["network_interface"], "Groups": wanted["security_groups"]}
            api.call("ec2", "ModifyNetworkInterfaceAttribute", **named)
        if "instance_profile" in left:
            self._set_profile(api, identity, wanted["instance_profile"])
        if "root_gb" in left:
            api.call("ec2", "ModifyVolume", VolumeId=seen.outputs["volume"], Size=wanted["root_gb"])
        if "metadata_tokens" in left:
            api.call("ec2", "ModifyInstanceMetadataOptions", InstanceId=identity, HttpTokens="required")
        if "groups" in left:
            self.tag(api, seen, {GROUPS: ",".join(wanted["groups"])})
        if "running" in left:
            api.call("ec2", "StartInstances" if wanted["running"] else "StopInstances", InstanceIds=[identity])
        return None

    @staticmethod
    def _set_profile(api: Api, instance: str, profile: str) -> None:
        asked = [{"Name": "instance-id", "Values": [instance]}]
        rows = api.call("ec2", "DescribeIamInstanceProfileAssociations", Filters=asked)[
            "IamInstanceProfileAssociations"
        ]
        current = next((row["AssociationId"] for row in rows if row["State"] in ("associating", "associated")), None)
        if profile and current:
            named = {"AssociationId": current, "IamInstanceProfile": {"Name": profile}}
            api.call("ec2", "ReplaceIamInstanceProfileAssociation", **named)
        elif profile:
            api.call("ec2", "AssociateIamInstanceProfile", InstanceId=instance, IamInstanceProfile={"Name": profile})
        elif current:
            api.call("ec2", "DisassociateIamInstanceProfile", AssociationId=current)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ec2", "TerminateInstances", InstanceIds=[seen.outputs["id"]])


def public_key(text: t.Any) -> list[str]:
    """Type and key, without the comment."""
    return str(text or "").split()[:2]


class KeyPair(Tagged):
    """The public key that an instance lets in when it is made."""

    name, title = "key_pair", "key pair"
    outputs = ("id", "name")
    describe, field, id_field = "DescribeKeyPairs", "KeyPairs", "KeyPairId"
    properties = {
        "public_key": Property(
            required=True,
            change=REPLACE,
            same=lambda wanted, seen: public_key(wanted) == public_key(seen),
            about="In the form of OpenSSH.",
        )
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        missing = ("InvalidKeyPair.NotFound",)
        found = api.call("ec2", "DescribeKeyPairs", missing, KeyNames=[wanted.name], IncludePublicKey=True)
        if not found or not found["KeyPairs"]:
            return None
        row = found["KeyPairs"][0]
        outputs = {"id": row["KeyPairId"], "name": row["KeyName"]}
        return Seen({"public_key": row.get("PublicKey")}, outputs, from_tags(row.get("Tags")))

    def create(self, api: Api, wanted: Wanted) -> None:
        tags = [{"ResourceType": "key-pair", "Tags": as_tags(wanted.tags)}]
        key = wanted["public_key"].encode()
        api.call("ec2", "ImportKeyPair", KeyName=wanted.name, PublicKeyMaterial=key, TagSpecifications=tags)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ec2", "DeleteKeyPair", KeyName=wanted.name)
