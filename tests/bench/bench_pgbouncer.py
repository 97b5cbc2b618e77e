"""Transactions a second through the role's PgBouncer, compared with one that is configured by hand and with none.

    bench_pgbouncer.py [--rounds 5] [--seconds 8] [--clients 50]

pgbench reads rows by prepared statements, all on one host, in turn: at the server, through a PgBouncer with a few lines
of configuration and no confinement, and through the role's, whose unit is confined; then the role's with 4 processes.
It ends with 1 if the role's reaches less than 0.97 of the one by hand, or if its second run changes anything.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
from pathlib import Path

from bench_hosts import Hosts

HERE = Path(__file__).resolve().parent / "pgbouncer"
HOSTS = Hosts("bench-pgbouncer", "10.213.83", ("pooler",))
AIM = 0.97
DIRECT, BY_HAND, OURS = "direct", "by hand", "the role's"
PORTS = {DIRECT: 5432, BY_HAND: 7000, OURS: 6432}


def measure(port: int, seconds: int, clients: int) -> float:
    """Transactions a second, without the time that connecting takes."""
    script = (
        f"pgbench -n -S -M prepared -c {clients} -j 2 -T {seconds} -h 127.0.0.1 -p {port} -U bench bench"
        " 2>&1 | grep -E '^tps|failed|aborted'"
    )
    said = HOSTS.run("pooler", script, PGPASSWORD="bench-only-password")
    found = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    if not found or "aborted" in said:
        sys.exit(f"pgbench at port {port}:\n{said}")
    return float(found[1])


def medians(names: list[str], rounds: int, seconds: int, clients: int) -> dict[str, float]:
    """By name, in turn, so that what else this machine does harms all of them."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for _round in range(rounds):
        for name in names:
            found[name].append(measure(PORTS[name], seconds, clients))
    return {name: statistics.median(rows) for name, rows in found.items()}


def deploy(processes: int) -> float:
    """Configure the role's PgBouncer; seconds of the second run, which must change nothing."""
    given = ("-e", f"pgbouncer_processes={processes}")
    HOSTS.playbook(HERE / "ours.yml", *given)
    seconds, said = HOSTS.playbook(HERE / "ours.yml", *given)
    if changed := re.findall(r"changed=([1-9]\d*)", said):
        sys.exit(f"The second run changed {changed[0]}:\n{said[-2000:]}")
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--clients", type=int, default=50)
    given = parser.parse_args()
    sizes = (given.rounds, given.seconds, given.clients)
    print(f"{os.cpu_count()} cores, {given.clients} clients, {given.rounds} rounds of {given.seconds} s", flush=True)
    with HOSTS.booted():
        HOSTS.playbook(HERE / "prepare.yml")
        seconds = deploy(1)
        one = medians([DIRECT, BY_HAND, OURS], *sizes)
        ratio = one[OURS] / one[BY_HAND]
        for name, rate in one.items():
            print(f"{name:<12}{rate:10.0f} transactions/s")
        print(f"the role's / by hand: {ratio:.2f} (aim: {AIM}, {'met' if ratio >= AIM else 'missed'})")
        print(f"second run of the role: {seconds:.1f} s with ansible's start", flush=True)
        deploy(4)
        four = medians([BY_HAND, OURS], *sizes)
        print(f"four processes{four[OURS]:10.0f} transactions/s, {four[OURS] / four[BY_HAND]:.2f} of one by hand")
    return 0 if ratio >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
