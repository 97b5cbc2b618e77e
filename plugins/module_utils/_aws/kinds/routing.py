# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways out of a VPC: internet and NAT gateways, route tables, and gateway endpoints."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import from_tags
from ansible_collections.nexod.infra.plugins.module_utils._aws.kinds.network import Tagged
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    Facts,
    Property,
    Seen,
    Wanted,
    same_set,
)


class InternetGateway(Tagged):
    """An internet gateway, attached to its VPC."""

    name, title = "internet_gateway", "internet gateway"
    outputs = ("id",)
    describe, field, id_field = "DescribeInternetGateways", "InternetGateways", "InternetGatewayId"
    properties = {"vpc": Property(required=True, about="The VPC that it is attached to.")}

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.find(api, wanted)
        if row is None:
            return None
        attached = [one["VpcId"] for one in row.get("Attachments", ())]
        vpc = attached[0] if attached else None
        return Seen({"vpc": vpc}, {"id": row["InternetGatewayId"]}, from_tags(row.get("Tags")))

    def create(self, api: Api, wanted: Wanted) -> None:
        tags = self.tag_specifications(wanted, "internet-gateway")
        made = api.call("ec2", "CreateInternetGateway", TagSpecifications=tags)["InternetGateway"]
        api.call("ec2", "AttachInternetGateway", InternetGatewayId=made["InternetGatewayId"], VpcId=wanted["vpc"])

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._detach(api, seen)
        api.call("ec2", "AttachInternetGateway", InternetGatewayId=seen.outputs["id"], VpcId=wanted["vpc"])

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        self._detach(api, seen)
        api.call("ec2", "DeleteInternetGateway", InternetGatewayId=seen.outputs["id"])

    @staticmethod
    def _detach(api: Api, seen: Seen) -> None:
        if vpc := seen.properties["vpc"]:
            api.call("ec2", "DetachInternetGateway", InternetGatewayId=seen.outputs["id"], VpcId=vpc)


class ElasticIp(Tagged):
    """A fixed public address."""

    name, title = "elastic_ip", "Elastic IP address"
    outputs = ("id", "address")
    describe, field, id_field = "DescribeAddresses", "Addresses", "AllocationId"
    properties: t.ClassVar[dict[str, Property]] = {}

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.find(api, wanted)
        if row is None:
            return None
        return Seen({}, {"id": row["AllocationId"], "address": row["PublicIp"]}, from_tags(row.get("Tags")))

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call(
            "ec2", "AllocateAddress", Domain="vpc", TagSpecifications=self.tag_specifications(wanted, "elastic-ip")
        )

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ec2", "ReleaseAddress", AllocationId=seen.outputs["id"])


def same_if_shown(wanted: t.Any, seen: t.Any) -> bool:
    """AWS shows the address; the emulator of the lab does not."""
    return seen in (None, wanted)


class NatGateway(Tagged):
    """A public NAT gateway in a public subnet."""

    name, title, patience = "nat_gateway", "NAT gateway", 900.0
    outputs = ("id",)
    describe, field, id_field = "DescribeNatGateways", "NatGateways", "NatGatewayId"
    filters_field, gone_states = "Filter", ("deleted", "failed")
    properties = {
        "subnet": Property(required=True, change=FIXED, about="The public subnet that it is in."),
        "address": Property(required=True, change=FIXED, same=same_if_shown, about="Its Elastic IP address."),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.find(api, wanted)
        if row is None:
            return None
        addresses = row.get("NatGatewayAddresses") or [{}]
        state = row["State"]
        return Seen(
            {"subnet": row["SubnetId"], "address": addresses[0].get("AllocationId")},
            {"id": row["NatGatewayId"]},
            from_tags(row.get("Tags")),
            waiting="" if state == "available" else f"its state is {state}",
            leaving=state == "deleting",
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call(
            "ec2",
            "CreateNatGateway",
            SubnetId=wanted["subnet"],
            AllocationId=wanted["address"],
            TagSpecifications=self.tag_specifications(wanted, "natgateway"),
        )

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ec2", "DeleteNatGateway", NatGatewayId=seen.outputs["id"])


#: Which argument takes a route's target, by the beginning of its id.
TARGETS = {"igw-": "GatewayId", "nat-": "NatGatewayId", "pcx-": "VpcPeeringConnectionId", "tgw-": "TransitGatewayId"}


def same_routes(wanted: t.Any, seen: t.Any) -> bool:
    return {(row["to"], row["via"]) for row in wanted} == {(row["to"], row["via"]) for row in seen or ()}


class RouteTable(Tagged):
    """A route table with exactly these routes beside the VPC's own, for these subnets."""

    name, title = "route_table", "route table"
    outputs = ("id",)
    describe, field, id_field = "DescribeRouteTables", "RouteTables", "RouteTableId"
    properties = {
        "vpc": Property(required=True, change=FIXED, about="Its VPC."),
        "routes": Property(
            "list",
            default=[],
            same=same_routes,
            about="Rows of to (a network) and via (a gateway, an instance, a network interface or a peering).",
        ),
        "subnets": Property("list", default=[], same=same_set, about="The subnets that use it."),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.find(api, wanted)
        if row is None:
            return None
        routes = [route for one in row["Routes"] if (route := self._route(one))]
        links = {one["SubnetId"]: one["RouteTableAssociationId"] for one in row["Associations"] if "SubnetId" in one}
        return Seen(
            {"vpc": row["VpcId"], "routes": routes, "subnets": sorted(links)},
            {"id": row["RouteTableId"], "links": links},
            from_tags(row.get("Tags")),
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        tags = self.tag_specifications(wanted, "route-table")
        made = api.call("ec2", "CreateRouteTable", VpcId=wanted["vpc"], TagSpecifications=tags)["RouteTable"]
        self._set(api, made["RouteTableId"], wanted, [], {})

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._set(api, seen.outputs["id"], wanted, seen.properties["routes"], seen.outputs["links"])

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        for link in seen.outputs["links"].values():
            api.call("ec2", "DisassociateRouteTable", AssociationId=link)
        api.call("ec2", "DeleteRouteTable", RouteTableId=seen.outputs["id"])

    @staticmethod
    def _route(row: Facts) -> dict[str, str] | None:
        """A route as declared; None for the VPC's own and for those of endpoints, which the endpoint sets itself."""
        to = row.get("DestinationCidrBlock") or row.get("DestinationIpv6CidrBlock")
        via = next((row[name] for name in TARGETS.values() if row.get(name)), None)
        if not to or not via or via == "local" or str(via).startswith("vpce-"):
            return None
        return {"to": to, "via": via}

    @staticmethod
    def _set(api: Api, table: str, wanted: Wanted, routes: t.Sequence[Facts], links: t.Mapping[str, str]) -> None:
        there = {row["to"]: row["via"] for row in routes}
        declared = {row["to"]: row["via"] for row in wanted["routes"]}
        for to, via in declared.items():
            target = next((name for prefix, name in TARGETS.items() if str(via).startswith(prefix)), "GatewayId")
            to_field = "DestinationIpv6CidrBlock" if ":" in to else "DestinationCidrBlock"
            if there.get(to) != via:
                operation = "ReplaceRoute" if to in there else "CreateRoute"
                api.call("ec2", operation, RouteTableId=table, **{to_field: to, target: via})
        for to in there.keys() - declared.keys():
            to_field = "DestinationIpv6CidrBlock" if ":" in to else "DestinationCidrBlock"
            api.call("ec2", "DeleteRoute", RouteTableId=table, **{to_field: to})
        for subnet in sorted(set(wanted["subnets"]) - links.keys()):
            api.call("ec2", "AssociateRouteTable", RouteTableId=table, SubnetId=subnet)
        for subnet in sorted(links.keys() - set(wanted["subnets"])):
            api.call("ec2", "DisassociateRouteTable", AssociationId=links[subnet])


class GatewayEndpoint(Tagged):
    """A gateway endpoint, by which S3 or DynamoDB is reached without a NAT gateway."""

    name, title = "gateway_endpoint", "gateway endpoint"
    outputs = ("id",)
    describe, field, id_field = "DescribeVpcEndpoints", "VpcEndpoints", "VpcEndpointId"
    gone_states = ("deleted",)
    properties = {
        "vpc": Property(required=True, change=FIXED, about="Its VPC."),
        "service": Property(
            default="s3", change=FIXED, choices=("s3", "dynamodb"), about="What is reached through it."
        ),
        "route_tables": Property(
            "list", required=True, same=same_set, about="The route tables that get a route to it."
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.find(api, wanted)
        if row is None:
            return None
        state = str(row["State"]).lower()
        properties = {
            "vpc": row["VpcId"],
            "service": row["ServiceName"].rpartition(".")[2],
            "route_tables": row.get("RouteTableIds") or [],
        }
        return Seen(
            properties,
            {"id": row["VpcEndpointId"]},
            from_tags(row.get("Tags")),
            waiting="" if state == "available" else f"its state is {state}",
            leaving=state == "deleting",
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call(
            "ec2",
            "CreateVpcEndpoint",
            VpcEndpointType="Gateway",
            VpcId=wanted["vpc"],
            ServiceName=f"com.amazonaws.{api.region}.{wanted['service']}",
            RouteTableIds=wanted["route_tables"],
            TagSpecifications=self.tag_specifications(wanted, "vpc-endpoint"),
        )

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        declared, there = set(wanted["route_tables"]), set(seen.properties["route_tables"])
        api.call(
            "ec2",
            "ModifyVpcEndpoint",
            VpcEndpointId=seen.outputs["id"],
            AddRouteTableIds=sorted(declared - there),
            RemoveRouteTableIds=sorted(there - declared),
        )

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ec2", "DeleteVpcEndpoints", VpcEndpointIds=[seen.outputs["id"]])
