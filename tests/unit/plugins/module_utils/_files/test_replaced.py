# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that outlived its program."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files import replaced


def facts_of_process(pid: int, program: str) -> dict[str, str]:
    started = int(time.monotonic() * 1e6)
    return {
        "MainPID": str(pid),
        "ExecMainStartTimestampMonotonic": str(started),
        "ExecStart": f"{{ path={program} ; argv[]={program} -c x ; ignore_errors=no }}",
    }


def test_an_older_program_is_not_replaced() -> None:
    assert not replaced.replaced(facts_of_process(os.getpid(), sys.executable))


def test_a_program_newer_than_its_process_is_replaced(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "exporter"
    program.write_text("")
    monkeypatch.setattr(replaced, "PROGRAMS", (f"{tmp_path}/",))
    facts = {**facts_of_process(os.getpid(), str(program)), "ExecMainStartTimestampMonotonic": "1"}
    assert replaced.replaced(facts)
    assert not replaced.replaced({**facts, "MainPID": "0"})


@pytest.mark.skipif(not pathlib.Path("/bin/sleep").exists(), reason="wants a program to copy")
def test_a_deleted_program_is_replaced(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "sleep"
    program.write_bytes(pathlib.Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "30"]) as process:
        try:
            deadline = time.monotonic() + 5
            while os.readlink(f"/proc/{process.pid}/exe") != str(program) and time.monotonic() < deadline:
                time.sleep(0.01)
            program.unlink()
            assert replaced.replaced(facts_of_process(process.pid, str(program)))
        finally:
            process.kill()


def test_programs_are_told_from_configuration() -> None:
    started = "{ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 /usr/bin/x --file=/usr/y /etc/nexod/x ; pid=1 }"
    assert replaced.programs(started) == {"/usr/bin/python3", "/usr/bin/x"}


def test_a_program_from_the_future_is_not_replaced(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a clock was set back, a restart would not help until that time has come."""
    program = tmp_path / "exporter"
    program.write_text("")
    monkeypatch.setattr(replaced, "PROGRAMS", (f"{tmp_path}/",))
    monkeypatch.setattr(replaced, "changed_at", lambda _path: time.time() + 3600)
    assert not replaced.replaced(
        {**facts_of_process(os.getpid(), str(program)), "ExecMainStartTimestampMonotonic": "1"}
    )


def test_without_a_process_nothing_is_replaced() -> None:
    assert not replaced.replaced({})
