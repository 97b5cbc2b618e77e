# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network: VPCs, subnets and security groups, which have no names of their own and are found by the tag Name."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import AwsKind, as_tags, from_tags
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    OWNER,
    Facts,
    Property,
    Seen,
    Wanted,
    same_set,
)


class Tagged(AwsKind):
    """A resource of EC2: `describe` and `field` name the operation and the list in its answer."""

    describe: t.ClassVar[str]
    field: t.ClassVar[str]
    id_field: t.ClassVar[str]
    #: How the operation calls its filters, and the states in which a resource is still listed but gone.
    filters_field: t.ClassVar[str] = "Filters"
    gone_states: t.ClassVar[tuple[str, ...]] = ()

    def find(self, api: Api, wanted: Wanted) -> Facts | None:
        """The one with the tag Name of this environment. Two of them are refused: it is not clear which is meant."""
        filters = [
            {"Name": "tag:Name", "Values": [wanted.name]},
            {"Name": f"tag:{OWNER}", "Values": [wanted.tags[OWNER]]},
        ]
        found = self.rows(api.call("ec2", self.describe, **{self.filters_field: filters}))
        if len(found) > 1:
            ids = ", ".join(sorted(row[self.id_field] for row in found))
            raise InfraError(
                "choose the",
                f"{self.title} {wanted.name}",
                f"there are {len(found)} with this name in the environment: {ids}",
                "Remove the tag Name of those that are not meant, or remove them.",
            )
        return found[0] if found else None

    def rows(self, answer: Facts) -> list[Facts]:
        """Those that are not gone."""
        return [row for row in answer[self.field] if str(row.get("State", "")).lower() not in self.gone_states]

    def tag_specifications(self, wanted: Wanted, resource_type: str) -> list[dict[str, t.Any]]:
        """With its tags from the first moment on: a run that is killed leaves nothing that the next one can't find."""
        return [{"ResourceType": resource_type, "Tags": as_tags({**wanted.tags, "Name": wanted.name})}]

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("ec2", "CreateTags", Resources=[seen.outputs["id"]], Tags=as_tags(tags))


class Vpc(Tagged):
    """A VPC with DNS names, which RDS and ElastiCache need for their endpoints."""

    name, title = "vpc", "VPC"
    outputs = ("id",)
    describe, field, id_field = "DescribeVpcs", "Vpcs", "VpcId"
    properties = {
        "cidr": Property(required=True, change=FIXED, about="Its network."),
        "dns_names": Property(
            "bool",
            default=True,
            about="Whether hosts get DNS names, which RDS and ElastiCache need for their endpoints.",
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.find(api, wanted)
        if row is None:
            return None
        asked = {"VpcId": row["VpcId"], "Attribute": "enableDnsHostnames"}
        names = api.call("ec2", "DescribeVpcAttribute", **asked)["EnableDnsHostnames"]["Value"]
        waiting = "" if row["State"] == "available" else f"its state is {row['State']}"
        return Seen(
            {"cidr": row["CidrBlock"], "dns_names": names}, {"id": row["VpcId"]}, from_tags(row.get("Tags")), waiting
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        tags = self.tag_specifications(wanted, "vpc")
        made = api.call("ec2", "CreateVpc", CidrBlock=wanted["cidr"], TagSpecifications=tags)["Vpc"]
        self._set_names(api, made["VpcId"], wanted)

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._set_names(api, seen.outputs["id"], wanted)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ec2", "DeleteVpc", VpcId=seen.outputs["id"])

    @staticmethod
    def _set_names(api: Api, vpc: str, wanted: Wanted) -> None:
        api.call("ec2", "ModifyVpcAttribute", VpcId=vpc, EnableDnsHostnames={"Value": wanted["dns_names"]})


class Subnet(Tagged):
    """A subnet in one availability zone."""

    name, title = "subnet", "subnet"
    outputs = ("id",)
    describe, field, id_field = "DescribeSubnets", "Subnets", "SubnetId"
    properties = {
        "vpc": Property(required=True, change=FIXED, about="Its VPC."),
        "cidr": Property(required=True, change=FIXED, about="Its part of the network of the VPC."),
        "zone": Property(required=True, change=FIXED, about="Availability zone."),
        "public_addresses": Property("bool", default=False, about="Whether hosts get public addresses."),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.find(api, wanted)
        if row is None:
            return None
        properties = {
            "vpc": row["VpcId"],
            "cidr": row["CidrBlock"],
            "zone": row["AvailabilityZone"],
            "public_addresses": row["MapPublicIpOnLaunch"],
        }
        waiting = "" if row["State"] == "available" else f"its state is {row['State']}"
        return Seen(properties, {"id": row["SubnetId"]}, from_tags(row.get("Tags")), waiting)

    def create(self, api: Api, wanted: Wanted) -> None:
        made = api.call(
            "ec2",
            "CreateSubnet",
            VpcId=wanted["vpc"],
            CidrBlock=wanted["cidr"],
            AvailabilityZone=wanted["zone"],
            TagSpecifications=self.tag_specifications(wanted, "subnet"),
        )
        self._set_addresses(api, made["Subnet"]["SubnetId"], wanted)

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._set_addresses(api, seen.outputs["id"], wanted)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ec2", "DeleteSubnet", SubnetId=seen.outputs["id"])

    @staticmethod
    def _set_addresses(api: Api, subnet: str, wanted: Wanted) -> None:
        value = {"Value": wanted["public_addresses"]}
        api.call("ec2", "ModifySubnetAttribute", SubnetId=subnet, MapPublicIpOnLaunch=value)


def rules_of(permissions: t.Iterable[Facts]) -> list[str]:
    """Rules as declared, one for each source: protocol, ports, and a network or a group."""
    found = []
    for row in permissions:
        protocol = "all" if row["IpProtocol"] == "-1" else row["IpProtocol"]
        first, last = row.get("FromPort"), row.get("ToPort")
        ports = "all" if first is None or first == -1 else str(first) if first == last else f"{first}-{last}"
        sources = [one["CidrIp"] for one in row.get("IpRanges", ())]
        sources += [one["CidrIpv6"] for one in row.get("Ipv6Ranges", ())]
        sources += [one["GroupId"] for one in row.get("UserIdGroupPairs", ())]
        sources += [one["PrefixListId"] for one in row.get("PrefixListIds", ())]
        found += [f"{protocol} {ports} {source}" for source in sources]
    return found


def permission_of(rule: str) -> dict[str, t.Any]:
    """The reverse of rules_of, for one rule."""
    protocol, ports, source = rule.split()
    row: dict[str, t.Any] = {"IpProtocol": "-1" if protocol == "all" else protocol}
    if ports != "all":
        first, _dash, last = ports.partition("-")
        row.update(FromPort=int(first), ToPort=int(last or first))
    if source.startswith("sg-"):
        return {**row, "UserIdGroupPairs": [{"GroupId": source}]}
    if source.startswith("pl-"):
        return {**row, "PrefixListIds": [{"PrefixListId": source}]}
    if ":" in source:
        return {**row, "Ipv6Ranges": [{"CidrIpv6": source}]}
    return {**row, "IpRanges": [{"CidrIp": source}]}


def same_rules(wanted: t.Any, seen: t.Any) -> bool:
    return same_set(declared_rules(wanted), seen)


def declared_rules(rows: t.Iterable[Facts]) -> list[str]:
    """A declaration's rules ({protocol, ports, from}) in the form of rules_of."""
    return [f"{row.get('protocol', 'tcp')} {row.get('ports', 'all')} {row['from']}" for row in rows]


class SecurityGroup(Tagged):
    """A security group with exactly these rules for what comes in. What goes out is not limited, as by default.

    A rule from `self` lets its members reach each other.
    """

    name, title = "security_group", "security group"
    outputs = ("id",)
    describe, field, id_field = "DescribeSecurityGroups", "SecurityGroups", "GroupId"
    properties = {
        "vpc": Property(required=True, change=FIXED, about="Its VPC."),
        "description": Property(required=True, change=FIXED, about="What it is for."),
        "ingress": Property(
            "list",
            default=[],
            same=same_rules,
            about="What may come in, exactly - rows of ports (443 or 8000-8080, default all), from (a network, a "
            "group or a prefix list) and protocol (default tcp). What goes out is not limited.",
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.find(api, wanted)
        if row is None:
            return None
        properties = {
            "vpc": row["VpcId"],
            "description": row["Description"],
            "ingress": sorted(re.sub(f" {row['GroupId']}$", " self", rule) for rule in rules_of(row["IpPermissions"])),
        }
        return Seen(properties, {"id": row["GroupId"]}, from_tags(row.get("Tags")))

    def create(self, api: Api, wanted: Wanted) -> None:
        made = api.call(
            "ec2",
            "CreateSecurityGroup",
            GroupName=f"{wanted.tags[OWNER]}-{wanted.name}",
            Description=wanted["description"],
            VpcId=wanted["vpc"],
            TagSpecifications=self.tag_specifications(wanted, "security-group"),
        )
        self._allow(api, made["GroupId"], declared_rules(wanted["ingress"]))

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        rules, there = set(declared_rules(wanted["ingress"])), set(seen.properties["ingress"])
        # First what is new: a rule that is only written in another way lets its traffic pass all the time.
        self._allow(api, seen.outputs["id"], sorted(rules - there))
        if surplus := sorted(there - rules):
            group = seen.outputs["id"]
            permissions = self._permissions(group, surplus)
            api.call("ec2", "RevokeSecurityGroupIngress", GroupId=group, IpPermissions=permissions)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ec2", "DeleteSecurityGroup", GroupId=seen.outputs["id"])

    def _allow(self, api: Api, group: str, rules: t.Sequence[str]) -> None:
        if rules:
            permissions = self._permissions(group, rules)
            api.call("ec2", "AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=permissions)

    @staticmethod
    def _permissions(group: str, rules: t.Iterable[str]) -> list[dict[str, t.Any]]:
        return [permission_of(re.sub(" self$", f" {group}", rule)) for rule in rules]
