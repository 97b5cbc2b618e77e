# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that do not fit together, the command lines, workers, and how much memory a profile needs."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._profiling import plan, target
from ansible_collections.nexod.infra.plugins.module_utils._profiling.plan import Asked
from ansible_collections.nexod.infra.plugins.module_utils._profiling.target import Process

ASKED = Asked(
    tool="record",
    unit="api",
    worker=1,
    pid=None,
    seconds=30,
    baseline_seconds=5,
    rate=100,
    nonblocking=True,
    gil=False,
    native=False,
    idle=False,
    debugger="lldb",
    shown=20,
    profilers="/opt/profilers/current",
    dest="/var/lib/nexod-profiles",
    owner="",
)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"rate": 0}, 'Cannot use the option "rate": it is 0'),
        ({"rate": 1001}, 'Cannot use the option "rate": it is 1001'),
        ({"seconds": 0}, "from 1 to 300"),
        ({"seconds": 301}, "from 1 to 300"),
        ({"worker": 0}, "from 1 to 256"),
        ({"pid": 0}, "at least 1"),
        ({"baseline_seconds": 61}, "from 0 to 60"),
        ({"shown": 51}, "from 1 to 50"),
        ({"rate": 1000, "seconds": 61}, "61000 samples, and the most is 60000"),
        ({"native": True}, "set `nonblocking` to false"),
        ({"gil": True, "idle": True}, "set `gil` or `idle`, not both"),
        ({"tool": "dump", "gil": True}, "dump takes none"),
        ({"tool": "memory", "idle": True}, "memory takes none"),
        ({"dest": "profiles"}, "give an absolute path"),
    ],
)
def test_what_cannot_work_is_refused(change: dict[str, t.Any], cause: str) -> None:
    with pytest.raises(InfraError) as error:
        plan.refuse(dataclasses.replace(ASKED, **change))
    assert cause in str(error.value)


@pytest.mark.parametrize(
    "change",
    [{}, {"rate": 1000, "seconds": 60}, {"native": True, "nonblocking": False}, {"tool": "memory", "native": True}],
)
def test_what_works_is_not_refused(change: dict[str, t.Any]) -> None:
    plan.refuse(dataclasses.replace(ASKED, **change))


@pytest.mark.parametrize(
    ("change", "gil", "options"),
    [
        ({}, False, ["--nonblocking"]),
        ({"nonblocking": False, "native": True, "idle": True}, False, ["--idle", "--native"]),
        ({"gil": True}, False, ["--gil", "--nonblocking"]),
        # Two programs cannot trace one process: the second recording never pauses it.
        ({"nonblocking": False, "native": True, "idle": True}, True, ["--gil", "--nonblocking"]),
    ],
)
def test_the_recording_has_the_options(change: dict[str, t.Any], gil: bool, options: list[str]) -> None:
    argv = plan.record(dataclasses.replace(ASKED, **change), 7, "/x", gil=gil)
    assert argv[8:] == options
    assert argv[2:8] == [
        "--pid=7",
        "--duration=30",
        "--rate=100",
        "--format=speedscope",
        "--full-filenames",
        "--output=/x",
    ]


def test_local_variables_are_never_dumped_and_gdb_never_chosen() -> None:
    assert "--locals" not in plan.dump(dataclasses.replace(ASKED, native=True, nonblocking=False), 7)
    assert "--method=lldb" in plan.attach(ASKED, 7, "/x")
    assert "--method=gdb" in plan.attach(dataclasses.replace(ASKED, debugger="gdb"), 7, "/x")


@pytest.mark.parametrize(
    ("tool", "resident", "available", "room", "said"),
    [
        ("record", 4000, 128, 0, ""),
        ("record", 100, 127, 10_000, "it needs about 128 MiB, and the host has 127 MiB available"),
        ("memory", 100, 464, 64, ""),
        ("memory", 100, 463, 64, "it needs about 464 MiB, and the host has 463 MiB available"),
        ("memory", 1000, 700, 249, "it needs about 250 MiB within the process, and its unit may use 249 MiB more"),
        ("memory", 10_000, 911, 10_000, "it needs about 912 MiB, and the host has 911 MiB available"),
    ],
)
def test_a_host_that_is_short_of_memory_is_spared(
    tool: str, resident: float, available: float, room: float, said: str
) -> None:
    found = plan.short_of_memory(tool, resident, available, room)
    assert found.startswith(said)
    assert bool(found) == bool(said)


PYTHON, SHELL = "/usr/bin/python3.13", "/usr/bin/dash"


@pytest.mark.parametrize(
    ("processes", "found"),
    [
        ([Process(10, 1, 5, PYTHON)], [10]),
        ([Process(10, 1, 5, PYTHON), Process(11, 10, 7, PYTHON), Process(12, 10, 6, PYTHON)], [12, 11]),
        # Of a service that a shell starts, the shell is no worker.
        ([Process(10, 1, 5, SHELL), Process(11, 10, 6, PYTHON)], [11]),
        ([Process(10, 1, 5, PYTHON), Process(11, 10, 6, SHELL), Process(12, 11, 7, PYTHON)], [12]),
        (
            [
                Process(10, 1, 5, PYTHON),
                Process(11, 10, 6, PYTHON, "python -c from multiprocessing.resource_tracker import main;main(5)"),
                Process(12, 10, 7, PYTHON, "python -c from multiprocessing.spawn import spawn_main; spawn_main()"),
                Process(13, 1, 7, PYTHON),
            ],
            [12],
        ),
        ([], []),
    ],
)
def test_the_workers_are_what_answers_requests(processes: list[Process], found: list[int]) -> None:
    assert [process.pid for process in target.workers(10, processes)] == found


def test_a_worker_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InfraError) as error:
        target.chosen("api", 3, [Process(11, 10, 6, PYTHON), Process(12, 10, 7, PYTHON)])
    assert str(error.value).startswith(
        'Cannot profile worker 3 of "api": it has 2 of them (1: process 11, 2: process 12).\nSet `worker`'
    )


@pytest.mark.parametrize(
    ("output", "counted", "behind"),
    [
        ("py-spy> Wrote raw data to 'a'. Samples: 151 Errors: 2\n", {"samples": 151, "errors": 2}, False),
        (
            "py-spy> 1.02s behind in sampling, results may be inaccurate. Try reducing the sampling rate\n",
            {"samples": 0, "errors": 0},
            True,
        ),
    ],
)
def test_the_words_of_py_spy_are_read(output: str, counted: dict[str, int], behind: bool) -> None:
    assert (plan.counts(output), plan.is_behind(output)) == (counted, behind)


@pytest.mark.parametrize(
    ("before", "baseline", "expected"),
    [(1.0, 5.0, 20.0), (None, 0.0, None), (0.0, 5.0, 0.0)],
)
def test_the_overhead_is_in_percent(before: float | None, baseline: float, expected: float | None) -> None:
    found = plan.overhead(before, 3.0, 0.3, 10.0, baseline)
    assert found == {"process_before": expected, "process_during": 30.0, "profiler": 3.0}
