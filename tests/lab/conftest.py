"""The lab's own commands, as a newcomer types them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command ended: its rc, everything it said, and the report it left."""

    rc: int
    said: str
    report: dict
    seconds: float

    def counts(self, key: str) -> dict[str, int]:
        """A column of Ansible's recap by host, from the last recap said: what Ansible counted, not what we report."""
        recap = self.said.rpartition("PLAY RECAP")[2]
        return {host: int(number) for host, number in re.findall(rf"^(\S+) +:.*?\b{key}=(\d+)", recap, re.M)}


def run(*argv: str, report: str = "") -> Done:
    """Run a command in the checkout, show its output as it comes, and read the report that it has left."""
    report = report or ("deploy-plan" if "plan" in argv else "deploy")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "NEXOD_", "MAKE"))}
    path = ROOT / ".report" / f"{report}.json"
    path.unlink(missing_ok=True)
    begun, lines = time.monotonic(), []
    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**kept, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            sys.stdout.write(f"    {line}")
            sys.stdout.flush()
            lines.append(line)
    found = json.loads(path.read_text()) if path.exists() else {}
    return Done(process.returncode, "".join(lines), found, time.monotonic() - begun)


@pytest.fixture(scope="session")
def lab():
    """Nothing before, nothing after: whatever an earlier run has left goes first. LAB_KEEP=1 leaves it standing."""
    gone = run("make", "destroy")
    assert gone.rc == 0, gone.said[-3000:]
    yield run
    if not os.environ.get("LAB_KEEP"):
        run("make", "destroy")
