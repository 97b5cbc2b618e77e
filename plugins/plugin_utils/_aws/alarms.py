# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms on what users notice, and on the limits of the data layer.

CloudWatch's counterpart of Prometheus' alerts: those on latency and errors follow from the same tables, with the same
severities.
"""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.subscriptions import BY_NAME
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import Options, Row, row

GIBIBYTE = 1024**3
#: Failed requests are counted over this time, as those of Prometheus' alerts.
ERRORS_SECONDS = 300
#: The metric of a load balancer that counts what a row of the table of errors names.
ERRORS = {"api": "HTTPCode_Target_5XX_Count", "edge": "HTTPCode_ELB_5XX_Count"}
Severity = t.Literal["page", "warning"]
#: The topic of each severity, by the end of its name.
TOPICS: dict[Severity, str] = {"page": "alarms", "warning": "warnings"}
#: The share of the declared storage below which an alarm is raised; autoscaling begins at the same.
LEAST_FREE = 0.1
AVERAGE: Row = {"statistic": "Average"}
SUM: Row = {"statistic": "Sum"}
BELOW: Row = {"comparison": "LessThanThreshold"}
#: Counters of errors, which AWS leaves out where there is none.
ONLY_WHEN_SEEN: Row = {"missing_data": "notBreaching"}
#: Of tasks, of which there are none before the first deploy: an alarm that has never seen any notifies nobody.
SINCE_SEEN: Row = {"missing_data": "ignore"}


class Rule(t.NamedTuple):
    """An alarm, by the end of its name: on which metric of what, at which threshold, and who is notified."""

    name: str
    namespace: str
    metric: str
    dimensions: Row
    threshold: float
    #: What else is declared of it, such as the statistic.
    more: Row
    severity: Severity = "warning"


def by_name(options: Options) -> dict[str, str]:
    """The URLs that are subscribed to the alarms, by the names that stand for them in the declaration."""
    urls = [one["endpoint"] for one in options.get("alarm_subscriptions") or () if one["protocol"] == BY_NAME]
    return {f"alarms-{number}": url for number, url in enumerate(urls, 1)}


def subscriptions(options: Options, *severities: Severity) -> list[Row]:
    """The subscriptions to the alarms of these severities. A URL contains a key, so it is given by its name."""
    names = iter(by_name(options))
    rows = [
        (
            one.get("severity") or "page",
            {
                "protocol": one["protocol"],
                "endpoint": next(names) if one["protocol"] == BY_NAME else one["endpoint"],
            },
        )
        for one in options.get("alarm_subscriptions") or ()
    ]
    return [given for severity, given in rows if severity in severities]


def percentile(quantile: float) -> str:
    """0.95 as p95, 0.999 as p99.9."""
    return f"p{str(round(quantile * 100, 3)).removesuffix('.0')}"


def latency_rules(options: Options) -> list[Rule]:
    """Of the rows of the API: a load balancer measures nothing else of the table."""
    return [
        Rule(
            f"api-{percentile(one['quantile'])}",
            "AWS/ApplicationELB",
            "TargetResponseTime",
            balancer(options),
            one["alert_seconds"],
            # Without requests there is nothing to be slow.
            {"quantile": percentile(one["quantile"]), "missing_data": "notBreaching"},
            "page",
        )
        for one in options["latency_targets"]
        if one["metric"] == "api"
    ]


def error_rules(options: Options) -> list[Rule]:
    """Of the rows with a count: a ratio is the quotient of two metrics, and only Prometheus computes it."""
    once = {"period_seconds": ERRORS_SECONDS, "periods": 1}
    return [
        Rule(
            f"{one['metric']}-errors-above-{one['count']}",
            "AWS/ApplicationELB",
            ERRORS[one["metric"]],
            balancer(options),
            one["count"],
            {**SUM, **once, **ONLY_WHEN_SEEN},
            one["severity"],
        )
        for one in options["error_alerts"]
        if one.get("count") is not None
    ]


def balancer(options: Options) -> Row:
    """The dimension of the environment's load balancer."""
    return {"LoadBalancer": f"@load_balancer/{options['prefix']}.dimension"}


def rollout_alarms(options: Options) -> list[str]:
    """The alarms that end a rollout: on what users notice. A target is unhealthy for a while in a good one as well."""
    api = [rule for rule in error_rules(options) if rule.name.startswith("api-")]
    return [f"{options['prefix']}-{rule.name}" for rule in (*latency_rules(options), *api)]


def rules(options: Options) -> list[Rule]:
    """All alarms: what users notice, from the tables, and the limits of database, cache and tasks."""
    name = options["prefix"]
    targets = {**balancer(options), "TargetGroup": f"@target_group/{name}-api.dimension"}
    primary, tasks = {"DBInstanceIdentifier": name}, {"ClusterName": name, "ServiceName": "api"}
    # The first node is the primary until a replica takes its place, so each has its alarms.
    nodes = [f"{name}-{number:03d}" for number in range(1, options["cache_replicas"] + 2)]
    free = int(options["rds_storage_gb"] * GIBIBYTE * LEAST_FREE)
    least, most = {"statistic": "Minimum"}, {"statistic": "Maximum"}
    of_balancer, of_tasks, of_database, of_cache = "AWS/ApplicationELB", "AWS/ECS", "AWS/RDS", "AWS/ElastiCache"
    found = [
        *latency_rules(options),
        *error_rules(options),
        Rule("api-down", of_balancer, "HealthyHostCount", targets, 1, {**most, **BELOW, **SINCE_SEEN}, "page"),
        Rule("api-unhealthy", of_balancer, "UnHealthyHostCount", targets, 0, {**most, **SINCE_SEEN}),
        Rule("api-cpu", of_tasks, "CPUUtilization", tasks, 85, {**AVERAGE, **SINCE_SEEN}),
        Rule("api-memory", of_tasks, "MemoryUtilization", tasks, 85, {**AVERAGE, **SINCE_SEEN}),
        Rule("database-cpu", of_database, "CPUUtilization", primary, 80, AVERAGE),
        Rule("database-storage", of_database, "FreeStorageSpace", primary, free, {**least, **BELOW}),
        Rule(
            "database-connections", of_database, "DatabaseConnections", primary, options["connections"] * 0.9, AVERAGE
        ),
    ]
    for number in range(1, options["rds_replicas"] + 1):
        replica = {"DBInstanceIdentifier": f"{name}-replica-{number}"}
        found.append(Rule(f"replica-{number}-lag", of_database, "ReplicaLag", replica, 30, most))
    for number, node in enumerate(nodes, 1):
        of_node = {"CacheClusterId": node}
        found += [
            Rule(f"cache-{number}-memory", of_cache, "DatabaseMemoryUsagePercentage", of_node, 80, AVERAGE),
            Rule(f"cache-{number}-cpu", of_cache, "EngineCPUUtilization", of_node, 80, AVERAGE),
        ]
    return found


def alarms(options: Options) -> list[Row]:
    """The declarations: a topic for each severity, and the alarms that notify it."""
    name = options["prefix"]
    # While none is declared at all, the subscriptions that the topics have are left alone.
    given = bool(options.get("alarm_subscriptions"))
    return [
        *(
            row("sns_topic", f"{name}-{end}", subscriptions=subscriptions(options, severity) if given else None)
            for severity, end in TOPICS.items()
        ),
        *(
            row(
                "alarm",
                f"{name}-{rule.name}",
                namespace=rule.namespace,
                metric=rule.metric,
                dimensions=rule.dimensions,
                threshold=rule.threshold,
                actions=[f"@sns_topic/{name}-{TOPICS[rule.severity]}.arn"],
                ok_actions=[f"@sns_topic/{name}-{TOPICS[rule.severity]}.arn"],
                **rule.more,
            )
            for rule in rules(options)
        ),
    ]
