"""The last word: nothing of the lab is left."""

from __future__ import annotations

import subprocess

from ansible_collections.nexod.infra.tests.lab.support import ROOT


def test_destroy_leaves_nothing(lab) -> None:
    done = lab("make", "destroy")
    assert done.rc == 0, done.said[-3000:]
    names = subprocess.run(
        ["podman", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    assert [name for name in names.stdout.split() if name.startswith("nexod-lab")] == []
    assert not (ROOT / ".lab").exists()
