"""Which files make which version."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

API = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_api_build", API / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "revisions", "comments"),
    [("1.0.0", 8, False), ("1.0.9", 8, False), ("1.1.0", 12, True), ("1.10.0", 12, True)],
)
def test_a_version_is_made_of_what_it_and_those_before_it_brought(
    build: ModuleType, version: str, revisions: int, comments: bool
) -> None:
    files = dict(build.source_files(version))
    assert sum("/versions/0" in path for path in files) == revisions
    assert ("src/nexod_api/features/comments.py" in files) is comments
    assert files["src/nexod_api/_version.py"] == f'__version__ = "{version}"\n'.encode()


def test_what_is_left_out_is_there_to_be_left_out(build: ModuleType) -> None:
    for file in build.left_out("0.0.1"):
        assert (build.SOURCES / file).is_file(), file


def test_a_fault_is_planted_only_where_it_is_asked_for(build: ModuleType) -> None:
    assert build.faults() == ["errors", "fails-later", "leaks", "never-ready", "slow"]
    sound = dict(build.source_files("1.1.1"))
    assert not any("fault" in path for path in sound)
    for fault in build.faults():
        files = dict(build.source_files("1.1.1", fault))
        assert files.keys() - sound.keys() == {"src/nexod_api/fault.py"}
        assert [path for path in sound if files[path] != sound[path]] == ["src/nexod_api/app.py"]
        compile(files["src/nexod_api/app.py"], "app.py", "exec")


def test_faults_do_what_their_names_say(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def status(fault: Any, path: str) -> int:
        """What is answered to a GET of `path` (a sound application says 200)."""
        said: list[Any] = []

        async def sound(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200})

        async def send(message: Any) -> None:
            said.append(message)

        app = applications.setdefault(fault, fault(sound))
        asyncio.run(app({"type": "http", "path": path, "method": "GET"}, None, send))
        return int(said[0]["status"])

    class Answer:
        """Stands for Starlette's, which only a release's own environment has."""

        def __init__(self, document: object, status: int) -> None:
            self.status = status

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": self.status})

    responses, types = ModuleType("starlette.responses"), ModuleType("starlette.types")
    responses.JSONResponse = Answer  # type: ignore[attr-defined]
    types.__dict__.update(dict.fromkeys(("ASGIApp", "Receive", "Scope", "Send"), Any))
    for stand_in in (ModuleType("starlette"), responses, types):
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    applications: dict[Any, Any] = {}
    modules = {fault: ModuleType(fault) for fault in build.faults()}
    for fault, module in modules.items():
        exec(dict(build.source_files("1.1.1", fault))["src/nexod_api/fault.py"], module.__dict__)
    assert [status(modules["never-ready"].Fault, path) for path in ("/health", "/ready", "/")] == [200, 503, 200]
    modules["fails-later"].SECONDS = 0.05
    assert status(modules["fails-later"].Fault, "/ready") == 200
    time.sleep(0.1)
    assert [status(modules["fails-later"].Fault, path) for path in ("/health", "/ready", "/")] == [500, 500, 200]
    assert [status(modules["errors"].Fault, "/") for _ in range(40)].count(500) == 2
    assert {status(modules["errors"].Fault, "/health") for _ in range(40)} == {200}
    modules["slow"].SECONDS, began = 0.2, time.monotonic()
    assert (status(modules["slow"].Fault, "/"), time.monotonic() - began >= 0.2) == (200, True)
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(number))
    modules["leaks"].EACH, modules["leaks"].LIMIT = 4096, 8 * 4096
    assert [bool(killed) for _ in range(8) if status(modules["leaks"].Fault, "/")] == [False] * 8
    assert (status(modules["leaks"].Fault, "/"), killed) == (200, [9])


@pytest.mark.parametrize("version", ["1.0", "latest", "../1.0.0", "1.0.0 "])
def test_odd_versions_are_refused(build: ModuleType, version: str) -> None:
    with pytest.raises(build.BuildError):
        build.number(version)
