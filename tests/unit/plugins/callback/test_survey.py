"""The survey on a real run: what is answered without a look at the host, and what ends that."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.callback import survey
from ansible_collections.nexod.infra.tests.playbook import play

# With an interpreter that is not there a module fails; what the controller answers by itself does not.
PLAYBOOK = """
- hosts: here
  gather_facts: false
  tasks:
    - nexod.infra.host_probe: {survey: true}
    - nexod.infra.file_set: {name: never-there, state: absent}
      vars: {ansible_python_interpreter: /not/there}
      ignore_errors: true
      register: first
    - ansible.builtin.command: "true"
      changed_when: "{{ between }}"
      check_mode: "{{ rehearsed | default(false) }}"
      delegate_to: "{{ elsewhere | default(omit) }}"
      failed_when: "{{ fails | default(false) }}"
      ignore_errors: true
    - nexod.infra.file_set: {name: never-there, state: absent}
      vars: {ansible_python_interpreter: /not/there}
      ignore_errors: true
      register: second
    - ansible.builtin.debug:
        msg: "asked {{ first is failed }} {{ second is failed }}"
"""
INVENTORY = """
all:
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  hosts: {here: , there: }
"""


@pytest.mark.parametrize(
    ("given", "callbacks", "asked"),
    [
        pytest.param(["between=false"], "nexod.infra.survey", "False False", id="nothing was changed"),
        pytest.param(["between=true"], "nexod.infra.survey", "False True", id="the host was changed"),
        pytest.param(["between=true", "rehearsed=true"], "nexod.infra.survey", "False False", id="in check mode"),
        pytest.param(["between=true", "elsewhere=there"], "nexod.infra.survey", "False True", id="by delegation"),
        pytest.param(["between=false", "fails=true"], "nexod.infra.survey", "False True", id="a task failed"),
        pytest.param(["between=false"], "", "True True", id="without the callback"),
    ],
)
def test_who_is_asked(tmp_path: Path, given: list[str], callbacks: str, asked: str) -> None:
    (tmp_path / "site.yml").write_text(PLAYBOOK)
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    words = [word for value in given for word in ("-e", "{" + value.replace("=", ": ") + "}")]
    done = play(
        *("-i", "hosts.yml", "site.yml", *words),
        cwd=tmp_path,
        HOME=str(tmp_path),
        LC_ALL="C.UTF-8",
        **({"ANSIBLE_CALLBACKS_ENABLED": callbacks} if callbacks else {}),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"asked {asked}" in done.stdout


def task(action: str, role: str = "") -> types.SimpleNamespace:
    owner = types.SimpleNamespace(get_name=lambda: role) if role else None
    return types.SimpleNamespace(resolved_action=action, action=action, _role=owner)


@pytest.mark.parametrize(
    ("hosts", "tasks", "loads"),
    [
        pytest.param(["a"], [task("nexod.infra.host_probe")], 1, id="a module of ours"),
        pytest.param(["a"], [task("ansible.builtin.assert", "nexod.infra.redis")], 1, id="a role of ours"),
        pytest.param(["a"], [task("nexod.infra.file_set"), task("nexod.infra.file_set")], 1, id="once"),
        pytest.param(["a"], [task("ansible.builtin.apt"), task("ansible.builtin.apt", "other.c.role")], 0, id="others"),
        pytest.param(["localhost"], [task("nexod.infra.preflight")], 0, id="on the controller alone"),
    ],
)
def test_when_plugins_are_loaded(
    monkeypatch: pytest.MonkeyPatch, hosts: list[str], tasks: list[types.SimpleNamespace], loads: int
) -> None:
    done: list[bool] = []
    monkeypatch.setattr(survey, "preload", lambda: done.append(True))
    callback = survey.CallbackModule()
    callback.v2_playbook_on_play_start(types.SimpleNamespace(hosts=hosts))
    for one in tasks:
        callback.v2_playbook_on_task_start(one, is_conditional=False)
    assert len(done) == loads
