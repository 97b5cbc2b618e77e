# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers: clusters of ECS, and how many tasks of a service run. Services themselves are what a deploy rolls out."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import (
    Facts,
    Kind,
    Property,
    Seen,
    Wanted,
    same_set,
)


class Cluster(Kind):
    """A cluster of ECS that runs tasks on Fargate."""

    name, title = "ecs_cluster", "ECS cluster"
    properties = {
        "container_insights": Property(default="enabled", choices=("enabled", "enhanced", "disabled")),
        "capacity_providers": Property("list", default=["FARGATE", "FARGATE_SPOT"], same=same_set),
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
            {"id": wanted.name, "arn": row["clusterArn"], "name": wanted.name},
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
            # A default strategy would be lost here; services name their own.
            providers = {"capacityProviders": wanted["capacity_providers"], "defaultCapacityProviderStrategy": []}
            api.call("ecs", "PutClusterCapacityProviders", cluster=wanted.name, **providers)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ecs", "DeleteCluster", cluster=wanted.name)

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("ecs", "TagResource", resourceArn=seen.outputs["arn"], tags=ecs_tags(tags))

    @staticmethod
    def _settings(wanted: Wanted) -> list[dict[str, str]]:
        return [{"name": "containerInsights", "value": wanted["container_insights"]}]


def ecs_tags(tags: Facts) -> list[dict[str, str]]:
    return [{"key": str(key), "value": str(value)} for key, value in sorted(tags.items())]
