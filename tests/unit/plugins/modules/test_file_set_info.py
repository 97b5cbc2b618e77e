"""What a host has of a set."""

from __future__ import annotations

import grp
import os
import pathlib
import pwd
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, FileSet

Run = t.Callable[..., dict[str, t.Any]]


def test_links_and_the_content_of_one_file(run_module: Run, tmp_path: pathlib.Path) -> None:
    files = FileSet("a", str(tmp_path))
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    for version in ("1.0.0", "1.1.0"):
        files.apply([Entry("version", version.encode(), "0644", owner, group, "restart", None, False)], [])
        files.mark_live()
    asked = {"name": "a", "root": str(tmp_path), "path": "version"}
    found = run_module("file_set_info", asked)
    links = found["links"]
    assert found["on_trial"] is False
    assert {link: row["content"] for link, row in links.items()} == {
        "current": "1.1.0",
        "live": "1.1.0",
        "previous": "1.0.0",
    }
    # That nothing has changed is no new beginning.
    os.utime(tmp_path / "a" / "live", (1000, 1000), follow_symlinks=False)
    files.mark_live()
    assert run_module("file_set_info", asked)["links"]["live"]["since"] == 1000
    files.apply([Entry("version", b"1.2.0", "0644", owner, group, "restart", None, False)], [])
    assert run_module("file_set_info", asked)["on_trial"] is True
    files.point_to("live")
    assert links["current"]["generation"] == f"0002-{links['current']['digest']}"
    (tmp_path / "a" / "previous" / "version").unlink()
    assert "No such file" in run_module("file_set_info", asked)["error"]["cause"]


def test_a_host_without_the_set(run_module: Run, tmp_path: pathlib.Path) -> None:
    assert run_module("file_set_info", {"name": "a", "root": str(tmp_path), "path": "x"})["links"] == {}


def test_sets_are_listed_by_pattern(run_module: Run, tmp_path: pathlib.Path) -> None:
    for name in ("exporter-node", "exporter-redis", "prometheus", ".hidden", "exporter-b d"):
        (tmp_path / name).mkdir()
    (tmp_path / "exporter-file").write_text("")
    found = run_module("file_set_info", {"matching": "exporter-*", "root": str(tmp_path)})
    assert (found["changed"], found["sets"]) == (False, ["exporter-node", "exporter-redis"])
    bare = run_module("file_set_info", {"matching": "*", "root": str(tmp_path / "not-there")}, check_mode=True)
    assert bare["sets"] == []


@pytest.mark.parametrize("options", [{}, {"name": "a"}, {"name": "a", "path": "b", "matching": "*"}])
def test_a_set_and_its_file_or_a_pattern(run_module: Run, options: dict[str, str]) -> None:
    assert run_module("file_set_info", options)["failed"]
