"""The module's wiring: what it asks systemd for, which set it marks, and when nothing is touched."""

from __future__ import annotations

import grp
import os
import pathlib
import pwd
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result
from ansible_collections.nexod.infra.plugins.module_utils._files import live_service
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, FileSet

Run = t.Callable[..., dict[str, t.Any]]


class Systemd:
    """A unit, and what was done to it."""

    def __init__(self, active: bool) -> None:
        self.active = active
        self.calls: list[str] = []

    def status_of(self, _unit: str) -> live_service.Status:
        return live_service.Status(known=True, active=self.active, enabled=self.active, stale=False)

    def perform(self, _unit: str, steps: t.Sequence[str], _timeout: float) -> Result:
        self.calls += steps
        if steps:
            self.active = live_service.taken(steps) != "stop"
        return Result(0, "", "")


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Systemd:
    made = Systemd(active=True)
    monkeypatch.setattr(live_service, "status_of", made.status_of)
    monkeypatch.setattr(live_service, "perform", made.perform)
    monkeypatch.setattr(live_service, "last_log_lines", lambda *_: "log")
    return made


@pytest.fixture
def files(tmp_path: pathlib.Path) -> FileSet:
    """Two sets, of which the older one is live."""
    made = FileSet("a", str(tmp_path))
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    for content in ("good", "new"):
        made.apply([Entry("f", content.encode(), "0644", owner, group, "restart", None, False)], [])
        if content == "good":
            made.mark_live()
    return made


def options(of: FileSet, **more: t.Any) -> dict[str, t.Any]:
    given = {"name": "a", "files": {"name": "a", "root": str(of.home.parent), "action": "restart"}, "timeout": 1}
    return {name: value for name, value in {**given, **more}.items() if value is not None}


GOOD = [{"command": ["true"]}]
BAD = [{"command": ["false"]}]


def content(files: FileSet, link: str) -> str:
    return (files.home / link / "f").read_text()


def test_a_proven_set_is_live(run_module: Run, systemd: Systemd, files: FileSet) -> None:
    result = run_module("live_service", options(files, proof=GOOD))
    assert (result["changed"], result["action"], systemd.calls) == (True, "restart", ["daemon-reload", "restart"])
    assert content(files, "live") == "new"


def test_an_unproven_set_is_rolled_back(run_module: Run, systemd: Systemd, files: FileSet) -> None:
    result = run_module("live_service", options(files, proof=BAD))
    assert "returned to its previous set" in result["msg"]
    assert result["error"]["object"] == 'the service "a"'
    assert (content(files, "current"), systemd.calls[-2:]) == ("good", ["daemon-reload", "restart"])


def test_a_trial_ends_one_way_or_the_other(run_module: Run, systemd: Systemd, files: FileSet) -> None:
    run_module("live_service", options(files, proof=GOOD, settle=False))
    assert content(files, "live") == "good"
    back = run_module("live_service", options(files, state="returned", proof=GOOD))
    assert (back["changed"], back["live"], content(files, "current")) == (True, True, "good")
    assert run_module("live_service", options(files, state="settled"))["live"] is True


@pytest.mark.parametrize("state", ["stopped", "absent"])
@pytest.mark.parametrize("active", [True, False])
def test_what_never_ran_is_not_marked_live(
    run_module: Run, systemd: Systemd, files: FileSet, state: str, active: bool
) -> None:
    systemd.active = active
    run_module("live_service", options(files, state=state, enabled=False))
    assert content(files, "live") == "good"
    assert systemd.active is False


@pytest.mark.parametrize("state", ["started", "stopped", "absent", "settled", "returned"])
def test_check_mode_only_looks(run_module: Run, systemd: Systemd, files: FileSet, state: str) -> None:
    before = {link: files.generation(link) for link in ("current", "live", "previous")}
    run_module("live_service", options(files, state=state, proof=BAD), check_mode=True)
    assert (systemd.calls, systemd.active) == ([], True)
    assert {link: files.generation(link) for link in before} == before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({"proof": [{}]}, "one of the following is required: url, command", id="empty proof"),
        pytest.param({"proof": [{"url": "x"}]}, "neither http", id="bad URL"),
        pytest.param({"state": "returned", "files": None}, "files", id="no files"),
    ],
)
def test_refusals(run_module: Run, systemd: Systemd, files: FileSet, given: dict[str, t.Any], words: str) -> None:
    result = run_module("live_service", options(files, **given))
    assert (result["failed"], systemd.calls) == (True, [])
    assert words in result["msg"]


class Units:
    """Several units: those that run, and what was done to them."""

    def __init__(self, *active: str) -> None:
        self.active = set(active)
        self.calls: list[str] = []

    def status_of(self, unit: str) -> live_service.Status:
        there = unit in self.active
        return live_service.Status(known=True, active=there, enabled=there, stale=False)

    def perform(self, unit: str, steps: t.Sequence[str], _timeout: float) -> Result:
        for step in steps:
            self.calls += [step if step == "daemon-reload" else f"{step} {unit}"]
            if step in ("start", "restart"):
                self.active.add(unit)
            elif step == "stop":
                self.active.discard(unit)
        return Result(0, "", "")


@pytest.mark.parametrize(
    ("active", "instances", "calls", "left"),
    [
        pytest.param(
            ["a"],
            ["1"],
            ["stop a", "daemon-reload", "enable a@1", "start a@1"],
            {"a@1"},
            id="from one process: its port is free before",
        ),
        pytest.param(
            ["a@1"],
            ["1"],
            ["daemon-reload", "start a@2", "daemon-reload", "restart a@1", "stop a@2"],
            {"a@1"},
            id="the only one beside a successor",
        ),
        pytest.param(
            ["a@1", "a@2"],
            ["1"],
            ["daemon-reload", "restart a@2", "daemon-reload", "restart a@1", "stop a@2"],
            {"a@1"},
            id="the successor that a killed run left gets the new set",
        ),
        pytest.param(
            ["a@1"],
            ["1", "2"],
            ["daemon-reload", "enable a@2", "start a@2", "daemon-reload", "restart a@1"],
            {"a@1", "a@2"},
            id="what is new serves before what restarts",
        ),
        pytest.param(
            ["a@1", "a@3"],
            ["1", "2"],
            ["daemon-reload", "enable a@2", "start a@2", "daemon-reload", "restart a@1", "stop a@3", "disable a@3"],
            {"a@1", "a@2"},
            id="what is no longer listed ends last",
        ),
    ],
)
def test_instances(
    run_module: Run,
    files: FileSet,
    monkeypatch: pytest.MonkeyPatch,
    active: list[str],
    instances: list[str],
    calls: list[str],
    left: set[str],
) -> None:
    """Check mode predicts what is done, and nothing else."""
    units = Units(*active)
    monkeypatch.setattr(live_service, "status_of", units.status_of)
    monkeypatch.setattr(live_service, "perform", units.perform)
    listed = {f"a@{instance}" for instance in instances}
    monkeypatch.setattr(live_service, "surplus", lambda *_: sorted(units.active - listed - {"a"}))
    given = options(files, instances=instances, spare="2")
    predicted = run_module("live_service", given, check_mode=True)
    assert units.calls == []
    done = run_module("live_service", given)
    assert (units.calls, units.active, done["steps"]) == (calls, left, predicted["steps"])
    assert files.generation("live") == files.generation("current")
