"""What is installed, kept and removed."""

from __future__ import annotations

import hashlib
import io
import pathlib
import platform
import tarfile
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files.archive import architecture, description

Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def given(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    """A host with 1.0.0 to 1.2.0, and the archive of 1.3.0 as it was sent."""
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        (tmp_path / "opt/tool" / version).mkdir(parents=True)
        (tmp_path / "opt/tool" / version / "release.json").write_text(description("tool", version, "a" * 64))
    with tarfile.open(tmp_path / "sent", "w:gz") as tar:
        info = tarfile.TarInfo("tool-1.3.0/tool")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"#!x\n"))
    return {
        "name": "tool",
        "version": "1.3.0",
        "file": "x",
        "programs": ["tool"],
        "checksums": {architecture(platform.machine()): hashlib.sha256((tmp_path / "sent").read_bytes()).hexdigest()},
        "root": str(tmp_path / "opt"),
        "sets_root": str(tmp_path / "sets"),
        "_internal": {"received": str(tmp_path / "sent")},
    }


def versions(tmp_path: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "opt/tool").iterdir() if not path.name.startswith("."))


def test_a_new_version_leaves_the_one_before_and_those_in_use(
    run_module: Run, given: dict[str, t.Any], tmp_path: pathlib.Path
) -> None:
    unit = tmp_path / "sets/tool/generations/1"
    unit.mkdir(parents=True)
    (unit / "tool.service").write_text(f"ExecStart={tmp_path}/opt/tool/1.0.0/tool\n")
    (tmp_path / "sets/tool/live").symlink_to("generations/1")
    plan = run_module("software_archive", given, check_mode=True)
    assert (plan["changed"], plan["removed"], versions(tmp_path)) == (True, ["1.1.0"], ["1.0.0", "1.1.0", "1.2.0"])
    result = run_module("software_archive", given)
    assert (result["unpacked"], result["removed"]) == (True, ["1.1.0"])
    assert versions(tmp_path) == result["installed"] == ["1.0.0", "1.2.0", "1.3.0"]
    again = run_module("software_archive", {**given, "_internal": {"received": ""}})
    assert (again["changed"], again["diff"]["before"] == again["diff"]["after"]) == (False, True)


def test_a_host_without_it_asks_for_the_archive(run_module: Run, given: dict[str, t.Any]) -> None:
    result = run_module("software_archive", {**given, "_internal": {"received": ""}})
    assert (result["changed"], result["needs_archive"]) == (False, architecture(platform.machine()))


def test_another_archive_of_a_version_in_use_is_refused(
    run_module: Run, given: dict[str, t.Any], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "sets/tool/generations/1").mkdir(parents=True)
    (tmp_path / "sets/tool/generations/1/unit").write_text(f"{tmp_path}/opt/tool/1.2.0/tool\n")
    (tmp_path / "sets/tool/current").symlink_to("generations/1")
    result = run_module("software_archive", {**given, "version": "1.2.0"})
    assert "another build of the same version is there and in use" in result["error"]["cause"]


def test_all_are_removed(run_module: Run, given: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    gone = {key: given[key] for key in ("name", "root", "sets_root")} | {"state": "absent"}
    assert run_module("software_archive", gone, check_mode=True)["removed"] == ["1.0.0", "1.1.0", "1.2.0"]
    assert run_module("software_archive", gone)["changed"]
    assert not (tmp_path / "opt/tool").exists()
    assert run_module("software_archive", gone)["changed"] is False


def test_a_wrong_sum_leaves_everything(run_module: Run, given: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    result = run_module("software_archive", {**given, "checksums": dict.fromkeys(given["checksums"], "0" * 64)})
    assert "is pinned" in result["error"]["cause"]
    assert versions(tmp_path) == ["1.0.0", "1.1.0", "1.2.0"]
