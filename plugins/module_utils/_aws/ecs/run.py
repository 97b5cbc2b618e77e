# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one task of ECS to its end: finds the one that an earlier run has started, follows its log, judges its end."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.client import (
    Log,
    by_age,
    definition_of,
    find_definition,
    register,
    tasks_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.definition import normalised, pairs, shown
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deployment import short
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.service import (
    network_from,
    providers_from,
    tags_from,
)
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.task import (
    Outcome,
    main_container,
    mark_of,
    outcome,
    token_of,
    told,
)
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.verify import verify
from ansible_collections.nexod.infra.plugins.module_utils._aws.errors import not_started
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import Tell, nobody

Facts = t.Mapping[str, t.Any]
PAUSE, GROWTH, LONGEST_PAUSE = 1.0, 1.3, 5.0
#: Seconds within which a task that was stopped has to end: AWS allows 120 s between its signals.
STOPS_WITHIN = 180.0
#: Seconds after its end in which a task's first lines are waited for.
LOG_LATE = 10.0
#: Lines of the log that are returned, the last ones.
LINES_KEPT = 500


class AbortedError(BaseException):
    """The module was asked to end. No Exception, because botocore would take that for an error of the network."""


@contextlib.contextmanager
def abortable() -> t.Iterator[None]:
    """Raise AbortedError on SIGTERM, SIGINT and SIGHUP, once: what follows must not be interrupted."""
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def ended(number: int, _frame: object) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_IGN)
        raise AbortedError(signal.Signals(number).name)

    before = {one: signal.signal(one, ended) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The task as declared: `definition` as data, or `existing`, the ARN or family of a registered one."""

    cluster: str
    name: str
    definition: dict[str, t.Any]
    existing: str
    container: str | None
    command: t.Sequence[str] | None
    environment: Facts
    options: Facts
    seconds: float

    @property
    def label(self) -> str:
        return f'the task "{self.name}" in the cluster "{self.cluster}"'


@dataclasses.dataclass
class Ran:
    """What the module returns."""

    changed: bool = False
    attached: bool = False
    task_arn: str | None = None
    task_definition: str | None = None
    exit_code: int | None = None
    stopped_reason: str = ""
    log_lines: list[str] = dataclasses.field(default_factory=list)
    log_missing: str = ""
    missing: list[str] = dataclasses.field(default_factory=list)
    diff: list[dict[str, str]] = dataclasses.field(default_factory=list)


class Runner:
    """One task. `tell` receives its log lines and what is waited for."""

    def __init__(self, api: Api, wanted: Wanted, tell: Tell = nobody, clock: t.Any = time) -> None:
        self.api, self.wanted, self.tell, self.clock = api, wanted, tell, clock
        self.ran, self.mark = Ran(), mark_of(wanted.name)
        self._container = ""

    def run(self) -> Ran:
        found, definition = self._definition()
        self._container = self._main(definition)
        earlier = self._earlier(definition["family"])
        if self.api.check:
            if self._attached(earlier, found) is None:
                self._predict(found, definition)
            return self.ran
        with abortable():
            try:
                task = self._attached(earlier, found) or self._start(found, definition, earlier)
                log = Log(self.api, definition, self._container, str(task["taskArn"]))
                stopped = self._follow(task, log)
            except AbortedError as ended:
                raise self._aborted(str(ended)) from None
        return self._judged(stopped, log)

    # -- what to run

    def _definition(self) -> tuple[str, Facts]:
        """The ARN of a registered definition, empty if it has to be registered first; and the definition."""
        wanted = self.wanted
        if not wanted.existing:
            arn, _seen = find_definition(self.api, wanted.definition, "")
            return arn, wanted.definition
        seen = definition_of(self.api, wanted.existing)
        if seen is None or seen.get("status", "ACTIVE") != "ACTIVE":
            raise self._fault(
                f"there is no active task definition {wanted.existing}", "Correct it, or declare it as data."
            )
        return str(seen["taskDefinitionArn"]), seen

    def _main(self, definition: Facts) -> str:
        found = main_container(definition, self.wanted.container)
        if found is None:
            names = ", ".join(str(one.get("name")) for one in definition.get("containerDefinitions") or ())
            cause = f"the task definition has the containers {names}, and the option container says " + (
                self.wanted.container or "nothing"
            )
            raise self._fault(cause, "Name the container whose exit code counts with the option container.")
        return found

    def _overrides(self) -> dict[str, t.Any]:
        wanted = self.wanted
        one: dict[str, t.Any] = {"name": self._container}
        if wanted.command is not None:
            one["command"] = list(wanted.command)
        if wanted.environment:
            one["environment"] = pairs(wanted.environment)
        return {"containerOverrides": [one]} if len(one) > 1 else {}

    # -- what was run

    def _earlier(self, family: str) -> list[Facts]:
        """The tasks that were started for this name, the latest first. AWS shows stopped ones for about an hour."""
        # AWS takes startedBy as the only filter, and shows running tasks then.
        running = tasks_of(self.api, self.wanted.cluster, startedBy=self.mark)
        stopped = tasks_of(self.api, self.wanted.cluster, family=family, desiredStatus="STOPPED")
        rows = {str(one["taskArn"]): one for one in (*running, *stopped) if one.get("startedBy") == self.mark}
        return by_age(one for one in rows.values() if self._is_of(one, family))

    @staticmethod
    def _is_of(task: Facts, family: str) -> bool:
        return short(task.get("taskDefinitionArn")).rpartition(":")[0] == family

    def _attached(self, earlier: t.Sequence[Facts], found: str) -> Facts | None:
        """The task to follow instead of starting one: any that runs, or the same one if it ended well.

        One that failed is run again, which is what who runs the module again wants.
        """
        for task in earlier:
            over = task.get("lastStatus") == "STOPPED"
            same = bool(found) and task.get("taskDefinitionArn") == found and self._same_overrides(task)
            if not over or (same and outcome(task, self._container).cause == ""):
                self.ran.attached = True
                self.ran.task_arn, self.ran.task_definition = str(task["taskArn"]), str(task["taskDefinitionArn"])
                # What an earlier run has started and not seen end is a change of this one.
                self.ran.changed = not over
                self.tell(f"found {short(task['taskArn'])}, which an earlier run has started")
                return task
        return None

    def _same_overrides(self, task: Facts) -> bool:
        def rows(overrides: Facts) -> list[t.Any]:
            return [
                (one.get("name"), one.get("command") or [], sorted(map(str, one.get("environment") or ())))
                for one in overrides.get("containerOverrides") or ()
                if one.get("command") or one.get("environment")
            ]

        return rows(task.get("overrides") or {}) == rows(self._overrides())

    # -- running it

    def _predict(self, found: str, definition: Facts) -> None:
        """What is going to be started; refuses what can't be."""
        wanted = self.wanted
        self.ran.changed = True
        if not wanted.existing:
            service = {"networkConfiguration": network_from(wanted.options)}
            self.ran.missing = verify(self.api, wanted.cluster, definition, service, action="run", label=wanted.label)
        after = {"taskDefinition": found or normalised(definition), **self._overrides()}
        title = f"task {wanted.name}"
        self.ran.diff = [{"before_header": title, "after_header": title, "before": "", "after": shown(after)}]

    def _start(self, found: str, definition: Facts, earlier: t.Sequence[Facts]) -> Facts:
        wanted, options = self.wanted, self.wanted.options
        self._predict(found, definition)
        network = network_from(options)
        arn = found or register(self.api, wanted.definition, options["tags"])
        providers = providers_from(options.get("capacity_providers"))
        request = {
            "cluster": wanted.cluster,
            "taskDefinition": arn,
            "startedBy": self.mark,
            "overrides": self._overrides(),
            "enableExecuteCommand": options["enable_execute_command"],
            **({"capacityProviderStrategy": providers} if providers else {"launchType": options["launch_type"]}),
            **({"networkConfiguration": network} if network else {}),
            **({"platformVersion": options["platform_version"]} if options.get("platform_version") else {}),
            **({"tags": tags_from(options["tags"])} if options["tags"] else {}),
        }
        # An answer that was lost is asked for again with the same token; another attempt has another one.
        token = token_of(request, [str(one["taskArn"]) for one in earlier])
        answer = self.api.call("ecs", "RunTask", clientToken=token, **request)
        if not answer["tasks"]:
            reasons = "; ".join(str(one.get("reason") or one) for one in answer.get("failures") or ())
            raise self._fault(
                f"AWS did not start it: {reasons or 'no reason given'}",
                not_started(reasons, self.api.region),
            )
        task = t.cast("Facts", answer["tasks"][0])
        self.ran.task_arn, self.ran.task_definition = str(task["taskArn"]), arn
        return task

    def _task(self) -> Facts:
        rows = self.api.call("ecs", "DescribeTasks", cluster=self.wanted.cluster, tasks=[self.ran.task_arn])["tasks"]
        if not rows:
            raise self._fault("AWS no longer shows it", "See its log for how it ended, then run again.")
        return t.cast("Facts", rows[0])

    def _follow(self, task: Facts, log: Log) -> Facts:
        """The task when it has stopped; it is stopped when its time is up."""
        ends, pause, said = self.clock.monotonic() + self.wanted.seconds, PAUSE, ""
        while task.get("lastStatus") != "STOPPED":
            if self.clock.monotonic() + pause > ends:
                stopped = self._stop(f"time limit of {self.wanted.seconds:g} s (nexod.infra)")
                self._read(log)
                raise self._late(stopped)
            self.clock.sleep(pause)
            task = self._task()
            before = len(self.ran.log_lines)
            self._read(log)
            # Lines that come are to be seen soon; without any, AWS is asked less often.
            pause = PAUSE if len(self.ran.log_lines) > before else min(pause * GROWTH, LONGEST_PAUSE)
            if task.get("lastStatus") != said:
                said = str(task.get("lastStatus"))
                self.tell(f"{short(self.ran.task_arn)} is {said}")
        self._read(log)
        return task

    def _read(self, log: Log) -> None:
        lines = log.following()
        for line in lines:
            self.tell(f"{self._container} | {line}")
        self.ran.log_lines = [*self.ran.log_lines, *lines][-LINES_KEPT:]
        self.ran.log_missing = log.missing

    def _aborted(self, by: str) -> InfraError:
        """Stop what runs for this name: the answer with the task's ARN may be what was interrupted."""
        for task in tasks_of(self.api, self.wanted.cluster, startedBy=self.mark):
            self.ran.task_arn = str(task["taskArn"])
            self._settle(outcome(self._stop(f"aborted by {by} (nexod.infra)"), self._container))
        return self._fault(f"the module was asked to end ({by}), so the task was stopped", "Run again.")

    def _stop(self, reason: str) -> Facts:
        """Stop the task and wait until it has ended."""
        self.tell(f"stopping {short(self.ran.task_arn)}: {reason}")
        self.api.call("ecs", "StopTask", cluster=self.wanted.cluster, task=self.ran.task_arn, reason=reason)
        ends = self.clock.monotonic() + STOPS_WITHIN
        while (task := self._task()).get("lastStatus") != "STOPPED" and self.clock.monotonic() < ends:
            self.clock.sleep(PAUSE)
        return task

    # -- how it ended

    def _judged(self, task: Facts, log: Log) -> Ran:
        found = outcome(task, self._container)
        self._settle(found)
        if not found.cause:
            return self.ran
        if found.exit_code is not None:
            self._await_lines(log)
        raise self._fault(found.cause, "Correct it by the lines below, then run again.", self._detail(task))

    def _await_lines(self, log: Log) -> None:
        """The last lines reach CloudWatch Logs a moment after the task has stopped."""
        ends = self.clock.monotonic() + LOG_LATE
        while not self.ran.log_lines and not self.ran.log_missing and self.clock.monotonic() < ends:
            self.clock.sleep(PAUSE)
            self._read(log)

    def _settle(self, found: Outcome) -> None:
        self.ran.exit_code, self.ran.stopped_reason = found.exit_code, found.stopped_reason

    def _late(self, task: Facts) -> InfraError:
        self._settle(outcome(task, self._container))
        over = "it was stopped" if task.get("lastStatus") == "STOPPED" else "AWS was asked to stop it"
        return self._fault(
            f"it has not ended within {self.wanted.seconds:g} s, so {over}",
            "Find out from the lines below what it waits for, or increase wait_seconds, then run again.",
            self._detail(task),
        )

    def _detail(self, task: Facts) -> str:
        lines = [f"  {self._container} | {line}" for line in self.ran.log_lines[-20:]]
        none = f"  (no log lines: {self.ran.log_missing or 'its log stream has none'})"
        return "\n".join([told(task), *(lines or [none])])

    def _fault(self, cause: str, next_step: str, detail: str = "") -> InfraError:
        return InfraError("run", self.wanted.label, cause, next_step, detail, **dataclasses.asdict(self.ran))
