"""Where a rollout is, by what AWS shows: rows have the shape of DescribeServices, as recorded from MiniStack."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deployment import (
    DONE,
    FAILED,
    ROLLING,
    described,
    judge,
    judge_service_deployment,
    new_events,
    newest,
    previous_of,
    serving,
    under_way,
)

ARN = "arn:aws:ecs:us-east-1:000000000000:task-definition/api:"
OLD, NEW, THIRD = f"{ARN}1", f"{ARN}2", f"{ARN}3"


def row(key: str, definition: str, status: str, state: str | None, run: int = 2, **more: t.Any) -> dict[str, t.Any]:
    made = {"id": key, "taskDefinition": definition, "status": status, "runningCount": run, "desiredCount": 2, **more}
    return made if state is None else {**made, "rolloutState": state}


def service(*rows: dict[str, t.Any], status: str = "ACTIVE") -> dict[str, t.Any]:
    return {"status": status, "taskDefinition": rows[0]["taskDefinition"], "deployments": list(rows)}


BEFORE = row("d1", OLD, "ACTIVE", "COMPLETED")
BREAKER = "ECS deployment circuit breaker was triggered after 3 consecutive task failures"


@pytest.mark.parametrize(
    ("seen", "state", "text", "rolled_back"),
    [
        pytest.param(
            service(row("d2", NEW, "PRIMARY", "IN_PROGRESS", 1, failedTasks=2), BEFORE),
            ROLLING,
            "1 of 2 tasks of api:2 run, 2 failed",
            False,
            id="on its way",
        ),
        pytest.param(service(row("d2", NEW, "PRIMARY", "COMPLETED")), DONE, "2 of 2", False, id="good"),
        pytest.param(
            service(row("d2", NEW, "PRIMARY", "COMPLETED", 1)), ROLLING, "1 of 2", False, id="completed, a task is lost"
        ),
        pytest.param(service(row("d2", NEW, "PRIMARY", None)), DONE, "2 of 2", False, id="no state, complete"),
        pytest.param(service(row("d2", NEW, "PRIMARY", None, 1)), ROLLING, "1 of 2", False, id="no state, not yet"),
        pytest.param(
            service(
                row("d1", OLD, "PRIMARY", "COMPLETED"),
                row("d2", NEW, "ACTIVE", "FAILED", 0, rolloutStateReason=f"{BREAKER}."),
            ),
            FAILED,
            BREAKER,
            True,
            id="failed, the old deployment is back",
        ),
        pytest.param(
            service(
                row("d3", OLD, "PRIMARY", "IN_PROGRESS"),
                row("d2", NEW, "ACTIVE", "FAILED", 0, rolloutStateReason=f"{BREAKER}."),
            ),
            FAILED,
            BREAKER,
            True,
            id="failed, a new deployment of the old definition",
        ),
        pytest.param(
            service(row("d2", NEW, "PRIMARY", "FAILED", 0), BEFORE),
            FAILED,
            "AWS gives no reason",
            False,
            id="failed, no rollback",
        ),
        pytest.param(
            service(row("d3", OLD, "PRIMARY", "COMPLETED")),
            FAILED,
            "AWS returned the service to api:1",
            True,
            id="vanished, rolled back",
        ),
        pytest.param(
            service(row("d3", THIRD, "PRIMARY", "COMPLETED")),
            FAILED,
            "another deployment took its place: deployment d3 of api:3",
            False,
            id="vanished, superseded",
        ),
        pytest.param(
            service(row("d3", THIRD, "PRIMARY", "IN_PROGRESS", 0), row("d2", NEW, "ACTIVE", "IN_PROGRESS", 1)),
            FAILED,
            "another deployment took its place",
            False,
            id="superseded while it is on its way",
        ),
        pytest.param(
            service(row("d3", NEW, "PRIMARY", "IN_PROGRESS", 0), row("d2", NEW, "ACTIVE", "IN_PROGRESS", 1)),
            FAILED,
            "another deployment took its place: deployment d3 of api:2",
            False,
            id="superseded by another of the same definition",
        ),
        pytest.param(None, FAILED, "was deleted", False, id="no service"),
        pytest.param(
            service(row("d2", NEW, "PRIMARY", "IN_PROGRESS"), status="DRAINING"),
            FAILED,
            "was deleted",
            False,
            id="service is being deleted",
        ),
    ],
)
def test_judge(seen: t.Any, state: str, text: str, rolled_back: bool) -> None:
    found = judge(seen, "d2", NEW, OLD)
    assert (found.state, found.rolled_back) == (state, rolled_back)
    assert text in found.text


def test_a_service_that_is_stable_after_a_rollback_is_no_success() -> None:
    """What the waiter services_stable takes for one: a single deployment, running as many as desired."""
    assert judge(service(row("d3", OLD, "PRIMARY", "COMPLETED")), "d2", NEW, OLD).state == FAILED


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ({"status": "PENDING"}, ROLLING),
        ({"status": "IN_PROGRESS", "lifecycleStage": "BAKE_TIME"}, ROLLING),
        ({"status": "ROLLBACK_IN_PROGRESS"}, ROLLING),
        ({"status": "SUCCESSFUL"}, DONE),
        ({"status": "STOPPED"}, FAILED),
        ({"status": "ROLLBACK_SUCCESSFUL", "statusReason": "alarm."}, FAILED),
        ({"status": "ROLLBACK_FAILED"}, FAILED),
        (None, FAILED),
    ],
)
def test_judge_service_deployment(seen: t.Any, state: str) -> None:
    assert judge_service_deployment(seen).state == state


@pytest.mark.parametrize(
    ("seen", "definition"),
    [
        (None, ""),
        (service(row("d2", NEW, "PRIMARY", "COMPLETED")), NEW),
        (service(row("d2", NEW, "PRIMARY", "IN_PROGRESS", 1), BEFORE), OLD),
        (service(row("d2", NEW, "PRIMARY", "IN_PROGRESS", 1)), ""),
        (service(row("d2", NEW, "PRIMARY", "FAILED", 0), BEFORE), OLD),
    ],
)
def test_which_definition_serves(seen: t.Any, definition: str) -> None:
    assert serving(seen) == definition


def test_described_leaves_out_what_has_ended() -> None:
    seen = service(
        row("d2", NEW, "PRIMARY", "IN_PROGRESS", 0), BEFORE, {**BEFORE, "runningCount": 0, "desiredCount": 0}
    )
    assert described(seen) == "api:2 (0 of 2 tasks run, primary), api:1 (2 of 2 tasks run, active)"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, False),
        (service(row("d2", NEW, "PRIMARY", "COMPLETED")), False),
        (service(row("d2", NEW, "PRIMARY", "COMPLETED", 0)), True),
        (service(row("d2", NEW, "PRIMARY", "IN_PROGRESS")), True),
    ],
)
def test_under_way(seen: t.Any, expected: bool) -> None:
    assert under_way(seen) is expected


def test_new_events_come_in_order_and_once() -> None:
    events = [{"id": "3", "message": "c"}, {"id": "2", "message": "b"}, {"id": "1", "message": "a"}]
    assert new_events({"events": events}, {"1"}) == [("2", "b"), ("3", "c")]
    assert new_events(None, ()) == []


def test_newest() -> None:
    times = [datetime.datetime(2026, 11, day, tzinfo=datetime.UTC) for day in (1, 3, 2)]
    assert newest([{"createdAt": one} for one in times]) == {"createdAt": times[1]}
    assert newest([]) is None


@pytest.mark.parametrize(
    ("current", "marks", "target"),
    [
        pytest.param(2, {1: "completed"}, 1, id="the one before"),
        pytest.param(3, {1: "completed"}, 1, id="one between never served"),
        pytest.param(1, {1: "completed", 2: "returned"}, 1, id="done already"),
        pytest.param(3, {1: "completed", 2: "returned"}, 1, id="deployed after a return: not what was returned from"),
        pytest.param(2, {1: "completed", 2: "returned"}, 1, id="ended between the mark and the update"),
        pytest.param(4, {1: "completed", 2: "returned", 3: "completed"}, 3, id="the latest that served"),
        pytest.param(1, {}, None, id="the first"),
        pytest.param(10, {9: "completed", 2: "completed"}, 9, id="by number, not by letter"),
    ],
)
def test_previous(current: int, marks: dict[int, str], target: int | None) -> None:
    found = previous_of(f"{ARN}{current}", {f"{ARN}{number}": mark for number, mark in marks.items()})
    assert found == (f"{ARN}{target}" if target else "")
