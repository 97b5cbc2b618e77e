"""One task is run on a stand-in for ECS: started once, followed, judged by its container, stopped, taken up again."""

from __future__ import annotations

import os
import signal
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.definition import definition_from
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.run import Ran, Runner, Wanted
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.tests.fixtures.ecs_stand_in import Clock, Ecs, KilledError

OPTIONS: dict[str, t.Any] = {
    "launch_type": "FARGATE",
    "subnets": ["s"],
    "security_groups": [],
    "public_ip": False,
    "capacity_providers": [],
    "platform_version": None,
    "enable_execute_command": False,
    "tags": {},
}


def wanted(name: str = "migrate-1.0", **more: t.Any) -> Wanted:
    container = {"name": "job", "image": more.pop("image", "job:good"), "log": {"group": "/api"}}
    options = {"cpu": 256, "memory_mb": 512, "containers": [container, *more.pop("others", [])]}
    definition = {} if more.get("existing") else definition_from(options, "job", "us-east-1")
    given = {"existing": "", "container": None, "command": None, "environment": {}, "seconds": 60.0, **more}
    return Wanted("main", name, definition, options=OPTIONS, **given)


def run(ecs: Ecs, task: Wanted, *, check: bool = False, clock: t.Any = None) -> tuple[Ran, list[str]]:
    ecs.check, ecs.calls = check, []
    said: list[str] = []
    return Runner(t.cast("t.Any", ecs), task, said.append, clock or Clock()).run(), said


def failure(ecs: Ecs, task: Wanted) -> InfraError:
    with pytest.raises(InfraError) as caught:
        run(ecs, task)
    return caught.value


@pytest.fixture
def ecs() -> Ecs:
    return Ecs()


def test_run_once_for_a_name(ecs: Ecs) -> None:
    ran, said = run(ecs, wanted())
    assert (ran.exit_code, ran.changed, ran.attached, ran.log_lines) == (0, True, False, ["first", "last"])
    assert ecs.said == ["RegisterTaskDefinition", "RunTask"]
    assert [line for line in said if "|" in line] == ["job | first", "job | last"]
    again, _said = run(ecs, wanted())
    assert (again.exit_code, again.changed, again.attached, again.log_lines) == (0, False, True, ["first", "last"])
    assert ecs.said == []
    other, _said = run(ecs, wanted("migrate-1_0"))
    assert (other.attached, ecs.said) == (False, ["RunTask"])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"image": "job:2"}, id="another image"),
        pytest.param({"command": ["other"]}, id="another command"),
        pytest.param({"environment": {"V": "1"}}, id="another variable"),
    ],
)
def test_another_task_of_the_same_name_is_run(ecs: Ecs, change: dict[str, t.Any]) -> None:
    run(ecs, wanted())
    ran, _said = run(ecs, wanted(**change))
    assert not ran.attached
    assert "RunTask" in ecs.said


@pytest.mark.parametrize("before", [False, True])
def test_check_mode_starts_nothing_and_predicts(ecs: Ecs, before: bool) -> None:
    if before:
        run(ecs, wanted())
    ran, _said = run(ecs, wanted(), check=True)
    assert (ran.changed, ecs.said) == (not before, [])
    assert bool(ran.diff) == (not before)


def test_a_task_that_fails_says_why_and_is_run_again(ecs: Ecs) -> None:
    ecs.exit_code = 3
    error = failure(ecs, wanted())
    assert "ended with exit code 3" in error.cause
    assert "job | last" in error.detail
    assert (error.facts["exit_code"], error.facts["log_lines"]) == (3, ["first", "last"])
    ecs.exit_code = 0
    assert run(ecs, wanted())[0].exit_code == 0
    assert len(ecs.tasks) == 2


def test_a_container_without_exit_code_never_started(ecs: Ecs) -> None:
    ecs.exit_code, ecs.lines = None, []
    error = failure(ecs, wanted())
    assert "never started: CannotPullContainerError" in error.cause
    assert error.facts["exit_code"] is None


def test_the_named_container_counts(ecs: Ecs) -> None:
    others = [{"name": "log", "image": "log:1", "essential": False}]
    assert "Name the container" in failure(ecs, wanted(others=others)).next_step
    assert "never started" in failure(ecs, wanted(others=others, container="log")).cause
    assert run(ecs, wanted(others=others, container="job"))[0].exit_code == 0


def test_a_task_that_does_not_end_is_stopped(ecs: Ecs) -> None:
    ecs.runs_for = 10**6
    error = failure(ecs, wanted(seconds=20.0))
    assert "has not ended within 20 s, so it was stopped" in error.cause
    assert error.facts["stopped_reason"] == "time limit of 20 s (nexod.infra)"
    assert [one["lastStatus"] for one in ecs.tasks.values()] == ["STOPPED"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_module_that_is_asked_to_end_stops_its_task(ecs: Ecs, number: signal.Signals) -> None:
    class Asked(Clock):
        def sleep(self, seconds: float) -> None:
            if self.now == 0:
                os.kill(os.getpid(), number)
            super().sleep(seconds)

    before = signal.getsignal(number)
    with pytest.raises(InfraError) as caught:
        run(ecs, wanted(), clock=Asked())
    assert number.name in caught.value.cause
    (task,) = ecs.tasks.values()
    assert (task["lastStatus"], task["stoppedReason"]) == ("STOPPED", f"aborted by {number.name} (nexod.infra)")
    assert signal.getsignal(number) is before


def calls_of_a_run() -> int:
    ecs = Ecs()
    run(ecs, wanted())
    return len(ecs.calls)


@pytest.mark.parametrize("at", range(1, calls_of_a_run() + 1))
def test_a_run_that_was_killed_is_taken_up_and_no_second_task_is_started(ecs: Ecs, at: int) -> None:
    ecs.dies_at = at
    with pytest.raises(KilledError):
        run(ecs, wanted())
    ecs.dies_at = 0
    ran, _said = run(ecs, wanted())
    assert (ran.exit_code, len(ecs.tasks), len(ecs.definitions)) == (0, 1, 1)


def test_a_log_that_can_not_be_read_is_said_and_hides_nothing(ecs: Ecs) -> None:
    ecs.refuses, ecs.exit_code = {"GetLogEvents"}, 3
    error = failure(ecs, wanted())
    assert "ended with exit code 3" in error.cause
    assert "no log lines: call logs:GetLogEvents: AccessDenied" in error.detail


def test_a_registered_definition(ecs: Ecs) -> None:
    assert "no active task definition job" in failure(ecs, wanted(existing="job")).cause
    run(ecs, wanted())
    ran, _said = run(ecs, wanted("report", existing="job:1", command=["report"]))
    assert (ran.exit_code, ecs.said) == (0, ["RunTask"])


@pytest.mark.parametrize(
    ("reason", "next_step"),
    [
        ("Capacity is unavailable at this time", "another size or another zone"),
        (
            "You've reached the limit on the number of vCPUs you can run concurrently",
            'the quota "Fargate On-Demand vCPU resource count" of fargate',
        ),
        ("RESOURCE:ENI", "Check capacity, subnets and quotas"),
    ],
)
def test_what_aws_does_not_start(ecs: Ecs, reason: str, next_step: str) -> None:
    ecs._RunTask = lambda **_given: {"tasks": [], "failures": [{"reason": reason}]}  # type: ignore[method-assign]
    error = failure(ecs, wanted())
    assert f"AWS did not start it: {reason}" in error.cause
    assert next_step in error.next_step
