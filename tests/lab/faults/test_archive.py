"""The installed archive on a lab that the checkout has deployed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.nexod.infra.tests.lab.support import ROOT


# In every run, tests/archive deploys hosts of its own from the archive, and the second deploy finds nothing to do.
@pytest.mark.long
def test_the_installed_archive_finds_nothing_to_do_either(standing) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/archive", "-k", "nothing_to_do", "-p", "no:randomly"],
        cwd=ROOT,
        env={**os.environ, "LAB_VERSION": "1.0.0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "1 passed" in done.stdout, done.stdout[-1000:]
