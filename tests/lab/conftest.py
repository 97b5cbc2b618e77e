"""Labs that tests begin with."""

from __future__ import annotations

import os

import pytest

from ansible_collections.nexod.infra.tests.lab.faults.steps import back_to_the_start
from ansible_collections.nexod.infra.tests.lab.support import DEPLOY, get, run


@pytest.fixture(scope="session")
def lab():
    """Nothing before, nothing after: whatever an earlier run has left goes first. LAB_KEEP=1 leaves it standing."""
    gone = run("make", "destroy")
    assert gone.rc == 0, gone.said[-3000:]
    yield run
    if not os.environ.get("LAB_KEEP"):
        run("make", "destroy")


@pytest.fixture
def standing():
    """A lab that stands at 1.0.0 and its revision, deployed where it is not: by `make test` before, or here."""
    try:
        there = get("/ready")["status"] == "ready"
    except OSError:
        there = False
    if not there:
        done = run(*DEPLOY)
        assert done.rc == 0, done.said[-5000:]
    back_to_the_start()
    return run
