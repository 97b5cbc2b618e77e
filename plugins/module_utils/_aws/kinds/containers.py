# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers: clusters of ECS, and how many tasks of a service run. Services themselves are what a deploy rolls out."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import AwsKind, owned
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    OWNER,
    Facts,
    Property,
    Seen,
    Unknown,
    Wanted,
    same_number,
    same_set,
)


class Cluster(AwsKind):
    """A cluster of ECS that runs tasks on Fargate."""

    name, title = "ecs_cluster", "ECS cluster"
    outputs = ("id", "arn", "name")
    properties = {
        "container_insights": Property(
            default="enabled", choices=("enabled", "enhanced", "disabled"), about="Metrics of its tasks and containers."
        ),
        "capacity_providers": Property(
            "list", default=["FARGATE", "FARGATE_SPOT"], same=same_set, about="What its services may run on."
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        asked = {"clusters": [wanted.name], "include": ["SETTINGS", "TAGS"]}
        found = api.call("ecs", "DescribeClusters", **asked)["clusters"]
        # A deleted one is shown for a while.
        if not found or found[0]["status"] == "INACTIVE":
            return None
        row, status = found[0], found[0]["status"]
        settings = {one["name"]: one["value"] for one in row.get("settings", ())}
        return Seen(
            {
                "container_insights": settings.get("containerInsights", "disabled"),
                "capacity_providers": row.get("capacityProviders") or [],
            },
            {
                "id": wanted.name,
                "arn": row["clusterArn"],
                "name": wanted.name,
                "strategy": row.get("defaultCapacityProviderStrategy") or [],
            },
            {one["key"]: one["value"] for one in row.get("tags", ())},
            waiting="" if status == "ACTIVE" else f"its status is {status}",
            leaving=status == "DEPROVISIONING",
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call(
            "ecs",
            "CreateCluster",
            clusterName=wanted.name,
            settings=self._settings(wanted),
            capacityProviders=wanted["capacity_providers"],
            tags=ecs_tags(wanted.tags),
        )

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        if "container_insights" in changed:
            api.call("ecs", "UpdateCluster", cluster=wanted.name, settings=self._settings(wanted))
        if "capacity_providers" in changed:
            names = wanted["capacity_providers"]
            # Both are set by one call: the default strategy stays, without the providers that go.
            strategy = [one for one in seen.outputs["strategy"] if one["capacityProvider"] in names]
            providers = {"capacityProviders": names, "defaultCapacityProviderStrategy": strategy}
            api.call("ecs", "PutClusterCapacityProviders", cluster=wanted.name, **providers)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ecs", "DeleteCluster", cluster=wanted.name)

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("ecs", "TagResource", resourceArn=seen.outputs["arn"], tags=ecs_tags(tags))

    @staticmethod
    def _settings(wanted: Wanted) -> list[dict[str, str]]:
        return [{"name": "containerInsights", "value": wanted["container_insights"]}]


#: What is scaled: the number of tasks of a service of ECS.
SCALED = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}


def scaled(api: Api, resource: str) -> tuple[Facts | None, dict[str, str]]:
    """The target for a service, and its tags."""
    rows = api.call("application-autoscaling", "DescribeScalableTargets", **SCALED, ResourceIds=[resource])
    if not rows["ScalableTargets"]:
        return None, {}
    row = rows["ScalableTargets"][0]
    arn = row["ScalableTargetARN"]
    return row, dict(api.call("application-autoscaling", "ListTagsForResource", ResourceARN=arn)["Tags"])


class ScalingTarget(AwsKind):
    """The bounds of the number of tasks of a service of ECS, which must exist; a deploy leaves the number alone."""

    name, title = "scaling_target", "scaling target"
    outputs = ("id", "arn")
    properties = {
        "cluster": Property(required=True, change=FIXED, about="Name of the cluster."),
        "service": Property(required=True, change=FIXED, about="Name of the service, which must exist."),
        "min": Property("int", required=True, about="Least number of tasks.", least=0),
        "max": Property("int", required=True, about="Most."),
    }

    def faults(self, given: Facts) -> list[str]:
        low, high = given["min"], given["max"]
        return [] if 0 <= low <= high else [f"min is {low} and max is {high}: it must be 0 <= min <= max"]

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        if isinstance(wanted["cluster"], Unknown) or isinstance(wanted["service"], Unknown):
            return None
        row, tags = scaled(api, self._resource(wanted))
        if row is None:
            return None
        properties = {
            "cluster": wanted["cluster"],
            "service": wanted["service"],
            "min": row["MinCapacity"],
            "max": row["MaxCapacity"],
        }
        return Seen(properties, {"id": row["ResourceId"], "arn": row["ScalableTargetARN"]}, tags)

    def create(self, api: Api, wanted: Wanted) -> None:
        self._register(api, wanted, Tags=dict(wanted.tags))

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        # Tags are taken from a new target only.
        self._register(api, wanted)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("application-autoscaling", "DeregisterScalableTarget", **SCALED, ResourceId=self._resource(wanted))

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("application-autoscaling", "TagResource", ResourceARN=seen.outputs["arn"], Tags=dict(tags))

    @staticmethod
    def _resource(wanted: Wanted) -> str:
        return f"service/{wanted['cluster']}/{wanted['service']}"

    def _register(self, api: Api, wanted: Wanted, **more: t.Any) -> None:
        bounds = {"MinCapacity": wanted["min"], "MaxCapacity": wanted["max"]}
        named = {**SCALED, "ResourceId": self._resource(wanted)}
        api.call("application-autoscaling", "RegisterScalableTarget", **named, **bounds, **more)


REQUESTS = "ALBRequestCountPerTarget"


def label(given: Facts) -> str:
    """How AWS names the requests to a target group behind a balancer: by the ends of their ARNs."""
    if not given:
        return ""
    balancer = str(given.get("load_balancer", "")).partition(":loadbalancer/")[2]
    return f"{balancer}/{str(given.get('target_group', '')).rpartition(':')[2]}"


def same_label(wanted: t.Any, seen: t.Any) -> bool:
    return label(wanted) == (seen or "")


class ScalingPolicy(AwsKind):
    """A metric that is kept near a value by more or fewer tasks. It belongs to whom its target belongs."""

    name, title = "scaling_policy", "scaling policy"
    outputs = ("id", "arn")
    properties = {
        "target": Property(required=True, change=FIXED, about="Its scaling_target, by whose tags it is ours."),
        "metric": Property(
            required=True,
            choices=("ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization", REQUESTS),
            about="What is kept near the value.",
        ),
        "value": Property(
            "float", required=True, same=same_number, about="Per cent, or requests for each task and minute."
        ),
        "requests_to": Property(
            "dict",
            default={},
            same=same_label,
            about="With ALBRequestCountPerTarget - the ARNs of the load_balancer and the target_group.",
        ),
        "scale_out_seconds": Property("int", default=60, about="Between two increases.", least=0),
        "scale_in_seconds": Property("int", default=300, about="Between two decreases.", least=0),
    }

    def faults(self, given: Facts) -> list[str]:
        complete = given["requests_to"].keys() == {"load_balancer", "target_group"}
        if complete if given["metric"] == REQUESTS else not given["requests_to"]:
            return []
        return [f"requests_to must have load_balancer and target_group with the metric {REQUESTS}, and only with it"]

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        if isinstance(wanted["target"], Unknown):
            return None
        named = {**SCALED, "ResourceId": wanted["target"], "PolicyNames": [wanted.name]}
        rows = api.call("application-autoscaling", "DescribeScalingPolicies", **named)["ScalingPolicies"]
        if not rows:
            return None
        row, (_target, tags) = rows[0], scaled(api, wanted["target"])
        tracking = row.get("TargetTrackingScalingPolicyConfiguration") or {}
        metric = tracking.get("PredefinedMetricSpecification") or {}
        properties = {
            "target": row["ResourceId"],
            "metric": metric.get("PredefinedMetricType"),
            "value": tracking.get("TargetValue"),
            "requests_to": metric.get("ResourceLabel"),
            "scale_out_seconds": tracking.get("ScaleOutCooldown"),
            "scale_in_seconds": tracking.get("ScaleInCooldown"),
        }
        return Seen(properties, {"id": wanted.name, "arn": row["PolicyARN"]}, owned(wanted, tags.get(OWNER)))

    def create(self, api: Api, wanted: Wanted) -> None:
        metric = {"PredefinedMetricType": wanted["metric"]}
        if wanted["requests_to"]:
            metric["ResourceLabel"] = label(wanted["requests_to"])
        tracking = {
            "TargetValue": wanted["value"],
            "PredefinedMetricSpecification": metric,
            "ScaleOutCooldown": wanted["scale_out_seconds"],
            "ScaleInCooldown": wanted["scale_in_seconds"],
        }
        api.call(
            "application-autoscaling",
            "PutScalingPolicy",
            **SCALED,
            PolicyName=wanted.name,
            ResourceId=wanted["target"],
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=tracking,
        )

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self.create(api, wanted)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        named = {**SCALED, "PolicyName": wanted.name, "ResourceId": wanted["target"]}
        api.call("application-autoscaling", "DeleteScalingPolicy", **named)


def ecs_tags(tags: Facts) -> list[dict[str, str]]:
    return [{"key": str(key), "value": str(value)} for key, value in sorted(tags.items())]
