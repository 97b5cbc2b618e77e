"""The dead man's timer: its files and what it asks systemd for. Units are tested in molecule's scenario pgbouncer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core import transient
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.timer import Timer


def test_armed_twice_and_disarmed_by_database(systemd_calls: list[list[str]], tmp_path: Path) -> None:
    timer = Timer("/run/pgbouncer", 6432, str(tmp_path / "run"))
    assert timer.databases() == [] and not timer.armed() and not systemd_calls
    timer.arm(["app"], 30)
    (start,) = systemd_calls
    assert start[0] == "systemd-run" and "--on-active=30s" in start and start[-3:] == ["-I", timer.program, timer.list]
    unit = next(word.partition("=")[2] for word in start if word.startswith("--unit="))
    assert Path(timer.program).read_text().rstrip().endswith("raise SystemExit(main(sys.argv[1]))")
    timer.arm(["app", "other"], 60)
    # The old one ends only after the new one has been started.
    assert [call[0] for call in systemd_calls] == ["systemd-run", "systemd-run", "systemctl", "systemctl"]
    assert systemd_calls[2] == ["systemctl", "stop", f"{unit}.timer", f"{unit}.service"]
    assert timer.databases() == ["app", "other"] and timer.armed()
    systemd_calls.clear()
    timer.disarm(["app"])
    assert timer.databases() == ["other"] and not systemd_calls
    timer.disarm(["other"])
    assert systemd_calls[0] == [
        "systemctl",
        "stop",
        "nexod-pgbouncer-resume-6432-*.timer",
        "nexod-pgbouncer-resume-6432-*.service",
    ]
    assert list((tmp_path / "run").iterdir()) == []
    systemd_calls.clear()
    timer.disarm(["other"])
    assert not systemd_calls


@pytest.mark.parametrize("before", [[], ["other"]])
def test_a_timer_that_does_not_start_changes_nothing(
    systemd_calls: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: list[str]
) -> None:
    timer = Timer("/run/pgbouncer", 6432, str(tmp_path))
    if before:
        timer.arm(before, 30)
    systemd_calls.clear()
    monkeypatch.setattr(transient, "run", lambda _argv: Result(1, "", "Failed to connect to bus"))
    with pytest.raises(InfraError, match="Failed to connect to bus"):
        timer.arm(["app", *before], 30)
    assert timer.databases() == before
    assert bool(list(tmp_path.iterdir())) == bool(before)
