# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run that creates the migration runner moves the deploy lock there, and is never without one.

The plays are those of playbooks/stages. Both hosts are this machine, so each has a folder of locks of its own.
"""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.tests.playbook import ROOT, Done, play

STAGES = ROOT / "playbooks/stages"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
INVENTORY = {"all": {"hosts": {"localhost": LOCAL}, "vars": {"infra_environment": "staging"}}}
RUNNER = {"migration_runner": {"hosts": {"runner-1": LOCAL}}}
#: Somebody else's, on a machine that this one can't see, with a lease that has not ended.
THEIRS = {
    "run": "elsewhere/1/1",
    "machine": "elsewhere",
    "pid": 1,
    "user": "ann",
    "host": "elsewhere",
    "what": "deploy",
    "since": 4000000000.0,
    "until": 4100000000.0,
}


def named(stage: str, name: str, folder: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    """A play of a stage, with its locks in a folder."""
    (found,) = [one for one in yaml.safe_load((STAGES / f"{stage}.yml").read_text()) if one["name"] == name]
    return {**found, "module_defaults": {"nexod.infra.deploy_lock": {"folder": str(folder)}}, **more}


class Run:
    """A deploy that creates the runner, as far as the lock is concerned."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.controller, self.runner = (folder / name / "staging.lock.json" for name in ("controller", "runner"))
        (folder / "inventory").mkdir()
        (folder / "inventory/hosts.yml").write_text(json.dumps(INVENTORY))

    def deploy(self, *arguments: str, creates: bool = True) -> Done:
        found = {"content": json.dumps(RUNNER), "dest": str(self.folder / "inventory/found.yml"), "mode": "0600"}
        listed = f"cat {self.controller} > {self.folder}/old; cat {self.runner} > {self.folder}/new; true"
        plays = [
            named("lock", "Lock | Acquire the deploy lock", self.controller.parent, vars={"lock_creates_hosts": True}),
            {
                "name": "Infrastructure | Create the hosts",
                "hosts": "localhost",
                "gather_facts": False,
                "tasks": [
                    *([{"ansible.builtin.copy": found, "check_mode": False}] if creates else []),
                    {"ansible.builtin.meta": "refresh_inventory"},
                ],
            },
            named(
                "infrastructure", "Infrastructure | Move the deploy lock to the migration runner", self.runner.parent
            ),
            {
                "name": "Monitoring | Look at the locks",
                "hosts": "localhost",
                "gather_facts": False,
                "tasks": [{"ansible.builtin.shell": listed, "check_mode": False}],
            },
        ]
        (self.folder / "deploy.yml").write_text(json.dumps(plays))
        return play(
            *("-i", self.folder / "inventory", self.folder / "deploy.yml", *arguments),
            HOME=str(self.folder),
            NEXOD_REPORT_DIR=str(self.folder / "report"),
            ANSIBLE_CALLBACKS_ENABLED="nexod.infra.summary",
            ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
        )

    def seen(self, name: str) -> dict[str, t.Any]:
        """The lock as it was after the move."""
        text = (self.folder / name).read_text()
        return dict(json.loads(text)) if text else {}


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Run:
    return Run(tmp_path)


def test_the_lock_is_moved_to_the_new_runner_and_released_there(run: Run) -> None:
    done = run.deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    # While the rest of the deploy runs: other controllers meet it, and this one holds no second one.
    assert run.seen("new")["what"] == "deploy"
    assert run.seen("old") == {}
    # And at its end neither is left.
    assert (run.controller.exists(), run.runner.exists()) == (False, False)


def test_a_runner_that_does_not_come_leaves_the_lock_where_it_is(run: Run) -> None:
    done = run.deploy(creates=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (run.seen("new"), run.seen("old")["what"]) == ({}, "deploy")
    assert not run.controller.exists()


def test_a_lock_that_somebody_holds_on_the_runner_ends_the_run(run: Run) -> None:
    """Another controller has found the same new runner, and was first."""
    run.runner.parent.mkdir()
    run.runner.write_text(json.dumps(THEIRS))
    done = run.deploy()
    assert done.returncode != 0
    assert "ann on elsewhere" in " ".join(done.stdout.split())
    # Nothing ran after it, ours is released, and theirs is left alone.
    assert not (run.folder / "new").exists()
    assert not run.controller.exists()
    assert json.loads(run.runner.read_text()) == THEIRS


def test_a_plan_takes_and_moves_nothing(run: Run) -> None:
    done = run.deploy("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (run.seen("new"), run.seen("old")) == ({}, {})
    assert not run.controller.parent.exists()
    assert not run.runner.parent.exists()
