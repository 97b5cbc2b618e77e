# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook without the variables that it needs: an error names what is missing, in no words of Ansible's own."""

from __future__ import annotations

import pathlib
import re

import pytest

from ansible_collections.nexod.infra.tests.playbook import ROOT, play
from ansible_collections.nexod.infra.tests.unit.playbooks.test_selection import ALONE, PLAYBOOKS

#: Without inventory; with one of no environment, of no provider, and with nothing more than what is required first.
NONE, ENVIRONMENT, PROVIDER, FIRST = (
    "",
    "{}",
    "infra_environment: x",
    "{infra_environment: x, infra_provider: hosts, infra_domain: x.example.com}",
)
#: What Ansible says of a variable that it does not find; preflight says it of a value with the fix for it.
RAW = re.compile(r"(?<!cannot be evaluated: )'\w+' is undefined|Mandatory variable|Traceback")
#: Playbook, values of the inventory, and what the error says.
SHORT = [
    ("build_release", NONE, "release_source is not set. Name the folder of a project"),
    ("pin_versions", NONE, 'pin is not set. Name programs of the lock file with their versions: -e \'{"pin": {'),
    ("deploy", ENVIRONMENT, "without a value is infra_environment, infra_provider."),
    ("verify", PROVIDER, "without a value is infra_provider."),
    ("migrate", FIRST, "the group migration_runner of x has no host"),
]
#: On the machine of whoever runs them.
OF_THE_LAB = ("lab_down", "lab_up")
ALL = [
    *((name, NONE, "") for name in ALONE),
    *(
        (name, values, "")
        for name in PLAYBOOKS
        if name not in (*ALONE, *OF_THE_LAB)
        for values in (NONE, ENVIRONMENT, PROVIDER, FIRST)
        # It would acquire a lock on this machine.
        if (name, values) != ("infrastructure", FIRST)
    ),
]


@pytest.mark.parametrize(
    ("playbook", "values", "says"), [*SHORT, *(pytest.param(*row, marks=pytest.mark.long) for row in ALL)]
)
def test_what_is_missing_is_named(tmp_path: pathlib.Path, playbook: str, values: str, says: str) -> None:
    inventory = "localhost,"
    if values:
        inventory = str(tmp_path / "inventory")
        for name, text in {
            "nexod.yml": "plugin: nexod.infra.environment\n",
            "hosts.yml": "all:\n  hosts:\n    localhost: {ansible_connection: local}\n",
            "group_vars/all.yml": values,
        }.items():
            path = tmp_path / "inventory" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    done = play("-i", inventory, f"nexod.infra.{playbook}", cwd=tmp_path, ANSIBLE_DISPLAY_FAILED_STDERR="false")
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "Cannot " in said, said[-3000:]
    assert says in said
    assert RAW.findall(said) == []


def test_the_playbooks_are_found() -> None:
    assert (ROOT / "playbooks/deploy.yml").exists()
    assert {"deploy", *OF_THE_LAB, *ALONE} <= set(PLAYBOOKS)
