"""The entry point of a host: HAProxy and static files as the roles configure them, in front of two instances."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
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

ROOT = Path(__file__).resolve().parents[1]
# The application's own tests know how to build, install and run it.
app = load(ROOT / "examples" / "api" / "tests" / "conftest.py", "example_api_conftest")


@dataclasses.dataclass
class Edge:
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
        options |= {"least_serving": 1, "must_exist": True, "timeout": "30s", "enable_after": None}
        return haproxy_server.apply(Haproxy(str(self.admin)), options, check_mode=False)

    def replace(self, name: str, release: t.Any) -> None:
        """One instance as roles/backend/tasks/replace.yml does it."""
        assert self.set_state(name, "drain")["requests"] == 0
        self.running[name].terminate()
        assert self.running[name].wait(30) == 0
        self.start(name, release)
        self.set_state(name, "ready")


@contextlib.contextmanager
def running(bench: t.Any, release: t.Any, files: Path, folder: Path) -> t.Iterator[Edge]:
    """Two instances of the release, and the static files in `files`, which may be a link that is changed later."""
    instances = {"api-1": app.free_port(), "api-2": app.free_port()}
    static, port = app.free_port(), app.free_port()
    values = yaml.safe_load((ROOT / "roles/haproxy/defaults/main.yml").read_text())
    wiring = yaml.safe_load((ROOT / "roles/haproxy/meta/environment.yml").read_text())["variables"]
    values |= {name: value for name, value in wiring.items() if "{{" not in str(value)}
    values |= {"haproxy_port": port, "haproxy_metrics_port": app.free_port(), "haproxy_static_port": static}
    # The metrics are not protected here.
    values |= {"__haproxy_runtime": folder, "__haproxy_metrics_tls": ""}
    values["haproxy_servers"] = [{"name": n, "host": "127.0.0.1", "port": p} for n, p in instances.items()]
    source = (ROOT / "roles/haproxy/templates/haproxy.cfg.j2").read_text()
    # As Ansible renders.
    rendering = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    rendering.filters["bool"] = bool
    template = rendering.from_string(source)
    configuration = folder / "haproxy.cfg"
    configuration.write_text(template.render(values) + "\n")
    path = f"{os.environ['PATH']}:/usr/sbin"
    environment = {**os.environ, "PATH": path}
    web_server = [sys.executable, "-m", "http.server", "--protocol", "HTTP/1.1", "--bind", "127.0.0.1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with contextlib.ExitStack() as stack:
        started: dict[str, subprocess.Popen[bytes]] = {}

        def stop() -> None:
            for process in started.values():
                process.kill()
                process.wait()

        stack.callback(stop)
        web = subprocess.Popen([*web_server, "--directory", files, str(static)], **quiet)
        stack.callback(web.wait)
        stack.callback(web.kill)
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", configuration], env=environment, **quiet)
        stack.callback(haproxy.wait)
        stack.callback(haproxy.kill)
        it = Edge(port, folder / "admin.sock", haproxy, instances, started, bench)
        for name in instances:
            it.start(name, release)
        app.wait_for_port(port, haproxy)
        for name in instances:
            it.set_state(name, "ready")
        yield it
