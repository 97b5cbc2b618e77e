"""Break one thing in the lab, and compare the messages that people get with those that they should get.

A fault is a row of a table: what breaks and repairs it (a context manager), and the messages that it leads to, each
with its receiver and the time within which it arrives. Everything else that arrives is one message too many.

Faults that have nothing to do with each other can be made `together`, so that the minutes for which an alert waits pass
for all of them at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ansible_collections.nexod.infra.tests.lab.support import ALERTMANAGER, EDGE, ROOT, ask_monitoring, get, on

#: What the receiver on this machine (tests/fixtures/webhook_receiver.py) has got.
WEBHOOKS = ROOT / ".lab" / "webhooks.jsonl"
#: The path at the receiver that only Watchdog is sent to.
DEAD_MAN = "/dead-man"
TEAM, ON_CALL = "team", "on-call"
#: Alerts that most often follow from another: an alert that fires after 90 s arrives within this time.
OBSERVED = 115.0
ADDRESSES = {
    "db-1": "10.213.77.11",
    "db-2": "10.213.77.12",
    "db-3": "10.213.77.13",
    "cache-1": "10.213.77.21",
    "pooler-1": "10.213.77.31",
    "monitoring-1": "10.213.77.41",
    "grafana-1": "10.213.77.42",
    "api-1": "10.213.77.51",
    "api-2": "10.213.77.52",
    "edge-1": "10.213.77.61",
}
REPLICAS = 2
LAB_SECONDS = 120.0
#: A replica that has been cut off needs a minute to notice it, and the primary another one.
CALM_SECONDS = 240.0
#: What a fault leads to begins to wait within this time, and a message is delivered within that one.
SETTLED, DELIVERED = 45.0, 15.0
#: Errors are counted over 5 minutes, and RecentOutage lasts for 8.
AFTERMATH = 900.0
#: Watchdog is sent every minute.
MINUTE = 65.0

Break = Callable[[], contextlib.AbstractContextManager[object]]


@dataclasses.dataclass(frozen=True)
class Message:
    """A message that a fault leads to: the alert, some of its labels, its receiver, the seconds that it may take."""

    alert: str
    receiver: str
    seconds: float
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def describes(self, sent: Sent) -> bool:
        return (self.alert, self.receiver) == (sent.alert, sent.receiver) and self.labels.items() <= sent.labels.items()


@dataclasses.dataclass(frozen=True)
class Load:
    """What users do meanwhile, in requests a minute: ordinary ones, some that the API answers with 500, slow pages."""

    requests: float = 240
    failing: float = 0
    slow_pages: float = 0

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> Load:
        """What users do while these faults are made together."""
        loads = [fault.load for fault in faults]
        return cls(
            max(load.requests for load in loads),
            sum(load.failing for load in loads),
            sum(load.slow_pages for load in loads),
        )

    def healthy(self) -> Load:
        """What users do before the fault, too."""
        return Load(self.requests)

    def unhealthy(self) -> Load:
        """What is part of the fault."""
        return Load(0, self.failing, self.slow_pages)


@dataclasses.dataclass(frozen=True)
class Fault:
    """A row. `observed` is for how long nothing else may arrive; `aftermath`, whether until all alerts have ended.

    Of what breaks the alerts themselves there is no message: `watchdog_ends` is the time after which the dead man no
    longer gets Watchdog, which a service outside of the environment reports.
    """

    name: str
    broken: Break
    messages: tuple[Message, ...]
    load: Load = Load()
    observed: float = OBSERVED
    together: str = ""
    aftermath: bool = False
    watchdog_ends: float | None = None


@dataclasses.dataclass(frozen=True)
class Sent:
    """An alert in a message that has arrived, and when."""

    alert: str
    receiver: str
    at: float
    labels: Mapping[str, str]

    def __str__(self) -> str:
        shown = {name: text for name, text in self.labels.items() if name in ("instance", "job", "proxy", "server")}
        return f"{self.alert} to {self.receiver} {shown or ''}".rstrip()


def sent(lines: Iterable[str]) -> list[Sent]:
    """The firing alerts in what the receiver has got, each once, in the order in which they came."""
    found: dict[tuple[str, str], Sent] = {}
    for line in lines:
        row = json.loads(line)
        if row["path"] == DEAD_MAN:
            continue
        for alert in row["body"]["alerts"]:
            if alert["status"] == "firing":
                receiver, labels = row["body"]["receiver"], alert["labels"]
                one = Sent(labels["alertname"], receiver, row["received"], labels)
                found.setdefault((receiver, json.dumps(labels, sort_keys=True)), one)
    return list(found.values())


def differences(expected: Sequence[tuple[Message, float]], arrived: Sequence[Sent], begun: float) -> list[str]:
    """What has arrived too late, not at all, or too much; each message comes with the time of its own fault."""
    wrong = []
    for message, since in expected:
        times = [one.at - since for one in arrived if message.describes(one)]
        what = f"{message.alert} to {message.receiver} {dict(message.labels) or ''}".rstrip()
        if not times:
            wrong.append(f"missing: {what}")
        elif min(times) > message.seconds:
            wrong.append(f"late: {what} after {min(times):.0f} s, not within {message.seconds:.0f} s")
    return wrong + [
        f"too much: {one} after {one.at - begun:.0f} s"
        for one in arrived
        if not any(message.describes(one) for message, _since in expected)
    ]


def watchdogs(lines: Iterable[str]) -> list[float]:
    """When Watchdog reached the dead man."""
    rows = (json.loads(line) for line in lines)
    return [row["received"] for row in rows if row["path"] == DEAD_MAN]


def still_alive(heard: Sequence[float], begun: float, undone: float, ends: float | None) -> list[str]:
    """What is wrong with Watchdog while something is broken: it comes every minute, or ends when it should."""
    if ends is None:
        return []
    late = [f"Watchdog still came after {at - begun:.0f} s" for at in heard if begun + ends < at < undone]
    return late + ([] if undone - begun > ends + MINUTE else ["too short to see that Watchdog no longer comes"])


def lines_from(position: int) -> list[str]:
    """Complete lines that the receiver has written since."""
    if not WEBHOOKS.exists():
        return []
    with WEBHOOKS.open("rb") as file:
        file.seek(position)
        return [line.decode() for line in file if line.endswith(b"\n")]


def position() -> int:
    return WEBHOOKS.stat().st_size if WEBHOOKS.exists() else 0


def until(what: str, met: Callable[[], object], seconds: float = LAB_SECONDS) -> None:
    """Wait for a condition. Asking may fail meanwhile."""
    limit, last = time.monotonic() + seconds, ""
    while time.monotonic() < limit:
        try:
            found = met()
            if found is True:
                return
            last = str(found)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            last = str(error)
        time.sleep(0.5)
    raise AssertionError(f"The lab is not as it should be after {seconds:.0f} s: {what}. Last: {last}")


def query(expression: str) -> dict[str, float]:
    """What Prometheus answers: the value of each series by its labels."""
    found = ask_monitoring(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    return {json.dumps(row["metric"], sort_keys=True): float(row["value"][1]) for row in found["data"]["result"]}


def active() -> list[str]:
    """The alerts that are neither muted nor silenced, apart from those that reach no one."""
    found = ask_monitoring("/api/v2/alerts?active=true&silenced=false&inhibited=false", ALERTMANAGER)
    return sorted(row["labels"]["alertname"] for row in found if row["labels"].get("severity") not in ("none", "mute"))


def calm() -> bool | str:
    """Whether everything is scraped and answers, and no alert fires or waits."""
    unwell = query("up == 0 or probe_success == 0 or pg_up == 0 or redis_up == 0 or pgbouncer_up == 0")
    # A replica that has been cut off notices it after a minute. Only one that follows can be seen to no longer follow.
    if (following := len(query("pg_replication_slots_active == 1"))) < REPLICAS:
        return f"{following} of {REPLICAS} replicas follow"
    waiting = query('ALERTS{alertname!~"Watchdog|RecentOutage|RecentCause"}')
    young = query("count_over_time(up[1m]) < 3")
    if unwell or waiting or young or len(query("up == 1")) < 20:
        return f"{[*unwell, *waiting]}, {len(young)} targets are young"
    # What is sent before Prometheus has looked for Alertmanager is lost, and would come a minute later.
    known = query("prometheus_notifications_alertmanagers_discovered == 1")
    routed = ask_monitoring("/api/v2/status", ALERTMANAGER)["cluster"]["status"]
    return len(known) == 1 and get("/ready")["status"] == "ready" and routed in ("ready", "disabled")


FORGET = (
    "systemctl stop prometheus prometheus-alertmanager;"
    " find /var/lib/prometheus/metrics2 /var/lib/prometheus/alertmanager -mindepth 1 -delete;"
    " systemctl start prometheus-alertmanager prometheus"
)


def forget() -> None:
    """Let Prometheus and Alertmanager begin anew, so that nothing of an earlier fault mutes or adds to the next one.

    An outage mutes what follows from it for 8 minutes after its end (RecentOutage).
    """
    # The daily check of the schema also runs some minutes after a deploy. What it has seen stays until the next one.
    on("pooler-1", "systemctl start api-migrate@check.service")
    on("monitoring-1", FORGET)
    until("all is well and no alert waits", calm, CALM_SECONDS)


# -- what users do


def request(method: str, path: str, body: object = None, seconds: float = 5) -> t.Any:
    """Ask the edge as a user; an answer that is no JSON, or none at all, is None."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"{EDGE}{path}", data, {"Content-Type": "application/json"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=seconds) as answer:
            return json.loads(answer.read() or b"null")
    except (OSError, ValueError):
        return None


def visit(number: int, session: list[str]) -> None:
    """One of the things that users do, by turns: mostly reads of what is cached, some writes, and sessions."""
    turn = number % 12
    if turn == 0 or not session:
        signed_in = request("POST", "/sessions", {"email": f"user-{number % 5}@example.com"})
        session[:] = [signed_in["id"]] if signed_in else []
    elif turn in (1, 4, 7, 10):
        request("GET", f"/sessions/{session[0]}")
    elif turn == 2:
        request("POST", "/tasks", {"user_id": 1, "title": f"Task {number}"})
    elif turn in (3, 6, 9):
        request("GET", "/tasks?user_id=2")
    else:
        request("GET", "/dashboard" if turn % 2 else "/")


def failing(_number: int, _session: list[str]) -> None:
    """A request that the API does not foresee: PostgreSQL stores no character 0."""
    request("POST", "/tasks", {"user_id": 1, "title": "\0"})


def slow_page(_number: int, _session: list[str]) -> None:
    """A browser reports that a page took long to show."""
    request("POST", "/web-vitals", {"name": "LCP", "value": 5000})


@contextlib.contextmanager
def users(load: Load) -> Iterator[None]:
    """Users who come at their own pace, however slow the answers are."""
    over = threading.Event()

    def come(act: Callable[[int, list[str]], None], every: float, first: float, step: int) -> None:
        session: list[str] = []
        due = time.monotonic() + first
        for number in itertools.count(int(first / max(every, 0.001)), step):
            if over.wait(max(0.0, due - time.monotonic())):
                return
            act(number, session)
            due = max(due + every, time.monotonic() - every)

    threads = []
    for act, rate in ((visit, load.requests), (failing, load.failing), (slow_page, load.slow_pages)):
        # As many at a time as are needed if each answer takes two seconds.
        people = max(1, round(rate / 30)) if rate else 0
        for person in range(people):
            every = 60 / rate * people
            arguments = (act, every, person * every / people, 1)
            threads.append(threading.Thread(target=come, args=arguments, daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(timeout=0.2)


# -- what breaks things: each a context manager that repairs what it has broken


@contextlib.contextmanager
def commands(host: str, break_: str, repair: str) -> Iterator[None]:
    """A shell command that breaks something on a host, and one that repairs it."""
    try:
        on(host, break_)
        yield
    finally:
        on(host, repair)


def shell(host: str, break_: str, repair: str) -> Break:
    return lambda: commands(host, break_, repair)


def stopped(host: str, unit: str) -> Break:
    return shell(host, f"systemctl stop '{unit}'", f"systemctl start '{unit}'")


def frozen(host: str, unit: str) -> Break:
    """Its processes no longer run, and its connections stay open."""
    return shell(host, f"systemctl kill -s STOP '{unit}'", f"systemctl kill -s CONT '{unit}'")


def all_of(*breaks: Break) -> Break:
    @contextlib.contextmanager
    def broken() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for each in breaks:
                stack.enter_context(each())
            yield

    return broken


def podman(*argv: str) -> str:
    return subprocess.run(["podman", *argv], check=True, capture_output=True, text=True).stdout.strip()


def machine_stopped(host: str) -> Break:
    """Its power fails."""

    @contextlib.contextmanager
    def broken() -> Iterator[None]:
        name = f"nexod-lab-{host}"
        try:
            podman("stop", "--time", "0", name)
            yield
        finally:
            podman("start", name)

    return broken


def inside(host: str) -> list[str]:
    """The beginning of a command that runs on this machine, with the network of a host."""
    return ["nsenter", "-t", podman("inspect", "-f", "{{.State.Pid}}", f"nexod-lab-{host}"), "-n"]


def firewall(host: str, *rules: str) -> Break:
    """Rules of iptables at the beginning of their chains, each written as `CHAIN rest`."""

    @contextlib.contextmanager
    def broken() -> Iterator[None]:
        begin, made = inside(host), []
        try:
            for rule in rules:
                chain, rest = rule.split(" ", 1)
                subprocess.run([*begin, "iptables", "-I", chain, *rest.split()], check=True)
                made.append(f"{chain} {rest}")
            yield
        finally:
            for rule in made:
                subprocess.run([*begin, "iptables", "-D", *rule.split()], check=True)

    return broken


def cut_off(host: str) -> Break:
    """A firewall drops everything from and to a host."""
    return firewall(host, "INPUT ! -i lo -j DROP", "OUTPUT ! -o lo -j DROP")


def slow_network(
    host: str,
    port: int,
    seconds: float,
    source: str = "0.0.0.0/0",
    reconnected: Break | None = None,
    every: int = 1,
) -> Break:
    """What others send to a port arrives later, and so do the answers; connections that exist are not affected.

    `every`: 10 for one in ten of what they send. `reconnected` makes clients connect anew before that begins: many that
    sign in slowly at once are another fault.
    """

    @contextlib.contextmanager
    def broken() -> Iterator[None]:
        begin, own = inside(host), 20000 + port % 20000
        redirect = ["PREROUTING", "-t", "nat", "-p", "tcp", "-s", source, "--dport", str(port)]
        redirect += ["-j", "REDIRECT", "--to-ports", str(own)]
        argv = [sys.executable, str(ROOT / "tests/lab/delay.py"), f"--port={own}", f"--to={ADDRESSES[host]}:{port}"]
        argv += [f"--seconds={seconds}", f"--every={every}", "--when-told"]
        with subprocess.Popen([*begin, *argv], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout
                assert process.stdout.readline()
                subprocess.run([*begin, "iptables", "-I", *redirect], check=True)
                try:
                    with (reconnected or nothing)():
                        process.send_signal(signal.SIGUSR1)
                        yield
                finally:
                    subprocess.run([*begin, "iptables", "-D", *redirect], check=True)
            finally:
                process.terminate()

    return broken


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    """Nothing is broken: the load is the fault."""
    yield


def slow_api(*hosts: str, **environment: float) -> Break:
    """The API takes longer for each request (slow_api.py, which reads `environment`); one instance after another."""
    folder, unit = "/usr/local/lib/chaos", "/run/systemd/system/api.service.d/chaos.conf"
    variables = " ".join(f"{name}={value}" for name, value in environment.items())

    @contextlib.contextmanager
    def one(host: str) -> Iterator[None]:
        name = f"nexod-lab-{host}"
        try:
            on(host, f"mkdir -p {folder} $(dirname {unit})")
            podman("cp", str(ROOT / "tests/lab/slow_api.py"), f"{name}:{folder}/sitecustomize.py")
            drop_in = f"[Service]\\nEnvironment=PYTHONPATH={folder} {variables}\\n"
            on(host, f"printf '{drop_in}' > {unit}; chmod -R a+rX {folder}")
            restart(host)
            yield
        finally:
            on(host, f"rm -rf {folder} $(dirname {unit})")
            restart(host)

    def restart(host: str) -> None:
        on(host, "systemctl daemon-reload; systemctl restart api")
        until(
            f"the API of {host} is ready", lambda: get("/ready", f"http://{ADDRESSES[host]}:8000")["status"] == "ready"
        )

    return all_of(*(lambda host=host: one(host) for host in hosts))


def redis_cli(*words: str) -> str:
    """A command on the lab's Redis, whose password is not in a command line."""
    password = (ROOT / ".lab/secrets/cache").read_text(encoding="utf-8").split()[0]
    inner = f"REDISCLI_AUTH=$(cat) redis-cli --no-auth-warning {shlex.join(words)}"
    argv = ["podman", "exec", "-i", "nexod-lab-cache-1", "sh", "-c", inner]
    return subprocess.run(argv, input=password, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def reconnected_redis() -> Iterator[None]:
    """The clients of Redis connect anew."""
    redis_cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield


@contextlib.contextmanager
def reconnected_pooler() -> Iterator[None]:
    """The connections of PgBouncer to the database are made anew, each when its transaction has ended."""
    for options in ("command=reconnect", "command=wait_close wait_seconds=60"):
        argv = ["-i", "inventories/lab", "pooler-1", "-m", "nexod.infra.pgbouncer_admin", "-a", options]
        done = subprocess.run(
            [ROOT / ".venv/bin/ansible", *argv], cwd=ROOT, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-1500:]
    yield


def much_written(host: str) -> Break:
    """More than 64 MiB of WAL, without a table."""
    written = "SELECT count(pg_logical_emit_message(false, 'chaos', repeat('x', 1000000))) FROM generate_series(1, 80)"
    return shell(host, f"cd / && runuser -u postgres -- psql -q app -c {shlex.quote(written)}", "true")


def little_memory(host: str) -> Break:
    """Of its memory, 5 % are left, as its exporter reads it.

    A stand-in for /proc/meminfo, in which every host of the lab sees the memory of this machine: that is not filled.
    """
    drop_in, file = "/run/systemd/system/prometheus-node-exporter.service.d", "/run/chaos-meminfo"
    change = "NR == FNR && /^MemTotal/ {left = int($2 / 20)} NR != FNR {if (/^MemAvailable/) $2 = left; print}"
    restart = "systemctl daemon-reload; systemctl restart prometheus-node-exporter"
    return shell(
        host,
        f"awk {shlex.quote(change)} /proc/meminfo /proc/meminfo > {file}; chmod a+r {file}; mkdir -p {drop_in};"
        f" printf '[Service]\nBindReadOnlyPaths={file}:/proc/meminfo\n' > {drop_in}/chaos.conf; {restart}",
        f"rm -rf {drop_in} {file}; {restart}",
    )


@contextlib.contextmanager
def full_redis() -> Iterator[None]:
    """So many keys that Redis uses more than 90 % of its memory, and time and again has to remove some."""

    def free(part: float) -> float:
        """How many more keys there may be until a part of the memory is used."""
        found = dict(re.findall(r"(used_memory|maxmemory):(\d+)", redis_cli("INFO", "memory")))
        return (part * int(found["maxmemory"]) - int(found["used_memory"])) / size

    size, over = 3_000_000, threading.Event()
    # Those that have a lifetime are removed, the ones with the least of it first: these, rather than sessions.
    more = (
        "for i = 1, ARGV[1] do local key = KEYS[1] .. ARGV[2] .. i redis.call('SETRANGE', key, ARGV[4], 'x')"
        " if ARGV[3] ~= '0' then redis.call('EXPIRE', key, ARGV[3]) end end"
    )
    less = "for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do redis.call('DEL', key) end"

    def too_much() -> None:
        for turn in itertools.count():
            redis_cli("EVAL", more, "1", "chaos:", str(int(free(1.02)) + 1), f"soon-{turn}-", "60", str(size))
            if over.wait(20):
                return

    thread = threading.Thread(target=too_much, daemon=True)
    try:
        for turn in range(100):
            # Many at a time, as long as much is free.
            if (missing := free(0.92)) <= 0:
                break
            redis_cli("EVAL", more, "1", "chaos:", str(min(5, int(missing) + 1)), f"{turn}-", "0", str(size))
        thread.start()
        yield
    finally:
        over.set()
        if thread.ident:
            thread.join(timeout=30)
        redis_cli("EVAL", less, "1", "chaos:")


#: More connections than Redis accepts, for an instant.
CROWD = """
import socket, time
crowd = [socket.create_connection(("127.0.0.1", 6379)) for _ in range(10200)]
time.sleep(0.5)
"""


@contextlib.contextmanager
def crowded_redis() -> Iterator[None]:
    """More clients come than Redis accepts. They are soon gone, so that few others are refused."""
    for _pulse in range(2):
        on("cache-1", f"systemd-run --wait --collect -p LimitNOFILE=20000 python3 -c {shlex.quote(CROWD)}")
    yield


#: As many statements as the pool has connections, and some that wait for one: not all at the same time, as PgBouncer
#: ends those that have waited for 30 s.
HOLD = """
import os, sys, threading, time, psycopg
password = sys.stdin.readline().strip()
def hold(first):
    time.sleep(first)
    while True:
        try:
            with psycopg.connect(host="127.0.0.1", port=6432, dbname="app", user="monitor", password=password) as one:
                one.execute("SET LOCAL statement_timeout = 0")
                one.execute("SELECT pg_sleep(300)")
        except psycopg.Error:
            time.sleep(0.1)
for number in range(80):
    threading.Thread(target=hold, args=(0,), daemon=True).start()
for number in range(6):
    threading.Thread(target=hold, args=(3 + 4 * number,), daemon=True).start()
sys.stdin.read()
os._exit(0)
"""


#: Clients that stay and do nothing: with those of HOLD and the API more than 80 % of the 1000 that PgBouncer accepts,
#: and fewer than it refuses.
CLIENTS = """
import os, sys, psycopg
password = sys.stdin.readline().strip()
where = {"host": "127.0.0.1", "port": 6432, "dbname": "app", "user": "monitor", "password": password}
clients = [psycopg.connect(**where) for _ in range(760)]
sys.stdin.read()
os._exit(0)
"""


def beside_pooler(script: str) -> Break:
    """A script in Python that reads the password of the account for monitoring, until its input ends."""

    @contextlib.contextmanager
    def broken() -> Iterator[None]:
        password = (ROOT / ".lab/secrets/database-monitor").read_text(encoding="utf-8").split()[0]
        # The interpreter of a release, which has a client of PostgreSQL.
        argv = ["podman", "exec", "-i", "nexod-lab-pooler-1", "sh", "-c"]
        argv += ['ulimit -n 20000; exec "$(ls /opt/api/*/bin/python | head -n 1)" -c "$0"', script]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, text=True) as process:
            assert process.stdin
            try:
                process.stdin.write(f"{password}\n")
                process.stdin.flush()
                yield
            finally:
                process.stdin.close()
                process.wait(timeout=20)

    return broken


@contextlib.contextmanager
def used_up_pool() -> Iterator[None]:
    """Every connection of PgBouncer's pool is in use: that of the account for monitoring, not the API's."""
    try:
        with beside_pooler(HOLD)():
            yield
    finally:
        on("db-1", f"cd / && runuser -u postgres -- psql -q app -c {shlex.quote(END_SLEEP)}")


END_SLEEP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(300)%'"


def full_disk(host: str) -> Break:
    """A small disk of its own, of which 2 % are left: that of this machine is not filled."""

    @contextlib.contextmanager
    def broken() -> Iterator[None]:
        image, place = ROOT / ".lab" / "chaos.img", "/srv/chaos"
        pid = podman("inspect", "-f", "{{.State.Pid}}", f"nexod-lab-{host}")
        with image.open("wb") as file:
            file.truncate(40_000_000)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
        attach = ["losetup", "-f", "--show", str(image)]
        device = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
        number = device.removeprefix("/dev/loop")
        enter = ["nsenter", "-t", pid, "-m"]
        try:
            begin = f"mkdir -p {place}; mknod /dev/chaos b 7 {number}; mount /dev/chaos {place}"
            subprocess.run([*enter, "sh", "-c", begin], check=True)
            on(
                host,
                f"free=$(df --output=avail -k {place} | tail -n 1); fallocate -l $((free * 98 / 100))K {place}/full",
            )
            yield
        finally:
            subprocess.run([*enter, "sh", "-c", f"umount {place}; rmdir {place}; rm -f /dev/chaos"], check=True)
            subprocess.run(["losetup", "-d", device], check=True)
            image.unlink()

    return broken


# -- the run


@dataclasses.dataclass
class Result:
    """How a fault went: what was wrong, and after how many seconds each alert arrived."""

    wrong: list[str]
    times: list[str]


def observe(faults: Sequence[Fault]) -> Result:
    """Make the faults, wait for their messages and for those that should not come, and repair them."""
    expected: list[tuple[Message, float]] = []
    load = Load.of(faults)
    with users(load.healthy()):
        forget()
        start, begun = position(), time.time()
        with contextlib.ExitStack() as stack:
            stack.enter_context(users(load.unhealthy()))
            for fault in faults:
                since = time.time()
                stack.enter_context(fault.broken())
                expected += [(message, since) for message in fault.messages]
            wait(faults, expected, start, begun)
            undone = time.time()
        aftermath = any(fault.aftermath for fault in faults)
        repaired(until_over=aftermath)
    lines = lines_from(start)
    arrived, heard = sent(lines), watchdogs(lines)
    wrong = [line for fault in faults for line in still_alive(heard, begun, undone, fault.watchdog_ends)]
    times = [f"{one} after {one.at - since_of(expected, one, begun):.0f} s" for one in arrived]
    over = f"repaired after {undone - begun:.0f} s, works after {time.time() - begun:.0f} s"
    return Result(differences(expected, arrived, begun) + wrong, [*times, over])


def since_of(expected: Sequence[tuple[Message, float]], one: Sent, begun: float) -> float:
    """When the fault was made that a message is about."""
    return next((since for message, since in expected if message.describes(one)), begun)


def wait(faults: Sequence[Fault], expected: Sequence[tuple[Message, float]], start: int, begun: float) -> None:
    """Until the time is over, or no alert is left that waits; if something arrives too much, no longer."""
    broken = quiet_since = time.time()
    observed = max(fault.observed for fault in faults)
    latest = max([since + message.seconds for message, since in expected], default=broken)
    least = least_seconds(faults)
    while True:
        now = time.time()
        wrong = differences(expected, sent(lines_from(start)), begun)
        missing = any(line.startswith("missing") for line in wrong)
        if any(line.startswith("too much") for line in wrong) or now > max(begun + observed, broken + least, latest):
            return
        if missing or now < broken + least or pending():
            quiet_since = now
        elif now - quiet_since > DELIVERED:
            return
        time.sleep(0.5)


def least_seconds(faults: Sequence[Fault]) -> float:
    """For how long something that should not come is waited for, even if no alert waits and no message is missing."""
    ends = [fault.watchdog_ends + MINUTE + 1 for fault in faults if fault.watchdog_ends is not None]
    # That nothing comes is all that there is to see of a fault without messages.
    silent = [fault.observed for fault in faults if not fault.messages]
    return max([*ends, *silent], default=SETTLED)


def pending() -> bool:
    """Whether an alert waits; also if Prometheus does not answer, as it is then part of what is broken."""
    try:
        return bool(query('ALERTS{alertstate="pending"}'))
    except (OSError, ValueError):
        return True


def repaired(*, until_over: bool) -> None:
    """Until everything answers again, or until no alert is left of the fault."""

    def met() -> bool | str:
        if until_over:
            left = query('ALERTS{alertname!="Watchdog"}')
            return str(left) if left else not active()
        unwell = query("up == 0 or probe_success == 0 or pg_up == 0 or redis_up == 0 or pgbouncer_up == 0")
        return str(unwell) if unwell else get("/ready")["status"] == "ready"

    until("all that was broken works again", met, AFTERMATH if until_over else LAB_SECONDS)
