# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Application load balancers: the balancer, its target groups, and its listeners."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import AwsKind, as_tags, from_tags
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    Facts,
    Property,
    Seen,
    Unknown,
    Wanted,
    same_set,
)

#: What AWS sets by itself. A run that was killed has not set ours yet, and not every emulator shows these.
IDLE_SECONDS, DRAIN_SECONDS = 60, 300


class OfBalancing(AwsKind):
    """Tags and attributes are read and set by ARN."""

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("elbv2", "AddTags", ResourceArns=[seen.outputs["arn"]], Tags=as_tags(tags))

    @staticmethod
    def tags_of(api: Api, arn: str) -> dict[str, str]:
        return from_tags(api.call("elbv2", "DescribeTags", ResourceArns=[arn])["TagDescriptions"][0]["Tags"])


class LoadBalancer(OfBalancing):
    """An application load balancer. Connections that say nothing for `idle_seconds` are closed."""

    name, title = "load_balancer", "load balancer"
    # `dimension` is how CloudWatch names it.
    outputs = ("id", "arn", "host", "zone", "dimension")
    properties = {
        "subnets": Property("list", required=True, same=same_set, about="At least two, in different zones."),
        "security_groups": Property("list", required=True, same=same_set, about="Who reaches it."),
        "internal": Property("bool", default=False, change=FIXED, about="Whether it has private addresses only."),
        "idle_seconds": Property(
            "int",
            default=120,
            about="After how long a silent connection is closed. Calls of 30 s and WebSockets must not be cut.",
            least=1,
            most=4000,
        ),
        "deletion_protection": Property(
            "bool",
            default=False,
            about="Whether AWS refuses to remove it; a removal that is allowed by name ends it first.",
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        found = api.call("elbv2", "DescribeLoadBalancers", ("LoadBalancerNotFound",), Names=[wanted.name])
        if not found or not found["LoadBalancers"]:
            return None
        row = found["LoadBalancers"][0]
        arn = row["LoadBalancerArn"]
        rows = api.call("elbv2", "DescribeLoadBalancerAttributes", LoadBalancerArn=arn)["Attributes"]
        attributes = from_tags(rows)
        state = row["State"]["Code"]
        return Seen(
            {
                "subnets": [one["SubnetId"] for one in row["AvailabilityZones"]],
                "security_groups": row.get("SecurityGroups") or [],
                "internal": row["Scheme"] == "internal",
                "idle_seconds": int(attributes.get("idle_timeout.timeout_seconds", IDLE_SECONDS)),
                "deletion_protection": attributes.get("deletion_protection.enabled") == "true",
            },
            {
                "id": wanted.name,
                "arn": arn,
                "host": row["DNSName"],
                "zone": row["CanonicalHostedZoneId"],
                "dimension": arn.partition(":loadbalancer/")[2],
            },
            self.tags_of(api, arn),
            waiting="" if state == "active" else f"its state is {state}",
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        made = api.call(
            "elbv2",
            "CreateLoadBalancer",
            Name=wanted.name,
            Type="application",
            Scheme="internal" if wanted["internal"] else "internet-facing",
            Subnets=wanted["subnets"],
            SecurityGroups=wanted["security_groups"],
            Tags=as_tags(wanted.tags),
        )
        self._set_attributes(api, made["LoadBalancers"][0]["LoadBalancerArn"], wanted)

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        arn = seen.outputs["arn"]
        if "subnets" in changed:
            api.call("elbv2", "SetSubnets", LoadBalancerArn=arn, Subnets=wanted["subnets"])
        if "security_groups" in changed:
            api.call("elbv2", "SetSecurityGroups", LoadBalancerArn=arn, SecurityGroups=wanted["security_groups"])
        if {"idle_seconds", "deletion_protection"} & set(changed):
            self._set_attributes(api, arn, wanted)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        if seen.properties["deletion_protection"]:
            off = [{"Key": "deletion_protection.enabled", "Value": "false"}]
            api.call("elbv2", "ModifyLoadBalancerAttributes", LoadBalancerArn=seen.outputs["arn"], Attributes=off)
        api.call("elbv2", "DeleteLoadBalancer", LoadBalancerArn=seen.outputs["arn"])

    @staticmethod
    def _set_attributes(api: Api, arn: str, wanted: Wanted) -> None:
        attributes = {
            "idle_timeout.timeout_seconds": wanted["idle_seconds"],
            "deletion_protection.enabled": str(wanted["deletion_protection"]).lower(),
        }
        api.call("elbv2", "ModifyLoadBalancerAttributes", LoadBalancerArn=arn, Attributes=as_tags(attributes))


class TargetGroup(OfBalancing):
    """Addresses that a balancer sends requests to, as long as they are healthy."""

    name, title = "target_group", "target group"
    outputs = ("id", "arn", "dimension")
    properties = {
        "vpc": Property(required=True, change=FIXED, about="Its VPC."),
        "port": Property("int", required=True, change=FIXED, about="Port of the targets.", least=1, most=65535),
        "health_path": Property(default="/", about="Path of the health check."),
        "health_seconds": Property("int", default=10, about="Between two health checks.", least=5, most=300),
        "healthy_after": Property("int", default=2, about="Checks until a target gets requests.", least=2, most=10),
        "unhealthy_after": Property("int", default=2, about="Failed checks until it gets none.", least=2, most=10),
        "drain_seconds": Property(
            "int", default=60, about="For which running calls of a target that leaves go on.", least=0, most=3600
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        found = api.call("elbv2", "DescribeTargetGroups", ("TargetGroupNotFound",), Names=[wanted.name])
        if not found or not found["TargetGroups"]:
            return None
        row = found["TargetGroups"][0]
        arn = row["TargetGroupArn"]
        attributes = from_tags(api.call("elbv2", "DescribeTargetGroupAttributes", TargetGroupArn=arn)["Attributes"])
        return Seen(
            {
                "vpc": row["VpcId"],
                "port": row["Port"],
                "health_path": row["HealthCheckPath"],
                "health_seconds": row["HealthCheckIntervalSeconds"],
                "healthy_after": row["HealthyThresholdCount"],
                "unhealthy_after": row["UnhealthyThresholdCount"],
                "drain_seconds": int(attributes.get("deregistration_delay.timeout_seconds", DRAIN_SECONDS)),
            },
            {"id": wanted.name, "arn": arn, "dimension": arn.rpartition(":")[2]},
            self.tags_of(api, arn),
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        made = api.call(
            "elbv2",
            "CreateTargetGroup",
            Name=wanted.name,
            Protocol="HTTP",
            Port=wanted["port"],
            VpcId=wanted["vpc"],
            TargetType="ip",
            **self._health(wanted),
            Tags=as_tags(wanted.tags),
        )
        self._set_drain(api, made["TargetGroups"][0]["TargetGroupArn"], wanted)

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        arn = seen.outputs["arn"]
        if set(changed) - {"drain_seconds"}:
            api.call("elbv2", "ModifyTargetGroup", TargetGroupArn=arn, **self._health(wanted))
        if "drain_seconds" in changed:
            self._set_drain(api, arn, wanted)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("elbv2", "DeleteTargetGroup", TargetGroupArn=seen.outputs["arn"])

    @staticmethod
    def _health(wanted: Wanted) -> dict[str, t.Any]:
        return {
            "HealthCheckPath": wanted["health_path"],
            "HealthCheckIntervalSeconds": wanted["health_seconds"],
            "HealthyThresholdCount": wanted["healthy_after"],
            "UnhealthyThresholdCount": wanted["unhealthy_after"],
        }

    @staticmethod
    def _set_drain(api: Api, arn: str, wanted: Wanted) -> None:
        attributes = as_tags({"deregistration_delay.timeout_seconds": wanted["drain_seconds"]})
        api.call("elbv2", "ModifyTargetGroupAttributes", TargetGroupArn=arn, Attributes=attributes)


class Listener(OfBalancing):
    """A port of a balancer; its name is only the declaration's. Requests go to a target group, or on to HTTPS."""

    name, title = "listener", "listener"
    outputs = ("id", "arn")
    properties = {
        "load_balancer": Property(required=True, change=FIXED, about="ARN of its balancer."),
        "port": Property("int", required=True, change=FIXED, about="Where it answers.", least=1, most=65535),
        "certificate": Property(default="", about="ARN of a certificate; with it, the listener speaks HTTPS."),
        "target_group": Property(default="", about="ARN of the group that gets the requests."),
        "to_https": Property("bool", default=False, about="Whether requests are redirected to HTTPS instead."),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        balancer = wanted["load_balancer"]
        # In check mode its balancer may not exist yet.
        if isinstance(balancer, Unknown):
            return None
        found = api.call("elbv2", "DescribeListeners", ("LoadBalancerNotFound",), LoadBalancerArn=balancer)
        row = next((one for one in (found or {}).get("Listeners", ()) if one["Port"] == wanted["port"]), None)
        if row is None:
            return None
        action = row["DefaultActions"][0]
        certificates = row.get("Certificates") or [{}]
        return Seen(
            {
                "load_balancer": row["LoadBalancerArn"],
                "port": row["Port"],
                "certificate": certificates[0].get("CertificateArn") or "",
                "target_group": target_of(action),
                "to_https": action["Type"] == "redirect",
            },
            {"id": row["ListenerArn"], "arn": row["ListenerArn"]},
            self.tags_of(api, row["ListenerArn"]),
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        balancer, tags = wanted["load_balancer"], as_tags(wanted.tags)
        api.call("elbv2", "CreateListener", LoadBalancerArn=balancer, **self._arguments(wanted), Tags=tags)

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        api.call("elbv2", "ModifyListener", ListenerArn=seen.outputs["arn"], **self._arguments(wanted))

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("elbv2", "DeleteListener", ListenerArn=seen.outputs["arn"])

    @staticmethod
    def _arguments(wanted: Wanted) -> dict[str, t.Any]:
        secure = {"Protocol": "HTTPS", "Certificates": [{"CertificateArn": wanted["certificate"]}]}
        onward = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        redirect = {"Type": "redirect", "RedirectConfig": onward}
        forward = {"Type": "forward", "TargetGroupArn": wanted["target_group"]}
        return {
            "Port": wanted["port"],
            "DefaultActions": [redirect if wanted["to_https"] else forward],
            **(secure if wanted["certificate"] else {"Protocol": "HTTP"}),
        }


def target_of(action: Facts) -> str:
    """The group that gets all requests; where several share them, as during a blue/green rollout, that with most."""
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or ()
    if groups:
        return str(max(groups, key=lambda one: one.get("Weight") or 0)["TargetGroupArn"])
    return str(action.get("TargetGroupArn") or "")
