"""How quickly a flush goes, and what others notice of it: nexod.infra.cache_flush against its peers, in one run.

    bench_cache.py [--keys 1000000] [--sessions 50000] [--rounds 5]
    bench_cache.py --memory

One Redis on the loopback, filled anew for each way, the ways in turn; told are each round and compared the medians. A
probe, a process of its own, asks GET all the while. The limit is a client that knows all names and only sends UNLINK.
A flush has the server name all keys besides. So the server's processor time for one key is told too, which part of it
went into SCAN, and how many keys a second it would be where the server never waits: more is possible to no client.
Then a cluster of three primaries. Figures of two runs are no comparison: the machine moves them by up to 40 percent,
and what else runs on it by more. Ends with 1 where an aim is missed or a session was lost.

With --memory instead: the most memory that the module takes, for 10 thousand, 1 million and 10 million keys.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import redis
from peers import environment

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests/bench/requirements-cache.txt"
FILL = """
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  redis.call('SET', 'api:' .. i .. ':page', string.rep('x', 100), 'EX', 3600)
  if i <= tonumber(ARGV[3]) then redis.call('SET', 'session:' .. i, 'somebody', 'EX', 3600) end
end
"""
SMALL = """
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  redis.call('SET', 'api:' .. i, 'x')
  if i <= tonumber(ARGV[3]) then redis.call('SET', 'session:' .. i, 'x') end
end
"""
MOST_GROWN = 1.25
PROBE = """
import socket, sys, time
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
took = []
sys.stdin.close()
import signal
over = []
signal.signal(signal.SIGTERM, lambda *_words: over.append(1))
print("ready", flush=True)
while not over:
    begun = time.perf_counter()
    server.send(b"*2\\r\\n$3\\r\\nGET\\r\\n$5\\r\\nprobe\\r\\n")
    server.recv(100)
    took.append((time.perf_counter() - begun) * 1000)
    time.sleep(0.001)
took.sort()
print(took[len(took) // 2], took[int(len(took) * 0.99)], took[-1])
"""
# Each way is a program of its own, so that one's memory and threads are not another's; it prints its own seconds.
OURS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.nexod.infra.plugins.module_utils._cache import address, flush, pacing, selection, server
port, guard = int(sys.argv[2]), float(sys.argv[3])
asked = selection.read_selection(["api:"], [], ["session:"], waived=False)
cache = server.Cache(address.Target("127.0.0.1", port))
done = flush.Flush(cache, asked, pacing.Limits(max_latency_ms=guard), check=False).run()
print(json.dumps({"seconds": done.seconds, "deleted": done.total}))
"""
# The module with its arguments as Ansible gives them. Not ru_maxrss: a program that was started by a larger one begins
# with that one's.
MODULE = """
import atexit, runpy, sys
sys.path.insert(0, sys.argv.pop(1))
def tell():
    sys.stdout.flush()
    print()
    print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
atexit.register(tell)
runpy.run_module("ansible_collections.nexod.infra.plugins.modules.cache_flush", run_name="__main__")
"""
LIMIT = """
import json, random, sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.nexod.infra.plugins.module_utils._cache.address import Target
from ansible_collections.nexod.infra.plugins.module_utils._cache.connection import connect, packed
names = [b"api:%d:page" % number for number in range(1, int(sys.argv[3]) + 1)]
random.shuffle(names)  # in the order in which they were written the server has them side by side in memory
calls = [packed(b"UNLINK", *names[at:at + 1000]) for at in range(0, len(names), 1000)]
wire = connect(Target("127.0.0.1", int(sys.argv[2])), "127.0.0.1", int(sys.argv[2]))
begun = time.perf_counter()
deleted = 0
for number, call in enumerate(calls):
    wire.send(call)
    if number:
        deleted += wire.read()
deleted += wire.read()
print(json.dumps({"seconds": time.perf_counter() - begun, "deleted": deleted}))
"""
KNOWN = """
import json, random, sys, time, redis
names = [b"api:%d:page" % number for number in range(1, int(sys.argv[3]) + 1)]
random.shuffle(names)
client = redis.Redis(port=int(sys.argv[2]))
client.ping()
begun = time.perf_counter()
deleted = sum(client.unlink(*names[at:at + 1000]) for at in range(0, len(names), 1000))
print(json.dumps({"seconds": time.perf_counter() - begun, "deleted": deleted}))
"""
DJANGO = """
import json, sys, time
from django.conf import settings
settings.configure(CACHES={"default": {
    "BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:" + sys.argv[2],
    "KEY_FUNCTION": lambda key, prefix, version: key, "REVERSE_KEY_FUNCTION": lambda key: key,
}})
from django.core.cache import cache
begun = time.perf_counter()
deleted = cache.delete_pattern("api:*", itersize=1000)
print(json.dumps({"seconds": time.perf_counter() - begun, "deleted": deleted}))
"""
CASHEWS = """
import asyncio, json, sys, time
from cashews import cache
async def main():
    cache.setup("redis://127.0.0.1:" + sys.argv[2])
    await cache.ping()
    begun = time.perf_counter()
    await cache.delete_match("api:*")
    print(json.dumps({"seconds": time.perf_counter() - begun}))
asyncio.run(main())
"""
SCAN_ITER = """
import json, sys, time, redis
client = redis.RedisCluster(host="127.0.0.1", port=int(sys.argv[2]))
begun, deleted, some = time.perf_counter(), 0, []
for key in client.scan_iter("api:*", count=1000):
    some.append(key)
    if len(some) == 1000:
        deleted, some = deleted + client.unlink(*some), []
deleted += client.unlink(*some) if some else 0
print(json.dumps({"seconds": time.perf_counter() - begun, "deleted": deleted}))
"""


def fill(client: t.Any, keys: int, sessions: int) -> None:
    client.flushall()
    client.set("probe", "x")
    for begin in range(1, keys + 1, 50_000):
        client.eval(FILL, 0, begin, min(begin + 49_999, keys), sessions)
    if sessions > keys:
        sys.exit("--sessions is more than --keys")
    time.sleep(1)  # what the filling left behind


def program(python: str, text: str, *words: object) -> dict[str, float]:
    argv = [python, "-c", text, str(ROOT / ".collections"), *map(str, words)]
    done = subprocess.run(argv, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return t.cast("dict[str, float]", json.loads(done.stdout.splitlines()[-1]))


def command_line(port: int) -> dict[str, float]:
    begun = time.perf_counter()
    unlink = f"redis-cli -p {port} --scan --pattern 'api:*' | xargs -n 1000 redis-cli -p {port} unlink"
    subprocess.run(["sh", "-c", f"{unlink} > /dev/null"], check=True)
    return {"seconds": time.perf_counter() - begun}


def used(client: t.Any) -> tuple[float, dict[str, float]]:
    """Seconds of processor time that the server's one thread for commands has used, and of them by command."""
    cpu = client.info("cpu")
    commands = {name.removeprefix("cmdstat_"): row["usec"] / 1e6 for name, row in client.info("commandstats").items()}
    return cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"], commands


def ways(port: int, keys: int) -> dict[str, t.Callable[[], dict[str, float]]]:
    other = str(environment(PEERS) / "python")
    return {
        "redis-cli --scan, xargs unlink": lambda: command_line(port),
        "django-redis delete_pattern": lambda: program(other, DJANGO, port),
        "cashews delete_match": lambda: program(other, CASHEWS, port),
        "limit: names known, redis-py UNLINK": lambda: program(sys.executable, KNOWN, port, keys),
        "the same, hand-packed, one ahead": lambda: program(sys.executable, LIMIT, port, keys),
        "cache_flush, no guard": lambda: program(sys.executable, OURS, port, 0),
        "cache_flush, 5 ms guard": lambda: program(sys.executable, OURS, port, 5),
    }


def measured(
    name: str, way: t.Callable[[], dict[str, float]], client: t.Any, port: int, given: argparse.Namespace
) -> t.Any:
    fill(client, given.keys, given.sessions)
    probe = subprocess.Popen(
        [sys.executable, "-c", PROBE, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert probe.stdout
    probe.stdout.readline()
    client.config_resetstat()
    before, _commands = used(client)
    found = way()
    seconds, commands = used(client)
    probe.terminate()
    median, high, most = map(float, probe.stdout.read().split())
    probe.wait()
    left, kept = client.dbsize(), given.sessions + 1
    busy = (seconds - before) / given.keys
    row = {
        "rate": given.keys / found["seconds"],
        "p50": median,
        "p99": high,
        "max": most,
        "busy": busy * 1e6,
        "scan": commands.get("scan", 0) / sum(commands.values()),
        "most": 1 / busy,
    }
    print(
        f"{name:<36} {row['rate'] / 1000:7.0f}k keys/s   probe p50 {median:6.2f}  p99 {high:6.2f}  max {most:8.2f} ms"
        f"   server {row['busy']:5.2f} us a key, SCAN {row['scan']:4.0%}, at most {row['most'] / 1000:5.0f}k keys/s"
        + ("" if left == kept else f"   {left - kept:+} keys of what should be there"),
        flush=True,
    )
    row["exact"] = left == kept
    return row


def middle(rows: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    medians = {key: statistics.median(row[key] for row in rows) for key in rows[0] if key != "exact"}
    return {**medians, "exact": all(row["exact"] for row in rows)}


def cluster_of(folder: Path, processes: list[subprocess.Popen[bytes]]) -> list[int]:
    ports = [started(folder, processes, "cluster-enabled yes") for _node in range(3)]
    nodes = ",".join(f"127.0.0.1:{port}" for port in ports)
    argv = ["redis-cli", "--cluster", "create", *nodes.split(","), "--cluster-yes"]
    subprocess.run(argv, check=True, capture_output=True)
    return ports


def started(folder: Path, processes: list[subprocess.Popen[bytes]], *settings: str) -> int:
    port = 20_000 + os.getpid() % 20_000 + len(processes)
    home = folder / str(port)
    home.mkdir()
    lines = [f"port {port}", "bind 127.0.0.1", 'save ""', f"dir {home}", *settings]
    (home / "conf").write_text("\n".join(lines) + "\n")
    processes.append(subprocess.Popen(["redis-server", home / "conf"], stdout=subprocess.DEVNULL))
    client = redis.Redis(port=port)
    for _try in range(100):
        try:
            client.ping()
            return port
        except redis.ConnectionError:
            time.sleep(0.05)
    sys.exit("redis-server does not start")


def cluster_rates(folder: Path, processes: list[subprocess.Popen[bytes]], keys: int) -> dict[str, float]:
    ports = cluster_of(folder, processes)
    client = redis.RedisCluster(host="127.0.0.1", port=ports[0])
    rates = {}
    for name, text, words in (("scan_iter", SCAN_ITER, ()), ("cache_flush", OURS, (0,))):
        for begin in range(0, keys, 10_000):
            batch = client.pipeline()
            for number in range(begin, begin + 10_000):
                batch.set(f"api:{number}:page", "x" * 100)
            batch.execute()
        found = program(sys.executable, text, ports[0], *words)
        rates[name] = found["deleted"] / found["seconds"]
        print(f"cluster of 3, {name:<20} {rates[name] / 1000:7.0f}k keys/s", flush=True)
    return rates


def memory_of(client: t.Any, port: int, keys: int, *, check: bool) -> float:
    """The most memory that the module took, in MiB."""
    asked = {"prefixes": ["api:"], "protect": ["session:"], "deadline": "1h", "_ansible_check_mode": check}
    given = {"ANSIBLE_MODULE_ARGS": {"host": "127.0.0.1", "port": port, **asked}}
    done = subprocess.run(
        [sys.executable, "-c", MODULE, str(ROOT / ".collections")],
        input=json.dumps(given), text=True, capture_output=True, check=False,
    )  # fmt: skip
    found, size = (json.loads(line) for line in done.stdout.split("\n") if line)
    there = (keys, client.dbsize()) == (found.get("deleted_total"), keys * check + keys // 10)
    if not there or found["sessions_kept"] != keys // 10:
        sys.exit(f"not what was there: {found} {done.stderr}")
    way = "check mode" if check else "flush"
    print(
        f"{keys:>10} keys, {way:<10} {size / 1024:6.1f} MiB at most   {found['totals']['ms'] / 1000:6.1f} s", flush=True
    )
    return float(size)


def memory(client: t.Any, port: int) -> bool:
    """Whether the module takes as much memory for many keys as for few, a tenth of them protected."""
    sizes = []
    for keys in (10_000, 1_000_000, 10_000_000):
        client.flushall()
        for begin in range(1, keys + 1, 50_000):
            client.eval(SMALL, 0, begin, min(begin + 49_999, keys), keys // 10)
        sizes.append(max(memory_of(client, port, keys, check=check) for check in (True, False)))
    grown = sizes[-1] / sizes[0]
    met = grown <= MOST_GROWN
    said = "met" if met else "missed"
    print(f"memory, 10 million keys against 10 thousand  {grown:6.2f} (aim: at most {MOST_GROWN}, {said})")
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cluster-keys", type=int, default=200_000)
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as name:
        try:
            port = started(Path(name), processes)
            client = redis.Redis(port=port, socket_timeout=600)
            if given.memory:
                sys.exit(0 if memory(client, port) else 1)
            print(f"{os.cpu_count()} cores, {given.keys} keys beside {given.sessions} sessions", flush=True)
            rounds = [
                {name: measured(name, way, client, port, given) for name, way in ways(port, given.keys).items()}
                for _round in range(given.rounds)
            ]
            rows = {name: middle([one[name] for one in rounds]) for name in rounds[0]}
            rates = cluster_rates(Path(name), processes, given.cluster_keys)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    cli, _django, _cashews, limit, known, free, guarded = rows.values()
    aims = [
        ("no guard, against redis-cli", free["rate"] / cli["rate"], 2.5, True),
        ("no guard, against the limit", free["rate"] / limit["rate"], 0.8, True),
        ("no guard, against the 5 ms guard", free["rate"] / guarded["rate"], 1.0, True),
        ("5 ms guard, against redis-cli", guarded["rate"] / cli["rate"], 1.5, True),
        ("5 ms guard, probe p99 in ms", guarded["p99"], 5.0, False),
        ("cluster, against scan_iter", rates["cache_flush"] / rates["scan_iter"], 5.0, True),
    ]
    met = [value >= aim if least else value <= aim for _name, value, aim, least in aims]
    for (name, value, aim, least), good in zip(aims, met, strict=True):
        print(
            f"{name:<44} {value:6.2f} (aim: {'at least' if least else 'at most'} {aim}, {'met' if good else 'missed'})"
        )
    print(
        f"no guard, against the limit, at most: {free['most'] / limit['rate']:.2f}; against the hand-packed one: "
        f"{free['rate'] / known['rate']:.2f}, at most {free['most'] / known['most']:.2f}"
    )
    if not all(met) or not all(row["exact"] for row in (free, guarded)):
        sys.exit(1)


if __name__ == "__main__":
    main()
