"""In which order a rollout reaches the instances, and when it reaches all of them at once."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest

from ansible_collections.nexod.infra.tests.playbook import play

FIRST = {"created": ["api.service"], "updated": [], "removed": []}
SAME = {"created": [], "updated": [], "removed": []}
NEWER = {"created": ["extra"], "updated": ["api.service"], "removed": []}
# A run was killed after it had swapped a set in, and before it had verified it: the instance is still drained.
ON_TRIAL = {**NEWER, "on_trial": True}
# What choose.yml has found, for a rollback.
KNOWN = {"links": {}, "on_trial": False}
KNOWN_ON_TRIAL = {"links": {}, "on_trial": True}
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: What prepare.yml has found
      ansible.builtin.set_fact:
        __backend_plan: "{{ given_plan }}"
      when: given_plan is defined
    - ansible.builtin.include_role:
        name: nexod.infra.backend
        tasks_from: order.yml
- hosts: backend_rollout
  gather_facts: false
  serial: "{{ '100%' if groups.backend_rollout_at_once | default([]) else 1 }}"
  tasks:
    - ansible.builtin.debug:
        msg: "BATCH {{ ansible_play_batch | join(' ') }} BATCH"
      run_once: true
"""


@pytest.mark.parametrize(
    ("plans", "batches"),
    [
        pytest.param([FIRST, FIRST], [["one", "two"]], id="no instance was ever installed"),
        pytest.param([FIRST, SAME], [["one"], ["two"]], id="one is there"),
        pytest.param([NEWER, NEWER], [["one"], ["two"]], id="an upgrade that adds a file"),
        pytest.param([SAME, SAME], [["one"], ["two"]], id="nothing changes"),
        pytest.param([None, None], [["one"], ["two"]], id="a rollback, which has no plan"),
        pytest.param([NEWER, ON_TRIAL], [["two"], ["one"]], id="a killed run has left the second one drained"),
        pytest.param([KNOWN, KNOWN_ON_TRIAL], [["two"], ["one"]], id="a rollback after a killed run"),
        pytest.param([FIRST, None], [["one"], ["two"]], id="one was not compared"),
    ],
)
def test_batches(tmp_path: pathlib.Path, plans: list[dict[str, t.Any] | None], batches: list[list[str]]) -> None:
    hosts = {
        name: {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            **({"__backend_known" if "links" in plan else "given_plan": plan} if plan else {}),
        }
        for name, plan in zip(("one", "two"), plans, strict=True)
    }
    (tmp_path / "hosts.json").write_text(
        json.dumps({"all": {"hosts": hosts, "vars": {"backend_ready_path": "", "backend_health_path": ""}}})
    )
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    done = play("-i", "hosts.json", "play.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert [
        line.split("BATCH ")[1].split(" BATCH")[0].split() for line in done.stdout.splitlines() if "BATCH " in line
    ] == batches
