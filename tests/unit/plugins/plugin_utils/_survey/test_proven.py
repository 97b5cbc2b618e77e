"""The tables of what lets a task be answered by the survey, and of each thing that must not."""

from __future__ import annotations

import copy
import dataclasses
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry
from ansible_collections.nexod.infra.plugins.module_utils._files.proofs import fingerprint
from ansible_collections.nexod.infra.plugins.plugin_utils._survey import proven

UNIT_LINK = "/etc/systemd/system/api.service"
CONF = Entry("api.conf", b"x", "0640", "root", "api", "reload", None, secret=False)
UNIT = Entry("api.service", b"[Unit]", "0644", "root", "root", "restart", UNIT_LINK, secret=False)
PROOF: list[dict[str, t.Any]] = [{"url": "http://127.0.0.1/ready"}]


def tree(*entries: Entry) -> dict[str, t.Any]:
    return {
        e.path: {"attributes": dataclasses.asdict(e.attributes), "on_change": e.on_change, "secret": e.secret}
        for e in entries
    }


SURVEY: dict[str, t.Any] = {
    "root": "/etc/nexod",
    "sets": {"api": {"current": "0002-b", "live": "0002-b", "tidy": True, "tree": tree(CONF, UNIT)}},
    "services": {"api": {"set": "api", "proof": fingerprint("api", PROOF), "enabled": True, "missing": None}},
    "applications": "/opt",
    "releases": {"api": {"versions": {"1.0.0": "old", "1.1.0": "digest"}, "links": {"current": "1.1.0"}}},
    "packages": {"nginx": "1.26", "haproxy": "3.0"},
}


def surveyed(**changes: t.Any) -> dict[str, t.Any]:
    """SURVEY with values changed by their path, such as sets__api__live."""
    found = copy.deepcopy(SURVEY)
    for path, value in changes.items():
        *way, last = path.split("__")
        place = found
        for name in way:
            place = place[name]
        place[last] = value
    return found


def on_disk(**attributes: str) -> dict[str, t.Any]:
    """The tree with attributes of api.conf changed by hand."""
    found = tree(CONF, UNIT)
    found["api.conf"]["attributes"].update(attributes)
    return found


def same_set(survey: dict[str, t.Any], **given: t.Any) -> dict[str, t.Any] | None:
    asked = {"name": "api", "root": "/etc/nexod", "state": "present", "entries": [CONF, UNIT], **given}
    return proven.unchanged_set(survey, **asked)


def test_a_set_as_asked_for_is_unchanged() -> None:
    found = same_set(SURVEY)
    assert found is not None
    assert (found["changed"], found["action"], found["diff"]) == (False, "none", [])
    assert len(found["digest"]) == 12


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        pytest.param({"sets__api__tree": on_disk(sha256="f" * 64)}, {}, id="file edited"),
        pytest.param({"sets__api__tree": tree(UNIT)}, {}, id="file missing"),
        pytest.param({"sets__api__tree": tree(CONF, UNIT, dataclasses.replace(CONF, path="y"))}, {}, id="file added"),
        pytest.param({"sets__api__tree": on_disk(mode="0666")}, {}, id="wrong mode"),
        pytest.param({"sets__api__tree": on_disk(owner="nobody")}, {}, id="wrong owner"),
        pytest.param({"sets__api__tree": on_disk(group="nogroup")}, {}, id="wrong group"),
        pytest.param({"sets__api__tree": on_disk(link=f"{UNIT_LINK} (not ours)")}, {}, id="link dropped or diverted"),
        pytest.param({"sets__api__tree": None}, {}, id="no files"),
        pytest.param({"sets__api__current": None}, {}, id="no current set"),
        pytest.param({"sets__api__live": "0001-a"}, {}, id="set not proven"),
        pytest.param({"sets__api__tidy": False}, {}, id="left by a killed run"),
        pytest.param({"sets": {}}, {}, id="no such set"),
        pytest.param({}, {"root": "/srv/nexod"}, id="another root"),
        pytest.param({}, {"state": "previous"}, id="return asked for"),
        pytest.param({}, {"state": "absent", "entries": []}, id="removal asked for"),
        pytest.param({}, {"entries": [dataclasses.replace(CONF, content=b"y"), UNIT]}, id="other content asked for"),
        pytest.param({}, {"entries": [CONF]}, id="fewer files asked for"),
        pytest.param({}, {"entries": [CONF, dataclasses.replace(UNIT, link=None)]}, id="no link asked for"),
    ],
)
def test_what_sends_a_set_to_its_host(changes: dict[str, t.Any], given: dict[str, t.Any]) -> None:
    assert same_set(surveyed(**changes), **given) is None


def test_a_set_that_is_not_there_is_absent_already() -> None:
    found = same_set(surveyed(sets={}), state="absent", entries=[])
    assert found is not None
    assert (found["changed"], found["digest"], found["action"]) == (False, "", "none")


def test_a_set_without_a_service_still_asks_for_its_start() -> None:
    found = same_set(surveyed(sets__api__live=None))
    assert found is not None
    assert (found["changed"], found["action"]) == (False, "restart")


FILES = {"name": "api", "root": "/etc/nexod", "action": "none"}


def same_service(survey: dict[str, t.Any], **given: t.Any) -> dict[str, t.Any] | None:
    return proven.unchanged_service(survey, {"name": "api", "files": FILES, "proof": PROOF, **given})


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"enabled": True, "state": "started", "settle": False}, id="defaults spelt out"),
        pytest.param({"enabled": "yes"}, id="boolean as text"),
        pytest.param({"proof": [*PROOF, {"url": "http://127.0.0.1/x", "after": ["start"]}]}, id="proof of a start"),
        pytest.param(
            {
                "proof": [{**PROOF[0], "secrets": "no"}, {"command": ["login"], "after": ["start"]}],
                "secrets": {"PASSWORD": "x"},
            },
            id="secrets for the proof of a start only",
        ),
    ],
)
def test_a_proven_service_is_unchanged(given: dict[str, t.Any]) -> None:
    assert same_service(SURVEY, **given) == {
        "name": "api",
        "changed": False,
        "action": "none",
        "steps": [],
        "seconds": 0.0,
        "diff": [],
    }


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        pytest.param({"services__api__missing": "its unit is not active"}, {}, id="stopped unit"),
        pytest.param({"services__api__missing": "its program was replaced"}, {}, id="binary replaced while running"),
        pytest.param({"services__api__missing": "another set was proven"}, {}, id="set not proven"),
        pytest.param({"services__api__enabled": False}, {}, id="disabled unit"),
        pytest.param({"services": {}}, {}, id="nothing recorded"),
        pytest.param({"services__api__set": "web"}, {}, id="recorded for another set"),
        pytest.param({}, {"enabled": False}, id="to be disabled"),
        pytest.param({}, {"enabled": "perhaps"}, id="no boolean"),
        pytest.param({}, {"files": {**FILES, "action": "reload"}}, id="files changed"),
        pytest.param({}, {"files": {**FILES, "root": "/srv"}}, id="another root"),
        pytest.param({}, {"files": None}, id="no files"),
        pytest.param({}, {"proof": [{"url": "http://127.0.0.1/live"}]}, id="changed proof"),
        pytest.param({}, {"proof": []}, id="no proof"),
        pytest.param({}, {"proof": "nonsense"}, id="malformed proof"),
        pytest.param({}, {"proof": [{"url": "x", "status": "fine"}]}, id="malformed status"),
        pytest.param({}, {"secrets": {"PASSWORD": "x"}}, id="proof with a secret"),
        *[pytest.param({}, {"state": state}, id=state) for state in ("stopped", "absent", "settled", "returned")],
    ],
)
def test_what_sends_a_service_to_its_host(changes: dict[str, t.Any], given: dict[str, t.Any]) -> None:
    assert same_service(surveyed(**changes), **given) is None


@pytest.mark.parametrize(
    ("changes", "given", "refuted"),
    [
        pytest.param({"services__api__final": True}, {}, True, id="for good"),
        pytest.param({"services__api__final": False}, {}, False, id="it may come"),
        pytest.param({}, {}, False, id="it holds"),
        pytest.param({"services__api__final": True}, {"proof": [{"url": "http://x"}]}, False, id="another proof"),
        pytest.param({"services__api__final": True}, {"proof": "nonsense"}, False, id="malformed proof"),
        pytest.param({"services__api__final": True}, {"files": {**FILES, "action": "reload"}}, False, id="another set"),
        pytest.param({"services": {}}, {}, False, id="nothing recorded"),
    ],
)
def test_what_was_refused_for_good_is_not_asked_again(
    changes: dict[str, t.Any], given: dict[str, t.Any], refuted: bool
) -> None:
    task = {"name": "api", "files": FILES, "proof": PROOF, **given}
    assert proven.is_refuted(surveyed(**changes), task) is refuted


def same_release(survey: dict[str, t.Any], content: str = "digest", **given: t.Any) -> dict[str, t.Any] | None:
    asked = {"name": "api", "version": "1.1.0", "state": "present", "keep": 2, "root": "/opt", **given}
    return proven.unchanged_release(survey, asked, content)


def test_a_release_that_is_there_is_unchanged() -> None:
    found = same_release(SURVEY, link="current")
    assert found is not None
    assert (found["changed"], found["python"]) == (False, "/opt/api/1.1.0/bin/python")
    assert found["installed"] == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        pytest.param({"releases": {}}, {}, id="no release"),
        pytest.param({"releases__api__versions": {"1.0.0": "old"}}, {}, id="another version"),
        pytest.param({"releases__api__versions": {"1.1.0": None}}, {}, id="half built"),
        pytest.param({"releases__api__versions": {"1.1.0": "digest", "1.2.0": None}}, {}, id="half built beside it"),
        pytest.param({}, {"content": "other"}, id="another build of the same version"),
        pytest.param({"releases__api__links": {}}, {"link": "current"}, id="no link"),
        pytest.param({"releases__api__links": {"current": "1.0.0"}}, {"link": "current"}, id="link to another"),
        pytest.param({}, {"state": "absent"}, id="removal"),
        pytest.param({}, {"root": "/srv"}, id="another root"),
    ],
)
def test_what_sends_a_release_to_its_host(changes: dict[str, t.Any], given: dict[str, t.Any]) -> None:
    assert same_release(surveyed(**changes), **given) is None


@pytest.mark.parametrize(
    ("arguments", "sets"),
    [
        pytest.param({"matching": "a*"}, ["api"], id="matches"),
        pytest.param({"matching": "exporter-*"}, [], id="matches nothing"),
        pytest.param({"matching": "a*", "root": "/srv"}, None, id="another root"),
        pytest.param({"name": "api", "path": "version"}, None, id="content asked for"),
        pytest.param({}, None, id="nothing asked for"),
    ],
)
def test_sets_by_pattern(arguments: dict[str, t.Any], sets: list[str] | None) -> None:
    assert proven.listed_sets(SURVEY, arguments) == (None if sets is None else {"changed": False, "sets": sets})


@pytest.mark.parametrize(
    ("names", "known"), [(["nginx"], True), (["nginx", "haproxy"], True), (["nginx", "redis"], False), ([], True)]
)
def test_installed(names: list[str], known: bool) -> None:
    assert proven.are_installed(SURVEY, names) is known


@pytest.mark.parametrize(
    ("changes", "unit", "files", "known"),
    [
        pytest.param({}, "api", {}, True, id="as its role left it"),
        pytest.param({}, "api", {"api.conf": "x"}, True, id="with this content"),
        pytest.param({}, "api", {"api.conf": "y"}, False, id="with another content"),
        pytest.param({}, "api", {"other.conf": "x"}, False, id="without the file"),
        pytest.param({}, "other", {}, False, id="another unit"),
        pytest.param({"services__api__missing": "its unit is not active"}, "api", {}, False, id="not proven"),
        pytest.param({"sets__api__tree": None}, "api", {"api.conf": "x"}, False, id="an unreadable set"),
    ],
)
def test_is_proven(changes: dict[str, t.Any], unit: str, files: dict[str, str], known: bool) -> None:
    assert proven.is_proven(surveyed(**changes), unit, files) is known
