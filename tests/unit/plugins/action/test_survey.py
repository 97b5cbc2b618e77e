"""What the action plugins leave to the host, and what they answer from this run's survey of it."""

from __future__ import annotations

import grp
import json
import os
import pathlib
import pwd
import typing as t

import pytest
from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, FileSet
from ansible_collections.nexod.infra.plugins.module_utils._files.packed import pack
from ansible_collections.nexod.infra.plugins.module_utils._files.proofs import fingerprint
from ansible_collections.nexod.infra.plugins.module_utils._files.survey import survey
from ansible_collections.nexod.infra.plugins.modules import file_set, live_service
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT

Action = t.Callable[..., tuple[dict[str, t.Any], list[dict[str, t.Any]]]]
HERE = {"inventory_hostname": "here"}
PROOF = [{"url": "http://127.0.0.1/ready"}]


@pytest.fixture
def files(tmp_path: pathlib.Path) -> t.Iterator[dict[str, t.Any]]:
    """The arguments of a set that the surveyed host `here` has, live."""
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    root = str(tmp_path / "sets")
    made = FileSet("web", root)
    made.apply([Entry("web.conf", b"x", "0644", owner, group, "reload", None, secret=False)], [])
    made.mark_live()
    found = survey(root, str(tmp_path / "opt"), str(tmp_path / "status"))
    found["services"]["web"] = {"set": "web", "proof": fingerprint("web", PROOF), "enabled": True, "missing": None}
    KEPT.keep("here", pack(found))
    yield {
        "name": "web",
        "root": root,
        "files": [{"path": "web.conf", "content": "x", "owner": owner, "group": group, "on_change": "reload"}],
    }
    KEPT.clear()


def test_an_unchanged_set_and_its_service_ask_nobody(action: Action, files: dict[str, t.Any]) -> None:
    same, calls = action("file_set", files, HERE)
    assert (same["changed"], same["action"], calls) == (False, "none", [])
    json.dumps(same)
    service, calls = action("live_service", {"name": "web", "files": same, "proof": PROOF}, HERE)
    assert (service["changed"], service["steps"], calls) == (False, [], [])
    listed, calls = action("file_set_info", {"matching": "w*", "root": files["root"]}, HERE)
    assert (listed["sets"], calls) == (["web"], [])


def test_check_mode_is_answered_alike(action: Action, files: dict[str, t.Any]) -> None:
    assert action("file_set", files, HERE, check_mode=True) == action("file_set", files, HERE)


def test_the_modules_answer_has_the_same_keys(action: Action, files: dict[str, t.Any]) -> None:
    """What a role reads of a result must not depend on who has answered."""
    same, _calls = action("file_set", files, HERE)
    assert same.keys() >= yaml_load(file_set.RETURN).keys()
    service, _calls = action("live_service", {"name": "web", "files": same, "proof": PROOF}, HERE)
    always = {key for key, row in yaml_load(live_service.RETURN).items() if row["returned"] == "always"}
    assert service.keys() >= always


def test_another_content_is_left_to_the_host(action: Action, files: dict[str, t.Any]) -> None:
    files["files"][0]["content"] = "y"
    assert len(action("file_set", files, HERE)[1]) == 1


def test_another_host_is_asked_itself(action: Action, files: dict[str, t.Any]) -> None:
    assert len(action("file_set", files, {"inventory_hostname": "there"})[1]) == 1
    assert len(action("file_set", files, HERE, delegate_to="there")[1]) == 1


def test_after_a_change_of_the_host_it_is_asked_itself(action: Action, files: dict[str, t.Any]) -> None:
    same, _calls = action("file_set", files, HERE)
    KEPT.changed("there")
    assert action("file_set", files, HERE)[1] == []
    assert len(action("live_service", {"name": "web", "files": same, "proof": PROOF}, HERE)[1]) == 1
    KEPT.changed("here")
    assert len(action("file_set", files, HERE)[1]) == 1


@pytest.mark.parametrize("given", [{}, {"unchanged_seconds": 7.0}])
def test_a_verdict_knows_since_when_nothing_was_changed(
    action: Action, monkeypatch: pytest.MonkeyPatch, given: dict[str, float]
) -> None:
    monkeypatch.setattr(KEPT, "unchanged_seconds", lambda: 3.0)
    _found, calls = action("latency_verdict", {"url": "http://p", **given})
    assert calls == [{"url": "http://p", "unchanged_seconds": given.get("unchanged_seconds", 3.0)}]
