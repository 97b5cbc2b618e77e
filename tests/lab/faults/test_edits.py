"""Single edits of the inventory: what the plan names is what the deploy then changes, and nothing else."""

from __future__ import annotations

import json

import pytest

from ansible_collections.nexod.infra.tests.lab.support import BRIEF, DEPLOY, run

EDITS: dict[str, object] = {
    "haproxy_max_connections": 2001,
    "prometheus_retention_days": 31,
    "backend_drain_seconds": 44,
    "pgbouncer_pool_size": 79,
    "frontend_cache_control": "public, max-age=60",
    "alertmanager_group_wait_seconds": 6,
    "redis_memory_mb": 200,
    "postgresql_settings": {"log_min_duration_statement": "2s"},
    "grafana_scrape_interval_seconds": 6,
    "exporters_memory_max_mb": 120,
}

EDITED: list[str] = []


# tests/lab/test_lab.py compares the two largest plans, from bare hosts and of an upgrade, in every run.
@pytest.mark.long
@pytest.mark.parametrize(("name", "value"), [pytest.param(*edit, id=edit[0]) for edit in EDITS.items()])
def test_the_plan_of_an_edit_is_what_happens(standing, name: str, value: object) -> None:
    if EDITED:
        # By itself: what the edit before this one changed is changed back first.
        assert run(*DEPLOY, quiet=True).rc == 0
    EDITED.append(name)
    edit = f"ARGS={BRIEF} -e '{json.dumps({name: value})}'"
    plan = run("make", "plan", edit, quiet=True)
    assert plan.rc == 0, plan.said[-4000:]
    assert plan.changes() != []
    done = run("make", "deploy", edit, quiet=True)
    assert done.rc == 0, done.said[-4000:]
    assert done.changes() == plan.changes()
    again = run("make", "plan", edit, quiet=True)
    assert again.changes() == []
