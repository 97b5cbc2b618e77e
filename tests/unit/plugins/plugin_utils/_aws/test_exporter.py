# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the exporter for CloudWatch, read as its documentation describes it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.alarms import rules
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.exporter import configuration

from .test_environment import options as staging

JOB = {"type", "regions", "searchTags", "dimensionNameRequirements", "period", "length", "metrics"}


def jobs(**changes: t.Any) -> list[dict[str, t.Any]]:
    found = configuration(staging(environment="staging", **changes))
    assert found.keys() == {"apiVersion", "discovery"}
    assert found["apiVersion"] == "v1alpha1"
    return list(found["discovery"]["jobs"])


def test_every_metric_of_an_alarm_is_exported_once() -> None:
    exported = [
        (job["type"], tuple(job["dimensionNameRequirements"]), metric["name"], statistic)
        for job in jobs()
        for metric in job["metrics"]
        for statistic in metric["statistics"]
    ]
    assert len(exported) == len(set(exported))
    assert set(exported) == {
        (
            rule.namespace,
            tuple(sorted(rule.dimensions)),
            rule.metric,
            rule.more.get("quantile") or rule.more["statistic"],
        )
        for rule in rules(staging())
    }


def test_only_resources_of_the_environment_are_found() -> None:
    """The value is a regular expression: staging is not staging-2, and a dot is a dot."""
    for job in jobs():
        assert job.keys() == JOB
        assert job["regions"] == ["us-east-1"]
        assert job["searchTags"] == [{"key": "nexod:environment", "value": "^staging$"}]
        assert job["length"] >= job["period"]


@pytest.mark.parametrize(
    ("namespace", "dimensions", "metric", "statistics"),
    [
        ("AWS/ApplicationELB", ["LoadBalancer"], "TargetResponseTime", ["p95", "p99.9"]),
        ("AWS/ApplicationELB", ["LoadBalancer", "TargetGroup"], "HealthyHostCount", ["Maximum"]),
        ("AWS/RDS", ["DBInstanceIdentifier"], "ReplicaLag", ["Maximum"]),
        ("AWS/ElastiCache", ["CacheClusterId"], "EngineCPUUtilization", ["Average"]),
        ("AWS/ECS", ["ClusterName", "ServiceName"], "MemoryUtilization", ["Average"]),
    ],
)
def test_metrics(namespace: str, dimensions: list[str], metric: str, statistics: list[str]) -> None:
    [job] = [one for one in jobs() if (one["type"], one["dimensionNameRequirements"]) == (namespace, dimensions)]
    assert {one["name"]: one["statistics"] for one in job["metrics"]}[metric] == statistics
