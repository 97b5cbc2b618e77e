"""Labs that tests begin with."""

from __future__ import annotations

import contextlib
import os

import pytest

from ansible_collections.nexod.infra.tests.lab.support import get, run


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
    """A lab that stands at 1.0.0, deployed where it is not: by `make test` before, or here."""
    try:
        ready = get("/health")["version"] == "1.0.0" and get("/ready")["status"] == "ready"
    except OSError:
        ready = False
    if not ready:
        assert run("make", "lab_up", report="lab_up").rc == 0
        version = "1.0.0"
        with contextlib.suppress(OSError):
            version = get("/health")["version"]
        done = run("make", "deploy") if version == "1.0.0" else run("make", "roll-back", report="roll_back")
        assert done.rc == 0, done.said[-5000:]
    return run
