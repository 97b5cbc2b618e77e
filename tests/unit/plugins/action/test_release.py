"""The archive is read here, and sent to a host that lacks the release."""

from __future__ import annotations

import io
import json
import pathlib
import tarfile
import typing as t

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.nexod.infra.plugins.module_utils._files.packed import pack
from ansible_collections.nexod.infra.plugins.module_utils._files.release import Description
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT

Action = t.Callable[..., t.Any]


@pytest.fixture
def archive(tmp_path: pathlib.Path) -> pathlib.Path:
    description = {
        "schema": 1,
        "name": "api",
        "version": "1.1.0",
        "machine": "m",
        "pythons": {},
        "imports": [],
        "files": {},
    }
    content = json.dumps(description).encode()
    (tmp_path / "files").mkdir()
    path = tmp_path / "files" / "api.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("release.json")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return path


OPTIONS = {"name": "api", "version": "1.1.0", "archive": "api.tar"}


def test_a_host_that_has_it_is_sent_nothing(action: Action, archive: pathlib.Path) -> None:
    result, calls = action("release", OPTIONS, answer=lambda _options: {"changed": False, "built": False})
    assert (len(calls), result["built"]) == (1, False)
    assert json.loads(calls[0]["_internal"]["description"])["version"] == "1.1.0"
    assert len(calls[0]["_internal"]["digest"]) == 64


def test_a_host_that_lacks_it_is_sent_the_archive(action: Action, archive: pathlib.Path) -> None:
    def answer(options: dict[str, t.Any]) -> dict[str, t.Any]:
        return {"changed": True, "built": True} if "received" in options["_internal"] else {"needs_archive": True}

    result, calls = action("release", OPTIONS, answer=answer)
    assert (len(calls), result["built"]) == (2, True)
    assert calls[1]["_internal"]["received"] == "/tmp/remote/api.tar"


def test_a_host_that_is_known_to_have_it_is_not_asked(action: Action, archive: pathlib.Path) -> None:
    with tarfile.open(archive) as tar:
        digest = Description.parse(tar.extractfile("release.json").read().decode()).digest
    found = {"applications": "/opt", "releases": {"api": {"versions": {"1.1.0": digest}, "links": {}}}}
    KEPT.keep("here", pack(found))
    try:
        result, calls = action("release", OPTIONS, {"inventory_hostname": "here"})
        assert (result["changed"], result["built"], calls) == (False, False, [])
    finally:
        KEPT.clear()


def test_removing_needs_no_archive(action: Action) -> None:
    _result, calls = action("release", {"name": "api", "state": "absent"})
    assert calls[0]["_internal"] == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"archive": "gone.tar"}, 'Cannot find the archive "gone.tar"', id="not there"),
        pytest.param({"version": "1.2.0"}, "it holds api 1.1.0, not api 1.2.0", id="another version"),
        pytest.param({"version": "../x"}, "Cannot use the version", id="bad version"),
    ],
)
def test_faults(action: Action, archive: pathlib.Path, options: dict[str, str], words: str) -> None:
    result, calls = action("release", {**OPTIONS, **options})
    assert (result["failed"], calls, words in result["msg"]) == (True, [], True)


def test_present_needs_version_and_archive(action: Action) -> None:
    with pytest.raises(AnsibleActionFail, match="version, archive"):
        action("release", {"name": "api"})
