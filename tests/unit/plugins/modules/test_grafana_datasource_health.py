# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana (the stand-in) asks its data sources over HTTP, and what does not answer is named."""

from __future__ import annotations

import http.server
import json
import pathlib
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import datasources
from ansible_collections.nexod.infra.tests.programs import load

Run = t.Callable[..., dict[str, t.Any]]
PASSWORD = "canary-b1170e"
stand_in = load(
    pathlib.Path(__file__).parents[3] / "fixtures/grafana_stand_in/grafana_stand_in.py", "stand_in_for_sources"
)


class Prometheus(http.server.BaseHTTPRequestHandler):
    """What answers as Prometheus does."""

    def do_GET(self) -> None:
        body = json.dumps({"status": "success", "data": {"result": []}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: t.Any) -> None:
        """Nothing."""


@pytest.fixture
def grafana(tmp_path: pathlib.Path) -> t.Iterator[dict[str, t.Any]]:
    """Options for a Grafana with a data source that answers, one that does not, and one that it cannot check."""
    (tmp_path / "password").write_text(PASSWORD)
    database = stand_in.Database()
    database.memory["password"] = stand_in.hashed(PASSWORD)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prometheus) as prometheus:
        sources = [
            {"name": "Up", "uid": "up", "type": "prometheus", "url": f"http://127.0.0.1:{prometheus.server_port}"},
            {"name": "Down", "uid": "down", "type": "prometheus", "url": "http://127.0.0.1:1"},
            {"name": "Cloud", "uid": "cloud", "type": "cloudwatch", "url": ""},
        ]
        site = stand_in.Site({}, sources, [])
        handler = type("Own", (stand_in.Handler,), {"site": site, "database": database})
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            for each in (prometheus, server):
                threading.Thread(target=each.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}"
            yield {"url": url, "password_file": str(tmp_path / "password"), "timeout": "0"}
            server.shutdown()
        prometheus.shutdown()


UP = {"name": "Up", "uid": "up", "type": "prometheus"}
DOWN = {"name": "Down", "uid": "down", "type": "prometheus"}


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("source", [UP, {"name": "Up", "type": "prometheus"}], ids=["by uid", "by name"])
def test_what_answers(run_module: Run, grafana: dict[str, t.Any], source: dict[str, str], *, check_mode: bool) -> None:
    given = {**grafana, "datasources": [source]}
    result = run_module("grafana_datasource_health", given, check_mode=check_mode)
    assert (result["changed"], result["warnings"]) == (False, [])
    assert [(row["name"], row["state"]) for row in result["datasources"]] == [("Up", "ok")]
    assert PASSWORD not in str(result)


def test_what_does_not_answer_is_named_and_can_be_a_warning(run_module: Run, grafana: dict[str, t.Any]) -> None:
    given = {**grafana, "datasources": [UP, DOWN]}
    failed = run_module("grafana_datasource_health", given)
    assert "Down: http://127.0.0.1:1: " in failed["msg"]
    assert "Up" not in failed["error"]["cause"]
    assert "grafana_datasource_health to warn" in failed["error"]["next_step"]
    warned = run_module("grafana_datasource_health", {**given, "unreachable": "warn"})
    assert warned["warnings"] == [failed["msg"]]
    assert [row["state"] for row in warned["datasources"]] == ["ok", "error"]


def test_a_type_that_grafana_cannot_check_is_unknown(run_module: Run, grafana: dict[str, t.Any]) -> None:
    given = {**grafana, "datasources": [{"name": "Cloud", "uid": "cloud", "type": "cloudwatch"}]}
    assert run_module("grafana_datasource_health", given)["datasources"][0]["state"] == "unknown"


@pytest.mark.parametrize(
    ("source", "word"),
    [
        pytest.param({**UP, "uid": "gone"}, "not found", id="by uid"),
        pytest.param({"name": "Gone", "type": "prometheus"}, "Grafana does not have it", id="by name"),
    ],
)
def test_a_data_source_that_grafana_does_not_have(
    run_module: Run, grafana: dict[str, t.Any], source: dict[str, str], word: str
) -> None:
    assert word in run_module("grafana_datasource_health", {**grafana, "datasources": [source]})["msg"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        pytest.param({"url": "http://127.0.0.1:1"}, "systemctl status grafana-server", id="no Grafana"),
        pytest.param({"user": "other"}, "HTTP 401", id="another account"),
        pytest.param({"password_file": "/nowhere"}, "/nowhere", id="no password"),
    ],
)
def test_grafana_itself(run_module: Run, grafana: dict[str, t.Any], changes: dict[str, str], word: str) -> None:
    assert word in run_module("grafana_datasource_health", {**grafana, "datasources": [UP], **changes})["msg"]


def answer(number: int, **document: str) -> Answer:
    return Answer(number, json.dumps(document))


@pytest.mark.parametrize(
    ("given", "state"),
    [
        pytest.param(answer(200, status="OK", message="Successfully queried"), "ok", id="healthy"),
        pytest.param(answer(400, status="ERROR", message="connection refused"), "error", id="unhealthy"),
        pytest.param(answer(200, status="UNKNOWN", message=""), "error", id="not healthy for sure"),
        pytest.param(answer(404, message="Not found"), None, id="no check, before Grafana 10"),
        pytest.param(answer(501, message="Not implemented"), None, id="no check, later"),
        pytest.param(answer(404, message="Data source not found"), "error", id="no such data source"),
        pytest.param(answer(500, message="Unable to find datasource plugin"), "error", id="no plugin"),
        pytest.param(Answer(502, "<html>"), "error", id="another server in front"),
    ],
)
def test_judge(given: Answer, state: str | None) -> None:
    judged = datasources.judge(given)
    assert (judged and judged[0]) == state


def test_a_query_stands_for_a_check_that_grafana_does_not_have() -> None:
    asked = []

    def ask(path: str) -> Answer:
        asked.append(path)
        return answer(404, message="Not found") if path.endswith("/health") else answer(200, status="success")

    assert datasources.health(ask, UP, "http://g").state == "ok"
    assert asked == ["/api/datasources/uid/up/health", "/api/datasources/proxy/uid/up/api/v1/query?query=1%2B1"]


def test_one_that_is_starting_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasources, "PAUSE", 0.01)
    answers = [answer(400, status="ERROR", message="starting"), answer(200, status="OK", message="")]
    rows = datasources.wait_healthy(lambda _path: answers.pop(0), [UP], "http://g", 5)
    assert [row.state for row in rows] == ["ok"]
