"""A run that is killed, and the same command typed again; two runs at once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.lab.faults.steps import back_to_the_start
from ansible_collections.nexod.infra.tests.lab.support import (
    DEPLOY,
    ROOT,
    UNDISTURBED,
    UPGRADE,
    difference,
    interrupted,
    on,
    remember_undisturbed,
    run,
    state,
    users,
)

# Kept, so that a round that failed can be had again: pytest -k 'seed-7'.
QUICK, ALL = (3,), range(1, 21)
SEEDS = [
    pytest.param(seed, id=f"seed-{seed}", marks=[] if seed in QUICK else pytest.mark.long)
    for seed in sorted(ALL, key=lambda seed: (seed not in QUICK, seed))
]


def undisturbed(count: Path) -> tuple[int, dict[str, str]]:
    """How many tasks an upgrade has, and the state that it leads to: of this session's upgrade, or of one made here."""
    if not UNDISTURBED:
        done = run(*UPGRADE, quiet=True, INTERRUPT_COUNT=str(count), **interrupted("never", "true"))
        assert done.rc == 0, done.said[-4000:]
        remember_undisturbed(count)
    return UNDISTURBED[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_and_typed_again(standing, tmp_path: Path, seed: int) -> None:
    tasks, wanted = undisturbed(tmp_path / "tasks")
    back_to_the_start()
    draw = random.Random(seed)
    at, after = draw.randint(1, tasks), draw.uniform(0, 2)
    print(f"    seed {seed}: killed at task {at} of {tasks}, {after:.1f} s after its start")
    with users() as served:
        killed = run(*UPGRADE, quiet=True, **interrupted(str(at), "KILL", after))
        assert killed.rc != 0, "the run ended before it was killed"
        assert "lab: deploy" not in killed.said, "it still had a last word"
        again = run(*UPGRADE, quiet=True)
    assert again.rc == 0, f"seed {seed}, task {at}:\n{again.said[-5000:]}"
    assert difference(wanted, state()) == []
    assert served.failures == [], f"seed {seed}, task {at}"
    assert served.answers > 50


def test_two_at_once_and_a_dead_ones_lock(standing) -> None:
    # Each stage needs the lock; the one that takes least time will do.
    stage = (*DEPLOY, "--tags", "frontend")
    first = subprocess.Popen(
        [*DEPLOY], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while "lab.lock.json" not in on("pooler-1", "ls /run/nexod 2>/dev/null; true"):
            assert time.monotonic() < deadline, "the first run never took the lock"
            time.sleep(0.2)
        second = run(*stage, quiet=True)
        assert second.rc != 0
        assert "Cannot take the environment's lock" in second.said
        assert "deploy) holds it since" in second.said
        assert second.report["changes"] == []
        # The refusal took nothing away from the one who holds it.
        assert first.poll() is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    assert "lab.lock.json" in on("pooler-1", "ls /run/nexod")
    again = run(*stage, quiet=True)
    assert again.rc == 0, again.said[-4000:]
    assert "Took over the environment's lock" in again.said
    # It was given back: nothing is left of it.
    assert "lab.lock.json" not in on("pooler-1", "ls /run/nexod")
