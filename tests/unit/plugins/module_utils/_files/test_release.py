# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ensurepip
import hashlib
import io
import json
import pathlib
import platform
import subprocess
import sys
import tarfile
import typing as t
import zipfile

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.release import (
    Description,
    Plan,
    Releases,
    as_diff,
    by_version,
    file_digest,
    plan_absent,
    plan_present,
    read_description,
    refuse_bad_names,
)


@pytest.mark.parametrize(
    ("installed", "keep", "protected", "build", "remove"),
    [
        pytest.param({}, 2, (), True, (), id="bare host"),
        pytest.param({"1.1.0": "new"}, 2, (), False, (), id="nothing to do"),
        pytest.param({"1.1.0": None}, 2, (), True, (), id="half built is built anew"),
        pytest.param({"1.1.0": "other"}, 2, (), True, (), id="another build that nothing uses is replaced"),
        pytest.param({"1.0.0": "a"}, 2, {"1.0.0"}, True, (), id="upgrade keeps the running one"),
        pytest.param({"0.9.0": "a", "0.10.0": "b", "1.0.0": "c"}, 2, (), True, ("0.9.0",), id="the newest are kept"),
        pytest.param({"0.9.0": "a", "1.0.0": "b"}, 0, {"0.9.0"}, True, ("1.0.0",), id="used ones do not count"),
        pytest.param({"0.9.0": "a", "1.0.0": None}, 1, (), True, ("1.0.0",), id="half-built others go"),
        pytest.param({"1.0.0": "a", "2.0.0": "z"}, 1, (), True, ("1.0.0",), id="a newer one is kept like an older"),
        # What the first run still found in use may be let go by the file set that came after it.
        pytest.param({"0.9.0": "a", "1.0.0": "b", "1.1.0": "new"}, 1, (), False, (), id="a second run removes nothing"),
        pytest.param({"1.0.0": None, "1.1.0": "new"}, 1, (), False, ("1.0.0",), id="but what is half built"),
    ],
)
def test_plan_present(
    installed: dict[str, str | None], keep: int, protected: t.Collection[str], build: bool, remove: tuple[str, ...]
) -> None:
    plan = plan_present(installed, "1.1.0", "new", keep=keep, protected=protected)
    assert plan == Plan(build, remove)
    assert plan.changed == (build or bool(remove))


def test_another_build_of_a_version_in_use_is_refused() -> None:
    with pytest.raises(InfraError, match="in use") as caught:
        plan_present({"1.1.0": "other"}, "1.1.0", "new", keep=2, protected={"1.1.0"})
    assert "version of its own" in str(caught.value)


@pytest.mark.parametrize(
    ("installed", "version", "remove"),
    [
        pytest.param(["1.0.0", "1.1.0"], "1.0.0", ("1.0.0",), id="one"),
        pytest.param(["1.10.0", "1.9.0"], None, ("1.9.0", "1.10.0"), id="all"),
        pytest.param([], "1.0.0", (), id="not there"),
    ],
)
def test_plan_absent(installed: list[str], version: str | None, remove: tuple[str, ...]) -> None:
    assert plan_absent(installed, version, ()) == Plan(False, remove)


def test_a_version_in_use_is_not_removed() -> None:
    with pytest.raises(InfraError, match=r"version 1\.0\.0"):
        plan_absent(["1.0.0", "1.1.0"], None, {"1.0.0"})


def test_versions_sort_as_people_read_them() -> None:
    versions = ["1.10.0", "1.0.0", "1.9.0", "1.0.0rc1", "1.0"]
    assert sorted(versions, key=by_version) == ["1.0", "1.0.0rc1", "1.0.0", "1.9.0", "1.10.0"]


@pytest.mark.parametrize(
    ("name", "version", "keep"),
    [("../etc", "1.0.0", 2), ("api", "../1.0.0", 2), ("api", "..", 2), ("", None, 2), ("api", "1.0.0", -1)],
)
def test_bad_names_are_refused(name: str, version: str | None, keep: int) -> None:
    with pytest.raises(InfraError):
        refuse_bad_names(name, version, keep)


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        pytest.param(None, True, id="not there yet"),
        pytest.param("1.0.0", True, id="names the one before"),
        pytest.param("1.1.0", False, id="names it already"),
    ],
)
def test_a_link_names_the_wanted_version(tmp_path: pathlib.Path, before: str | None, changes: bool) -> None:
    releases = Releases("api", str(tmp_path))
    (releases.home / "1.1.0").mkdir(parents=True)
    if before:
        (releases.home / "current").symlink_to(before)
    linked = releases.linked("current", "1.1.0")
    assert linked is not None
    assert linked.changes == changes
    shown = as_diff("api", {"1.1.0": "new"}, Plan(build=False, remove=()), "1.1.0", linked)
    assert ((shown["before"] != shown["after"]), "current -> 1.1.0" in shown["after"]) == (changes, True)
    releases.point(linked)
    assert (releases.home / "current").resolve().name == "1.1.0"
    assert list(releases.installed()) == ["1.1.0"]


@pytest.mark.parametrize(("link", "words"), [("a/b", "can't name a file"), ("taken", "another file or folder")])
def test_a_link_that_cannot_be(tmp_path: pathlib.Path, link: str, words: str) -> None:
    (tmp_path / "api" / "taken").mkdir(parents=True)
    with pytest.raises(InfraError, match=words):
        Releases("api", str(tmp_path)).linked(link, "1.1.0")


def test_diff_lists_releases() -> None:
    diff = as_diff("api", {"1.0.0": "a", "0.9.0": "b", "1.1.0": None}, Plan(True, ("0.9.0",)), "1.1.0")
    assert (diff["before"], diff["after"]) == ("0.9.0\n1.0.0\n", "1.0.0\n1.1.0\n")


def wheel(name: str, version: str, files: dict[str, str]) -> bytes:
    """The smallest wheel that pip takes."""
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    content[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*content, f"{info}/RECORD"))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    return target.getvalue()


def write_archive(folder: pathlib.Path, version: str = "1.0.0", **change: t.Any) -> pathlib.Path:
    bundled = next((pathlib.Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    code = change.pop("code", f"def main():\n    print({version!r})\n")
    wheels = {
        f"wheels/{bundled.name}": bundled.read_bytes(),
        f"wheels/tiny-{version}-py3-none-any.whl": wheel("tiny", version, {"tiny.py": code}),
    }
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    description = {
        "schema": 1,
        "name": "tiny",
        "version": version,
        "machine": platform.machine(),
        "pythons": {python: sorted(wheels)},
        "imports": ["tiny"],
        "files": {path: hashlib.sha256(content).hexdigest() for path, content in wheels.items()},
        **change,
    }
    target = folder / f"tiny-{version}.tar"
    with tarfile.open(target, "w") as tar:
        for path, content in {"release.json": json.dumps(description).encode(), **wheels}.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target


def build(releases: Releases, archive: pathlib.Path, version: str = "1.0.0") -> Description:
    description, digest = read_description(str(archive), "tiny", version)
    with releases.locked():
        releases.build(description, str(archive), digest, sys.executable)
    return description


def test_release_is_built_runs_and_is_rebuilt_when_it_was_cut_short(tmp_path: pathlib.Path) -> None:
    releases = Releases("tiny", str(tmp_path / "opt"), str(tmp_path / "sets"))
    assert releases.installed() == {}
    (tmp_path / "opt/tiny/1.0.0/bin").mkdir(parents=True)
    (tmp_path / "opt/tiny/.wheels-left").mkdir()
    assert releases.installed() == {"1.0.0": None}
    description = build(releases, write_archive(tmp_path))
    assert releases.installed() == {"1.0.0": description.digest}
    command = releases.path("1.0.0") / "bin" / "tiny"
    assert subprocess.run([command], capture_output=True, text=True, check=True).stdout == "1.0.0\n"
    assert list(releases.path("1.0.0").rglob("tiny.*.pyc")), "byte code is there for the service, which can't write it"
    assert sorted(path.name for path in releases.home.iterdir()) == [".lock", "1.0.0"]
    releases.remove(["1.0.0"])
    assert releases.installed() == {}


def test_release_that_does_not_import_is_never_complete(tmp_path: pathlib.Path) -> None:
    releases = Releases("tiny", str(tmp_path / "opt"))
    with pytest.raises(InfraError, match="no_such_module"):
        build(releases, write_archive(tmp_path, code="import no_such_module\n"))
    assert releases.installed() == {"1.0.0": None}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"machine": "pdp11"}, "built for pdp11", id="other machine"),
        pytest.param({"pythons": {"2.7": []}}, "built for Python 2.7", id="other Python"),
        pytest.param({"files": {"../evil": "x"}, "pythons": {}}, "odd paths", id="path that leads elsewhere"),
        pytest.param({"schema": 2}, "schema 2", id="unknown schema"),
        pytest.param({"files": []}, "is incomplete", id="wrong type"),
        pytest.param({"name": "other"}, "it holds other 1.0.0", id="another application"),
    ],
)
def test_unfit_archives_are_refused(tmp_path: pathlib.Path, change: dict[str, t.Any], word: str) -> None:
    with pytest.raises(InfraError, match=word):
        build(Releases("tiny", str(tmp_path / "opt")), write_archive(tmp_path, **change))


def test_wheel_that_is_not_what_the_description_says_is_refused(tmp_path: pathlib.Path) -> None:
    archive = write_archive(tmp_path)
    description = read_description(str(archive), "tiny", "1.0.0")[0]
    forged = dict.fromkeys(description.files, "0" * 64)
    with pytest.raises(InfraError, match="checksum"):
        build(Releases("tiny", str(tmp_path / "opt")), write_archive(tmp_path, files=forged))


def test_archive_that_changed_on_the_way_is_refused(tmp_path: pathlib.Path) -> None:
    archive = write_archive(tmp_path)
    description = read_description(str(archive), "tiny", "1.0.0")[0]
    releases = Releases("tiny", str(tmp_path / "opt"))
    with pytest.raises(InfraError, match="not what the controller sent"), releases.locked():
        releases.build(description, str(archive), "0" * 64, sys.executable)


@pytest.mark.parametrize("content", [b"", b"no tar at all", None])
def test_what_is_no_archive_is_named(tmp_path: pathlib.Path, content: bytes | None) -> None:
    archive = tmp_path / "tiny.tar"
    if content is not None:
        archive.write_bytes(content)
    with pytest.raises(InfraError, match=r"tiny\.tar"):
        read_description(str(archive), "tiny", "1.0.0")


def test_versions_in_use_are_found_in_sets_and_processes(tmp_path: pathlib.Path) -> None:
    releases = Releases("api", str(tmp_path / "opt"), str(tmp_path / "sets"))
    for pointer, version in {"current": "1.1.0", "previous": "1.0.0", "unnamed": "0.8.0"}.items():
        generation = tmp_path / "sets/api/generations" / pointer
        generation.mkdir(parents=True)
        (generation / "api.service").write_text(f"ExecStart={releases.home}/{version}/bin/nexod-api serve\n")
        if pointer != "unnamed":
            (tmp_path / "sets/api" / pointer).symlink_to(f"generations/{pointer}")
    sleeper = [sys.executable, "-c", "print(flush=True); input()", f"{releases.home}/0.9.0/bin/python"]
    with subprocess.Popen(sleeper, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        # The kernel shows a command line a moment after the start of its program.
        assert process.stdout
        process.stdout.readline()
        assert releases.in_use() == {"0.9.0", "1.0.0", "1.1.0"}
        process.communicate(b"\n")


def test_two_runs_at_once_are_refused(tmp_path: pathlib.Path) -> None:
    releases = Releases("api", str(tmp_path))
    with releases.locked(), pytest.raises(InfraError, match="another run"), releases.locked():
        pass


def test_every_archive_file_is_read_in_blocks(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * (3 << 20))
    assert file_digest(file) == hashlib.sha256(file.read_bytes()).hexdigest()
