# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the stages manage accounts on a server from the runner: only on one that nobody else manages."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, play, tasks_of

ENDPOINTS = {"database": {"host": "db", "port": 5432, "name": "app", "sslmode": "require"}}
FULL: dict[str, t.Any] = {
    "infra_database_admin_password": "x",
    "infra_database_app_retired_users": ["app_a"],
    "infra_endpoints": ENDPOINTS,
}
MANAGED, OWN = "database: {}", "database: {hosts: {db: }}"


def conditions(stage: str) -> tuple[str, list[str]]:
    """The hosts and the conditions of the task that includes the role."""
    plays = yaml.safe_load((ROOT / "playbooks/stages" / f"{stage}.yml").read_text())
    for one in plays:
        for task in one.get("tasks", []):
            if task.get("ansible.builtin.include_role", {}).get("name") == "nexod.infra.database_access":
                return one["hosts"], task["when"]
    raise AssertionError(f"the stage {stage} has no such task")


@pytest.mark.parametrize(
    ("groups", "given", "stages"),
    [
        pytest.param(MANAGED, FULL, ["infrastructure", "pooler"], id="managed"),
        pytest.param(OWN, FULL, [], id="on a host of the inventory"),
        pytest.param(MANAGED, {**FULL, "infra_database_admin_password": ""}, [], id="without an administrator"),
        pytest.param(
            MANAGED, {**FULL, "infra_database_app_retired_users": []}, ["infrastructure"], id="nobody to retire"
        ),
        pytest.param(MANAGED, {}, [], id="no variables of an environment"),
    ],
)
def test_where_accounts_are_managed(
    tmp_path: pathlib.Path, groups: str, given: dict[str, t.Any], stages: list[str]
) -> None:
    (tmp_path / "hosts.yml").write_text(
        f"all:\n  children:\n    {groups}\n    migration_runner: {{hosts: {{one: , two: }}}}\n"
    )
    tasks = []
    for stage in ("infrastructure", "pooler"):
        hosts, when = conditions(stage)
        assert hosts == "migration_runner[0]"
        tasks.append({"name": stage, "ansible.builtin.debug": {"msg": stage}, "when": when})
    written = {"hosts": "migration_runner[0]", "gather_facts": False, "vars": given, "tasks": tasks}
    (tmp_path / "play.json").write_text(json.dumps([written]))
    done = play("-i", "hosts.yml", "play.json", cwd=tmp_path, **AS_JSON)
    assert done.returncode == 0, done.stdout
    ran = {task["task"]["name"]: task["hosts"] for task in tasks_of(done)}
    assert all(list(hosts) == ["one"] for hosts in ran.values())
    assert [stage for stage, hosts in ran.items() if not hosts["one"].get("skipped")] == stages
