# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role verify records a deploy in Grafana, whatever its verdict, and is no worse for a Grafana that is away."""

from __future__ import annotations

import http.server
import json
import pathlib
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.tests.fixtures.small_api import running
from ansible_collections.nexod.infra.tests.playbook import play
from ansible_collections.nexod.infra.tests.programs import load

ROOT = pathlib.Path(__file__).resolve().parents[3]
PASSWORD = "canary-41cd07"
PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  roles: [nexod.infra.verify]
"""
stand_in = load(ROOT / "tests/fixtures/grafana_stand_in/grafana_stand_in.py")


@pytest.fixture
def grafana() -> t.Iterator[tuple[str, list[dict[str, t.Any]]]]:
    database = stand_in.Database()
    database.memory["password"] = stand_in.hashed(PASSWORD)
    kept: list[dict[str, t.Any]] = database.memory["annotations"]
    handler = type("Own", (stand_in.Handler,), {"site": stand_in.Site({}, [], []), "database": database})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", kept
        server.shutdown()


@pytest.mark.parametrize(
    ("value", "changes", "rc", "tags", "words"),
    [
        pytest.param("0.99", {}, 0, ["deploy", "lab", "1.1.0", "met"], "", id="met"),
        pytest.param(
            "9",
            {"verify_latency_sources": {"api": {"gauge": "seconds"}}},
            2,
            ["deploy", "lab", "1.1.0", "missed"],
            "Cannot accept the release",
            id="missed",
        ),
        pytest.param(
            "9",
            {"verify_latency_sources": {"api": {"gauge": "seconds"}}, "verify_if_missed": "warn"},
            0,
            ["deploy", "lab", "1.1.0", "missed"],
            "api p50 within 0.3 s: missed",
            id="missed, and a warning is enough",
        ),
        pytest.param(
            "NaN",
            {"verify_if_not_enough_data": "fail"},
            2,
            ["deploy", "lab", "1.1.0", "not enough data"],
            "not enough data (0 of 1 requests)",
            id="not enough data, and that is not accepted",
        ),
        pytest.param("0.99", {"verify_deploy_began": 0}, 0, None, "", id="nothing was rolled out"),
        pytest.param(
            "0.99",
            {"verify_grafana_url": "http://127.0.0.1:1"},
            0,
            None,
            "Cannot record the deploy",
            id="Grafana is away",
        ),
        pytest.param(
            "0.99",
            {"verify_conditions": [{"name": "a target is down", "query": "up == 0"}]},
            2,
            ["deploy", "lab", "1.1.0", "failed"],
            "a target is down",
            id="a condition holds",
        ),
    ],
)
def test_a_deploy_is_recorded_whatever_its_verdict(
    tmp_path: pathlib.Path,
    grafana: tuple[str, list[dict[str, t.Any]]],
    value: str,
    changes: dict[str, t.Any],
    rc: int,
    tags: list[str] | None,
    words: str,
) -> None:
    url, kept = grafana
    (tmp_path / "play.yml").write_text(PLAY)
    with running() as api:
        api.series = [{"metric": {}, "value": [0, value]}]
        given = {
            "verify_prometheus_host": "localhost",
            "verify_prometheus_url": api.url,
            "verify_latency_targets": [{"metric": "api", "quantile": 0.5, "target_seconds": 0.3}],
            "verify_latency_sources": {"api": {"histogram": "http_request_duration_seconds"}},
            "verify_minimum_samples": 1,
            "verify_wait_seconds": 0,
            "verify_version": "1.1.0",
            "verify_grafana_host": "localhost",
            "verify_grafana_url": url,
            "verify_grafana_password": PASSWORD,
            "verify_deploy_began": 1764163200.0,
            "verify_deploy_tags": ["deploy", "lab"],
            "verify_session_file": str(tmp_path / "canary.json"),
            **changes,
        }
        done = play("-i", "localhost,", tmp_path / "play.yml", "-vvv", "-e", json.dumps(given))
    said = done.stdout + done.stderr
    assert done.returncode == rc, said[-3000:]
    assert [row["tags"] for row in kept] == ([tags] if tags else [])
    assert all(row["timeEnd"] > row["time"] == 1764163200000 for row in kept)
    assert words in said
    # -e itself is what a test gives it by; no task shows it.
    assert PASSWORD not in said
