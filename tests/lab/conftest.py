"""Labs that tests begin with."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.nexod.infra.tests.lab.faults.steps import back_to_the_start
from ansible_collections.nexod.infra.tests.lab.support import MAKE_DEPLOY, ROOT, get, run


@pytest.fixture(scope="session")
def lab():
    """Nothing before, nothing after: whatever an earlier run has left goes first. LAB_KEEP=1 leaves it standing."""
    gone = run("make", "destroy")
    assert gone.rc == 0, gone.said[-3000:]
    yield run
    if not os.environ.get("LAB_KEEP"):
        run("make", "destroy")


@pytest.fixture
def serving():
    """A lab that serves, whatever its version: deployed by the tests before, or here."""
    try:
        there = get("/ready")["status"] == "ready"
    except OSError:
        there = False
    if not there:
        done = run(*MAKE_DEPLOY)
        assert done.rc == 0, done.said[-5000:]
    return run


@pytest.fixture
def standing(serving):
    """A lab that serves 1.0.0 with the schema that belongs to it, and the release to upgrade it to."""
    build = [sys.executable, "examples/api/build.py", "1.1.0", "-o", "dist/"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    back_to_the_start()
    return serving
