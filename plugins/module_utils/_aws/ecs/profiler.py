# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task is profiled by a container of its own: which task can be, and the command that does so."""

from __future__ import annotations

import dataclasses
import shlex
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deployment import short
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import Ranges

Facts = t.Mapping[str, t.Any]

RANGES: t.Final[Ranges] = {"seconds": (1, 300), "rate": (1, 1000)}
AGENT: t.Final = "ExecuteCommandAgent"
DECLARE: t.Final = (
    "Set provider_aws_profiler_image and deploy. AWS enables ECS Exec only for tasks that are started afterwards."
)


@dataclasses.dataclass(frozen=True)
class Asked:
    """The options of the module."""

    cluster: str
    service: str
    region: str
    container: str
    task: str | None
    seconds: int
    rate: int
    nonblocking: bool
    profile: str | None
    endpoint_url: str | None

    @property
    def what(self) -> str:
        return f'the service "{self.service}" of the cluster "{self.cluster}"'


def fault(asked: Asked, cause: str, next_step: str, task: Facts | None = None) -> InfraError:
    what = f"the task {short(str(task['taskArn']))} of {asked.what}" if task else asked.what
    return InfraError("profile", what, cause, next_step)


def chosen(asked: Asked, service: Facts | None, tasks: t.Iterable[Facts]) -> Facts:
    """The task to profile: the one that is named, or the oldest. Raises InfraError where none can be profiled."""
    if service is None or service.get("status") != "ACTIVE":
        raise fault(asked, "there is no such service", "Correct `cluster` and `service`, or deploy the service first.")
    if not service.get("enableExecuteCommand"):
        raise fault(asked, "ECS Exec is disabled for it (enableExecuteCommand is false)", DECLARE)
    running = sorted(
        (one for one in tasks if one.get("lastStatus") == "RUNNING"),
        key=lambda one: (str(one.get("startedAt") or ""), str(one["taskArn"])),
    )
    if not running:
        raise fault(asked, "none of its tasks runs", "Look at the events of the service, or deploy it.")
    named = [one for one in running if asked.task in (None, one["taskArn"], short(str(one["taskArn"])))]
    if not named:
        listed = ", ".join(short(str(one["taskArn"])) for one in running)
        raise fault(asked, f"it runs no task {asked.task}", f"Set `task` to one of {listed}.")
    if reason := unfit(asked, named[0]):
        raise fault(asked, *reason, named[0])
    return named[0]


def unfit(asked: Asked, task: Facts) -> tuple[str, str] | None:
    """Why the task can't be profiled, and what to do; None if it can be."""
    if not task.get("enableExecuteCommand"):
        return "it was started before ECS Exec was enabled", DECLARE
    containers = {str(one["name"]): one for one in task.get("containers") or ()}
    one = containers.get(asked.container)
    if one is None:
        listed = ", ".join(sorted(containers))
        return f'it has no container "{asked.container}" (it has {listed or "none"})', DECLARE
    if one.get("lastStatus") != "RUNNING":
        reason = f": {one['reason']}" if one.get("reason") else ""
        state = f'its container "{asked.container}" is {one.get("lastStatus")}{reason}'
        return (
            state,
            "Check the image of the container (provider_aws_profiler_image). The command `sleep` must be in it.",
        )
    agents = [row for row in one.get("managedAgents") or () if row.get("name") == AGENT]
    if agents and agents[0].get("lastStatus") != "RUNNING":
        reason = f": {agents[0]['reason']}" if agents[0].get("reason") else ""
        return (
            f"the agent of ECS Exec in it is {agents[0].get('lastStatus')}{reason}",
            "The role of the task needs ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel and "
            "OpenDataChannel, and its subnets a way to ssmmessages (NAT, or an endpoint of the VPC).",
        )
    return None


def script(asked: Asked) -> str:
    """What runs in the container: finds the application, which is the oldest Python process, and prints its profile.

    No single quotes: it becomes an argument in them.
    """
    find = (
        "pid=$(for p in /proc/[0-9]*; do case $(readlink $p/exe) in */python*|*/pypy*) echo ${p#/proc/};; esac; done"
        " 2>/dev/null | sort -n | head -n 1)"
    )
    refuse = '[ -n "$pid" ] || { echo "No Python process is in the task: does it have pidMode task?"; exit 1; }'
    pausing = " --nonblocking" if asked.nonblocking else ""
    record = (
        f"py-spy record --pid $pid --subprocesses --duration {asked.seconds} --rate {asked.rate}{pausing}"
        " --full-filenames --format raw --output /tmp/profile.raw && cat /tmp/profile.raw; rm -f /tmp/profile.raw"
    )
    return f"{find}; {refuse}; {record}"


def command(asked: Asked, task: Facts) -> str:
    """The command for a shell of the controller. Its output also has lines of the session and of py-spy."""
    argv = [
        *("aws", "ecs", "execute-command", "--region", asked.region),
        *(["--profile", asked.profile] if asked.profile else []),
        *(["--endpoint-url", asked.endpoint_url] if asked.endpoint_url else []),
        *("--cluster", asked.cluster, "--task", short(str(task["taskArn"])), "--container", asked.container),
        *("--interactive", "--command", f"sh -c '{script(asked)}'"),
    ]
    keep = r"tee profile.log | tr -d '\r' | sed -n '/) [0-9][0-9]*$/p' >profile.raw"
    return f"(umask 077; {shlex.join(argv)} | {keep})"
