"""The module's wiring: what is written when, what is reported, and that check mode and plans write nothing."""

from __future__ import annotations

import grp
import os
import pathlib
import pwd
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, FileSet, pack

Run = t.Callable[..., dict[str, t.Any]]


def rendered(content: str = "1", link: str | None = None, on_change: str = "reload") -> str:
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    return pack([Entry("f", content.encode(), "0644", owner, group, on_change, link, False)])


def snapshot(folder: pathlib.Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def test_a_set_comes_stays_changes_and_goes(run_module: Run, tmp_path: pathlib.Path) -> None:
    where = {"name": "a", "root": str(tmp_path / "sets")}
    first = run_module("file_set", {**where, "_internal": {"rendered": rendered()}})
    assert (first["changed"], first["pending"], first["action"], first["created"]) == (True, True, "restart", ["f"])
    FileSet(**where).mark_live()
    again = run_module("file_set", {**where, "_internal": {"rendered": rendered()}})
    assert (again["changed"], again["pending"], again["action"], again["diff"]) == (False, False, "none", [])
    other = run_module("file_set", {**where, "_internal": {"rendered": rendered("2")}})
    assert (other["changed"], other["action"], other["updated"]) == (True, "reload", ["f"])
    killed = run_module("file_set", {**where, "_internal": {"rendered": rendered("2")}})
    assert (killed["changed"], killed["pending"], killed["action"]) == (False, True, "reload"), "not proven live yet"
    assert (first["on_trial"], again["on_trial"], other["on_trial"], killed["on_trial"]) == (False, False, False, True)
    FileSet(**where).mark_live()
    back = run_module("file_set", {**where, "state": "previous"})
    assert (back["changed"], (tmp_path / "sets/a/current/f").read_text()) == (True, "1")
    gone = run_module("file_set", {**where, "state": "absent"})
    assert (gone["changed"], gone["removed"], (tmp_path / "sets").exists()) == (True, ["f"], False)
    assert run_module("file_set", {**where, "state": "absent"})["changed"] is False


def test_present_without_files_is_refused(run_module: Run, tmp_path: pathlib.Path) -> None:
    assert run_module("file_set", {"name": "a", "root": str(tmp_path)})["failed"]


@pytest.mark.parametrize("only", ["check mode", "plan"])
@pytest.mark.parametrize("state", ["present", "previous", "absent"])
def test_nothing_is_written_that_is_only_asked_for(
    run_module: Run, tmp_path: pathlib.Path, only: str, state: str
) -> None:
    where = {"name": "a", "root": str(tmp_path)}
    for content in ("1", "2"):
        run_module("file_set", {**where, "_internal": {"rendered": rendered(content)}})
        FileSet(**where).mark_live()
    before = snapshot(tmp_path)
    options = {"state": state, "plan": only == "plan", "_internal": {"rendered": rendered("3")}}
    result = run_module("file_set", {**where, **options}, check_mode=only == "check mode")
    assert snapshot(tmp_path) == before
    assert result["pending"] is True
    assert (result["changed"], bool(result["diff"])) == ((False, False) if only == "plan" else (True, True))


def test_links_that_a_killed_run_left_are_a_change(run_module: Run, tmp_path: pathlib.Path) -> None:
    link, where = tmp_path / "unit", {"name": "a", "root": str(tmp_path / "sets")}
    run_module("file_set", {**where, "_internal": {"rendered": rendered(link=str(link))}})
    FileSet(**where).mark_live()
    without = {**where, "_internal": {"rendered": rendered()}}
    run_module("file_set", without)
    link.symlink_to(tmp_path / "sets/a/current/f")  # as if the run had ended between the switch and this
    plan = run_module("file_set", without, check_mode=True)
    assert (plan["changed"], plan["stray_links"], plan["diff"][0]["before_header"]) == (True, [str(link)], str(link))
    assert run_module("file_set", without)["stray_links"] == [str(link)]
    assert not os.path.lexists(link)
    assert run_module("file_set", without)["changed"] is False


def test_what_could_not_be_checked_is_quoted(run_module: Run, tmp_path: pathlib.Path) -> None:
    check = [["sh", "-c", "echo promtool is missing >&2; exit 127"]]
    options = {"name": "a", "root": str(tmp_path), "_internal": {"rendered": rendered()}, "check": check}
    plan = run_module("file_set", options, check_mode=True)
    assert (plan["checked"], plan["unchecked"]) == (False, ["promtool is missing"])
    assert run_module("file_set", options)["msg"].endswith("promtool is missing")


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_check_gets_the_secrets(run_module: Run, tmp_path: pathlib.Path, check_mode: bool) -> None:
    check = [["sh", "-c", 'test "$WORD" = canary && test "${NEXOD_CHECK_MODE:-0}" = ' + str(int(check_mode))]]
    options = {"name": "a", "root": str(tmp_path), "_internal": {"rendered": rendered()}, "check": check}
    result = run_module("file_set", {**options, "secrets": {"WORD": "canary"}}, check_mode=check_mode)
    assert not result.get("failed"), result
    assert "canary" not in str(result)
