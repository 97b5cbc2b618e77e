# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role environment, run for real: it needs no host, so it needs no container."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._environment.endpoints import endpoint_faults
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, play, tasks_of

PLAY = """\
- name: Environment | Publish on every host of the play, and once only
  hosts: api:localhost
  gather_facts: false
  tasks:
    - name: Publish
      ansible.builtin.include_role: {name: nexod.infra.environment}
    - name: Publish again
      ansible.builtin.include_role: {name: nexod.infra.environment}
    - name: Show
      ansible.builtin.debug: {var: infra_endpoints}
"""


def run(tmp_path: pathlib.Path, *arguments: str) -> list[dict[str, t.Any]]:
    """The tasks of a run on the lab's inventory; nothing of it leaves the controller."""
    (tmp_path / "play.yml").write_text(PLAY)
    return tasks_of(play("-i", "inventories/lab", tmp_path / "play.yml", *arguments, **AS_JSON))


def test_publishes_what_keeps_the_contract_once_per_host(tmp_path: pathlib.Path) -> None:
    tasks = run(tmp_path)
    shown = tasks[-1]["hosts"]
    assert set(shown) == {"api-1", "api-2", "localhost"}
    assert all(endpoint_faults(result["infra_endpoints"]) == [] for result in shown.values())
    asked = [task for task in tasks if "publish | Check" in task["task"]["name"]]
    assert len(asked) == 1, "the second time asked the provider again"


def test_refuses_what_breaks_the_contract(tmp_path: pathlib.Path) -> None:
    tasks = run(tmp_path, "-e", "provider_hosts_cache_port=70000")
    said = tasks[-1]["hosts"]["api-1"]["msg"]
    assert "cache.port: 70000 is not a valid port" in said
    assert "docs/architecture.md" in said
