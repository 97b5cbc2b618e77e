# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role grafana's proof: what Grafana runs and serves is what the package and the set hold."""

from __future__ import annotations

import email.message
import json
import pathlib
import sys
import typing as t
import urllib.error

import pytest

from ansible_collections.nexod.infra.tests.programs import load

PROGRAM = pathlib.Path(__file__).parents[3] / "roles/grafana/files/prove.py"
SOURCE = {"name": "P", "uid": "p", "type": "prometheus", "url": "http://h:9090", "isDefault": True}
BOARD = {"uid": "b", "title": "B", "panels": [{"title": "x", "targets": [{"expr": "up"}]}]}


@pytest.fixture(scope="module")
def prove() -> t.Any:
    return load(PROGRAM)


def answering(answers: dict[str, t.Any]) -> t.Callable[[str], t.Any]:
    """An API that knows these paths."""
    return lambda path: answers[path]


@pytest.mark.parametrize(
    ("installed", "running", "differences"),
    [
        pytest.param("12.1.0", "12.1.0", 0, id="the same"),
        pytest.param("12.1.0-1", "12.1.0", 0, id="a Debian revision"),
        pytest.param("1:12.1.0+security~01", "12.1.0+security-01", 0, id="an epoch and a tilde"),
        pytest.param("12.1.0", "12.0.2", 1, id="the old binary still runs"),
        pytest.param("", "12.0.2", 0, id="not from a package"),
        pytest.param("12.1.0", "", 0, id="a hidden version"),
    ],
)
def test_version(prove: t.Any, installed: str, running: str, differences: int) -> None:
    ask = answering({"/api/health": {"database": "ok", "version": running}})
    assert len(prove.version_differences(ask, installed)) == differences


@pytest.mark.parametrize(
    ("pinned", "loaded", "word"),
    [
        pytest.param({}, None, None, id="none are pinned, so none are asked for"),
        pytest.param({"a": "1.0.0"}, [{"id": "a", "info": {"version": "1.0.0"}}], None, id="loaded"),
        pytest.param({"a": "1.0.0"}, [], "a 1.0.0 is not loaded: the log", id="refused by Grafana"),
        pytest.param({"a": "2.0.0"}, [{"id": "a", "info": {"version": "1.0.0"}}], "but 1.0.0 is", id="another version"),
        pytest.param({"a": "2.0.0"}, [{"id": "a"}], "a 2.0.0 is not loaded", id="no version"),
    ],
)
def test_plugins(prove: t.Any, pinned: dict[str, str], loaded: t.Any, word: str | None) -> None:
    answers = {} if loaded is None else {"/api/plugins?embedded=0": loaded, "/api/plugins/errors": []}
    found = prove.plugin_differences(answering(answers), pinned)
    assert (word is None and found == []) or (word and word in found[0])


def test_a_plugin_that_grafana_has_refused_is_not_waited_for(prove: t.Any) -> None:
    errors = [{"pluginId": "a", "errorCode": "signatureMissing"}, {"pluginId": "b", "errorCode": "signatureInvalid"}]
    ask = answering({"/api/plugins?embedded=0": [], "/api/plugins/errors": errors})
    with pytest.raises(prove.FinalError, match=r"plugin a 1\.0\.0 is not loaded: signatureMissing\."):
        prove.plugin_differences(ask, {"a": "1.0.0"})


@pytest.mark.parametrize(
    ("written", "served", "word"),
    [
        pytest.param(SOURCE, {"/api/datasources/uid/p": SOURCE}, None, id="as written"),
        pytest.param(SOURCE, {"/api/datasources/uid/p": {**SOURCE, "url": "http://other"}}, "url is", id="another URL"),
        pytest.param(
            {**SOURCE, "url": "$__env{URL}"}, {"/api/datasources/uid/p": SOURCE}, None, id="a URL from elsewhere"
        ),
        pytest.param(
            {"name": "A b", "type": "loki"},
            {"/api/datasources/name/A%20b": {"name": "A b", "type": "loki", "uid": "made"}},
            None,
            id="without an identifier",
        ),
    ],
)
def test_sources(
    prove: t.Any, tmp_path: pathlib.Path, written: dict[str, t.Any], served: dict[str, t.Any], word: str | None
) -> None:
    folder = tmp_path / "provisioning/datasources"
    folder.mkdir(parents=True)
    (folder / "datasources.yml").write_text(json.dumps({"datasources": [written]}))
    found = prove.source_differences(answering(served), tmp_path)
    assert (word is None and found == []) or (word and word in found[0])


def refusing(answers: dict[str, t.Any]) -> t.Callable[[str], t.Any]:
    """An API that knows these paths, and refuses those whose answer is a number."""

    def ask(path: str) -> t.Any:
        if isinstance(answers[path], int):
            raise urllib.error.HTTPError(path, answers[path], "", email.message.Message(), None)
        return answers[path]

    return ask


@pytest.mark.parametrize(
    ("sources", "answers", "found"),
    [
        pytest.param([], {}, [], id="none"),
        pytest.param([SOURCE], {"/api/datasources/uid/p/health": {"status": "OK"}}, [], id="it answers"),
        pytest.param(
            [{"name": "A b", "type": "loki"}],
            {"/api/datasources/name/A%20b": {"uid": "made"}, "/api/datasources/uid/made/health": {"status": "OK"}},
            [],
            id="without an identifier",
        ),
        pytest.param([SOURCE], {"/api/datasources/uid/p/health": 400}, ["data source P: HTTP 400"], id="it is down"),
        pytest.param(
            [SOURCE], {"/api/datasources/uid/p/health": {"status": "ERROR"}}, ["data source P: ERROR"], id="bad"
        ),
        pytest.param([SOURCE], {"/api/datasources/uid/p/health": 404}, ["data source P: HTTP 404"], id="no such check"),
        pytest.param(
            [SOURCE, {**SOURCE, "name": "Q", "uid": "q"}],
            {"/api/datasources/uid/p/health": 400},
            ["data source P: HTTP 400"],
            id="the second is not asked, as each may take long",
        ),
    ],
)
def test_a_survey_asks_the_sources(
    prove: t.Any, tmp_path: pathlib.Path, sources: list[t.Any], answers: dict[str, t.Any], found: list[str]
) -> None:
    folder = tmp_path / "provisioning/datasources"
    folder.mkdir(parents=True)
    (folder / "datasources.yml").write_text(json.dumps({"datasources": sources}))
    assert prove.silent_source(refusing(answers), tmp_path) == found


@pytest.mark.parametrize(
    ("survey", "asks", "code"),
    [
        pytest.param("1", True, 1, id="in a survey"),
        pytest.param("1", False, 0, id="where its failure is a warning"),
        pytest.param("", True, 0, id="a service whose data source is down is not restarted"),
    ],
)
def test_when_the_sources_are_asked(
    prove: t.Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, survey: str, asks: bool, code: int
) -> None:
    settings = {"url": "http://g", "user": "a", "refused": str(tmp_path / "refused"), "sources_answer": asks}
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/admin-password").write_text("p")
    (tmp_path / "settle.json").write_text(json.dumps(settings))
    (tmp_path / "plugins.json").write_text('{"plugins": {}}')
    (tmp_path / "provisioning/datasources").mkdir(parents=True)
    (tmp_path / "provisioning/datasources/datasources.yml").write_text(json.dumps({"datasources": [SOURCE]}))
    answers = {
        "/api/health": {"database": "ok"},
        "/api/user": {},
        "/api/datasources/uid/p": SOURCE,
        "/api/datasources/uid/p/health": 400,
    }
    monkeypatch.setattr(prove, "client", lambda *_given: refusing(answers))
    monkeypatch.setattr(sys, "argv", ["prove.py", str(tmp_path), "none"])
    monkeypatch.setenv("NEXOD_SURVEY", survey)
    monkeypatch.setattr(prove, "installed_version", lambda _package: "")
    assert prove.main() == code


@pytest.mark.parametrize(
    ("written", "served", "word"),
    [
        pytest.param(BOARD, {"/api/dashboards/uid/b": {"dashboard": {**BOARD, "version": 7}}}, None, id="as written"),
        pytest.param(
            BOARD, {"/api/dashboards/uid/b": {"dashboard": {**BOARD, "panels": []}}}, "differs", id="other panels"
        ),
        pytest.param(
            {"title": "A b"},
            {"/api/search?type=dash-db&query=A%20b": [{"title": "A b"}]},
            None,
            id="without an identifier",
        ),
        pytest.param({"title": "A b"}, {"/api/search?type=dash-db&query=A%20b": []}, "is not served", id="missing"),
        pytest.param({"kind": "Dashboard", "spec": {}}, {}, None, id="the newer form"),
    ],
)
def test_dashboards(
    prove: t.Any, tmp_path: pathlib.Path, written: dict[str, t.Any], served: dict[str, t.Any], word: str | None
) -> None:
    folder = tmp_path / "dashboards/team"
    folder.mkdir(parents=True)
    (folder / "b.json").write_text(json.dumps(written))
    found = prove.dashboard_differences(answering(served), tmp_path)
    assert (word is None and found == []) or (word and word in found[0])
