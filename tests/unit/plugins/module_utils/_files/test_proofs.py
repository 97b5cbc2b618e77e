"""What is recorded of a service's proof, and what its fingerprint tells apart."""

from __future__ import annotations

import pathlib
import stat
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files import proofs

URL: dict[str, t.Any] = {"url": "http://127.0.0.1/ready"}


@pytest.mark.parametrize(
    ("unit", "rows", "same"),
    [
        pytest.param("api", [URL], True, id="the same"),
        pytest.param("api", [{**URL, "status": 200, "metrics": {}, "command": None}], True, id="defaults in place"),
        pytest.param("api", [{**URL, "status": "200"}], True, id="a number as text"),
        pytest.param("api", [URL, {"url": "http://127.0.0.1/x", "after": ["start"]}], True, id="one not asked at rest"),
        pytest.param("web", [URL], False, id="another unit"),
        pytest.param("api", [{"url": "http://127.0.0.1/live"}], False, id="another address"),
        pytest.param("api", [{**URL, "status": 204}], False, id="another status"),
        pytest.param("api", [{**URL, "matches": "ok"}], False, id="a pattern"),
        pytest.param("api", [{**URL, "metrics": {"up": 1}}], False, id="a metric"),
        pytest.param("api", [{**URL, "after": ["start"]}], False, id="no longer asked at rest"),
        pytest.param("api", [{"command": ["true"]}], False, id="a command"),
        pytest.param("api", [{**URL, "access": {"user": "", "ca_file": ""}}], True, id="an access without anything"),
        pytest.param("api", [{**URL, "access": {"ca_file": "/a"}}], False, id="an access"),
        pytest.param("api", [URL, URL], False, id="twice"),
        pytest.param("api", [], False, id="no proof"),
    ],
)
def test_fingerprint(unit: str, rows: list[dict[str, t.Any]], same: bool) -> None:
    assert (proofs.fingerprint(unit, rows) == proofs.fingerprint("api", [URL])) is same


def test_a_record_is_read_back_as_written_and_only_by_root(tmp_path: pathlib.Path) -> None:
    proofs.record(tmp_path, "api", "0001-a", [URL, {"command": ["true"], "after": ["start"]}])
    [found] = proofs.recorded(tmp_path)
    assert (found.unit, found.generation) == ("api", "0001-a")
    assert proofs.fingerprint("api", found.rows) == proofs.fingerprint("api", [URL])
    [path] = (tmp_path / proofs.FOLDER).iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_proof_is_not_written_again(tmp_path: pathlib.Path) -> None:
    proofs.record(tmp_path, "api", "0001-a", [URL])
    [path] = (tmp_path / proofs.FOLDER).iterdir()
    before = path.stat().st_ino
    proofs.record(tmp_path, "api", "0001-a", [URL])
    assert path.stat().st_ino == before
    proofs.record(tmp_path, "api", "0002-b", [URL])
    assert [record.generation for record in proofs.recorded(tmp_path)] == ["0002-b"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unit": "api"}', "null"])
def test_a_damaged_record_is_none(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / proofs.FOLDER).mkdir()
    (tmp_path / proofs.FOLDER / "api.json").write_text(text)
    assert proofs.recorded(tmp_path) == []


def test_a_dropped_record_is_gone_and_dropping_none_is_no_fault(tmp_path: pathlib.Path) -> None:
    proofs.record(tmp_path, "api", "0001-a", [URL])
    proofs.drop(tmp_path, "api")
    proofs.drop(tmp_path, "api")
    assert proofs.recorded(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: pathlib.Path) -> None:
    (tmp_path / proofs.FOLDER).write_text("in the way")
    proofs.record(tmp_path, "api", "0001-a", [URL])
    assert proofs.recorded(tmp_path) == []
