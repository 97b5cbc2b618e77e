# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of ECS that deploying a service and running a task have in common."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.definition import log_place, same_definition
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deployment import short
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.service import tags_from
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.task import told
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Facts = t.Mapping[str, t.Any]
#: AWS takes this many ARNs at once.
AT_ONCE = 100
#: Pages of a log that are read at once, lest a task that prints without end is never looked at.
PAGES = 50
#: Stopped tasks that an error shows, and lines of each.
TASKS_SHOWN, LINES_SHOWN = 3, 15


def with_arns(api: Api, definition: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The definition with its roles as ARNs, which AWS requires of the execution role."""
    found = dict(definition)
    for key in ("executionRoleArn", "taskRoleArn"):
        role = str(found.get(key) or "")
        if role and not role.startswith("arn:"):
            found[key] = f"arn:aws:iam::{api.account}:role/{role}"
    return found


def definition_of(api: Api, reference: str) -> Facts | None:
    """The task definition of that ARN, or the latest of that family; None if there is none."""
    found = api.call("ecs", "DescribeTaskDefinition", ("ClientException",), taskDefinition=reference)
    return t.cast("Facts", found["taskDefinition"]) if found else None


def find_definition(api: Api, wanted: Facts, in_use: str) -> tuple[str, Facts | None]:
    """The ARN of a registered definition that means the same as `wanted`, empty if there is none; and the one in use.

    The one in use is compared first, then the latest of its family: a run that was ended after it had registered one
    leaves that.
    """
    seen = definition_of(api, in_use) if in_use else None
    if same_definition(wanted, seen):
        return in_use, seen
    latest = definition_of(api, wanted["family"])
    if latest is not None and latest.get("status", "ACTIVE") == "ACTIVE" and same_definition(wanted, latest):
        return str(latest["taskDefinitionArn"]), seen
    return "", seen


def register(api: Api, wanted: Facts, tags: Facts | None) -> str:
    more = {"tags": tags_from(tags)} if tags else {}
    definition = with_arns(api, wanted)
    return str(api.call("ecs", "RegisterTaskDefinition", **definition, **more)["taskDefinition"]["taskDefinitionArn"])


def tasks_of(api: Api, cluster: str, **which: t.Any) -> list[Facts]:
    """The tasks of that kind; none without the cluster, which in check mode may be going to be created."""
    listed = api.call("ecs", "ListTasks", ("ClusterNotFoundException",), cluster=cluster, **which)
    arns = listed["taskArns"] if listed else []
    found: list[Facts] = []
    for start in range(0, len(arns), AT_ONCE):
        found += api.call("ecs", "DescribeTasks", cluster=cluster, tasks=arns[start : start + AT_ONCE])["tasks"]
    return found


def by_age(tasks: t.Iterable[Facts]) -> list[Facts]:
    """The latest first."""
    begin = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return sorted(tasks, key=lambda one: one.get("stoppedAt") or one.get("createdAt") or begin, reverse=True)


def failed_first(tasks: t.Iterable[Facts]) -> list[Facts]:
    """Those that ended by themselves before those that were stopped, the latest first."""
    return sorted(
        by_age(tasks), key=lambda one: one.get("stopCode") not in ("EssentialContainerExited", "TaskFailedToStart")
    )


class Log:
    """The log of a task's container in CloudWatch Logs. `missing`: why it can't be read; empty if it can."""

    def __init__(self, api: Api, definition: Facts, container: str, task_arn: str) -> None:
        self.api, self.token = api, ""
        place = log_place(definition, container, short(task_arn))
        self.missing = place if isinstance(place, str) else ""
        if not isinstance(place, str):
            region, self.group, self.stream = place
            if region not in ("", api.region):
                self.missing = f"it is in the region {region}, and this module reads {api.region}"

    def last(self, count: int) -> list[str]:
        return self._read(limit=count, startFromHead=False)

    def following(self) -> list[str]:
        """The lines since the last call. AWS gives them in pages, and the same token again after the last one."""
        lines: list[str] = []
        for _page in range(PAGES):
            before = self.token
            lines += self._read(startFromHead=True, **({"nextToken": before} if before else {}))
            if self.token in ("", before):
                break
        return lines

    def _read(self, **how: t.Any) -> list[str]:
        if self.missing:
            return []
        try:
            found = self.api.call(
                "logs",
                "GetLogEvents",
                ("ResourceNotFoundException",),
                logGroupName=self.group,
                logStreamName=self.stream,
                **how,
            )
        except InfraError as error:
            self.missing = f"{error.action} {error.object}: {error.cause}"
            return []
        if found is None:
            return []
        self.token = str(found.get("nextForwardToken") or "")
        return [str(one["message"]).rstrip("\n") for one in found["events"]]


def told_with_log(api: Api, definition: Facts, task: Facts) -> list[str]:
    """What is known of a stopped task: reasons, exit codes, and the last lines of the containers that failed."""
    lines = [told(task)]
    for one in task.get("containers") or ():
        if one.get("exitCode") is None or one["exitCode"] == 0:
            continue
        log = Log(api, definition, str(one["name"]), str(task["taskArn"]))
        said = log.last(LINES_SHOWN)
        if said:
            lines += [f"  {one['name']} | {line}" for line in said]
        else:
            lines.append(f"  {one['name']} | (no log lines: {log.missing or 'its log stream has none'})")
    return lines
