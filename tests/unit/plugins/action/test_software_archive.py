"""The pins are read here, and an archive is sent to a host that lacks it."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files.archive import digest_of
from ansible_collections.nexod.infra.plugins.module_utils._files.packed import pack
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT

Action = t.Callable[..., t.Any]
SUM = hashlib.sha256(b"archive").hexdigest()


@pytest.fixture
def options(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    """The archive is in a file on the controller."""
    (tmp_path / "tool-1.2.3-amd64.tar.gz").write_bytes(b"archive")
    return {
        "name": "prometheus",
        "version": "1.2.3",
        "file": f"{tmp_path}/tool-{{version}}-{{arch}}.tar.gz",
        "checksums": {"amd64": SUM},
    }


def answer(options: dict[str, t.Any]) -> dict[str, t.Any]:
    sent = options["_internal"]["received"]
    return {"changed": True, "unpacked": True} if sent else {"changed": True, "needs_archive": "amd64"}


def test_a_host_that_lacks_it_is_sent_the_archive(action: Action, options: dict[str, t.Any]) -> None:
    result, calls = action("software_archive", options, answer=answer)
    assert (len(calls), result["unpacked"]) == (2, True)
    assert calls[1]["_internal"]["received"] == "/tmp/remote/tool-1.2.3-amd64.tar.gz"
    assert "needs_archive" not in result


def test_check_mode_compares_the_file_and_sends_nothing(action: Action, options: dict[str, t.Any]) -> None:
    result, calls = action("software_archive", options, answer=answer, check_mode=True)
    assert (len(calls), result["changed"], "needs_archive" in result) == (1, True, False)


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("change", "cause"),
    [({"checksums": {"amd64": "0" * 64}}, f"has the sha256 {SUM}"), ({"file": "/gone.tar.gz"}, "is not a file")],
)
def test_a_wrong_file_is_not_sent(
    action: Action, options: dict[str, t.Any], change: dict[str, t.Any], cause: str, check_mode: bool
) -> None:
    result, calls = action("software_archive", {**options, **change}, answer=answer, check_mode=check_mode)
    assert result["failed"]
    assert cause in result["error"]["cause"]
    assert len(calls) == 1


def test_without_a_pin_no_host_is_asked(action: Action) -> None:
    result, calls = action("software_archive", {"name": "prometheus", "version": "0.0.1"})
    assert (result["failed"], calls) == (True, [])
    assert "is not pinned" in result["msg"]
    assert "nexod.infra.pin_versions" in result["error"]["next_step"]


def test_the_module_gets_the_address_of_the_mirror(action: Action) -> None:
    given = {"name": "prometheus", "version": "1.2.3", "checksums": {"amd64": SUM}, "mirror": "http://mirror/x"}
    _result, calls = action("software_archive", given)
    assert calls[0]["url"].startswith("http://mirror/x/prometheus/prometheus/releases/download/v{version}/")


def test_a_host_that_is_known_to_have_it_is_not_asked(action: Action, options: dict[str, t.Any]) -> None:
    versions = {"1.2.3": digest_of("prometheus", "1.2.3", SUM)}
    KEPT.keep("here", pack({"applications": "/opt", "releases": {"prometheus": {"versions": versions, "links": {}}}}))
    try:
        result, calls = action("software_archive", options, {"inventory_hostname": "here"})
        assert (result["changed"], result["path"], calls) == (False, "/opt/prometheus/1.2.3", [])
        options["checksums"] = {"amd64": "0" * 64}
        assert action("software_archive", options, {"inventory_hostname": "here"})[1]
    finally:
        KEPT.clear()


def test_removing_needs_no_pin(action: Action) -> None:
    _result, calls = action("software_archive", {"name": "prometheus", "state": "absent"})
    assert calls[0]["state"] == "absent"
