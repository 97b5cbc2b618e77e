# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys are recorded in a Grafana (the stand-in) that answers over HTTP, and none fails because of it."""

from __future__ import annotations

import base64
import http.server
import pathlib
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import annotation
from ansible_collections.nexod.infra.tests.fixtures import hostile_answers
from ansible_collections.nexod.infra.tests.programs import load

Run = t.Callable[..., dict[str, t.Any]]
PASSWORD = "canary-93ab1f"
TOKEN = "glsa_canary-4e71"
stand_in = load(pathlib.Path(__file__).parents[3] / "fixtures/grafana_stand_in/grafana_stand_in.py")


@pytest.fixture
def grafana() -> t.Iterator[tuple[str, list[dict[str, t.Any]]]]:
    """The URL of a Grafana below a path, and the annotations that it has."""
    settings = {
        "security": {"admin_user": "admin", "admin_password": PASSWORD},
        "server": {"root_url": "https://h/tools/", "serve_from_sub_path": "true"},
    }
    database = stand_in.Database()
    database.memory["password"] = stand_in.hashed(PASSWORD)
    database.memory["accounts"] = [{"id": 2, "role": "Editor", "isDisabled": False}]
    database.memory["tokens"] = [{"account": 2, "key": stand_in.hashed(TOKEN), "expires": 0}]
    kept: list[dict[str, t.Any]] = database.memory["annotations"]
    handler = type("Own", (stand_in.Handler,), {"site": stand_in.Site(settings, [], []), "database": database})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/tools/", kept
        server.shutdown()


def options(there: str, **more: t.Any) -> dict[str, t.Any]:
    given = {"url": there, "password": PASSWORD, "began": 1764163200.0, "ended": 1764163260.5}
    return {**given, "tags": ["deploy", "lab", "1.1.0", "", "met", "lab"], "text": "Version 1.1.0", **more}


def test_a_deploy_is_a_region_with_tags(run_module: Run, grafana: tuple[str, list[dict[str, t.Any]]]) -> None:
    url, kept = grafana
    result = run_module("grafana_annotation", options(url))
    assert (result["changed"], result["recorded"], result["id"], result["warnings"]) == (False, True, 1, [])
    assert kept == [
        {
            "id": 1,
            "time": 1764163200000,
            "timeEnd": 1764163260500,
            "tags": ["deploy", "lab", "1.1.0", "met"],
            "text": "Version 1.1.0",
        }
    ]
    assert PASSWORD not in str(result)


def test_a_token_in_a_file_is_used_without_leaving_it(
    run_module: Run, grafana: tuple[str, list[dict[str, t.Any]]], tmp_path: pathlib.Path
) -> None:
    url, kept = grafana
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    result = run_module("grafana_annotation", options(url, password="", token_file=str(tmp_path / "token")))
    assert (result["recorded"], len(kept), result["warnings"]) == (True, 1, [])
    assert TOKEN not in str(result)
    missing = run_module("grafana_annotation", options(url, token_file=str(tmp_path / "gone")))
    assert (missing["recorded"], len(kept)) == (False, 1)
    assert "Run the stage monitoring" in missing["warnings"][0]


def test_it_ends_now_by_default(run_module: Run, grafana: tuple[str, list[dict[str, t.Any]]]) -> None:
    url, kept = grafana
    run_module("grafana_annotation", options(url, ended=None))
    assert kept[0]["timeEnd"] > 1764163260500


def test_check_mode_writes_nothing(run_module: Run, grafana: tuple[str, list[dict[str, t.Any]]]) -> None:
    url, kept = grafana
    result = run_module("grafana_annotation", options(url), check_mode=True)
    assert (result["recorded"], kept) == (False, [])
    assert result["annotation"]["timeEnd"] == 1764163260500


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param(
            {"password": "another"}, ["HTTP 401", "Check the token, or the name and the password"], id="password"
        ),
        pytest.param({"token": "glsa_canary"}, ["HTTP 401"], id="a token that Grafana does not know"),
        pytest.param({"text": ""}, ["HTTP 400", "Failed to save annotation"], id="refused"),
        pytest.param({"url": "http://127.0.0.1:1"}, ["systemctl status grafana-server"], id="nobody answers"),
    ],
)
def test_a_fault_is_a_warning_unless_it_must_be_recorded(
    run_module: Run, grafana: tuple[str, list[dict[str, t.Any]]], changes: dict[str, t.Any], words: list[str]
) -> None:
    url, kept = grafana
    given = options(url, **changes)
    result = run_module("grafana_annotation", given)
    assert (result["recorded"], len(result["warnings"]), kept) == (False, 1, [])
    assert result["warnings"][0].startswith("Cannot record the deploy in Grafana at")
    assert all(word in result["warnings"][0] for word in words)
    failed = run_module("grafana_annotation", {**given, "required": True})
    assert failed["msg"] == result["warnings"][0]
    assert not any(secret in str([result, failed]) for secret in (PASSWORD, "glsa_canary"))


def test_another_path_is_not_grafanas(run_module: Run, grafana: tuple[str, list[dict[str, t.Any]]]) -> None:
    url, _kept = grafana
    assert "HTTP 404" in run_module("grafana_annotation", options(url.replace("tools/", "")))["warnings"][0]


@pytest.mark.parametrize("name", ["nothing", "another protocol", "half its body"])
def test_what_is_no_grafana(run_module: Run, name: str) -> None:
    with hostile_answers.server(name) as url:
        assert len(run_module("grafana_annotation", options(url))["warnings"]) == 1


@pytest.mark.parametrize(
    ("token", "header"),
    [
        pytest.param("glsa_x", "Bearer glsa_x", id="a token comes first"),
        pytest.param("", "Basic " + base64.b64encode("admin:pä".encode()).decode(), id="a name and a password"),
    ],
)
def test_authorization(token: str, header: str) -> None:
    assert annotation.authorization(token, "admin", "pä") == header
