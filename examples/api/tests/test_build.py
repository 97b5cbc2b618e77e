"""Which files make which version."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

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


def test_key_changes_with_what_is_built(build: ModuleType) -> None:
    keys = {build.build_key(*asked) for asked in [("1.0.0", ["3.11"], "x"), ("1.0.0", ["3.13"], "x")]}
    keys |= {build.build_key(*asked) for asked in [("1.0.1", ["3.11"], "x"), ("1.0.0", ["3.11"], "y")]}
    assert len(keys) == 4


@pytest.mark.parametrize("version", ["1.0", "latest", "../1.0.0", "1.0.0 "])
def test_odd_versions_are_refused(build: ModuleType, version: str) -> None:
    with pytest.raises(build.BuildError):
        build.number(version)
