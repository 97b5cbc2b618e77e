# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of a tiny package, built without a network, and everything that stands in the way of one."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import typing as t
import zipfile

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files import release_archive
from ansible_collections.nexod.infra.plugins.module_utils._files.release import (
    Description,
    Releases,
    file_digest,
    read_description,
    unpack,
)
from ansible_collections.nexod.infra.plugins.module_utils._files.release_archive import Wanted, build, input_key

TINY = pathlib.Path(__file__).resolve().parents[4] / "fixtures/tiny"
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def tiny(tmp_path: pathlib.Path) -> Wanted:
    source = pathlib.Path(shutil.copytree(TINY, tmp_path / "tiny"))
    return Wanted(source, tmp_path / "out", pythons=(HERE,), index=False)


def edit(wanted: Wanted, before: str, after: str) -> None:
    file = wanted.source / "pyproject.toml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))


def test_what_is_built_is_what_a_host_installs(tiny: Wanted, tmp_path: pathlib.Path) -> None:
    built = build(tiny)
    assert (built.name, built.version, built.built) == ("tiny-shop", "1.0.0", True)
    assert built.path == tiny.folder / "tiny-shop-1.0.0.tar"
    description, digest = read_description(str(built.path), "tiny-shop", "1.0.0")
    assert description.imports == ["tiny_shop"]
    assert [path.rpartition("/")[2].split("-")[0] for path in description.pythons[HERE]] == ["pip", "tiny_shop"]
    releases = Releases("tiny-shop", str(tmp_path / "opt"))
    with releases.locked():
        releases.build(description, str(built.path), digest, sys.executable)
    told = subprocess.run(
        [releases.path("1.0.0") / "bin/python", "-c", "import tiny_shop; print(tiny_shop.VERSION)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "1.0.0\n"
    assert (releases.path("1.0.0") / "bin/tiny-shop").exists()


def test_the_same_inputs_are_not_built_again_and_give_the_same_bytes(tiny: Wanted) -> None:
    first = build(tiny)
    before = file_digest(first.path)
    assert build(tiny) == dataclasses.replace(first, built=False)
    first.path.unlink()
    assert build(tiny).built
    assert file_digest(first.path) == before
    # What tools leave behind is no change; a line of code is.
    (tiny.source / "__pycache__").mkdir()
    (tiny.source / "__pycache__" / "x.pyc").touch()
    assert not build(tiny).built
    with (tiny.source / "tiny_shop.py").open("a") as stream:
        stream.write("# changed\n")
    assert build(tiny).built
    assert file_digest(first.path) != before


def test_two_versions_lie_beside_each_other(tiny: Wanted) -> None:
    build(tiny)
    edit(tiny, "1.0.0", "1.1.0")
    assert build(tiny).path.name == "tiny-shop-1.1.0.tar"
    edit(tiny, "1.1.0", "1.0.0")
    assert build(tiny) == release_archive.Built(tiny.folder / "tiny-shop-1.0.0.tar", "tiny-shop", "1.0.0", built=False)


def test_takes_a_wheel_and_leaves_the_source_alone(tiny: Wanted, tmp_path: pathlib.Path) -> None:
    before = sorted(path.name for path in tiny.source.rglob("*"))
    built = build(tiny)
    assert sorted(path.name for path in tiny.source.rglob("*")) == before
    with tarfile.open(built.path) as tar:
        members = tar.getnames()
    assert members[0] == "release.json"
    description, _files = read_description(str(built.path), "tiny-shop", "1.0.0")
    wheels = unpack(str(built.path), description, description.pythons[HERE], str(tmp_path))
    wheel = next(path for path in wheels if "tiny_shop" in path)
    again = build(dataclasses.replace(tiny, source=pathlib.Path(wheel), name="shop", imports=("json",)))
    assert again.path.name == "shop-1.0.0.tar"
    description, _files = read_description(str(again.path), "shop", "1.0.0")
    assert description.imports == ["json"]


def test_takes_what_the_requirements_pin_from_a_folder(tiny: Wanted, tmp_path: pathlib.Path) -> None:
    """A dependency, pip among it, comes from find_links; wheels are kept in the cache by their lock."""
    links = tmp_path / "links"
    links.mkdir()
    pip = release_archive.pip_wheel(links)
    version = pip.name.split("-")[1]
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"pip=={version}\n")
    wanted = dataclasses.replace(tiny, requirements=lock, find_links=(str(links),), cache=tmp_path / "cache")
    first = build(wanted)
    kept = list((tmp_path / "cache").glob("*/*.whl"))
    assert [path.name for path in kept] == [pip.name]
    shutil.rmtree(links)
    links.mkdir()
    assert build(wanted).built
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [kept[0].parent.name]
    assert first.path.exists()


def test_a_rehearsal_writes_nothing(tiny: Wanted) -> None:
    assert build(tiny, rehearsal=True).built
    assert not tiny.folder.exists()
    built = build(tiny)
    assert build(tiny, rehearsal=True) == dataclasses.replace(built, built=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"source": "nowhere"}, r"source \S+nowhere does not exist", id="no source"),
        pytest.param({"source": "empty"}, r"has no pyproject\.toml", id="no project"),
        pytest.param({"source": "text.txt"}, "neither a wheel nor a folder", id="another file"),
        pytest.param({"requirements": "nowhere"}, "requirements .* is not a file", id="no requirements"),
        pytest.param({"name": "Shop"}, 'name "Shop"', id="bad name"),
        pytest.param({"version": "../1"}, 'version "../1"', id="bad version"),
        pytest.param({"pythons": ("python3", "3.11")}, "pythons are python3; give them as 3.11", id="bad Python"),
        pytest.param({"pythons": ()}, "pythons are empty", id="no Python"),
        pytest.param({"find_links": ("/nowhere",)}, "find_links /nowhere is not a folder", id="no links"),
    ],
)
def test_refuses_what_no_build_succeeds_with(
    tiny: Wanted, tmp_path: pathlib.Path, change: dict[str, t.Any], says: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").touch()
    paths = {key: tmp_path / value for key, value in change.items() if key in ("source", "requirements")}
    with pytest.raises(InfraError, match=says):
        build(dataclasses.replace(tiny, **{**change, **paths}))
    assert not tiny.folder.exists()


@pytest.mark.parametrize(
    ("before", "after", "options", "says"),
    [
        pytest.param('version = "1.0.0"\n', "", {}, "states no version", id="no version"),
        pytest.param(
            "1.0.0", "1.0.1", {"version": "1.0.0"}, "`version` is 1.0.0, and the wheel's own is 1.0.1", id="2"
        ),
        pytest.param(
            "wheel_of_tiny", "nobody", {}, "(?s)Cannot build the wheel .* pip wheel ended with .*nobody", id="pip fails"
        ),
        pytest.param(
            'version = "1.0.0"',
            'version = "1.0.0"\ndependencies = ["nexod-is-not-there"]',
            {},
            "(?s)Cannot get the wheels for Python .* find_links.*nexod-is-not-there",
            id="no such dependency",
        ),
    ],
)
def test_says_what_is_wrong_with_the_source(
    tiny: Wanted, before: str, after: str, options: dict[str, t.Any], says: str
) -> None:
    edit(tiny, before, after)
    with pytest.raises(InfraError, match=says):
        build(dataclasses.replace(tiny, **options))
    assert list(tiny.folder.iterdir()) == []


def compiled(path: pathlib.Path, tag: str, name: str = "tiny-shop") -> pathlib.Path:
    """A wheel that says it holds compiled code."""
    with zipfile.ZipFile(path / f"tiny_shop-1.0.0-{tag}.whl", "w") as archive:
        info = "tiny_shop-1.0.0.dist-info"
        archive.writestr("tiny_shop.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
    return path / f"tiny_shop-1.0.0-{tag}.whl"


def test_refuses_a_wheel_for_another_python_or_machine(tiny: Wanted, tmp_path: pathlib.Path) -> None:
    tag = f"cp3{HERE.split('.')[1]}-cp3{HERE.split('.')[1]}-manylinux_2_17_x86_64"
    wheel = compiled(tmp_path, tag)
    assert build(dataclasses.replace(tiny, source=wheel, machine="x86_64")).built
    for change in ({"pythons": ("3.9",)}, {"machine": "aarch64"}):
        with pytest.raises(InfraError, match=r"(?s)Cannot get the wheels for Python .*not a supported wheel"):
            build(dataclasses.replace(tiny, **{"source": wheel, "machine": "x86_64", **change}))


@pytest.mark.parametrize("name", ["", "1shop", "läden"])
def test_a_release_needs_a_name(tiny: Wanted, tmp_path: pathlib.Path, name: str) -> None:
    wheel = compiled(tmp_path, "py3-none-any", name)
    with pytest.raises(InfraError, match="cannot be a release's name"):
        build(dataclasses.replace(tiny, source=wheel))


def test_says_what_is_no_wheel(tmp_path: pathlib.Path, tiny: Wanted) -> None:
    broken = tmp_path / "shop-1.0.0-py3-none-any.whl"
    broken.write_text("no zip")
    with pytest.raises(InfraError, match="Cannot read the wheel"):
        build(dataclasses.replace(tiny, source=broken))


def test_says_that_there_is_no_pip(tiny: Wanted, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    without = tmp_path / "python"
    without.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    without.chmod(0o755)
    monkeypatch.setattr(release_archive.sys, "executable", str(without))
    with pytest.raises(InfraError, match="has no pip"):
        build(tiny)


def test_the_key_names_every_input(tiny: Wanted, tmp_path: pathlib.Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("a==1\n")
    variants = [
        tiny,
        dataclasses.replace(tiny, name="x"),
        dataclasses.replace(tiny, version="1.0.0"),
        dataclasses.replace(tiny, imports=("x",)),
        dataclasses.replace(tiny, pythons=("3.9",)),
        dataclasses.replace(tiny, machine="y"),
        dataclasses.replace(tiny, requirements=lock),
        dataclasses.replace(tiny, facts={"fault": "slow"}),
        dataclasses.replace(tiny, find_links=(str(tmp_path),)),
    ]
    assert len({input_key(wanted) for wanted in variants}) == len(variants)


def test_facts_are_for_people_and_do_not_change_what_is_installed(tiny: Wanted) -> None:
    built = build(dataclasses.replace(tiny, facts={"fault": "slow"}))
    description, _files = read_description(str(built.path), "tiny-shop", "1.0.0")
    assert re.search(r'"fault": "slow"', description.text)
    assert isinstance(description, Description)
