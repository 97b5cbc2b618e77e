# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the exporter for CloudWatch, read as its documentation describes it."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.alarms import rules
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.exporter import configuration

from .test_environment import options as staging

JOB = {"type", "regions", "searchTags", "dimensionNameRequirements", "period", "length", "metrics"}
#: The documented schema of 0.67 (docs/configuration.md), of what is used of it: types, rows, and what a text must be.
STATISTIC = re.compile(r"Maximum|Minimum|Sum|SampleCount|Average|p(\d{1,2}(\.\d{0,2})?|100)")
#: Where the exporter finds a resource by its tag, it fills these dimensions from its ARN (pkg/config/services.go).
DIMENSIONS = {
    "AWS/ApplicationELB": {"LoadBalancer", "TargetGroup"},
    "AWS/ECS": {"ClusterName", "ServiceName"},
    "AWS/ElastiCache": {"CacheClusterId"},
    "AWS/RDS": {"DBInstanceIdentifier"},
}
METRIC = {"name": str, "statistics": [STATISTIC]}
TAG = {"key": str, "value": str}
DOCUMENT = {
    "apiVersion": re.compile("v1alpha1"),
    "sts-region": str,
    "discovery": {
        "jobs": [
            {
                "type": re.compile("|".join(DIMENSIONS)),
                "regions": [str],
                "searchTags": [TAG],
                "dimensionNameRequirements": [str],
                "period": int,
                "length": int,
                "metrics": [METRIC],
            }
        ]
    },
}


def faults(value: t.Any, schema: t.Any, where: str = "") -> list[str]:
    """Where a document differs from its schema. A list must not be empty: the exporter refuses such a job."""
    if isinstance(schema, dict):
        strange = [f"{where}.{name} is unknown" for name in value if name not in schema]
        return strange + [
            fault
            for name, part in schema.items()
            for fault in (faults(value[name], part, f"{where}.{name}") if name in value else [f"{where}.{name} lacks"])
        ]
    if isinstance(schema, list):
        rows = [fault for number, one in enumerate(value) for fault in faults(one, schema[0], f"{where}[{number}]")]
        return rows if value else [f"{where} is empty"]
    if isinstance(schema, re.Pattern):
        return [] if schema.fullmatch(value) else [f"{where} is {value}"]
    # A bool is an int to Python, and not to the exporter.
    fits = isinstance(value, schema) and isinstance(value, bool) == (schema is bool)
    return [] if fits else [f"{where} is {value!r}"]


def test_the_schema_notices_what_the_exporter_would_refuse() -> None:
    found = configuration(staging(environment="staging"))
    found["discovery"]["jobs"][0] |= {"type": "alb", "metrics": []}
    found["exportedTags"] = {}
    assert faults(found, DOCUMENT) == [
        ".exportedTags is unknown",
        ".discovery.jobs[0].type is alb",
        ".discovery.jobs[0].metrics is empty",
    ]


def jobs(**changes: t.Any) -> list[dict[str, t.Any]]:
    found = configuration(staging(environment="staging", **changes))
    assert faults(found, DOCUMENT) == []
    assert found["apiVersion"] == "v1alpha1"
    assert found["sts-region"] == "us-east-1"
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
        assert set(job["dimensionNameRequirements"]) <= DIMENSIONS[job["type"]]


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
