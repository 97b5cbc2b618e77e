"""The load of the zero-downtime proof, on two instances behind the edge's own configuration.

A rolling replacement that nobody notices is reported as such; and so that this means something, what is done badly is
reported too: an edge that stops, an instance that dies, sessions that are flushed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._backend.haproxy import Haproxy
from ansible_collections.nexod.infra.plugins.modules import haproxy_server
from ansible_collections.nexod.infra.tests.programs import load

ROOT = Path(__file__).resolve().parents[2]


# The application's own tests know how to build, install and run it.
app = load(ROOT / "examples" / "api" / "tests" / "conftest.py", "example_api_conftest")
driver = load(ROOT / "tests" / "load" / "driver.py")
figures = load(ROOT / "tests" / "load" / "figures.py")
postgres, redis, old, new, bench, migrated = app.postgres, app.redis, app.old, app.new, app.bench, app.migrated

# Small and short: what is judged is the generator and the way of replacing, not this machine.
LOAD = {"sessions": 100, "rate": 50, "ramp": 2, "slow_seconds": 3, "websockets": 6, "echo_seconds": 1}


@dataclasses.dataclass
class Edge:
    """HAProxy and static files as the roles configure them, in front of two instances."""

    port: int
    admin: Path
    process: subprocess.Popen[bytes]
    instances: dict[str, int]
    running: dict[str, subprocess.Popen[bytes]]
    bench: t.Any

    def start(self, name: str, release: t.Any) -> None:
        argv = [release.venv / "bin" / "nexod-api", "serve", "--port", str(self.instances[name])]
        # As on a host: what the unit does not say is the application's default.
        environment = {k: v for k, v in self.bench.environment().items() if k != "API_NOTICE_SECONDS"}
        self.running[name] = subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            connection = http.client.HTTPConnection("127.0.0.1", self.instances[name], timeout=2)
            with contextlib.closing(connection), contextlib.suppress(OSError):
                connection.request("GET", "/ready")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.1)
        pytest.fail(f"{name} is not ready after 20 s")

    def set_state(self, name: str, state: str) -> dict[str, t.Any]:
        options = {"backend": "api", "name": name, "state": state}
        options |= {"least_serving": 1, "must_exist": True, "timeout": "30s"}
        return haproxy_server.apply(Haproxy(str(self.admin)), options, check_mode=False)

    def replace(self, name: str, release: t.Any) -> None:
        """One instance as roles/backend/tasks/replace.yml does it."""
        assert self.set_state(name, "drain")["requests"] == 0
        self.running[name].terminate()
        assert self.running[name].wait(30) == 0
        self.start(name, release)
        self.set_state(name, "ready")


@pytest.fixture
def edge(migrated: t.Any, old: t.Any, tmp_path: Path) -> t.Iterator[Edge]:
    instances = {"api-1": app.free_port(), "api-2": app.free_port()}
    static, port = app.free_port(), app.free_port()
    values = yaml.safe_load((ROOT / "roles/haproxy/defaults/main.yml").read_text())
    wiring = yaml.safe_load((ROOT / "roles/haproxy/meta/environment.yml").read_text())["variables"]
    values |= {name: value for name, value in wiring.items() if "{{" not in str(value)}
    values |= {"haproxy_port": port, "haproxy_metrics_port": app.free_port(), "haproxy_static_port": static}
    # The metrics are not protected here.
    values |= {"__haproxy_runtime": tmp_path, "__haproxy_metrics_tls": ""}
    values["haproxy_servers"] = [{"name": n, "host": "127.0.0.1", "port": p} for n, p in instances.items()]
    source = (ROOT / "roles/haproxy/templates/haproxy.cfg.j2").read_text()
    # As Ansible renders.
    rendering = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    rendering.filters["bool"] = bool
    template = rendering.from_string(source)
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(template.render(values) + "\n")
    path = f"{os.environ['PATH']}:/usr/sbin"
    environment = {**os.environ, "PATH": path}
    files = [sys.executable, "-m", "http.server", "--protocol", "HTTP/1.1", "--bind", "127.0.0.1", str(static)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with contextlib.ExitStack() as stack:
        running: dict[str, subprocess.Popen[bytes]] = {}
        web = subprocess.Popen(files, cwd=ROOT / "examples" / "static_site", **quiet)
        stack.callback(web.wait)
        stack.callback(web.kill)
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", configuration], env=environment, **quiet)
        stack.callback(haproxy.wait)
        stack.callback(haproxy.kill)
        it = Edge(port, tmp_path / "admin.sock", haproxy, instances, running, migrated)
        for name in instances:
            it.start(name, old)
        app.wait_for_port(port, haproxy)
        for name in instances:
            it.set_state(name, "ready")
        yield it
        for process in running.values():
            process.kill()
            process.wait()


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
