"""What a load has seen, and what that comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.programs import load

figures = load(Path(__file__).resolve().parents[3] / "tests" / "load" / "figures.py")


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("http://127.0.0.1:8080", None),
        ("http://localhost", None),
        ("http://[::1]:80", None),
        ("http://10.213.77.61", None),
        ("http://10.213.78.61", "neither this machine nor a lab"),
        ("http://192.0.2.1", "neither this machine nor a lab"),
        ("http://app.nexod.ai", "is a name"),
        ("https://10.213.77.61", "only http://"),
        ("10.213.77.61", "only http://"),
    ],
)
def test_only_this_machine_and_the_lab_are_targets(url: str, refused: str | None) -> None:
    found = figures.refused_target(url)
    assert found is None if refused is None else refused in found


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentile_is_the_nearest_rank(share: float, value: int) -> None:
    assert figures.percentile(range(1, 101), share) == value


def test_no_percentile_of_nothing() -> None:
    assert figures.percentile([], 0.5) is None


@pytest.mark.parametrize(
    ("good", "begin", "end", "stall"),
    [
        pytest.param([1, 2, 5, 6], 0, 7, 3, id="between two answers"),
        pytest.param([1, 2, 5, 6], 3, 4, 3, id="whole gap, also where the phase lies within it"),
        pytest.param([1, 2, 5, 6], 2.5, 5.5, 3, id="whole gap, begun before the phase"),
        pytest.param([1, 2], 0, 9, 7, id="nothing has ended it"),
        pytest.param([], 2, 9, 7, id="not one good answer"),
        pytest.param([4], 0, 5, 4, id="the first answer came late"),
    ],
)
def test_longest_stall(good: list[float], begin: float, end: float, stall: float) -> None:
    assert figures.longest_stall(good, begin, end) == stall


def clean() -> figures.Book:
    """A load that nobody noticed: two phases, a request each."""
    book = figures.Book(100.0)
    book.answered(101.0, 101.02, "GET", "/", None)
    book.mark("during", 110.0)
    book.answered(111.0, 111.3, "GET", "/", None)
    book.sessions["created"] = 1
    book.slow.update(begun=1, whole=1)
    book.opened = 2
    book.closed(112.0, 1012, 12.0)
    book.ended = 120.0
    return book


def test_report_of_a_clean_load() -> None:
    report = clean().report(125.0)
    assert figures.faults(report) == []
    assert [(phase["name"], phase["requests"], phase["seconds"]) for phase in report["phases"]] == [
        ("start", 1, 10.0),
        ("during", 1, 10.0),
    ]
    assert [phase["p99"] for phase in report["phases"]] == [0.02, 0.3]
    assert (report["seconds"], report["total"]["requests"]) == (20.0, 2)
    assert report["phases"][0]["longest_stall"] == report["total"]["longest_stall"] == pytest.approx(10.28)
    assert "during" in figures.table(report)


def test_latency_counts_from_when_the_request_was_due() -> None:
    book = clean()
    book.answered(112.0, 114.0, "GET", "/", None, late=0.5)
    during = book.report(125.0)["phases"][1]
    assert (during["max"], during["latest"]) == (2.0, 0.5)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda book: book.answered(112, 113, "GET", "/", "status 502"), "1 requests failed"),
        (lambda book: book.sessions.update(lost=3), "3 sessions were lost"),
        (lambda book: book.slow.update(begun=3), "2 slow calls were cut"),
        (lambda book: book.closed(113, 1006, 3), "1 WebSockets were closed without a going-away code"),
        (lambda book: book.closed(113, 1000, 3), "1 WebSockets were closed without a going-away code"),
        (lambda book: setattr(book, "not_opened", 1), "1 WebSockets could not be opened"),
        (lambda book: book.requests.clear(), "no request was answered"),
        (lambda book: book.sessions.update(created=0), "no session was created"),
        (lambda book: book.slow.update(begun=0, whole=0), "no slow call ended whole"),
        (lambda book: setattr(book, "opened", 0), "no WebSocket was opened"),
    ],
)
def test_each_fault_is_said(change, fault: str) -> None:
    book = clean()
    change(book)
    assert figures.faults(book.report(125.0)) == [fault]


def test_a_load_without_websockets_needs_none() -> None:
    book = clean()
    book.opened = 0
    assert figures.faults(book.report(125.0), websockets=False) == []


def test_first_failures_are_kept_in_full_and_all_are_counted() -> None:
    book = clean()
    for second in range(80):
        book.answered(112, 112 + second, "POST", "/tasks", "status 503")
    report = book.report(300.0)
    assert (report["failed"], len(report["failures"])) == (80, 50)
    assert report["failures"][0] == {
        "at": 12.0,
        "phase": "during",
        "method": "POST",
        "path": "/tasks",
        "what": "status 503",
    }
    assert "POST /tasks: status 503" in figures.table(report)
