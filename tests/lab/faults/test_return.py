"""Releases made to fail: the deploy ends with failure, the version before serves, and no user met the bad one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.nexod.infra.tests.lab.support import PLAYBOOK, ROOT, UPGRADE, get, on, run, users

RUNNING = "systemctl show api --property=MainPID --value; readlink /etc/nexod/api/current /etc/nexod/api/live"


@pytest.mark.parametrize(
    ("version", "fault", "says"),
    [
        pytest.param("1.1.2", "fails-later", "500", id="gets ready, then fails its health checks"),
        pytest.param("1.1.1", "never-ready", "503", id="never gets ready", marks=pytest.mark.long),
        pytest.param("1.1.3", "errors", "500", id="answers some requests badly", marks=pytest.mark.long),
        pytest.param("1.1.4", "slow", "within", id="breaks the latency table", marks=pytest.mark.long),
        pytest.param("1.1.5", "leaks", "memory", id="leaks until it is killed", marks=pytest.mark.long),
    ],
)
def test_a_bad_release_goes_back_by_itself(standing, version: str, fault: str, says: str) -> None:
    built = [sys.executable, "examples/api/build.py", version, "--fault", fault, "-o", "dist/"]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    untouched, before = on("api-2", RUNNING), on("api-1", RUNNING).splitlines()[1:]
    with users(("/health", "/dashboard", "/tasks?user_id=1")) as served:
        done = run(*PLAYBOOK, "-e", f"backend_version={version}", quiet=True)
    assert done.rc != 0
    # No user met it, no request failed by it, and the second instance never knew of it.
    assert served.failures == []
    assert served.versions == {"1.0.0"}
    assert on("api-2", RUNNING) == untouched
    assert on("api-1", RUNNING).splitlines()[1:] == before
    assert get("/health")["version"] == "1.0.0"
    failure = done.report["failures"][-1]
    assert (failure["stage"], failure["host"]) == ("backend", "api-1")
    assert says in failure["message"].lower(), failure["message"]
    assert "last log lines" in failure["message"]
    assert "The rollout ended at api-1" in failure["message"]
    assert "version 1.0.0" in failure["message"]
    # The summary, which is what a person at night reads first, says the same.
    assert "The rollout ended at api-1" in done.said.rpartition("lab: deploy FAILED")[2]
    # The way forward is open: the next good release goes out as if nothing had been.
    again = run(*UPGRADE, quiet=True)
    assert again.rc == 0, again.said[-5000:]
    assert get("/health")["version"] == "1.1.0"
