# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of what a plan would change of what runs, and by how many dollars a month that changes its cost."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._cost.estimate import Declared, estimate
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.running import cost_of_running, running
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.usage import Tasks
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._cost.test_estimate import (
    NO_TASKS,
    NO_USE,
    REGION,
    asked,
    cache,
    database,
    host,
    one,
    prices,
    replica,
)


def change(key: str, action: str, **before: t.Any) -> dict[str, t.Any]:
    return {"key": key, "action": action, "before": before, "after": {}}


def created(declared: Declared) -> list[dict[str, t.Any]]:
    return [change(f"{row['kind']}/{row['name']}", "create") for row in declared.resources]


SERVICE = asked(one("ecs_cluster"), tasks=Tasks(2, 0, 2048, 4096))
BOTH = asked(database(), replica(1), replica(2))
LOG = asked(one("log_group", "/nexod/api", retention_days=30))

# What is declared, what aws_resources would change of it, the service as it runs, and the difference in dollars.
TABLE = [
    pytest.param(BOTH, [], None, 0, id="as declared"),
    pytest.param(BOTH, created(BOTH), None, 703.0, id="an empty account"),
    pytest.param(BOTH, [change("rds_replica/db-replica-2", "create")], None, 175.75, id="one more replica"),
    pytest.param(
        BOTH,
        [change("rds_instance/db", "update", multi_az=False, storage_gb=50)],
        None,
        # 164.25 of the instance and 23 - 5.75 of its storage; replicas grow with their primary.
        164.25 + 17.25 + 2 * 5.75,
        id="a standby and storage",
    ),
    pytest.param(
        asked(host("monitoring", "t3.small", 50)),
        [change("ec2_instance/monitoring-1", "replace", type="t3.micro", root_gb=20)],
        None,
        730 * 0.0104 + 30 * 0.08,
        id="a larger host in the place of another",
    ),
    pytest.param(
        asked(cache()), [change("cache_replication_group/x", "update", replicas=1)], None, -150.38, id="one node less"
    ),
    pytest.param(LOG, created(LOG), None, 0, id="a name with slashes"),
    pytest.param(
        asked(database()), [change("rds_instance/db", "update", backup_days=1, tags={})], None, 0, id="what is free"
    ),
    pytest.param(SERVICE, [], None, 0, id="nobody has asked about the tasks"),
    pytest.param(SERVICE, [], Tasks(2, 0, 2048, 4096), 0, id="the same tasks"),
    pytest.param(SERVICE, [], Tasks(1, 0, 2048, 4096), 72.08, id="one task more"),
    pytest.param(SERVICE, [], Tasks(2, 0, 1024, 2048), 72.08, id="tasks of twice the size"),
    pytest.param(SERVICE, [], NO_TASKS, 144.16, id="no service yet"),
    pytest.param(SERVICE, created(SERVICE), NO_TASKS, 144.16, id="no cluster yet"),
]


@pytest.mark.parametrize(("declared", "changes", "tasks", "usd"), TABLE)
def test_the_difference(declared: Declared, changes: list[dict[str, t.Any]], tasks: Tasks | None, usd: float) -> None:
    before, unknown = cost_of_running(running(declared, changes, tasks), NO_USE, prices(), REGION)
    assert unknown == ""
    after = estimate(declared, NO_USE, prices(), REGION)["total"]["expected"]
    assert before is not None
    assert after - before.usd == pytest.approx(usd, abs=0.02)


def test_what_has_no_price_here_is_not_free() -> None:
    there = running(asked(database()), [change("rds_instance/db", "update", instance_class="db.x1.huge")], None)
    before, unknown = cost_of_running(there, NO_USE, prices(), REGION)
    assert before is None
    assert "rds_multi_az/db.x1.huge" in unknown


def test_what_vendors_cost_is_the_same_before_and_after() -> None:
    declared = asked(database(), plans={"vercel": "pro"}, fixed=[{"name": "rack", "usd": 99}])
    known, unknown = cost_of_running(running(declared, created(declared), None), NO_USE, prices(), REGION)
    assert (known, unknown) == ((119.0, {"Vercel": 20.0, "rack": 99.0}), "")
