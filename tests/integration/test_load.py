"""The load of the zero-downtime proof, on two instances behind the edge's own configuration.

A rolling replacement that nobody notices is reported as such; and so that this means something, what is done badly is
reported too: an edge that stops, an instance that dies, sessions that are flushed.
"""

from __future__ import annotations

import signal
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.edge import Edge, app, running
from ansible_collections.nexod.infra.tests.programs import load

ROOT = Path(__file__).resolve().parents[2]


driver = load(ROOT / "tests" / "load" / "driver.py")
figures = load(ROOT / "tests" / "load" / "figures.py")
postgres, redis, old, new, bench, migrated = app.postgres, app.redis, app.old, app.new, app.bench, app.migrated

# Small and short: what is judged is the generator and the way of replacing, not this machine.
LOAD = {"sessions": 100, "rate": 50, "ramp": 2, "slow_seconds": 3, "websockets": 6, "echo_seconds": 1}


@pytest.fixture
def edge(migrated: t.Any, old: t.Any, tmp_path: Path) -> t.Iterator[Edge]:
    with running(migrated, old, ROOT / "examples" / "static_site", tmp_path) as it:
        yield it


def test_nobody_notices_a_rolling_replacement(edge: Edge, new: t.Any, tmp_path: Path) -> None:
    with driver.Load(f"http://127.0.0.1:{edge.port}", tmp_path / "report.json", max_seconds=120, **LOAD) as load:
        load.until_ready()
        load.mark("before")
        time.sleep(4)
        load.mark("during")
        for name in edge.instances:
            edge.replace(name, new)
        load.mark("after")
        time.sleep(4)
        report = load.end()
    print(figures.table(report))
    assert figures.faults(report) == []
    assert report["failures"] == []
    before = next(phase for phase in report["phases"] if phase["name"] == "before")
    # The rate is held whatever the machine does: requests come by the clock.
    assert before["per_second"] == pytest.approx(LOAD["rate"], rel=0.05)
    assert set(report["slow_calls"]["versions"]) == {"1.0.0", "1.1.0"}
    sockets = report["websockets"]
    # Each one was told to go once at least, and came back.
    assert set(sockets["closed"]) == {"1012"}
    assert sockets["opened"] == LOAD["websockets"] + sockets["closed"]["1012"]
    assert sockets["closed"]["1012"] >= LOAD["websockets"]


def test_nobody_notices_an_instance_that_leaves_by_itself(edge: Edge, tmp_path: Path) -> None:
    """As when somebody restarts the unit by hand: the edge has only /ready to hear of it."""
    with driver.Load(f"http://127.0.0.1:{edge.port}", tmp_path / "report.json", max_seconds=120, **LOAD) as load:
        load.until_ready()
        load.mark("leaving")
        edge.running["api-1"].terminate()
        assert edge.running["api-1"].wait(30) == 0
        time.sleep(1)
        report = load.end()
    print(figures.table(report))
    assert figures.faults(report) == []
    sockets = report["websockets"]
    assert set(sockets["closed"]) == {"1012"}
    # Each was told once to go: none came back to the instance that was leaving.
    assert sockets["closed"]["1012"] <= LOAD["websockets"]


def test_what_is_noticed_is_reported(edge: Edge, migrated: t.Any, old: t.Any, tmp_path: Path) -> None:
    with driver.Load(f"http://127.0.0.1:{edge.port}", tmp_path / "report.json", max_seconds=120, **LOAD) as load:
        load.until_ready()
        load.mark("stopped")
        edge.process.send_signal(signal.SIGSTOP)
        time.sleep(2.2)
        edge.process.send_signal(signal.SIGCONT)
        time.sleep(1)
        load.mark("killed")
        # The edge asks the other instance for whatever api-1 has never seen; so for a moment both are gone.
        edge.running["api-1"].kill()
        time.sleep(1)
        edge.running["api-2"].kill()
        time.sleep(1)
        for name in edge.instances:
            edge.start(name, old)
            edge.set_state(name, "ready")
        load.mark("flushed")
        for key in migrated.redis.ask("--scan", "--pattern", "session:*").split():
            migrated.redis.ask("DEL", key)
        # Every session is asked for within 4 s.
        time.sleep(4.5)
        report = load.end()
    print(figures.table(report))
    phases = {phase["name"]: phase for phase in report["phases"]}
    noted = {phase: [f for f in report["failures"] if f["phase"] == phase] for phase in phases}
    assert noted["start"] == []
    assert 2 <= phases["stopped"]["longest_stall"] < 4
    # Whoever came while it stood has waited for it, not only the first one.
    assert phases["stopped"]["p95"] > 1
    assert phases["killed"]["failed"] >= 1
    assert {"status 503"} <= {f["what"] for f in noted["killed"]}
    assert report["slow_calls"]["cut"] >= 1
    assert report["websockets"]["abnormal"] >= 1
    assert report["websockets"]["closed"]["1006"] == report["websockets"]["abnormal"]
    assert report["sessions"]["lost"] == LOAD["sessions"]
    words = {"requests failed", "sessions were lost", "slow calls were cut", "WebSockets were closed"}
    said = " ".join(figures.faults(report))
    assert [word for word in words if word not in said] == []
