"""The survey of a host: what it sees of sets on a real folder, and what keeps a service from counting as proven."""

from __future__ import annotations

import os
import pathlib
import time
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result
from ansible_collections.nexod.infra.plugins.module_utils._files import file_set as fs
from ansible_collections.nexod.infra.plugins.module_utils._files import packed, proofs, survey

ME = fs._account(fs.pwd.getpwuid, os.getuid())
MINE = fs._account(fs.grp.getgrgid, os.getgid())
ACTIVE = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "UnitFileState": "enabled",
    "NeedDaemonReload": "no",
    "NRestarts": "0",
    "MainPID": "0",
}
HOLDS: dict[str, t.Any] = {"command": ["true"]}
FAILS: dict[str, t.Any] = {"command": ["false"]}


def entry(path: str, content: str = "x", link: str | None = None) -> fs.Entry:
    return fs.Entry(path, content.encode(), "0644", ME, MINE, "restart", link, secret=False)


@pytest.fixture
def files(tmp_path: pathlib.Path) -> fs.FileSet:
    """A set that is live, with a link."""
    made = fs.FileSet("api", str(tmp_path / "sets"))
    made.apply([entry("api.conf"), entry("api.service", link=str(tmp_path / "units/api.service"))], [])
    made.mark_live()
    return made


def recorded(files: fs.FileSet, *rows: dict[str, t.Any], generation: str = "") -> proofs.Record:
    proofs.record(files.home, "api", generation or str(files.generation("live")), rows)
    return proofs.recorded(files.home)[0]


def test_a_packed_survey_is_what_it_was(tmp_path: pathlib.Path, files: fs.FileSet) -> None:
    found = survey.survey(str(files.home.parent), str(tmp_path / "opt"), str(tmp_path / "status"))
    assert packed.unpack(packed.pack(found)) == found
    row = found["sets"]["api"]
    assert (row["current"], row["tidy"], sorted(row["tree"])) == (row["live"], True, ["api.conf", "api.service"])


def test_a_bare_host_has_an_empty_survey(tmp_path: pathlib.Path) -> None:
    found = survey.survey(str(tmp_path / "no"), str(tmp_path / "no"), str(tmp_path / "no"))
    assert (found["sets"], found["services"], found["releases"], found["packages"]) == ({}, {}, {}, {})


# -- what a killed run leaves


def test_a_half_staged_set_is_not_tidy(files: fs.FileSet) -> None:
    (files.home / "generations" / ".staging-0002-x").mkdir()
    assert not survey.tidy(files)


def test_the_link_of_an_earlier_set_that_was_not_removed_is_not_tidy(files: fs.FileSet, tmp_path: pathlib.Path) -> None:
    before = tmp_path / "units/api.service"
    target = os.readlink(before)
    files.apply([entry("api.conf")], [])
    files.mark_live()
    assert survey.tidy(files)
    # As a run leaves it that is killed between the swap and the removal.
    if not os.path.lexists(before):
        before.symlink_to(target)
    assert not survey.tidy(files)


# -- services


@pytest.mark.parametrize(
    ("facts", "rows", "missing"),
    [
        pytest.param({}, [HOLDS], None, id="proven"),
        pytest.param({}, [], None, id="a unit without proofs"),
        pytest.param({"ActiveState": "failed"}, [HOLDS], "not active", id="stopped"),
        pytest.param({"LoadState": "not-found", "ActiveState": "inactive"}, [HOLDS], "not active", id="no unit"),
        pytest.param({"NeedDaemonReload": "yes"}, [HOLDS], "unit file has changed", id="unit edited"),
        pytest.param({}, [HOLDS, FAILS], "false ended with 1", id="one proof does not hold"),
        pytest.param({}, [{**HOLDS, "matches": "yes"}], "'yes'", id="other output"),
    ],
)
def test_why_a_service_is_not_proven(
    files: fs.FileSet, facts: dict[str, str], rows: list[dict[str, t.Any]], missing: str | None
) -> None:
    row = survey.judged(files, recorded(files, *rows), {**ACTIVE, **facts})
    assert row["proof"] == proofs.fingerprint("api", rows)
    assert row["missing"] is None if missing is None else missing in row["missing"]


def test_a_disabled_unit_is_told(files: fs.FileSet) -> None:
    assert survey.judged(files, recorded(files, HOLDS), {**ACTIVE, "UnitFileState": "disabled"})["enabled"] is False


def test_another_set_than_the_proven_one_is_not_proven(files: fs.FileSet) -> None:
    record = recorded(files, HOLDS)
    files.apply([entry("api.conf", "y")], [])
    assert survey.judged(files, record, ACTIVE)["missing"] == "another set was proven"
    files.mark_live()
    assert survey.judged(files, record, ACTIVE)["missing"] == "another set was proven"


def test_proofs_over_their_time_count_as_not_asked(files: fs.FileSet) -> None:
    row = survey.judged(files, recorded(files, HOLDS), ACTIVE, deadline=time.monotonic() - 1)
    assert row["missing"] == survey.UNPROVEN


def test_units_are_asked_in_one_call(files: fs.FileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(argv: list[str], **_options: t.Any) -> Result:
        asked.append(argv)
        return Result(0, "ActiveState=active\nMainPID=1\n\nActiveState=failed\nExecStart=a\nExecStart=b\n", "")

    monkeypatch.setattr(survey, "run", run)
    assert survey.facts_of(["a", "b"]) == {
        "a": {"ActiveState": "active", "MainPID": "1"},
        "b": {"ActiveState": "failed", "ExecStart": "a b"},
    }
    assert asked[0][:4] == ["systemctl", "show", "a", "b"]
    assert survey.facts_of([]) == {}
    assert len(asked) == 1


def test_where_systemd_does_not_answer_nothing_is_proven(files: fs.FileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "run", lambda argv, **_options: Result(127, "", "no systemctl"))
    recorded(files, HOLDS)
    assert survey.services([files])["api"]["missing"] == "its unit is not active"


# -- releases and packages


def test_releases_with_their_links_and_what_is_unfinished(tmp_path: pathlib.Path) -> None:
    (tmp_path / "api/1.0.0").mkdir(parents=True)
    (tmp_path / "api/1.0.0/release.json").write_text("{}")
    (tmp_path / "api/1.1.0").mkdir()
    (tmp_path / "api/current").symlink_to("1.0.0")
    (tmp_path / "other/share").mkdir(parents=True)
    found = survey.releases(tmp_path)
    assert found.keys() == {"api"}
    assert found["api"]["links"] == {"current": "1.0.0"}
    assert found["api"]["versions"]["1.1.0"] is None
    assert found["api"]["versions"]["1.0.0"]


def test_only_completely_installed_packages(tmp_path: pathlib.Path) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: a\nStatus: install ok installed\nVersion: 1\nDescription: x\n y\n\n"
        "Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\n"
        "Package: c\nStatus: hold ok installed\nVersion: 2:3\n\n"
        "Package: d\nStatus: install ok half-configured\nVersion: 1\n"
    )
    assert survey.installed(str(status)) == {"a": "1", "c": "2:3"}


def test_a_survey_that_fails_is_none_and_says_why(tmp_path: pathlib.Path, files: fs.FileSet) -> None:
    packed, why = survey.try_survey(root=str(files.home.parent), packages="\0")
    assert (packed, bool(why)) == ("", True)
