"""Outages that a health check does not show: verify looks for them each time, and names what is wrong."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.nexod.infra.tests.lab.support import get, on, run

VERIFY = (".venv/bin/ansible-playbook", "-i", "inventories/lab", "playbooks/stages/verify.yml")
PSQL = "cd / && runuser -u postgres -- psql -q app -c"


def values() -> tuple[str, ...]:
    """Of the version that the tests before have left; what is broken, or was repaired, is seen within two scrapes.

    The tasks of a user that nobody has asked for are in no cache.
    """
    given = {
        "backend_version": get("/health")["version"],
        "verify_latency_targets": [],
        "verify_wait_seconds": 12,
        "verify_error_window_seconds": 15,
        "verify_traffic_paths": [f"/tasks?user_id={int(time.time())}"],
    }
    return "-e", json.dumps(given)


@pytest.mark.parametrize(
    ("host", "breaks", "repairs", "says"),
    [
        pytest.param(
            "db-2",
            "systemctl stop postgresql@15-main",
            "systemctl start postgresql@15-main",
            "PostgreSQL does not answer its exporter: instance=db-2",
            id="a replica is dead",
        ),
        pytest.param(
            "db-1",
            f"{PSQL} 'ALTER TABLE tasks RENAME TO tasks_away'",
            f"{PSQL} 'ALTER TABLE tasks_away RENAME TO tasks'",
            "requests failed (HTTP 500",
            id="the API answers with errors",
        ),
    ],
)
def test_an_outage_is_seen(serving, host: str, breaks: str, repairs: str, says: str) -> None:
    on(host, breaks)
    try:
        assert get("/ready")["status"] == "ready"
        done = run(*VERIFY, *values(), report="verify", quiet=True)
    finally:
        on(host, repairs)
    assert done.rc != 0
    assert any(says in failure["message"] for failure in done.report["failures"]), done.said[-3000:]


def test_what_is_repaired_is_good_again(serving) -> None:
    done = run(*VERIFY, *values(), "-e", "verify_wait_seconds=60", report="verify", quiet=True)
    assert done.rc == 0, done.said[-3000:]
    assert {row["verdict"] for row in done.report["verdict"]["errors"]} <= {"met", "not enough data"}
