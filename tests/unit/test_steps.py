"""What `make test` says of a failure in its last lines, which are all that some CI systems show."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.nexod.infra.tests import steps

MOLECULE = """\
  \x1b[2m│\x1b[0m TASK [nexod.infra.pgbouncer : configure | Write PgBouncer's configuration
  \x1b[2m│\x1b[0m   and unit] ***
  \x1b[2m│\x1b[0m fatal: [forky]: FAILED! => {"msg": "refused, as the test expects"}
  \x1b[2m│\x1b[0m
  \x1b[2m│\x1b[0m TASK [Verify | The client is still connected] ***
  \x1b[2m│\x1b[0m fatal: [debian12]: FAILED! => {"rc": 3,
  \x1b[2m│\x1b[0m   "stdout": "inactive"}
  \x1b[2m│\x1b[0m
  \x1b[2m│\x1b[0m PLAY RECAP ***
"""


def test_the_last_failed_task_is_named_with_its_error() -> None:
    reason = " ".join(steps.failed_task(MOLECULE).split())
    assert reason.startswith("[Verify | The client is still connected] fatal: [debian12]: FAILED!")
    assert reason.endswith('"stdout": "inactive"}')


def test_output_without_a_failed_task_gives_no_reason() -> None:
    assert steps.failed_task("TASK [one] ***\nok: [a]\n") == ""


@pytest.mark.parametrize(
    ("said", "names", "failed"),
    [
        (
            "FAILED tests/a.py::t[a b] - AssertionError\n= 1 failed in 3s =",
            ["tests/a.py::t[a b]: Ass"],
            1,
        ),
        ("ERROR tests/b.py\n= 1 error in 3s =", ["tests/b.py"], 1),
        ("= 2 passed in 3s =", [], 0),
    ],
)
def test_a_failed_test_is_named_with_its_reason(said: str, names: list[str], failed: int) -> None:
    found = steps.counted(said)
    assert (found.failed, len(found.names)) == (failed, len(names))
    assert all(name.startswith(start) for name, start in zip(found.names, names, strict=True))


def test_a_long_reason_is_cut() -> None:
    assert len(steps.named("molecule pgbouncer", "x" * 5000)) == steps.REASON


def test_what_runs_behind_the_lab_leaves_it_the_processor() -> None:
    """Of one processor that both keep busy, each in a session of its own as a step is."""
    busy = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
end = time.monotonic() + 2
while time.monotonic() < end:
    pass
print(time.process_time())
"""
    argv = (sys.executable, "-c", busy)
    running = [
        subprocess.Popen([*before, *argv], stdout=subprocess.PIPE, start_new_session=True)
        for before in ((), steps.BEHIND)
    ]
    first, behind = (float(process.communicate()[0]) for process in running)
    assert behind < first / 2
