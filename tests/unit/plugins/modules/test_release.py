"""What is asked of the host, and when the archive is needed."""

from __future__ import annotations

import json
import pathlib
import platform
import sys
import typing as t

import pytest

Run = t.Callable[..., dict[str, t.Any]]
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
DESCRIPTION = json.dumps(
    {
        "schema": 1,
        "name": "api",
        "version": "1.1.0",
        "machine": platform.machine(),
        "pythons": {PYTHON: []},
        "imports": [],
        "files": {},
    }
)


def options(root: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    sent = {"description": DESCRIPTION, "digest": "d", **more.pop("sent", {})}
    present = {"version": "1.1.0", "archive": "api.tar", "_internal": sent}
    where = {"name": "api", "root": str(root), "sets_root": str(root / "sets"), "python": sys.executable}
    return {**where, **({} if more.get("state") == "absent" else present), **more}


@pytest.fixture
def installed(tmp_path: pathlib.Path) -> pathlib.Path:
    """A host with version 1.0.0, and a part of another one."""
    for version, text in {"1.0.0": DESCRIPTION.replace("1.1.0", "1.0.0"), "0.9.0": None}.items():
        (tmp_path / "api" / version).mkdir(parents=True)
        if text:
            (tmp_path / "api" / version / "release.json").write_text(text)
    return tmp_path


def listing(root: pathlib.Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


def test_a_missing_release_asks_for_its_archive(run_module: Run, installed: pathlib.Path) -> None:
    before = listing(installed)
    result = run_module("release", options(installed))
    assert (result["needs_archive"], result["changed"], listing(installed)) == (True, False, before)


def test_one_that_is_there_needs_none(run_module: Run, installed: pathlib.Path) -> None:
    (installed / "api" / "1.1.0").mkdir()
    (installed / "api" / "1.1.0" / "release.json").write_text(DESCRIPTION)
    result = run_module("release", options(installed, link="current"))
    assert (result["built"], result["removed"]) == (False, ["0.9.0"])
    assert (installed / "api" / "current").resolve().name == "1.1.0"
    assert run_module("release", options(installed, link="current"))["changed"] is False


def test_check_mode_plans_and_writes_nothing(run_module: Run, installed: pathlib.Path) -> None:
    before = listing(installed)
    plan = run_module("release", options(installed, link="current"), check_mode=True)
    assert (plan["changed"], plan["built"], plan["removed"]) == (True, True, ["0.9.0"])
    assert plan["installed"] == ["1.0.0", "1.1.0"]
    assert run_module("release", options(installed, state="absent"), check_mode=True)["changed"] is True
    assert listing(installed) == before


def test_all_are_removed(run_module: Run, installed: pathlib.Path) -> None:
    assert run_module("release", options(installed, state="absent"))["removed"] == ["0.9.0", "1.0.0"]
    assert not (installed / "api").exists()
    assert run_module("release", options(installed, state="absent"))["changed"] is False


def test_an_archive_that_was_damaged_on_its_way(run_module: Run, installed: pathlib.Path) -> None:
    (installed / "api.tar").write_bytes(b"damaged")
    result = run_module("release", options(installed, sent={"received": str(installed / "api.tar")}))
    assert result["error"]["cause"] == "it is not what the controller sent"
