# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of what could be saved; what does not apply to the environment is not offered."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._cost.estimate import Declared
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.savings import savings
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.usage import Tasks
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._cost.test_estimate import (
    NO_USE,
    asked,
    cache,
    database,
    host,
    one,
    prices,
    replica,
)

SPOT = "Fargate Spot for tasks that are not critical"
TASKS = Tasks(2, 10, 2048, 4096)
CLUSTER = one("ecs_cluster")

TABLE = [
    # Two of four tasks, 144.16, at 30 % of their price.
    (SPOT, asked(CLUSTER, tasks=TASKS), 100.91),
    # A single task has no standby: all of it.
    (SPOT, asked(CLUSTER, tasks=Tasks(1, 0, 2048, 4096)), 50.46),
    ("Graviton for the API's tasks", asked(CLUSTER, tasks=TASKS), 57.64),
    ("Graviton for the hosts", asked(host("pooler", "t3.small", 20)), 2.92),
    ("RDS reserved for a year, nothing paid in advance", asked(database(), replica(1)), 162.61),
    ("Valkey for ElastiCache", asked(cache()), 30.08),
    ("S3 Intelligent-Tiering", asked(one("s3_bucket")), 6.05),
    (
        "CloudFront caching of answers of the API",
        asked(one("cloudfront_distribution"), one("load_balancer", subnets=[])),
        1.5,
    ),
]
USAGE = NO_USE._replace(tasks=4, uploads_gb=1000, uploads_thousand_objects=100, api_gb=1000)


def found(declared: Declared) -> dict[str, float]:
    return {row["name"]: row["usd"] for row in savings(declared, USAGE, prices())}


@pytest.mark.parametrize(("name", "declared", "usd"), TABLE)
def test_a_saving(name: str, declared: Declared, usd: float) -> None:
    assert found(declared)[name] == pytest.approx(usd, abs=0.011)


NONE = [
    ("Valkey for ElastiCache", asked(cache("valkey"))),
    ("Graviton for the hosts", asked(host("pooler", "t4g.small", 20))),
    (SPOT, asked(CLUSTER, tasks=Tasks(10, 10, 2048, 4096))),
    ("RDS reserved for a year, nothing paid in advance", asked(plans={"supabase": "free"})),
    ("CloudFront caching of answers of the API", asked(one("load_balancer", subnets=[]))),
]


@pytest.mark.parametrize(("name", "declared"), NONE)
def test_what_does_not_apply_is_not_offered(name: str, declared: Declared) -> None:
    assert name not in found(declared)


def test_the_largest_is_first_and_each_names_its_risk() -> None:
    rows = savings(asked(CLUSTER, cache(), database(), tasks=TASKS), USAGE, prices())
    assert [row["usd"] for row in rows] == sorted((row["usd"] for row in rows), reverse=True)
    assert all(row["risk"] and row["how"] and row["computation"] for row in rows)
