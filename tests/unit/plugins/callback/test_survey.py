"""The survey on a real run: what is answered without a look at the host, and what ends that."""

from __future__ import annotations

from pathlib import Path

import pytest

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
