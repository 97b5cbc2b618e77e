# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module against a server that exports metrics, against text, and against what is no such server."""

from __future__ import annotations

import contextlib
import http.server
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.tests.fixtures import hostile_answers
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._monitoring.test_histogram import (
    COARSE,
    OPENMETRICS,
    PYTHON,
    SOURCES,
    TABLE,
)

Run = t.Callable[..., dict[str, t.Any]]


@contextlib.contextmanager
def exporting(page: str, status: int = 200) -> t.Iterator[str]:
    """The URL of a server that exports a page; OpenMetrics only to who asks for nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers["Accept"].startswith("text/plain")
            body = page.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()


def options(**more: t.Any) -> dict[str, t.Any]:
    return {"targets": TABLE, "sources": SOURCES, **more}


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(("page", "complete"), [(PYTHON, True), (OPENMETRICS, True), (COARSE, False)])
def test_live_metrics(run_module: Run, page: str, complete: bool, check_mode: bool) -> None:
    with exporting(page) as url:
        result = run_module("histogram_check", options(url=url), check_mode=check_mode)
    assert (result["changed"], result["complete"], len(result["rows"])) == (False, complete, 2)
    assert len(result["warnings"]) == (not complete)


def test_text(run_module: Run) -> None:
    assert run_module("histogram_check", options(text=PYTHON))["complete"] is True


def test_it_fails_only_when_asked(run_module: Run) -> None:
    warned = run_module("histogram_check", options(text=COARSE))
    failed = run_module("histogram_check", options(text=COARSE, fail_on_missing=True))
    assert failed["failed"]
    assert warned["warnings"] == [failed["msg"]]
    assert "Give http_request_duration_seconds the buckets 0.1, 0.3, 0.5, 1, 2.5" in failed["msg"]


@pytest.mark.parametrize("name", ["nothing", "another protocol", "half its body"])
def test_metrics_that_cannot_be_read(run_module: Run, name: str) -> None:
    with hostile_answers.server(name) as url:
        result = run_module("histogram_check", options(url=url))
        assert [row["result"] for row in result["rows"]] == ["unknown", "unknown"]
        assert "Cannot read the metrics of" in result["warnings"][0]
        assert run_module("histogram_check", options(url=url, fail_on_missing=True))["failed"]
        # There may be no release yet.
        planned = run_module("histogram_check", options(url=url, fail_on_missing=True), check_mode=True)
        assert (planned.get("failed"), planned["warnings"]) == (None, [])


def test_another_status(run_module: Run) -> None:
    with exporting("", status=404) as url:
        assert "HTTP 404" in run_module("histogram_check", options(url=url))["warnings"][0]
