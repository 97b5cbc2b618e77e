# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms on what users notice, and on the limits of the data layer."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.module_utils._aws.subscriptions import BY_NAME
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import Options, Row, row

GIBIBYTE = 1024**3
#: The share of the declared storage below which an alarm is raised; autoscaling begins at the same.
LEAST_FREE = 0.1
AVERAGE: Row = {"statistic": "Average"}
SUM: Row = {"statistic": "Sum"}
BELOW: Row = {"comparison": "LessThanThreshold"}
#: Counters of errors, which AWS leaves out where there is none.
ONLY_WHEN_SEEN: Row = {"missing_data": "notBreaching"}


def by_name(options: Options) -> dict[str, str]:
    """The URLs that are subscribed to the alarms, by the names that stand for them in the declaration."""
    urls = [one["endpoint"] for one in options.get("alarm_subscriptions") or () if one["protocol"] == BY_NAME]
    return {f"alarms-{number}": url for number, url in enumerate(urls, 1)}


def subscriptions(options: Options) -> list[Row]:
    """The subscriptions of the alarms' topic. A URL contains a key, so it is given by its name."""
    names = iter(by_name(options))
    return [
        {"protocol": one["protocol"], "endpoint": next(names) if one["protocol"] == BY_NAME else one["endpoint"]}
        for one in options.get("alarm_subscriptions") or ()
    ]


def percentile(quantile: float) -> str:
    """0.95 as p95, 0.999 as p99.9."""
    return f"p{str(round(quantile * 100, 3)).removesuffix('.0')}"


def rollout_alarms(options: Options) -> list[str]:
    """The alarms that end a rollout: on what users notice. A target is unhealthy for a while in a good one as well."""
    targets = [one for one in options["latency_targets"] if one["metric"] == "api"]
    return [f"{options['prefix']}-api-{rule}" for rule in (*(percentile(one["quantile"]) for one in targets), "errors")]


def alarms(options: Options) -> list[Row]:
    """Alarms on what users notice, from the latency table, and on the limits of database, cache and tasks."""
    name = options["prefix"]
    balancer = {"LoadBalancer": f"@load_balancer/{name}.dimension"}
    targets = {**balancer, "TargetGroup": f"@target_group/{name}-api.dimension"}
    primary, tasks = {"DBInstanceIdentifier": name}, {"ClusterName": name, "ServiceName": "api"}
    # The first node is the primary until a replica takes its place, so each is watched.
    nodes = [f"{name}-{number:03d}" for number in range(1, options["cache_replicas"] + 2)]
    free = int(options["rds_storage_gb"] * GIBIBYTE * LEAST_FREE)
    # Name, namespace, metric, dimensions, threshold, and what else is declared.
    rules: list[tuple[str, str, str, Row, float, Row]] = [
        (
            f"api-{percentile(one['quantile'])}",
            "AWS/ApplicationELB",
            "TargetResponseTime",
            balancer,
            one["alert_seconds"],
            # Without requests there is nothing to be slow.
            {"quantile": percentile(one["quantile"]), "missing_data": "notBreaching"},
        )
        for one in options["latency_targets"]
        if one["metric"] == "api"
    ]
    rules += [
        ("api-errors", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", balancer, 10, {**SUM, **ONLY_WHEN_SEEN}),
        ("edge-errors", "AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", balancer, 10, {**SUM, **ONLY_WHEN_SEEN}),
        ("api-unhealthy", "AWS/ApplicationELB", "UnHealthyHostCount", targets, 0, {"statistic": "Maximum"}),
        ("api-cpu", "AWS/ECS", "CPUUtilization", tasks, 85, AVERAGE),
        ("api-memory", "AWS/ECS", "MemoryUtilization", tasks, 85, AVERAGE),
        ("database-cpu", "AWS/RDS", "CPUUtilization", primary, 80, AVERAGE),
        ("database-storage", "AWS/RDS", "FreeStorageSpace", primary, free, {"statistic": "Minimum", **BELOW}),
        ("database-connections", "AWS/RDS", "DatabaseConnections", primary, options["connections"] * 0.9, AVERAGE),
    ]
    for number in range(1, options["rds_replicas"] + 1):
        replica = {"DBInstanceIdentifier": f"{name}-replica-{number}"}
        rules.append((f"replica-{number}-lag", "AWS/RDS", "ReplicaLag", replica, 30, {"statistic": "Maximum"}))
    for number, node in enumerate(nodes, 1):
        of_node = {"CacheClusterId": node}
        rules += [
            (f"cache-{number}-memory", "AWS/ElastiCache", "DatabaseMemoryUsagePercentage", of_node, 80, AVERAGE),
            (f"cache-{number}-cpu", "AWS/ElastiCache", "EngineCPUUtilization", of_node, 80, AVERAGE),
        ]
    actions = [f"@sns_topic/{name}-alarms.arn"]
    return [
        row("sns_topic", f"{name}-alarms", subscriptions=subscriptions(options) or None),
        *(
            row(
                "alarm",
                f"{name}-{rule}",
                namespace=namespace,
                metric=metric,
                dimensions=dimensions,
                threshold=threshold,
                actions=actions,
                ok_actions=actions,
                **more,
            )
            for rule, namespace, metric, dimensions, threshold, more in rules
        ),
    ]
