"""The lease is renewed while the run lives, and not a moment longer."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.renewal import Renewal

ROOT = pathlib.Path(__file__).resolve().parents[5]


def until(condition: t.Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def count(path: pathlib.Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def appending(path: pathlib.Path) -> list[str]:
    return ["sh", "-c", f'echo "$NEXOD_DEPLOY_RUN" >> {path}']


def test_it_is_renewed_until_it_is_stopped(tmp_path: pathlib.Path) -> None:
    renewal = Renewal(appending(tmp_path / "log"), {**os.environ, "NEXOD_DEPLOY_RUN": "r"}, lease_seconds=0.4)
    assert until(lambda: count(tmp_path / "log") >= 3)
    renewal.stop()
    time.sleep(0.3)  # one that was under way
    before = count(tmp_path / "log")
    time.sleep(0.5)
    assert (count(tmp_path / "log"), (tmp_path / "log").read_text()[:2]) == (before, "r\n")


def test_it_ends_with_a_run_that_is_killed(tmp_path: pathlib.Path) -> None:
    script = f"""
import sys, time; sys.path[:0] = [{str(ROOT / ".collections")!r}]
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.renewal import Renewal
print(Renewal({appending(tmp_path / "log")!r}, {{}}, 0.4)._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        assert until(lambda: count(tmp_path / "log") >= 1)
        run.kill()
        run.wait()
    gone = pathlib.Path(f"/proc/{pid}/stat")
    assert until(lambda: not gone.exists() or gone.read_text().rpartition(")")[2].split()[0] == "Z")
