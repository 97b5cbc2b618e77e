"""The whole way on the lab, in this order: from nothing, again, upgraded, rolled back, from the archive, destroyed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EDGE = "http://10.213.77.61"
HOSTS = {
    *("api-1", "api-2", "cache-1", "db-1", "db-2", "db-3", "edge-1", "grafana-1", "monitoring-1", "pooler-1"),
}
STAGES = [
    *("preflight", "lock", "infrastructure", "monitoring", "pooler", "migrate", "backend", "caches", "frontend"),
    "verify",
]


def get(path: str) -> dict:
    """What the edge answers to a user."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{EDGE}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def secrets() -> list[str]:
    """Every secret that the lab has made."""
    return [path.read_text().split()[0] for path in (ROOT / ".lab" / "secrets").rglob("*") if path.is_file()]


def changed(counts: dict[str, int]) -> dict[str, int]:
    return {host: number for host, number in counts.items() if number}


def installed(host: str) -> str:
    """What a deploy brings: packages, our files, accounts."""
    look = "dpkg-query -W; ls -A /etc/nexod /opt /etc/systemd/system 2>&1; cat /etc/passwd"
    argv = ["podman", "exec", f"nexod-lab-{host}", "sh", "-c", look]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_plan_from_bare_names_every_host_and_writes_nothing(lab) -> None:
    assert lab("make", "lab_up", report="lab_up").rc == 0
    before = {host: installed(host) for host in HOSTS}
    done = lab("make", "plan")
    assert done.rc == 0, done.said[-5000:]
    assert set(done.counts("failed").values()) == {0}
    assert set(changed(done.counts("changed"))) >= HOSTS
    assert {host: installed(host) for host in HOSTS} == before
    assert [secret for secret in secrets() if secret in done.said] == []


def test_deploy_from_nothing(lab) -> None:
    done = lab("make", "deploy")
    assert done.rc == 0, done.said[-5000:]
    assert set(done.counts("ok")) >= HOSTS
    assert set(done.counts("failed").values()) == {0}
    assert [stage["name"] for stage in done.report["stages"]] == STAGES
    assert done.report["outcome"] == "ok"
    assert done.report["environment"] == "lab"
    assert done.report["version"]["after"] == "1.0.0"
    assert done.report["revision"]["after"]
    assert done.report["urls"]
    # Nobody can know in advance how quick this machine is today; that a verdict was given, and was not bad, one can.
    assert done.report["verdict"]["verdict"] in {"met", "not enough data"}
    assert done.report["verdict"]["faults"] == []
    assert get("/health")["version"] == "1.0.0"
    assert get("/ready")["status"] == "ready"
    assert [secret for secret in secrets() if secret in done.said] == []


def test_deploy_again_changes_nothing(lab) -> None:
    done = lab("make", "deploy")
    assert done.rc == 0, done.said[-5000:]
    assert set(done.counts("changed")) >= HOSTS
    assert changed(done.counts("changed")) == {}
    assert done.report["changed_hosts"] == []
    assert done.report["version"]["before"] == done.report["version"]["after"] == "1.0.0"
    assert done.report["verdict"]["session"] == "kept"


def test_the_installed_archive_finds_nothing_to_do_either(lab) -> None:
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


def test_plan_says_the_upgrade_and_does_not_do_it(lab) -> None:
    done = lab("make", "plan", "VERSION=1.1.0")
    assert done.rc == 0, done.said[-5000:]
    assert done.report["check_mode"] is True
    assert "api-1" in changed(done.counts("changed"))
    assert get("/health")["version"] == "1.0.0"
    assert [secret for secret in secrets() if secret in done.said] == []


def test_upgrade(lab) -> None:
    done = lab("make", "deploy", "VERSION=1.1.0")
    assert done.rc == 0, done.said[-5000:]
    assert done.report["version"] == {"before": "1.0.0", "after": "1.1.0"}
    assert done.report["revision"]["before"] != done.report["revision"]["after"]
    assert done.report["migrations"]
    assert done.report["cache"]["deleted"] is not None
    assert done.report["verdict"]["session"] == "kept"
    assert get("/health")["version"] == "1.1.0"


def test_roll_back_returns_the_version_and_leaves_the_schema(lab) -> None:
    done = lab("make", "roll-back", report="roll_back")
    assert done.rc == 0, done.said[-5000:]
    assert get("/health")["version"] == "1.0.0"
    assert get("/ready")["status"] == "ready"


def test_destroy_leaves_nothing(lab) -> None:
    done = lab("make", "destroy")
    assert done.rc == 0, done.said[-3000:]
    names = subprocess.run(
        ["podman", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    assert [name for name in names.stdout.split() if name.startswith("nexod-lab")] == []
    assert not (ROOT / ".lab").exists()
