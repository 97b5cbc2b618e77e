"""How a stopped task ended, by the container that was asked about."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.task import (
    main_container,
    mark_of,
    outcome,
    token_of,
    told,
)


def task(*containers: dict[str, t.Any], code: str = "EssentialContainerExited", **more: t.Any) -> dict[str, t.Any]:
    return {
        "taskArn": "arn:aws:ecs:us-east-1:1:task/main/abc",
        "stopCode": code,
        "stoppedReason": "Essential container in task exited",
        "containers": list(containers),
        **more,
    }


LOG = {"name": "log", "exitCode": 0}


@pytest.mark.parametrize(
    ("stopped", "exit_code", "cause"),
    [
        pytest.param(task({"name": "job", "exitCode": 0}), 0, "", id="good"),
        pytest.param(task(LOG, {"name": "job", "exitCode": 3}), 3, "exit code 3", id="not the first container"),
        pytest.param(
            task({"name": "job", "exitCode": 255}),
            255,
            "ended with exit code 255; Essential container in task exited",
            id="a code above signals",
        ),
        pytest.param(
            task({"name": "job", "exitCode": 137, "reason": "OutOfMemoryError"}), 137, "signal 9", id="killed"
        ),
        pytest.param(
            task(
                {"name": "job", "reason": "CannotPullContainerError: not found"},
                code="TaskFailedToStart",
                stoppedReason="Task failed to start",
            ),
            None,
            "never started: CannotPullContainerError: not found; Task failed to start",
            id="no image",
        ),
        pytest.param(
            task({"name": "job"}, code="TaskFailedToStart", stoppedReason=""),
            None,
            "AWS gives no reason",
            id="no reason",
        ),
        pytest.param(
            task({"name": "job", "exitCode": 0}, code="UserInitiated", stoppedReason="by ann"),
            0,
            "was stopped: by ann",
            id="stopped by somebody, whatever its code",
        ),
        pytest.param(task(LOG), None, "no container job", id="no such container"),
    ],
)
def test_outcome(stopped: dict[str, t.Any], exit_code: int | None, cause: str) -> None:
    found = outcome(stopped, "job")
    assert found.exit_code == exit_code
    assert cause in found.cause if cause else not found.cause


def test_told_names_every_container() -> None:
    text = told(task(LOG, {"name": "job", "reason": "CannotPullContainerError"}))
    assert text == (
        "task abc: Essential container in task exited; log: exit code 0; job: never started (CannotPullContainerError)"
    )


def test_marks_are_what_aws_takes_and_differ_as_names_do() -> None:
    names = ["migrate-1_2", "migrate-1.2", "migrate 1.2", "x" * 200, "x" * 201]
    marks = [mark_of(name) for name in names]
    assert marks[0] == names[0]
    assert len(set(marks)) == len(names)
    assert all(len(mark) <= 128 and not set(mark) & set(". ") for mark in marks)


def test_a_token_is_the_same_for_the_same_request() -> None:
    assert token_of({"a": 1, "b": 2}, []) == token_of({"b": 2, "a": 1}, [])
    assert token_of({"a": 1}, []) != token_of({"a": 1}, ["task"])
    assert len(token_of("x")) == 64


@pytest.mark.parametrize(
    ("names", "named", "found"),
    [(["a"], None, "a"), (["a", "b"], None, None), (["a", "b"], "b", "b"), (["a"], "c", None)],
)
def test_main_container(names: list[str], named: str | None, found: str | None) -> None:
    assert main_container({"containerDefinitions": [{"name": name} for name in names]}, named) == found
