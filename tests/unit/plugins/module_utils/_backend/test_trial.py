"""What a new instance must stand before users reach it, by table, and a trial held on a real server."""

from __future__ import annotations

import collections
import http.server
import pathlib
import threading
import time
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._backend import trial
from ansible_collections.nexod.infra.plugins.module_utils._backend.trial import Asked, Look
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result

MIB = 1024 * 1024
HALF, MOST = (
    {"metric": "api", "quantile": 0.5, "target_seconds": 0.1},
    {"metric": "api", "quantile": 0.95, "target_seconds": 0.3},
)
PAGES = {"metric": "lcp", "quantile": 0.75, "target_seconds": 0.0}
OPTIONS: dict[str, t.Any] = {
    "url": "http://a:8000",
    "paths": ["/"],
    "requests": 20,
    "concurrency": 2,
    "seconds": 0.2,
    "timeout": 5,
    "unit": "api",
    "health_path": "/health",
    "ready_path": "/ready",
    "targets": [HALF, MOST, PAGES],
    "maximum_error_ratio": 0,
    "maximum_memory_growth_mb": 64,
}
QUICK, SLOW, WRONG = Asked(0.05), Asked(3.0), Asked(0.01, "/ answers HTTP 500: no")


def look(at: float = 0, *, active: bool = True, restarts: int = 0, memory: int = 100, fault: str = "") -> Look:
    return Look(at, active, restarts, memory * MIB, fault or None)


FINE = [look(0), look(1), look(2), look(3)]


@pytest.mark.parametrize(
    ("times", "which", "found"),
    [([], 0.5, None), ([3, 1, 2], 0.5, 2), ([1, 2, 3, 4], 0.5, 2), (range(1, 101), 0.99, 99), ([7], 0.99, 7)],
)
def test_quantile(times: t.Sequence[float], which: float, found: float | None) -> None:
    assert trial.quantile(times, which) == found


@pytest.mark.parametrize(
    ("memory", "grown"),
    [
        pytest.param([100, 180, 180, 180], 0, id="it fills its caches at first"),
        pytest.param([100, 110, 150, 220], 110, id="it grows on"),
        pytest.param([100, 180, 90, 95], 0, id="it gives back"),
        pytest.param([100], 0, id="ended at once"),
    ],
)
def test_memory_growth(memory: list[int], grown: float) -> None:
    assert trial.memory_growth([look(at, memory=held) for at, held in enumerate(memory)]) == grown


def test_memory_that_cannot_be_read_is_not_judged() -> None:
    assert trial.memory_growth([Look(0, True, 0, None), Look(1, True, 0, None)]) is None


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        pytest.param(FINE, None, id="well"),
        pytest.param([look(), look(fault="/ready answers HTTP 503: no")], None, id="once is not yet unwell"),
        pytest.param([look(), look(fault="no"), look(), look(fault="no")], None, id="nor is every other time"),
        pytest.param([look(), look(fault="no"), look(fault="/ready: no")], "/ready: no (2 times in a row)", id="twice"),
        pytest.param([look(), look(restarts=1)], "it ended, and systemd restarted it (1 times)", id="restarted"),
        pytest.param([look(restarts=2), look(restarts=2)], None, id="restarted before"),
        pytest.param([look(), look(active=False)], "it ended: its unit is not active", id="ended"),
    ],
)
def test_unwell(looks: list[Look], says: str | None) -> None:
    assert trial.unwell(looks) == says


@pytest.mark.parametrize(
    ("options", "asked", "looks", "says"),
    [
        pytest.param({}, [QUICK] * 20, FINE, [], id="passed"),
        pytest.param({}, [QUICK] * 19 + [SLOW], FINE, [], id="one of twenty may be slow"),
        pytest.param(
            {},
            [QUICK] * 18 + [SLOW] * 2,
            FINE,
            ["api p95 within 0.3 s: missed (90.00% of 20 requests were that fast)"],
            id="two may not",
        ),
        pytest.param(
            {},
            [QUICK, SLOW, SLOW],
            FINE,
            ["api p95 within 0.3 s: missed (2 of the 20 requests took longer, after 3)"],
            id="slow, and known early",
        ),
        pytest.param(
            {},
            [QUICK] * 7 + [WRONG],
            FINE,
            ["1 of 8 requests failed: / answers HTTP 500: no"],
            id="an error, and known early",
        ),
        pytest.param({"maximum_error_ratio": 0.05}, [QUICK] * 19 + [WRONG], FINE, [], id="an error that is allowed"),
        pytest.param({}, [QUICK] * 5, FINE, ["only 5 of 20 requests were answered in time"], id="too few"),
        pytest.param(
            {},
            [QUICK] * 20,
            [look(at, memory=100 + at * 50) for at in range(4)],
            ["its memory grew by 100 MiB, at most 64 MiB are allowed"],
            id="leaks",
        ),
        pytest.param(
            {"maximum_memory_growth_mb": 0},
            [QUICK] * 20,
            [look(at, memory=100 + at * 50) for at in range(4)],
            [],
            id="memory is not looked at",
        ),
        pytest.param({"requests": 0}, [], FINE, [], id="only watched"),
        pytest.param(
            {},
            [WRONG],
            [look(), look(restarts=1)],
            [
                "it ended, and systemd restarted it (1 times)",
                "1 of 1 requests failed: / answers HTTP 500: no",
            ],
            id="the gravest first",
        ),
    ],
)
def test_faults(options: dict[str, t.Any], asked: list[Asked], looks: list[Look], says: list[str]) -> None:
    assert trial.faults({**OPTIONS, **options}, asked, looks) == says


def test_memory_is_what_the_group_s_processes_hold_themselves(tmp_path: pathlib.Path) -> None:
    group = tmp_path / "unified/system.slice/api.service"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("11\n12\n13\n")
    for pid, held in ((11, 2048), (12, 1024)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "status").write_text(f"Name:\tx\nVmRSS:\t9999 kB\nRssAnon:\t{held} kB\n")
    assert trial.held("/system.slice/api.service", tmp_path, tmp_path) == 3 * MIB
    assert trial.held("/gone", tmp_path, tmp_path) is None
    assert trial.held("", tmp_path, tmp_path) is None


class Instance(http.server.BaseHTTPRequestHandler):
    """Answers with 200 but where a test says otherwise, and counts."""

    counts: t.ClassVar[collections.Counter[str]] = collections.Counter()
    fails_after: t.ClassVar[dict[str, int]] = {}
    pause: t.ClassVar[float] = 0.0

    def do_GET(self) -> None:
        self.counts[self.path] += 1
        if self.path == "/":
            time.sleep(self.pause)
        bad = self.counts[self.path] > self.fails_after.get(self.path, 10**9)
        self.send_response(500 if bad else 200)
        self.end_headers()
        self.wfile.write(b"planted" if bad else b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[str]:
    monkeypatch.setattr(trial, "PAUSE", 0.05)
    monkeypatch.setattr(trial, "last_log_lines", lambda unit, since: f"{unit} said this")
    shown = Result(0, "ActiveState=active\nNRestarts=0\nControlGroup=\n", "")
    monkeypatch.setattr(trial, "run", lambda *_, **__: shown)
    Instance.counts, Instance.fails_after, Instance.pause = collections.Counter(), {}, 0.0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Instance) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_sound_instance_passes_in_its_time(url: str) -> None:
    result = trial.trial({**OPTIONS, "url": url})
    assert (result["requests"], result["failures"], result["restarts"]) == (20, [], 0)
    assert [row["verdict"] for row in result["rows"]] == ["met", "met"]
    # In seconds, each of them: how quick a machine is at it is no test's to say.
    assert result["seconds"] >= 0.2
    assert 0 < result["p50"] <= result["p95"] <= result["p99"] <= result["seconds"]


@pytest.mark.parametrize(
    ("fails_after", "pause", "says"),
    [
        pytest.param({"/": 8}, 0, r"requests failed: / answers HTTP 500: planted", id="errors"),
        pytest.param({"/ready": 2}, 0, r"/ready answers HTTP 500: planted \(2 times in a row\)", id="fails later"),
        pytest.param({}, 0.4, r"api p95 within 0.3 s: missed \(\d+ of the 20 requests took longer", id="slow"),
    ],
)
def test_a_bad_one_fails_before_its_time_is_over(
    url: str, fails_after: dict[str, int], pause: float, says: str
) -> None:
    Instance.fails_after, Instance.pause = fails_after, pause
    began = time.monotonic()
    with pytest.raises(InfraError, match=says) as caught:
        trial.trial({**OPTIONS, "url": url, "seconds": 4, "timeout": 8})
    assert time.monotonic() - began < 4
    assert "Its last log lines:\napi said this" in str(caught.value)
    assert caught.value.facts["requests"] < 20  # type: ignore[operator]


def test_figures_are_one_line() -> None:
    found = {"seconds": 9.2, "requests": 8, "p50": 3.0495, "p95": 3.1, "p99": 3.1, "restarts": 0}
    assert trial.figures({**found, "memory_growth_mb": None}) == (
        "After 9 s: 8 requests, p50 3.05 s, p95 3.1 s, p99 3.1 s; restarted 0 times; memory grew by 0 MiB."
    )
    assert trial.figures({**found, "p50": None, "p95": None, "p99": None, "memory_growth_mb": 2.5}) == (
        "After 9 s: 8 requests; restarted 0 times; memory grew by 2.5 MiB."
    )


def test_only_watching_asks_no_paths(url: str) -> None:
    trial.trial({**OPTIONS, "url": url, "requests": 0, "seconds": 1})
    assert set(Instance.counts) == {"/health", "/ready"}
    assert Instance.counts["/ready"] > 2
