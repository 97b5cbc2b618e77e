"""The action plugins of the modules for AWS: they pass the arguments on, and choose the file of lines themselves."""

from __future__ import annotations

import typing as t

import pytest

Action = t.Callable[..., tuple[dict[str, t.Any], list[dict[str, t.Any]]]]


@pytest.mark.parametrize("module", ["aws_resources", "ecs_deploy", "ecs_run_task", "s3_site"])
def test_arguments_are_passed_on_and_the_file_is_chosen_here(action: Action, module: str) -> None:
    given = {"name": "api", "cluster": "main", "_internal": {"progress_file": "/etc/passwd"}}
    result, (call,) = action(module, given, answer=lambda _options: {"changed": True, "action": "update"})
    assert (result["changed"], result["action"]) == (True, "update")
    assert (call["name"], call["cluster"]) == ("api", "main")
    assert call["_internal"]["progress_file"] != "/etc/passwd"


@pytest.mark.parametrize("module", ["aws_resources", "ecs_deploy", "ecs_run_task", "s3_site"])
def test_what_failed_is_the_result(action: Action, module: str) -> None:
    failed = {"failed": True, "msg": "Cannot roll out api:2 to ...", "changed": True}
    result, _calls = action(module, {"name": "api"}, answer=lambda _options: dict(failed))
    assert {name: result[name] for name in failed} == failed
