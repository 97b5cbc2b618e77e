"""What `make test` says of a failure in its last lines, which are all that some CI systems show."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

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


@pytest.mark.parametrize(
    ("said", "rc", "expected"),
    [
        (
            "✔ a (1.0ms)\nℹ tests 3\nℹ pass 2\nℹ fail 0\nℹ skipped 1\ncurrent front end: /a\nbefore front end: /b\n",
            0,
            steps.Count(4, 0, 1),
        ),
        (
            "✖ b c (2.5ms)\nℹ pass 1\nℹ fail 1\nℹ skipped 0\n✖ failing tests:\n✖ b c (2.5ms)\n",
            1,
            steps.Count(1, 1, 0, ["front_end: b c"]),
        ),
        (
            "ℹ pass 1\nℹ fail 0\nℹ skipped 0\nFailed to type check.\nnpm run build: rc 1\n",
            1,
            steps.Count(1, 1, 0, ["front_end: npm run build: rc 1"]),
        ),
        ("", 1, steps.Count(0, 1, 0, ["front_end: rc 1"])),
    ],
)
def test_the_front_end_is_counted_by_tests_and_builds(said: str, rc: int, expected: steps.Count) -> None:
    assert steps.counted_by_node(said, rc) == expected


def test_a_long_reason_is_cut() -> None:
    assert len(steps.named("molecule pgbouncer", "x" * 5000)) == steps.REASON


def seconds_used(process: subprocess.Popen[str]) -> float:
    """The processor time of a process that still runs."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK")


def test_what_runs_behind_the_lab_leaves_it_the_processor() -> None:
    """Of one processor that both keep busy, each in a session of its own as a step is."""
    busy = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(flush=True)\nwhile True: pass"
    running = [
        subprocess.Popen(
            [*before, sys.executable, "-c", busy], stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        for before in ((), steps.BEHIND)
    ]
    try:
        for process in running:
            assert process.stdout
            process.stdout.readline()
        # From when both keep it busy until the first has had a second of it, however long others make that take.
        begun = [seconds_used(process) for process in running]
        while seconds_used(running[0]) < begun[0] + 1:
            time.sleep(0.05)
        first, behind = (seconds_used(process) - before for process, before in zip(running, begun, strict=True))
    finally:
        for process in running:
            process.kill()
            process.communicate()
    assert behind < first / 2


@pytest.mark.parametrize(
    ("notes", "hosts", "left"),
    [
        pytest.param("converged: false\ncreated: false\n", "", False, id="destroyed"),
        pytest.param("converged: false\ncreated: true\n", "", True, id="ended before its hosts were destroyed"),
        pytest.param("", "0123abcd", True, id="hosts of another checkout"),
    ],
)
def test_what_a_scenario_has_left(
    notes: str, hosts: str, left: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".ansible" / "tmp" / "molecule.abcd.redis"
    folder.mkdir(parents=True)
    (folder / "state.yml").write_text(f"# Molecule managed\n\n---\n{notes}")
    (tmp_path / "podman").write_text(f"#!/bin/sh\necho {hosts}\n")
    (tmp_path / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert steps.left("redis") is left
