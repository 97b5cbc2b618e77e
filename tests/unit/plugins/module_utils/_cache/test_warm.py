from __future__ import annotations

import time
import types
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache import warm as _cache_warm


def answers(url: str, timeout: float) -> t.Any:
    if "slow" in url:
        time.sleep(0.1)
    return types.SimpleNamespace(status={"/gone": 404, "/away": 0}.get(url, 200))


def test_each_url_is_asked_once_and_told() -> None:
    rows = _cache_warm.warm(["/a", "/gone", "/a", "/away"], 5, 2, answers)
    assert [(row["url"], row["status"]) for row in rows] == [("/a", 200), ("/gone", 404), ("/away", 0)]
    assert _cache_warm.warnings_of(rows) == [
        "/gone answered HTTP 404: it is not warm.",
        "/away did not answer: it is not warm.",
    ]


def test_what_the_time_does_not_suffice_for_stays_cold() -> None:
    rows = _cache_warm.warm(["/slow", "/later"], 0.05, 1, answers)
    assert [(row["url"], row["status"]) for row in rows] == [("/slow", 200), ("/later", None)]
    assert _cache_warm.warnings_of(rows) == ["/later was not requested, the time was up: it is not warm."]
