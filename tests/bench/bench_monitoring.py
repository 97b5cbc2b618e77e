"""How long monitoring takes: second runs of the roles against those of others, evaluation of the rules, the verdict.

    bench_monitoring.py [--rounds 3] [--prometheus-collection PATH] [--parts prometheus grafana rules]

Two equal hosts of one release: ours has the roles of this collection, the other prometheus.prometheus (if a checkout of
it is given) and grafana.grafana (part of the package `ansible`). Second runs in turn, by the same ansible-playbook.
Grafana is its stand-in for both, whose package is on the peer's host beforehand, so that grafana.grafana downloads
nothing. prometheus.prometheus downloads from a server on this machine, which has Debian's Prometheus in the form of an
archive of upstream.

Rules and verdict: Prometheus of Debian 13 scrapes an API with 300 endpoints each second and evaluates all rules of the
collection. It ends with 1 where an aim is missed or a second run of ours changes something.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import http.server
import importlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import typing as t
import urllib.parse
import urllib.request
from pathlib import Path

import yaml
from bench_hosts import BIN, ROOT, Hosts

HERE = Path(__file__).resolve().parent / "monitoring"
HOSTS = Hosts("bench-monitoring", "10.213.82", ("ours", "peers"))
CACHE = HOSTS.cache
PASSWORD = "bench-only-password"
#: Of the peer's time.
AIMS = {"prometheus": 1 / 4, "grafana": 1 / 6}
PARTS = ("prometheus", "grafana", "rules")
ENDPOINTS, RULES_AIM, VERDICT_AIM = 300, 0.3, 2.0
#: Boundaries of the histogram, as the latency table needs them.
BUCKETS = ("0.05", "0.1", "0.2", "0.3", "0.5", "1.0", "2.5", "+Inf")

# As Ansible finds the collection.
sys.path.insert(0, str(ROOT / ".collections"))
rule_files = importlib.import_module("ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.rule_file")
monitoring_programs = importlib.import_module("ansible_collections.nexod.infra.tests.fixtures.monitoring_programs")


# -- second runs


def playbook(name: str, *arguments: str, collections: str = "") -> tuple[float, str]:
    """Run one of the playbooks on the hosts; its seconds and its output."""
    return HOSTS.playbook(HERE / f"{name}.yml", *arguments, collections=collections)


def archive(folder: Path) -> str:
    """Write an archive of Prometheus as upstream's, with its sums; returns the version."""
    binaries = monitoring_programs.programs("trixie")
    said = subprocess.run([binaries / "prometheus", "--version"], capture_output=True, text=True, check=True)
    version = re.findall(r"version (\d+\.\d+\.\d+)", said.stdout + said.stderr)[0]
    top = f"prometheus-{version}.linux-amd64"
    path = folder / f"{top}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("prometheus", "promtool"):
            tar.add(binaries / name, f"{top}/{name}")
        for name in ("consoles", "console_libraries"):
            tar.add(binaries.parents[1] / "usr/share/doc/prometheus/examples" / name, f"{top}/{name}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "sha256sums.txt").write_text(f"{digest}  {path.name}\n")
    return version


@contextlib.contextmanager
def served(handler: t.Callable[..., http.server.BaseHTTPRequestHandler]) -> t.Iterator[int]:
    """A server on the loopback address; its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: t.Any) -> None:
        """Nothing: the figures are what is printed."""


Run = t.Callable[[], tuple[float, str]]


def compare(name: str, ours: Run, peer: Run, rounds: int) -> bool:
    """First runs, then second ones in turn; whether the aim is met."""
    ours()
    peer()
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for _number in range(rounds):
        seconds, said = ours()
        if changed := re.findall(r"changed=([1-9]\d*)", said):
            sys.exit(f"{name}: our second run changed {changed[0]}:\n{said[-2000:]}")
        times["ours"].append(seconds)
        times["peer"].append(peer()[0])
    middle = {key: statistics.median(found) for key, found in times.items()}
    ratio = middle["ours"] / middle["peer"]
    met = ratio <= AIMS[name]
    print(
        f"{name}, second run: ours {middle['ours']:.1f} s, peer {middle['peer']:.1f} s, ratio {ratio:.2f} "
        f"(aim: {AIMS[name]:.2f}, {'met' if met else 'missed'})",
        flush=True,
    )
    return met


def prometheus(collection: Path, rounds: int) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        version = archive(Path(folder))
        collections = CACHE / "collections"
        link = collections / "ansible_collections/prometheus/prometheus"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(collection.resolve())
        with served(functools.partial(Quiet, directory=folder)) as port:
            base = f"http://127.0.0.1:{port}"
            values = {
                "peer": "prometheus.prometheus.prometheus",
                "prometheus_version": version,
                "prometheus_binary_url": f"{base}/prometheus-{version}.linux-amd64.tar.gz",
                "prometheus_checksums_url": f"{base}/sha256sums.txt",
            }
            return compare(
                "prometheus",
                lambda: playbook("prometheus_ours"),
                lambda: playbook("prometheus_peer", "-e", json.dumps(values), collections=str(collections)),
                rounds,
            )


def grafana(rounds: int) -> bool:
    package = CACHE / "grafana.deb"
    build = [sys.executable, ROOT / "tests/fixtures/grafana_stand_in/build.py", package]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["podman", "cp", package, "bench-monitoring-peers:/srv/grafana.deb"], check=True)
    dashboards = CACHE / "dashboards"
    dashboards.mkdir(exist_ok=True)
    for number in range(5):
        board = {"uid": f"bench-{number}", "title": f"Bench {number}", "schemaVersion": 39, "panels": []}
        (dashboards / f"bench-{number}.json").write_text(json.dumps(board))
    values = json.dumps({"package": str(package), "dashboards": str(dashboards), "password": PASSWORD})
    return compare(
        "grafana",
        lambda: playbook("grafana_ours", "-e", values),
        lambda: playbook("grafana_peer", "-e", values),
        rounds,
    )


# -- rules and verdict


def exposition(passed: float) -> str:
    """What an API with many endpoints shows after this time: each has two requests a second, of which none is slow."""
    count = int(passed * 2)
    lines = []
    for number in range(ENDPOINTS):
        labels = f'endpoint="/things/{number}",method="GET"'
        lines += [f'http_request_duration_seconds_bucket{{{labels},le="{le}"}} {count}' for le in BUCKETS]
        lines += [f"http_request_duration_seconds_count{{{labels}}} {count}"]
        lines += [
            f'http_requests_total{{{labels},status="200"}} {count}',
            f'http_requests_total{{{labels},status="500"}} 0',
        ]
    return "# TYPE http_request_duration_seconds histogram\n" + "\n".join(lines) + "\n"


class Api(Quiet):
    begun = time.monotonic()

    def do_GET(self) -> None:
        body = exposition(time.monotonic() - self.begun).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)


def variables(role: str) -> dict[str, t.Any]:
    path = ROOT / "roles" / role / "meta/environment.yml"
    found: dict[str, t.Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["variables"]
    return found


def ask(base: str, expression: str) -> list[float]:
    url = f"{base}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return [float(row["value"][1]) for row in json.load(answer)["data"]["result"]]


@contextlib.contextmanager
def evaluating(folder: Path, port: int) -> t.Iterator[str]:
    """A Prometheus that scrapes the API and evaluates all rules; its URL."""
    tables = rule_files.default_tables(variables("environment"), variables("prometheus"))
    (folder / "rules.yml").write_text(yaml.safe_dump(rule_files.rule_document(tables)))
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "2s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "api", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = free.getsockname()[1]
    command = [
        monitoring_programs.programs("trixie") / "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{own}",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log, stdout=log) as server:
        try:
            yield f"http://127.0.0.1:{own}"
        finally:
            server.terminate()


def rules_and_verdict(rounds: int) -> bool:
    with tempfile.TemporaryDirectory() as name, served(Api) as port, evaluating(Path(name), port) as base:
        ends = time.monotonic() + 300
        # Until the windows of the rules are full, they are cheaper than they will be.
        while not _answers(base) or sum(ask(base, "count_over_time(up[5m])")) < 290:
            if time.monotonic() > ends + 60:
                sys.exit(f"Prometheus has no data after 6 minutes:\n{Path(name, 'log').read_text()[-2000:]}")
            time.sleep(1)
        rules = statistics.median(_evaluation(base) for _number in range(rounds))
        # In turn, so that other work on the machine slows down both.
        seconds = [(_verdict(base), _executed("ansible.builtin.ping", {"data": "pong"})) for _number in range(rounds)]
    verdict = statistics.median(own - start for own, start in seconds)
    start = statistics.median(start for _own, start in seconds)
    print(f"all rules, {ENDPOINTS} endpoints: {rules:.2f} s (aim: {RULES_AIM} s, {_met(rules <= RULES_AIM)})")
    # An empty module is started, packed and executed just the same.
    print(
        f"verdict: {verdict:.2f} s longer than the {start:.2f} s of ansible with an empty module"
        f" (aim: {VERDICT_AIM} s, {_met(verdict <= VERDICT_AIM)})"
    )
    return rules <= RULES_AIM and verdict <= VERDICT_AIM


def _met(good: bool) -> str:
    return "met" if good else "missed"


def _answers(base: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(ask(base, "up"))
    return False


def _evaluation(base: str) -> float:
    """Seconds of the next evaluation of all groups."""
    before = _groups(base)
    while any(_groups(base)[name][0] == last for name, (last, _seconds) in before.items()):
        time.sleep(0.2)
    return sum(seconds for _last, seconds in _groups(base).values())


def _groups(base: str) -> dict[str, tuple[str, float]]:
    """Of each group, when it was evaluated last, and how long that took."""
    with urllib.request.urlopen(f"{base}/api/v1/rules", timeout=10) as answer:
        groups = json.load(answer)["data"]["groups"]
    return {group["name"]: (group["lastEvaluation"], float(group["evaluationTime"])) for group in groups}


def _verdict(base: str) -> float:
    """Seconds of ansible with the module, as a task of a deploy executes it."""
    source = {"histogram": "http_request_duration_seconds", "matchers": 'job="api"'}
    targets = [row for row in variables("environment")["infra_latency_targets"] if row["metric"] == "api"]
    # The data is there: the module does not wait for another scrape of every target.
    given = {"window_seconds": 60, "unchanged_seconds": 60}
    arguments = {"url": base, "targets": targets, "sources": {"api": source}, **given}
    return _executed("nexod.infra.latency_verdict", arguments)


def _executed(module: str, arguments: dict[str, t.Any]) -> float:
    """Seconds of ansible with one module."""
    command = [BIN / "ansible", "localhost", "-m", module, "-a", json.dumps(arguments)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections")}
    begun = time.monotonic()
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{module} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--prometheus-collection", type=Path, help="a checkout of prometheus.prometheus to compare with"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure, by default all")
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores, {given.rounds} rounds", flush=True)
    met = []
    with HOSTS.booted() if {"prometheus", "grafana"} & set(given.parts) else contextlib.nullcontext():
        if "prometheus" in given.parts and given.prometheus_collection:
            met.append(prometheus(given.prometheus_collection, given.rounds))
        elif "prometheus" in given.parts:
            print("prometheus: not compared; give a checkout of prometheus.prometheus by --prometheus-collection")
        if "grafana" in given.parts:
            # The data source that Grafana asks.
            playbook("prometheus_ours")
            met.append(grafana(given.rounds))
    if "rules" in given.parts:
        met.append(rules_and_verdict(given.rounds))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
