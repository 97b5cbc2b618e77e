"""The action plugin of cache_flush: it passes the arguments on, and chooses the progress file itself."""

from __future__ import annotations

import typing as t

Action = t.Callable[..., tuple[dict[str, t.Any], list[dict[str, t.Any]]]]
ARGUMENTS = {"host": "cache", "prefixes": ["api:"], "protect": ["session:"]}


def test_arguments_are_passed_on_and_the_progress_file_is_chosen_here(action: Action) -> None:
    given = {**ARGUMENTS, "_internal": {"progress_file": "/etc/passwd"}}
    result, (call,) = action("cache_flush", given, answer=lambda _options: {"changed": True, "deleted_total": 3})
    assert (result["changed"], result["deleted_total"]) == (True, 3)
    assert {name: call[name] for name in ARGUMENTS} == ARGUMENTS
    assert call["_internal"]["progress_file"] != "/etc/passwd"


def test_what_failed_is_the_result(action: Action) -> None:
    failed = {"failed": True, "msg": "Cannot flush the cache at cache:6379: ...", "left": ["cache:6379"]}
    result, _calls = action("cache_flush", ARGUMENTS, answer=lambda _options: dict(failed))
    assert {name: result[name] for name in failed} == failed
