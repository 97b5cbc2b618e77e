"""The lab's own commands, as a newcomer types them, and what can be seen of the lab from outside."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access, ask

ROOT = Path(__file__).resolve().parents[2]
# The report of the lab's last run.
LATEST = ROOT / ".report" / "lab" / "latest"
EDGE = "http://10.213.77.61"
PROMETHEUS, ALERTMANAGER = "https://10.213.77.41:9090", "https://10.213.77.41:9093"
# What they are asked with: by whoever may read these two files of the lab.
MONITORING = Access(
    user="monitoring",
    password_file=str(ROOT / ".lab" / "secrets" / "monitoring"),
    ca_file=str(ROOT / ".lab" / "certificates" / "ca.crt"),
)
HOSTS = {
    *("api-1", "api-2", "cache-1", "db-1", "db-2", "db-3", "edge-1", "grafana-1", "monitoring-1", "pooler-1"),
}


# How quick the lab is while a test does things to it depends on the machine, and is the bench's to say.
UNHURRIED = """-e '{"verify_latency_targets": [], "backend_trial_latency_targets": []}'"""
# Rollouts that prepare a fault, or follow one, are watched more briefly: what trials find is tested elsewhere.
BRIEF = f"""{UNHURRIED} -e '{{"backend_trial_seconds": 3, "backend_trial_requests": 60, "backend_watch_seconds": 1}}'"""
# As a newcomer types them: they boot hosts that are down, and build the release.
MAKE_DEPLOY = ("make", "deploy", f"ARGS={BRIEF}")
MAKE_UPGRADE = ("make", "deploy", "VERSION=1.1.0", f"ARGS={BRIEF}")
# What they run on hosts that are up, in six seconds less.
ANSIBLE = (".venv/bin/ansible-playbook", "-i", "inventories/lab")
PLAYBOOK = (*ANSIBLE, "playbooks/deploy.yml")
DEPLOY = (*PLAYBOOK, *shlex.split(BRIEF))
UPGRADE = (*DEPLOY, "-e", "backend_version=1.1.0")
ROLL_BACK = (*ANSIBLE, "playbooks/roll_back.yml", *shlex.split(BRIEF))


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command ended: its rc, everything it said, and the report it left."""

    rc: int
    said: str
    report: dict
    seconds: float

    def counts(self, key: str) -> dict[str, int]:
        """A column of Ansible's recap by host, from the last recap said: what Ansible counted, not what we report."""
        recap = self.said.rpartition("PLAY RECAP")[2]
        return {host: int(number) for host, number in re.findall(rf"^(\S+) +:.*?\b{key}=(\d+)", recap, re.M)}

    def changes(self) -> list[str]:
        """What changed, or would, as comparable sentences."""
        return sorted(
            " ".join(row[key] for key in ("stage", "host", "action", "kind", "object", "fingerprint"))
            for row in self.report["changes"]
        )


def run(*argv: str, report: str = "", quiet: bool = False, latest: Path = LATEST, **environment: str) -> Done:
    """Run a command in the checkout, show its output as it comes, and read the report that it has left in `latest`."""
    report = report or ("deploy-plan" if "plan" in argv else "deploy")
    others = ("ANSIBLE_", "NEXOD_", "MAKE")
    # `make test ARGS=lab` passes its variables on to every make below it.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(others) and name not in ("ARGS", "ENV", "VERSION")
    }
    before = latest.resolve()
    begun, lines = time.monotonic(), []
    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**kept, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if not quiet:
                sys.stdout.write(f"    {line}")
                sys.stdout.flush()
            lines.append(line)
    path = latest / f"{report}.json"
    # The link is as before where the run has left no report.
    found = json.loads(path.read_text()) if latest.resolve() != before and path.exists() else {}
    return Done(process.returncode, "".join(lines), found, time.monotonic() - begun)


def interrupted(at: str, what: str, after: float = 0.0) -> dict[str, str]:
    """The environment in which a run is interrupted at a task or stage (callbacks/interrupt.py)."""
    return {
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "lab" / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "nexod.infra.summary,nexod.infra.survey,interrupt",
        "INTERRUPT_AT": at,
        "INTERRUPT_WITH": what,
        "INTERRUPT_AFTER": str(after),
    }


def on(host: str, command: str) -> str:
    """What a shell command on a host of the lab says."""
    argv = ["podman", "exec", f"nexod-lab-{host}", "sh", "-c", command]
    return subprocess.run(argv, capture_output=True, text=True, check=True, errors="replace").stdout


def get(path: str, base: str = EDGE) -> dict:
    """What the edge answers to a user."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{base}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def ask_monitoring(path: str, base: str = PROMETHEUS) -> t.Any:
    """What the lab's Prometheus or Alertmanager answers to who may ask it."""
    answer = ask(f"{base}{path}", access=MONITORING)
    if answer.status != 200:
        raise OSError(f"{base}{path}: {answer.status or ''} {answer.reason} {answer.body[:200]}")
    return answer.document


def panels(documents: str) -> list[tuple[str, str, list[str]]]:
    """The dashboards in a text of JSON documents: uid, title and expressions of each panel that asks something."""
    decoder, found = json.JSONDecoder(), []
    while documents := documents.lstrip():
        board, end = decoder.raw_decode(documents)
        documents = documents[end:]
        found += [
            (board["uid"], panel["title"], [target["expr"] for target in panel["targets"]])
            for panel in board["panels"]
            if panel.get("targets")
        ]
    return found


def has_data(expression: str) -> bool:
    """Whether the lab's Prometheus has a number for an expression of a dashboard; NaN is none."""
    for variable, value in (("$__rate_interval", "2m"), ("$environment", ".*"), ("$instance", ".*")):
        expression = expression.replace(variable, value)
    found = ask_monitoring(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    return any(row["value"][1] != "NaN" for row in found["data"]["result"])


def secrets(folder: Path = ROOT / ".lab") -> list[str]:
    """Every secret that the lab has made, what is derived from one, and a line of each private key."""
    made = [path.read_text().split()[0] for path in (folder / "secrets").rglob("*") if path.is_file()]
    monitoring = folder / "secrets" / "monitoring"
    derived = [exporters_password(monitoring.read_text().split()[0])] if monitoring.exists() else []
    keys = [path.read_text().splitlines()[1] for path in (folder / "certificates").glob("*.key")]
    return [*made, *derived, *keys]


def exporters_password(monitoring: str) -> str:
    """What every host has for its exporters."""
    return hashlib.sha256(f"exporters {monitoring}".encode()).hexdigest()


# Everything that a deploy could write, with size, mode, owner and content; what runs by itself writes elsewhere.
FILES = (
    "find /etc /opt /root /usr/local /home /srv -xdev ! -path '*/.ansible/*' ! -name '.ansible' ! -path /etc/hosts"
    " ! -path '/etc/resolv.conf' ! -name '*.pyc' ! -name '__pycache__' ! -path '/root' -printf '%p %s %m %U %l %T@\\n'"
    " | sort"
)
ABOUT = "dpkg-query -W; cat /etc/passwd; systemctl list-unit-files --no-legend --no-pager; systemctl list-units --no-legend --no-pager --plain --type=service --state=active | awk '{print $1}' | grep -v '^user@\\|session'"  # noqa: E501
DATABASE = (
    "test -x /usr/bin/pg_dumpall && runuser -u postgres -- pg_dumpall 2>/dev/null | grep -v '^.restrict\\|^.unrestrict'"
    " || true"
)
REDIS = r"""test -x /usr/bin/redis-cli && REDISCLI_AUTH=$(cat) redis-cli --no-auth-warning --scan | sort || true"""


def snapshot() -> dict[str, str]:
    """The lab as it is: files, packages, accounts, units, database, Redis, and calls that changed something in AWS."""
    seen = {}
    for host in sorted(HOSTS):
        seen[f"{host} files"] = on(host, FILES)
        seen[f"{host} about"] = on(host, ABOUT)
    seen["database"] = hashlib.sha256(on("db-1", DATABASE).encode()).hexdigest()
    password = (
        (ROOT / ".lab" / "secrets" / "cache").read_text().split()[0] if (ROOT / ".lab/secrets/cache").exists() else ""
    )
    argv = ["podman", "exec", "-i", "nexod-lab-cache-1", "sh", "-c", REDIS]
    keys = subprocess.run(argv, input=password, capture_output=True, text=True, check=True).stdout
    # A lifetime runs out by itself; that nothing new came is what can be said of the caches.
    seen["sessions"] = "\n".join(key for key in keys.splitlines() if key.startswith("session:"))
    log = ROOT / ".lab" / "services" / "moto.log"
    calls = log.read_text(errors="replace") if log.exists() else ""
    seen["AWS calls that change"] = str(len(re.findall(r'"(?:PUT|POST|DELETE|PATCH) ', calls)))
    return seen


def difference(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Lines that only one of two snapshots has, each behind the name of what it belongs to."""
    found = []
    for name, text in before.items():
        old, new = set(text.splitlines()), set(after[name].splitlines())
        found += [f"{name}: - {line}" for line in sorted(old - new)] + [
            f"{name}: + {line}" for line in sorted(new - old)
        ]
    return found


# What a deploy brings: what services read (not the number of the generation, nor when), what runs, what is stored.
STATE = """
for set in /etc/nexod/*/; do
  cd "$set" && find -L current -type f -printf '%p %m %U\\n' -exec sha256sum {} + | sort
  readlink current live | cut -d- -f2
done
ls /opt/api 2>/dev/null
systemctl is-active $(ls /etc/nexod/*/current/*.service 2>/dev/null | xargs -rn1 basename | grep -v exporter) 2>&1
find /etc/systemd/system -lname '/etc/nexod/*' | sort
ls -A /etc/nexod/*/generations | grep staging
true
"""
SCHEMA = """
cd / && runuser -u postgres -- pg_dump --schema-only app | grep -v '^.restrict\\|^.unrestrict'
runuser -u postgres -- psql -Atc 'select version_num from alembic_version' app
"""
EDGE_STATE = """python3 -c "
import socket
talk = socket.socket(socket.AF_UNIX)
talk.connect('/run/haproxy/admin.sock')
talk.send(b'show stat api 4 -1\\n')
for row in talk.makefile().read().splitlines():
    if ',' in row:
        print(row.split(',')[1], row.split(',')[17])
"
"""


def state() -> dict[str, str]:
    """What two labs that were deployed alike have in common."""
    seen = {host: on(host, STATE) for host in sorted(HOSTS)}
    return {**seen, "schema": on("db-1", SCHEMA), "edge": on("edge-1", EDGE_STATE)}


# Of an upgrade that nothing disturbed: how many tasks it had, and the state that it led to.
UNDISTURBED: list[tuple[int, dict[str, str]]] = []


def remember_undisturbed(count: Path) -> None:
    """Keep what later tests compare with; `count` is what the run wrote its number of tasks to."""
    UNDISTURBED[:] = [(int(count.read_text()), state())]


@dataclasses.dataclass
class Served:
    """What users at the edge were told meanwhile."""

    answers: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    versions: set[str] = dataclasses.field(default_factory=set)
    longest_stall: float = 0.0


@contextlib.contextmanager
def meanwhile(act: Callable[[], None], over: threading.Event) -> Iterator[None]:
    """Run `act` beside the block; it ends once `over` is set, at the block's end."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def users(paths: Sequence[str] = ("/health", "/dashboard"), every: float = 0.1, base: str = EDGE) -> Iterator[Served]:
    """Ask the edge all the while, ten times a second, and keep what went wrong."""
    served, over = Served(), threading.Event()

    def ask() -> None:
        number, good = 0, time.monotonic()
        while not over.wait(every):
            path = paths[number % len(paths)]
            number += 1
            try:
                said = get(path, base)
            except (OSError, ValueError) as error:
                served.failures.append(f"{time.strftime('%X')} {path}: {error}")
                continue
            served.answers += 1
            if isinstance(said, dict) and "version" in said:
                served.versions.add(said["version"])
            served.longest_stall = max(served.longest_stall, time.monotonic() - good)
            good = time.monotonic()

    with meanwhile(ask, over):
        yield served
