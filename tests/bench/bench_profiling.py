"""What requests wait longer while the API is profiled: p95 under a constant load, without a profile and with each kind.

    bench_profiling.py [--rounds 5] [--seconds 15] [--rate 40] [--realtime]

The example API, with a PostgreSQL and a Redis of its own, answers a load of a constant rate (tests/load/load.py): a
latency counts from when a request was due. Each round starts the API anew, and measures by turns: no profile, py-spy as
the module runs it by default, py-spy with pauses; then Memray, last, because it stays loaded, and its debugger by
itself. Medians of the rounds are compared, and the ratios of each round. .report/bench-profiling.json keeps all of it.
`--realtime`, as root, is for a machine with other work: all processes, the load's too, get real-time priority.
Ends with 1 if py-spy made a request fail, if the API ended, or if the default kind misses the aim.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
import typing as t
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "load"), str(ROOT / ".collections")]

from driver import Load  # noqa: E402

from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run  # noqa: E402
from ansible_collections.nexod.infra.plugins.module_utils._profiling import plan, profiler  # noqa: E402
from ansible_collections.nexod.infra.tests.profilers import installed  # noqa: E402
from ansible_collections.nexod.infra.tests.programs import load  # noqa: E402

app = load(ROOT / "examples" / "api" / "tests" / "conftest.py", "example_api_conftest")

REPORT = ROOT / ".report" / "bench-profiling.json"
NONE, RECORD, PAUSING, ATTACH, MEMORY = "no profile", "record", "record, pausing", "Memray attaches", "memory"
QUEUE_SECONDS = 10
#: p95 of the default kind, as a part of p95 without a profile.
AIM = 1.10


def asked(tool: str, seconds: int, folder: str, *, nonblocking: bool = True) -> plan.Asked:
    """The module's options, which are its defaults but for what is compared."""
    return plan.Asked(
        tool=tool,
        unit=None,
        worker=1,
        pid=None,
        seconds=seconds,
        baseline_seconds=0,
        rate=100,
        nonblocking=nonblocking,
        gil=False,
        native=False,
        idle=False,
        debugger="lldb",
        shown=20,
        profilers=str(installed()),
        dest=folder,
        owner="bench",
    )


def measure(kind: str, pid: int, seconds: int, folder: str) -> None:
    """Profile the process in that way for that long."""
    if kind == NONE:
        time.sleep(seconds)
        return
    options = asked("record", seconds, folder, nonblocking=kind == RECORD)
    profiler.profile(dataclasses.replace(options, pid=pid), check_mode=False)


def attach(load_: Load, pid: int, seconds: int, folder: str) -> None:
    """Memray, as the module starts it."""
    load_.mark(ATTACH)
    options = asked("memory", seconds + QUEUE_SECONDS, folder)
    done = run(plan.attach(options, pid, f"{folder}/memory-{pid}.bin"), timeout=120)
    if done.rc:
        sys.exit(f"Memray could not attach:\n{done.output}")
    # The requests that have waited for the debugger are answered first.
    time.sleep(QUEUE_SECONDS)
    load_.mark(MEMORY)
    time.sleep(seconds)


def one_round(bench: t.Any, release: t.Any, number: int, given: argparse.Namespace, folder: str) -> dict[str, t.Any]:
    """The load's report on one process of the API, by the name of what was measured."""
    kinds = [NONE, RECORD, PAUSING]
    # Which one is first changes: a process becomes faster or slower as it grows older.
    kinds = kinds[number % 3 :] + kinds[: number % 3]
    options = {"rate": given.rate, "sessions": 80, "ramp": 4, "websockets": 0, "slow_seconds": 1, "static": "/health"}
    with bench.serve(release) as server, Load(f"http://127.0.0.1:{server.port}", REPORT, **options) as load_:
        load_.until_ready()
        time.sleep(3)
        for kind in kinds:
            load_.mark(kind)
            measure(kind, server.process.pid, given.seconds, folder)
            load_.mark("between")
            time.sleep(1)
        attach(load_, server.process.pid, given.seconds, folder)
        load_.mark("after")
        found = load_.end()
        found["ended"] = server.process.poll()
    return found


def phases(report: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {row["name"]: row for row in report["phases"] if row["name"] in (NONE, RECORD, PAUSING, ATTACH, MEMORY)}


def compared(rounds: t.Sequence[t.Mapping[str, t.Mapping[str, t.Any]]], kind: str) -> dict[str, float]:
    """Medians over the rounds; `ratio` is that of the p95 of the same round without a profile."""
    rows = [(one[kind], one[NONE]) for one in rounds]
    found = {name: statistics.median(row[name] for row, _none in rows) for name in ("p50", "p95", "p99", "max")}
    ratios = sorted(row["p95"] / none["p95"] for row, none in rows)
    return {**found, "ratio": statistics.median(ratios), "lowest": ratios[0], "highest": ratios[-1]}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rate", type=float, default=40)
    parser.add_argument("--realtime", action="store_true")
    given = parser.parse_args()
    if given.realtime:
        # Inherited by all that is started.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    began = os.getloadavg()
    print(f"{os.cpu_count()} cores, load average {began[0]:.1f}, {given.rate:g} requests a second", flush=True)
    release = app.installed("1.1.0")
    reports = []
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(profiler, "LOCK", f"{folder}/profile.lock"),
        app.running_postgres() as postgres,
    ):
        (home := Path(folder, "credentials")).mkdir()
        with app.running_redis(Path(folder)) as redis:
            bench = app.made_bench(postgres, redis, home)
            bench.migrate(release, "upgrade", "head")
            for number in range(given.rounds):
                reports.append(one_round(bench, release, number, given, folder))
                p95 = {name: f"{row['p95'] * 1000:.1f} ms" for name, row in phases(reports[-1]).items()}
                print(f"round {number + 1}, p95: {p95}", flush=True)
    rounds = [phases(report) for report in reports]
    table = {kind: compared(rounds, kind) for kind in (NONE, RECORD, PAUSING, ATTACH, MEMORY)}
    print(f"{'':<18}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}{'p95 / no profile (lowest to highest)':>40}")
    for kind, row in table.items():
        times = "".join(f"{row[name] * 1000:>6.1f} ms" for name in ("p50", "p95", "p99", "max"))
        print(f"{kind:<18}{times}{row['ratio']:>22.2f} ({row['lowest']:.2f} to {row['highest']:.2f})")
    # With the debugger, a request may wait longer than the load does.
    attaching = sum(one[ATTACH]["failed"] for one in rounds)
    failed = sum(report["failed"] for report in reports) - attaching
    dead = sum(report["ended"] is not None for report in reports)
    ratio = table[RECORD]["ratio"]
    cpu = statistics.median(report["generator_cpu"] for report in reports)
    print(f"{failed} requests failed, {attaching} more while Memray attached; {dead} processes ended")
    print(f"the load itself took {cpu * 100:.0f} % of a core")
    print(f"load average at the end {os.getloadavg()[0]:.1f}")
    print(f"record / no profile: {ratio:.2f} (aim: {AIM:.2f}, {'met' if ratio <= AIM else 'missed'})")
    kept = {"cores": os.cpu_count(), "options": vars(given), "table": table, "rounds": reports, "load": began}
    REPORT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return 1 if failed or dead or ratio > AIM else 0


if __name__ == "__main__":
    sys.exit(main())
