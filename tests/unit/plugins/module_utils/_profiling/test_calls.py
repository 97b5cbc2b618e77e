"""What the application's metrics counted during a profile."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._profiling import calls

REQUESTS = {"name": "requests", "metric": "http_seconds_count", "except": 'endpoint="(/health|/ready)"'}
QUERIES = {"name": "database queries", "metric": "query_seconds_count"}
BEFORE = """# HELP http_seconds Seconds.
# TYPE http_seconds histogram
http_seconds_count{endpoint="/tasks/{id}",method="GET"} 10.0
http_seconds_count{endpoint="/health",method="GET"} 500.0
http_seconds_count_other 7
"""
AFTER = """http_seconds_count{endpoint="/tasks/{id}",method="GET"} 30.0
http_seconds_count{endpoint="/users",method="GET"} 20.0 1795780800000
http_seconds_count{endpoint="/health",method="GET"} 900.0
query_seconds_count 1.2e2
"""


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        pytest.param(BEFORE, AFTER, {"requests": 40, "database queries": 120}, id="with a series that is new"),
        pytest.param(AFTER, BEFORE, {}, id="started anew"),
        pytest.param("", "", {}, id="no metrics"),
        pytest.param("", "query_seconds_count NaN\n", {}, id="no number"),
        pytest.param("", "query_seconds_count many\n", {}, id="no metric"),
    ],
)
def test_what_grew(before: str, after: str, found: dict[str, int]) -> None:
    assert calls.counted([REQUESTS, QUERIES], before, after) == found


@pytest.mark.parametrize(
    ("grown", "says"),
    [
        ({}, []),
        ({"requests": 40}, ["Calls: 40 requests (1.3 a second)."]),
        (
            {"requests": 40, "database queries": 124},
            ["Calls: 40 requests (1.3 a second), 124 database queries (3.1 for each of them)."],
        ),
        ({"requests": 0, "queries": 4}, ["Calls: 0 requests (0.0 a second), 4 queries."]),
    ],
)
def test_the_sentence(grown: dict[str, t.Any], says: list[str]) -> None:
    assert calls.words(grown, 30) == says
