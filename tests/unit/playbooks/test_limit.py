# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every playbook that changes something refuses before it asks anybody."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BARE = "all:\n  hosts:\n    web-1: {ansible_connection: local}\n"
CHANGING = ("deploy", "migrate", "flush_cache", "roll_back")
WITHOUT_LOCALHOST = "leaves out localhost"
WITHOUT_PLUGIN = "does not load the groups and variables of the collection"


@pytest.mark.parametrize("playbook", CHANGING)
@pytest.mark.parametrize(
    ("inventory", "arguments", "message"),
    [
        pytest.param("lab", ["--limit", "api-1"], WITHOUT_LOCALHOST, id="a limit without localhost"),
        pytest.param("lab", ["--limit", "api-1", "--check"], WITHOUT_LOCALHOST, id="in check mode too"),
        pytest.param(BARE, [], WITHOUT_PLUGIN, id="an inventory without the plugin"),
    ],
)
def test_refuses(tmp_path: pathlib.Path, playbook: str, inventory: str, arguments: list[str], message: str) -> None:
    path = ROOT / "inventories" / "lab"
    if inventory != "lab":
        path = tmp_path / "hosts.yml"
        path.write_text(inventory)
    done = subprocess.run(
        [
            str(pathlib.Path(sys.executable).with_name("ansible-playbook")),
            *("-i", str(path), f"nexod.infra.{playbook}", *arguments),
        ],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "NEXOD_"))},
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert message in done.stdout
    assert "Nothing was changed." in done.stdout
    assert "TASK [Acquire the lock" not in done.stdout
