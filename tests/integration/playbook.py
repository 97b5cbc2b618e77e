"""A task as ansible-playbook runs it: what a module's own tests cannot see of its action plugin and of the terminal."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.tests.playbook import AS_JSON, play, said_by, tasks_of


def run_task(folder: Path, task: dict[str, t.Any], *flags: str) -> tuple[dict[str, t.Any], str, str]:
    """The result of `task` on localhost, what a person saw while it ran, and all output there was."""
    written = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    (folder / "play.yml").write_text(json.dumps([written]))
    done = play(*flags, "play.yml", cwd=folder, **AS_JSON)
    found: dict[str, t.Any] = tasks_of(done)[0]["hosts"]["localhost"]
    return found, said_by(done), done.stdout + done.stderr
