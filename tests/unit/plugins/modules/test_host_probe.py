"""What a host is asked for, in one execution."""

from __future__ import annotations

import time
import typing as t

Run = t.Callable[..., dict[str, t.Any]]


def test_it_answers_everything(run_module: Run) -> None:
    result = run_module("host_probe", {"reference_time": time.time() - 60}, check_mode=True)
    probe = result["probe"]
    assert (result["changed"], probe["memory_mb"] > 0, set(probe["disk_free_mb"])) == (False, True, {"/", "/var"})
    assert 59 < probe["clock_offset_seconds"] < 90


def test_without_a_reference_the_clock_is_not_judged(run_module: Run) -> None:
    assert run_module("host_probe", {})["probe"]["clock_offset_seconds"] is None
