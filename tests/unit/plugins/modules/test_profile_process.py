# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes, profiled by the versions of py-spy and Memray that hosts get."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
import time
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result
from ansible_collections.nexod.infra.plugins.module_utils._profiling import profiler, stacks, target
from ansible_collections.nexod.infra.tests.profilers import installed

Run = t.Callable[..., dict[str, t.Any]]

#: Most of its time it computes what was planted; a little it leaks.
PROGRAM = """
import json, sys, time
kept = []
def planted_slow():
    return sum(number * number for number in range(20_000))
def leaks():
    kept.append(bytearray(5_000))
end = time.monotonic() + float(sys.argv[1])
print("ready", flush=True)
while time.monotonic() < end:
    planted_slow()
    json.loads(json.dumps(list(range(3_000))))
    leaks()
"""


@pytest.fixture(scope="session")
def profilers() -> pathlib.Path:
    return installed()


@pytest.fixture
def started() -> t.Iterator[t.Callable[..., subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def start(seconds: float = 60, program: str = PROGRAM) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", textwrap.dedent(program), str(seconds)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        found = target.read_process(process.pid)
        if found is not None and target.untraceable(found):
            pytest.skip("this account may not trace its own processes (CAP_SYS_PTRACE)")
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def lock(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = str(tmp_path / "profile.lock")
    monkeypatch.setattr(profiler, "LOCK", path)
    return path


@pytest.fixture
def options(tmp_path: pathlib.Path, profilers: pathlib.Path) -> dict[str, t.Any]:
    return {"profilers": str(profilers), "dest": str(tmp_path / "out"), "seconds": 2, "baseline_seconds": 0}


def test_a_planted_function_is_at_the_top_of_all_formats(run_module: Run, started: t.Any, options: t.Any) -> None:
    process = started()
    left = pathlib.Path(options["dest"]) / "profile-20260101T000000Z"
    left.mkdir(parents=True)
    counted = {"metrics_url": "http://127.0.0.1:1/metrics", "counted": [{"name": "requests", "metric": "a_count"}]}
    more = {"pid": process.pid, "baseline_seconds": 1, "owner": "ann", **counted}
    result = run_module("profile_process", {**options, **more})
    assert not result.get("failed"), result
    assert result["changed"] is True
    assert process.poll() is None
    assert result["top_own"][0]["function"].startswith(("planted_slow (", "planted_slow.<locals>.<genexpr> ("))
    assert any(row["function"].startswith("planted_slow (") for row in result["top_total"][:3])
    assert result["samples"] > 20
    assert 5 < result["shares"]["GIL"] <= 100
    assert result["shares"]["JSON"] > 0
    assert result["overhead"]["process_before"] > 5
    assert result["overhead"]["profiler"] < 50
    # The profile is there, although the metrics cannot be read.
    assert result["calls"] == {}
    assert "Calls were not counted: http://127.0.0.1:1/metrics could not be read" in " ".join(result["summary"])
    folder = pathlib.Path(result["folder"])
    assert not left.exists()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == dict.fromkeys(
        result["files"], 0o600
    )
    assert result["files"] == ["profile.json", "profile.raw", "profile.speedscope.json", "profile.svg"]
    assert "planted_slow" in (folder / "profile.svg").read_text()
    assert json.loads((folder / "profile.speedscope.json").read_text())["profiles"]
    assert sum(int(line.rpartition(" ")[2]) for line in (folder / "profile.raw").open()) == result["samples"]


def test_a_dump_shows_stacks_and_no_values(run_module: Run, started: t.Any, options: t.Any) -> None:
    # Without a pause, what was called and what calls may be of different moments.
    options |= {"tool": "dump", "nonblocking": False}
    result = run_module("profile_process", {**options, "pid": started().pid})
    assert result["changed"] is False
    assert "<module> (<string>:" in result["threads"][0]["stack"][-1]
    assert "kept" not in json.dumps(result)
    assert not pathlib.Path(options["dest"]).exists()


def test_a_process_that_ends_meanwhile_leaves_nothing(run_module: Run, started: t.Any, options: t.Any) -> None:
    result = run_module("profile_process", {**options, "pid": started(1.2).pid, "seconds": 3})
    assert "it ended while it was profiled" in result["msg"]
    assert list(pathlib.Path(options["dest"]).iterdir()) == []


def test_one_profile_at_a_time(run_module: Run, started: t.Any, options: t.Any, lock: str) -> None:
    process = started()
    with profiler.locked("ann", "process 1", lock):
        result = run_module("profile_process", {**options, "pid": process.pid})
    assert "a profile is taken on this host already: ann profiles process 1 since 20" in result["msg"]
    assert not pathlib.Path(options["dest"]).exists()


def test_the_lock_lasts_as_long_as_the_profiler(lock: str) -> None:
    with profiler.locked("ann", "process 1", lock) as handle:
        orphan = subprocess.Popen(["sleep", "30"], pass_fds=[handle])
    try:
        with pytest.raises(InfraError, match="ann profiles process 1"), profiler.locked("bob", "process 2", lock):
            pass
    finally:
        orphan.kill()
        orphan.wait()
    with profiler.locked("bob", "process 2", lock):
        assert "bob" in pathlib.Path(lock).read_text()


def done(stdout: str = "", rc: int = 0, stderr: str = "", missing: bool = False) -> Result:
    return Result(rc, stdout, stderr, missing)


@pytest.mark.parametrize(
    ("systemd", "cause", "next_step"),
    [
        (done("LoadState=not-found\nActiveState=inactive\nMainPID=0\n"), "there is no such unit", "Correct `unit`"),
        (done("LoadState=masked\nActiveState=inactive\nMainPID=0\n"), "it is masked", "systemctl unmask api"),
        (done("LoadState=bad-setting\nActiveState=inactive\nMainPID=0\n"), "it is bad-setting", "systemctl status api"),
        (done("LoadState=loaded\nActiveState=inactive\nMainPID=0\n"), "it is inactive and has no process", "Start it"),
        (done("LoadState=loaded\nActiveState=failed\nMainPID=0\n"), "it is failed and has no process", "journalctl -u"),
        (done(rc=1, stderr="Failed to connect to bus"), "Failed to connect to bus", "Give `pid`"),
        (done(rc=127, stderr="No such file: systemctl", missing=True), "systemctl", "Give `pid`"),
        # It ended between the two questions.
        (done("LoadState=loaded\nActiveState=active\nMainPID=4194305\n"), "it has 0 of them (none)", "Set `worker`"),
    ],
)
def test_a_unit_without_a_process(
    run_module: Run, options: t.Any, monkeypatch: pytest.MonkeyPatch, systemd: Result, cause: str, next_step: str
) -> None:
    monkeypatch.setattr(target, "run", lambda _argv: systemd)
    error = run_module("profile_process", {**options, "unit": "api"})["error"]
    assert cause in error["cause"] and next_step in error["next_step"], error
    assert not pathlib.Path(options["dest"]).exists()


@pytest.mark.parametrize(("scope", "named"), [("0", False), ("1", True), ("2", True), ("3", True), (None, False)])
def test_a_missing_right_names_what_the_kernel_allows(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, scope: str | None, named: bool
) -> None:
    if scope is not None:
        (tmp_path / "ptrace_scope").write_text(f"{scope}\n")
    monkeypatch.setattr(target, "PTRACE_SCOPE", tmp_path / "ptrace_scope")
    error = target.no_right("process 7", "Permission denied")
    assert "the capability CAP_SYS_PTRACE is missing" in error.cause
    assert (f"kernel.yama.ptrace_scope is {scope}" in error.cause) is named
    assert "SYS_PTRACE (podman run --cap-add)" in error.next_step


MINE = target.Process(os.getpid(), os.getppid(), 0, sys.executable)


@pytest.mark.parametrize(
    ("runs", "result", "cause", "next_step"),
    [
        (False, done(rc=1, stderr="Error: No such process"), "it ended while it was profiled", "journalctl"),
        (True, done(rc=1, stderr="Error: Permission denied (os error 13)"), "CAP_SYS_PTRACE is missing", "Run as root"),
        (True, done(rc=1, stderr="Error: No space left on device (os error 28)"), "the disk is full", "Free space"),
        (True, done(rc=1, stderr="OSError: [Errno 122] Disk quota exceeded"), "the disk is full", "Free space"),
        (True, done(rc=127, stderr="/x/py-spy: not found", missing=True), "/x/py-spy", "Install the profilers"),
        (True, done(rc=124), "did not end in time", "Read its message"),
        (True, done(rc=3, stderr="Failed to find python version"), "ended with 3", "Read its message"),
    ],
)
def test_why_a_profiler_failed(
    monkeypatch: pytest.MonkeyPatch, runs: bool, result: Result, cause: str, next_step: str
) -> None:
    monkeypatch.setattr(target, "same", lambda _process: runs)
    error = profiler.failure(result, MINE, "it")
    assert cause in error.cause and next_step in error.next_step


def test_a_host_that_is_short_of_memory(
    run_module: Run, options: t.Any, monkeypatch: pytest.MonkeyPatch, started: t.Any
) -> None:
    monkeypatch.setattr(target, "available_mib", lambda: 100.0)
    error = run_module("profile_process", {**options, "pid": started().pid})["error"]
    assert "it needs about 128 MiB, and the host has 100 MiB available" in error["cause"]
    assert "profile another instance" in error["next_step"]
    assert not pathlib.Path(options["dest"]).exists()


@pytest.mark.parametrize("full", ["profile.speedscope.json", "profile.svg", "profile.json"])
def test_a_disk_that_becomes_full_leaves_nothing(
    run_module: Run, options: t.Any, monkeypatch: pytest.MonkeyPatch, started: t.Any, full: str
) -> None:
    write = profiler.write

    def until_full(folder: pathlib.Path, name: str, text: str) -> None:
        write(folder, name, text[:10] if name == full else text)
        if name == full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sampled = (stacks.from_raw("main (/app/a.py:3) 7"), {"summary": []}, "{}")
    monkeypatch.setattr(profiler, "sampled", lambda *_: sampled)
    monkeypatch.setattr(profiler, "write", until_full)
    result = run_module("profile_process", {**options, "pid": started().pid})
    assert f"{options['dest']}: No space left on device" in result["msg"]
    assert "Free some space" in result["error"]["next_step"]
    assert list(pathlib.Path(options["dest"]).iterdir()) == []


def test_what_cannot_be_profiled_is_refused(run_module: Run, options: t.Any, started: t.Any) -> None:
    other = subprocess.Popen(["sleep", "30"])
    try:
        result = run_module("profile_process", {**options, "pid": other.pid})
        assert "which is not Python" in result["msg"]
    finally:
        other.kill()
        other.wait()
    assert "there is no such process" in run_module("profile_process", {**options, "pid": other.pid})["msg"]
    lacks = {**options, "pid": started().pid, "profilers": "/nowhere"}
    assert "/nowhere/bin/py-spy is not installed" in run_module("profile_process", lacks)["msg"]
    assert not pathlib.Path(options["dest"]).exists()


def test_a_missing_right_names_the_capability(started: t.Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give its rights up")
    process = target.read_process(started().pid)
    assert process is not None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            target.refuse_untraceable(process, "it")
            os.write(writer, b"nothing was refused")
        except InfraError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    assert "the capability CAP_SYS_PTRACE is missing" in said
    assert "kernel.yama.ptrace_scope" in said


def test_check_mode_profiles_nothing(run_module: Run, started: t.Any, options: t.Any, lock: str) -> None:
    result = run_module("profile_process", {**options, "pid": started().pid, "seconds": 60}, check_mode=True)
    assert result["changed"] is True
    assert result["summary"] == []
    assert not pathlib.Path(options["dest"]).exists()
    assert not pathlib.Path(lock).exists()


@pytest.mark.long
def test_a_planted_leak_is_at_the_top_of_what_is_left(run_module: Run, started: t.Any, options: t.Any) -> None:
    if shutil.which("lldb") is None:
        pytest.skip("lldb is not installed")
    process = started()
    result = run_module("profile_process", {**options, "pid": process.pid, "tool": "memory", "seconds": 3})
    assert not result.get("failed"), result
    assert result["memory"]["left"]["top"][0]["function"] == "leaks"
    assert result["files"] == ["left.html", "memory.bin", "peak.html", "profile.json"]
    assert list(pathlib.Path("/tmp").glob("nexod-profile-*")) == []
    time.sleep(0.5)
    assert process.poll() is None
