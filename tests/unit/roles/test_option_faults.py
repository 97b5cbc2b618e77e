# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role refuses a value out of range by itself, in a playbook that no preflight of a deploy has checked."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.playbook import AS_JSON, BINARIES, ROOT, play, tasks_of

TO_65535 = "set it to a whole number, from 1 to 65535"
#: By role: options with one out of range, what is said of it, and what to do.
ROWS: dict[str, tuple[dict[str, t.Any], str, str]] = {
    "alertmanager": (
        {"alertmanager_port": 70000},
        "alertmanager_port is 70000, but must be from 1 to 65535",
        TO_65535,
    ),
    "awx": (
        {"awx_jobs": [{"name": "a", "playbook": "a.yml", "timeout_seconds": -1}]},
        "awx_jobs[0].timeout_seconds is -1, but must be from 0 to 604800",
        "set it to a whole number, from 0 to 604800",
    ),
    # As on a command line: -e backend_drain_seconds=-1.
    "backend": (
        {"backend_drain_seconds": "-1"},
        "backend_drain_seconds is -1, but must be from 0 to",
        "set it to a whole number, from 0 to",
    ),
    "caches": (
        {"caches_redis": {"host": "cache", "port": 0}},
        "caches_redis.port is 0, but must be from 1 to 65535",
        TO_65535,
    ),
    "cost": (
        {"cost_usage": {"spread": 2}},
        "cost_usage.spread is 2, but must be from 0 to 1",
        "from 0 to 1",
    ),
    "database_access": (
        {"database_access_port": 0, "database_access_host": "db", "database_access_password": "x"},
        "database_access_port is 0, but must be from 1 to 65535",
        TO_65535,
    ),
    "environment": (
        {"infra_api_port": -1},
        "infra_api_port is -1, but must be from 1 to 65535",
        TO_65535,
    ),
    "ecs_discovery": (
        {"ecs_discovery_port": 0, "ecs_discovery_region": "us-east-1"},
        "ecs_discovery_port is 0, but must be from 1 to 65535",
        TO_65535,
    ),
    "ecs_service": (
        {"ecs_service_count": 0},
        "ecs_service_count is 0, but must be from 1 to 5000",
        "set it to a whole number, from 1 to 5000",
    ),
    "exporters": (
        {"exporters_memory_max_mb": 0},
        "exporters_memory_max_mb is 0, but must be at least 1",
        "set it to a whole number, at least 1",
    ),
    "firewall": (
        {"firewall_rules": [{"name": "exporters", "ports": [70000], "sources": []}]},
        "firewall_rules[0].ports contains 70000; a port is from 1 to 65535",
        "a port is from 1 to 65535",
    ),
    "frontend": ({"frontend_port": 65536}, "frontend_port is 65536, but must be from 1 to 65535", TO_65535),
    "grafana": (
        {"grafana_latency_targets": [{"metric": "m", "quantile": 95, "target_seconds": 1, "alert_seconds": 2}]},
        "grafana_latency_targets[0].quantile is 95, but must be above 0 and below 1",
        "set it to a number, above 0 and below 1",
    ),
    "haproxy": (
        {"haproxy_servers": [{"name": "api-1", "host": "192.0.2.1", "port": 80000}]},
        "haproxy_servers[0].port is 80000, but must be from 1 to 65535",
        TO_65535,
    ),
    "lab_hosts": (
        {"lab_hosts_services": [{"name": "s", "port": 0, "command": "c"}], "lab_hosts_hosts": []},
        "lab_hosts_services[0].port is 0, but must be from 1 to 65535",
        TO_65535,
    ),
    "migration_runner": (
        {"migration_runner_lock_retries": -1},
        "migration_runner_lock_retries is -1, but must be at least 0",
        "set it to a whole number, at least 0",
    ),
    "pgbouncer": (
        {"pgbouncer_pool_size": 0},
        "pgbouncer_pool_size is 0, but must be at least 1",
        "set it to a whole number, at least 1",
    ),
    "postgresql": (
        {"postgresql_shared_buffers_mb": 0},
        "postgresql_shared_buffers_mb is 0, but must be at least 1",
        "set it to a whole number, at least 1",
    ),
    "profile": (
        {"profile_worker": 0},
        "profile_worker is 0, but must be from 1 to 256",
        "set it to a whole number, from 1 to 256",
    ),
    "prometheus": (
        {"prometheus_scrape_timeout_seconds": 0},
        "prometheus_scrape_timeout_seconds is 0, but must be above 0",
        "set it to a whole number, above 0",
    ),
    "provider_aws": (
        {"provider_aws_rds_storage_gb": 5},
        "provider_aws_rds_storage_gb is 5, but must be from 20 to",
        "set it to a whole number, from 20 to",
    ),
    "provider_hosts": (
        {"provider_hosts_cache_db": -1},
        "provider_hosts_cache_db is -1, but must be at least 0",
        "set it to a whole number, at least 0",
    ),
    "provider_supabase": (
        {"provider_supabase_database_size_mb": 0},
        "provider_supabase_database_size_mb is 0, but must be at least 1",
        "set it to a whole number, at least 1",
    ),
    "redis": ({"redis_memory_mb": -5}, "redis_memory_mb is -5, but must be at least 1", "set it to a whole number"),
    "services": (
        {"services_clerk_jwt_templates": [{"name": "api", "claims": {"aud": "api"}, "lifetime": 1}]},
        "services_clerk_jwt_templates[0].lifetime is 1, but must be from 30 to",
        "set it to a whole number, from 30 to",
    ),
    # nan is in no range.
    "static_site": (
        {"static_site_keep_days": -1},
        "static_site_keep_days is -1, but must be at least 0",
        "set it to a whole number, at least 0",
    ),
    "verify": (
        {"verify_maximum_error_ratio": "nan"},
        "verify_maximum_error_ratio is nan, but must be from 0 to 1",
        "set it to a number, from 0 to 1",
    ),
}
PREFLIGHT = {"ansible.builtin.import_tasks": "preflight.yml"}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The message of each role's preflight, all from one run on this machine, where they change nothing."""
    folder = tmp_path_factory.mktemp("roles")
    tasks = [
        {
            "block": [
                {
                    "ansible.builtin.include_role": {"name": f"nexod.infra.{role}", "tasks_from": "preflight"},
                    "vars": bad,
                }
            ],
            "rescue": [
                {"ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg }}"}, "name": f"said by {role}"}
            ],
        }
        for role, (bad, _cause, _step) in ROWS.items()
    ]
    written = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": tasks,
    }
    (folder / "play.yml").write_text(json.dumps([written]))
    # The role prometheus asks systemd for a Prometheus of somebody else's, and there may be no systemd here.
    (folder / "systemctl").write_text("#!/bin/sh\n")
    (folder / "systemctl").chmod(0o755)
    path = f"{folder}:{BINARIES}:{os.environ['PATH']}"
    shown = tasks_of(play("-i", "localhost,", "play.yml", cwd=folder, PATH=path, **AS_JSON))
    return {
        task["task"]["name"].removeprefix("said by "): task["hosts"]["localhost"]["msg"]
        for task in shown
        if task["task"]["name"].startswith("said by ")
    }


def test_every_role_has_a_row() -> None:
    roles = {path.name for path in (ROOT / "roles").iterdir() if path.is_dir()}
    assert roles - set(ROWS) == set()


@pytest.mark.parametrize("role", ROWS)
def test_refuses_a_value_out_of_range(said: dict[str, str], role: str) -> None:
    """Action and object, the cause, and the next step."""
    _bad, cause, step = ROWS[role]
    assert said[role].startswith("Cannot ")
    assert cause in said[role]
    assert step in said[role]


@pytest.mark.parametrize("role", ROWS)
def test_the_role_begins_with_it(role: str) -> None:
    """Before anything is installed: the first tasks file that is imported is preflight.yml."""
    tasks = ROOT / "roles" / role / "tasks"

    def first(path: pathlib.Path) -> str:
        task = yaml.safe_load(path.read_text())[0]
        task = task["block"][0] if "block" in task else task
        name = task.get("ansible.builtin.import_tasks") or task["ansible.builtin.include_tasks"]
        return name if name == "preflight.yml" else first(tasks / name)

    assert first(tasks / "main.yml") == "preflight.yml"
