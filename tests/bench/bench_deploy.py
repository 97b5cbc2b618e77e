"""How long a deploy of the lab takes: medians of a first one (images at hand, nothing else) and of a second one.

bench_deploy.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRST, SECOND = 120, 25  # seconds: the aims, on 2 cores


def timed(*target: str) -> float:
    """Seconds that `make TARGET` takes; its output is in .cache/bench.log."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    with (ROOT / ".cache" / "bench.log").open("ab") as log:
        begun = time.monotonic()
        done = subprocess.run(["make", "-C", ROOT, *target], stdout=log, stderr=log, check=False)
        took = time.monotonic() - begun
    if done.returncode:
        sys.exit(f"make {' '.join(target)} ended with {done.returncode}: see .cache/bench.log")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"{os.cpu_count()} cores, {rounds} rounds", flush=True)
    print("images and release are made where they are missing ...", flush=True)
    timed("lab_up")
    first, second = [], []
    for number in range(1, rounds + 1):
        timed("destroy")
        first.append(timed("deploy"))
        second.append(timed("deploy"))
        print(f"round {number}: first deploy {first[-1]:.1f} s, second deploy {second[-1]:.1f} s", flush=True)
    for name, seconds, aim in (("first", first, FIRST), ("second", second, SECOND)):
        middle = statistics.median(seconds)
        print(f"median {name} deploy: {middle:.1f} s (aim: {aim} s, {'met' if middle <= aim else 'missed'})")


if __name__ == "__main__":
    main()
