"""The files of a report, and the history of all runs."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._report.files import (
    directory_name,
    environment_name,
    link_latest,
    write_history,
    write_report,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._report.report import Run, build


def a_report(environment: str = "lab", started: str = "2026-11-25T19:34:22+00:00", **more: t.Any) -> dict[str, t.Any]:
    facts: dict[str, t.Any] = {
        "playbook": "deploy.yml",
        "check_mode": False,
        "environment": environment,
        "started": started,
        "finished": started,
        "seconds": 1.0,
        "stages": [],
        "hosts": {"a": {"ok": 1}},
        "failures": [],
    }
    return build(Run(**{**facts, **more}), {})


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({}, "20261125T193422Z-deploy"),
        ({"check_mode": True}, "20261125T193422Z-deploy-plan"),
        ({"playbook": "roll_back.yml", "started": "2026-11-25T20:34:22+01:00"}, "20261125T193422Z-roll_back"),
    ],
)
def test_directory_name(more: dict[str, t.Any], name: str) -> None:
    assert directory_name(a_report(**more)) == name


@pytest.mark.parametrize(
    ("environment", "name"),
    [("lab", "lab"), ("../etc", "_etc"), ("", "unnamed"), ("..", "unnamed"), ("a b/c", "a_b_c"), ("ümlaut", "_mlaut")],
)
def test_no_environment_leads_out_of_the_folder(environment: str, name: str) -> None:
    assert environment_name(a_report(environment)) == name


def test_runs_of_one_second_and_of_two_environments_stay_apart(tmp_path: Path) -> None:
    written = [write_report(tmp_path, a_report(environment))[0].parent for environment in ("lab", "lab", "staging")]
    assert [str(path.relative_to(tmp_path)) for path in written] == [
        "lab/20261125T193422Z-deploy",
        "lab/20261125T193422Z-deploy-2",
        "staging/20261125T193422Z-deploy",
    ]
    for directory in written:
        link_latest(directory)
    assert (tmp_path / "lab/latest").readlink() == Path("20261125T193422Z-deploy-2")
    assert (tmp_path / "staging/latest/deploy.json").exists()


def directories(folder: Path) -> list[str]:
    return [row["directory"] for row in json.loads((folder / "index.json").read_text())["runs"]]


def test_the_history_follows_from_the_directories(tmp_path: Path) -> None:
    (tmp_path / "canary-lab.json").write_text("{}")
    (tmp_path / "screenshots").mkdir()
    old = write_report(tmp_path, a_report(started="2026-11-24T00:00:00+00:00"))[0].parent
    new = write_report(tmp_path, a_report())[0].parent
    link_latest(new)
    page = write_history(tmp_path)
    assert directories(tmp_path) == ["lab/20261125T193422Z-deploy", "lab/20261124T000000Z-deploy"]
    assert 'href="lab/20261124T000000Z-deploy/deploy.html"' in page.read_text()
    # A damaged list is made anew, a directory that was deleted disappears.
    (tmp_path / "index.json").write_text("{")
    for path in old.iterdir():
        path.unlink()
    old.rmdir()
    write_history(tmp_path)
    assert directories(tmp_path) == ["lab/20261125T193422Z-deploy"]


def test_a_report_is_read_once(tmp_path: Path) -> None:
    directory = write_report(tmp_path, a_report())[0].parent
    write_history(tmp_path)
    (directory / "deploy.json").write_text("not read again")
    write_history(tmp_path)
    assert directories(tmp_path) == ["lab/20261125T193422Z-deploy"]


def test_the_history_escapes_what_it_shows(tmp_path: Path) -> None:
    write_report(tmp_path, a_report("<script>", limit="<img>"))
    text = write_history(tmp_path).read_text()
    assert "<script>" not in text
    assert "<img>" not in text


def test_the_history_links_to_the_files_of_profiles(tmp_path: Path) -> None:
    folder = tmp_path / "profiles/lab/profile-20261127T082418Z-api-1"
    folder.mkdir(parents=True)
    for name in ("profile.svg", ".part"):
        (folder / name).touch()
    page = write_history(tmp_path).read_text()
    assert '<a href="profiles/lab/profile-20261127T082418Z-api-1/profile.svg">profile.svg</a>' in page
    assert ".part" not in page
    assert json.loads((tmp_path / "index.json").read_text())["runs"] == []
