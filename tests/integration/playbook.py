"""A task as ansible-playbook runs it: what a module's own tests cannot see of its action plugin and of the terminal."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARIES = ROOT / ".venv/bin"
RESULTS = '{\n    "custom_stats"'


def run_task(folder: Path, task: dict[str, t.Any], *flags: str) -> tuple[dict[str, t.Any], str, str]:
    """The result of `task` on localhost, what a person saw while it ran, and all output there was."""
    playbook = folder / "play.yml"
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    playbook.write_text(json.dumps([play]))
    done = subprocess.run(
        [BINARIES / "ansible-playbook", *flags, str(playbook)],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{BINARIES}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    everything = done.stdout + done.stderr
    said, begin, text = done.stdout.partition(RESULTS)
    assert begin, everything[-6000:]
    found: dict[str, t.Any] = json.loads(RESULTS + text)["plays"][0]["tasks"][0]["hosts"]["localhost"]
    return found, said + done.stderr, everything
