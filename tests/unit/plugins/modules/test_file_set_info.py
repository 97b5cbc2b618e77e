"""What a host has of a set."""

from __future__ import annotations

import grp
import os
import pathlib
import pwd
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, FileSet

Run = t.Callable[..., dict[str, t.Any]]


def test_links_and_the_content_of_one_file(run_module: Run, tmp_path: pathlib.Path) -> None:
    files = FileSet("a", str(tmp_path))
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    for version in ("1.0.0", "1.1.0"):
        files.apply([Entry("version", version.encode(), "0644", owner, group, "restart", None, False)], [])
        files.mark_live()
    asked = {"name": "a", "root": str(tmp_path), "path": "version"}
    links = run_module("file_set_info", asked)["links"]
    assert {link: row["content"] for link, row in links.items()} == {
        "current": "1.1.0",
        "live": "1.1.0",
        "previous": "1.0.0",
    }
    assert links["current"]["generation"] == f"0002-{links['current']['digest']}"
    (tmp_path / "a" / "previous" / "version").unlink()
    assert "No such file" in run_module("file_set_info", asked)["error"]["cause"]


def test_a_host_without_the_set(run_module: Run, tmp_path: pathlib.Path) -> None:
    assert run_module("file_set_info", {"name": "a", "root": str(tmp_path), "path": "x"})["links"] == {}
