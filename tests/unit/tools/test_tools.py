"""What `make` does before Ansible is there: all faults at once, and a .venv that knows when it is out of date."""

from __future__ import annotations

import re
import types
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.programs import load

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.ModuleType:
    """A machine that has everything, is root on Debian, and where nothing is really installed."""
    module: types.ModuleType = load(ROOT / "tools" / "prerequisites.py")
    monkeypatch.setattr(module, "HERE", str(tmp_path))
    monkeypatch.setattr(module, "there", lambda names: True)
    monkeypatch.setattr(module, "free_disk", lambda path: 100 * module.GIB)
    monkeypatch.setattr(module, "free_memory", lambda: 8 * module.GIB)
    monkeypatch.setattr(module, "install", lambda packages: pytest.fail(f"installs {packages}"))
    monkeypatch.setattr(module.os, "getuid", lambda: 0)
    return module


def test_a_ready_machine_has_no_fault(tool: types.ModuleType) -> None:
    assert tool.faults_of_python(True) + tool.faults_of_lab(True) == []


def test_all_faults_are_named_at_once_each_with_its_next_step(
    tool: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "there", lambda names: names[0] not in ("podman", "mmdebstrap"))
    monkeypatch.setattr(tool, "free_disk", lambda path: 2 * tool.GIB)
    monkeypatch.setattr(tool, "free_memory", lambda: tool.GIB)
    monkeypatch.setattr(tool.os, "getuid", lambda: 1000)
    faults = tool.faults_of_lab(True)
    assert [fault.split()[0] for fault, _next_step in faults] == ["podman", "mmdebstrap", "2.0", "2.0", "1.0"]
    assert faults[0][1] == "Run: sudo apt-get install podman mmdebstrap"


def test_root_on_debian_installs_what_is_missing(tool: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(tool, "there", lambda names: names[0] != "podman")
    monkeypatch.setattr(tool, "install", lambda packages: asked.extend(packages) or "")
    assert tool.faults_of_lab(True) == []
    assert asked == ["podman"]
    assert len(tool.faults_of_lab(False)) == 1


def test_a_standing_lab_needs_no_room_for_another(
    tool: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tool, "free_disk", lambda path: 2 * tool.GIB)
    monkeypatch.setattr(tool, "free_memory", lambda: tool.GIB)
    assert len(tool.faults_of_lab(True)) == 3
    (tmp_path / ".lab").mkdir()
    assert tool.faults_of_lab(True) == []


def test_an_old_python_is_named(tool: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool.sys, "version_info", (3, 9, 2))
    assert tool.faults_of_python(True)[0][0] == "Python 3.9 is too old"


def test_pins_follow_the_files_that_a_file_includes() -> None:
    pins = load(ROOT / "tools" / "make_venv.py").pins
    runtime, lab, dev = (pins(ROOT / f"requirements{name}.txt") for name in ("", "-lab", "-dev"))
    assert runtime < lab < dev


def test_every_requirement_is_locked_once() -> None:
    """The requirements are ranges for users; what the tests run with is the lock's."""

    def name(requirement: str) -> str:
        return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~ ]", requirement)[0]).lower()

    tool = load(ROOT / "tools" / "make_venv.py")
    locked = [name(line) for line in tool.CONSTRAINTS.read_text().splitlines() if re.fullmatch(r"[\w.-]+==\S+", line)]
    assert sorted(set(locked)) == sorted(locked)
    assert {name(pin) for pin in tool.pins(ROOT / "requirements-dev.txt")} - set(locked) == set()
