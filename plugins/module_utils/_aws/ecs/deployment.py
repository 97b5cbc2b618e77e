# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a rollout is, by what DescribeServices and DescribeServiceDeployments show. Nothing here calls AWS.

That a service is stable says nothing about a release: after a rollback it is stable as well. So one deployment is
followed by its id.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

Facts = t.Mapping[str, t.Any]
ROLLING, DONE, FAILED = "rolling", "done", "failed"


@dataclasses.dataclass(frozen=True)
class Judgement:
    """`state` is rolling, done or failed, and `text` says it for people. `rolled_back`: the old definition is back."""

    state: str
    text: str
    rolled_back: bool = False


def short(arn: t.Any) -> str:
    """``api:7`` for the ARN of a task definition, the id for that of a task."""
    return str(arn or "").rpartition("/")[2]


def primary(service: Facts | None) -> Facts | None:
    rows = (service or {}).get("deployments") or ()
    return next((one for one in rows if one.get("status") == "PRIMARY"), None)


def in_use(service: Facts | None) -> str:
    """The ARN of the definition that AWS rolls out or runs; empty without a service."""
    first = primary(service)
    return str((first or service or {}).get("taskDefinition") or "")


def under_way(service: Facts | None) -> bool:
    """Whether a rollout has begun and not ended; emulators call it completed before its tasks run."""
    first = primary(service)
    return first is not None and (first.get("rolloutState") == "IN_PROGRESS" or not complete(first))


def finished(deployment: Facts) -> bool:
    """Whether AWS has called it completed; None of the states is shown for a service behind a Classic balancer."""
    state = deployment.get("rolloutState")
    return state == "COMPLETED" or (state is None and complete(deployment))


def complete(deployment: Facts) -> bool:
    return int(deployment.get("runningCount", 0)) == int(deployment.get("desiredCount", 0))


def serving(service: Facts | None) -> str:
    """The definition that was last rolled out completely, and so serves; empty if none is known to."""
    rows = sorted((service or {}).get("deployments") or (), key=lambda one: one.get("status") != "PRIMARY")
    return next((str(one["taskDefinition"]) for one in rows if finished(one)), "")


def described(service: Facts | None) -> str:
    """Which definitions run, for messages: ``api:3 (2 of 2 tasks run, primary)``."""
    rows = (service or {}).get("deployments") or ()
    return ", ".join(
        f"{short(one.get('taskDefinition'))} ({one.get('runningCount', 0)} of {one.get('desiredCount', 0)} tasks run, "
        f"{str(one.get('status', '')).lower()})"
        for one in rows
        if one.get("status") == "PRIMARY" or one.get("runningCount") or one.get("desiredCount")
    )


def judge(service: Facts | None, deployment: str, definition: str, before: str) -> Judgement:
    """Where the deployment of that id is, which rolls out `definition`; `before` served when it began."""
    if service is None or service.get("status") != "ACTIVE":
        return Judgement(FAILED, "the service was deleted meanwhile")
    rows = {str(one.get("id")): one for one in service.get("deployments") or ()}
    ours, first = rows.get(deployment), primary(service)
    if ours is not None and ours.get("rolloutState") == "FAILED":
        back = first is not None and first.get("id") != deployment and in_use(service) == before != ""
        reason = str(ours.get("rolloutStateReason") or "AWS gives no reason").rstrip(".")
        return Judgement(FAILED, reason, back)
    if ours is None or ours.get("status") != "PRIMARY":
        return replaced(service, first, definition, before)
    text = progress(ours)
    if finished(ours) and complete(ours):
        return Judgement(DONE, text)
    return Judgement(ROLLING, text)


def replaced(service: Facts, first: Facts | None, definition: str, before: str) -> Judgement:
    now = in_use(service)
    if before and now == before and before != definition:
        return Judgement(FAILED, f"AWS returned the service to {short(before)}", rolled_back=True)
    who = f"deployment {first.get('id')} of {short(now)}" if first else f"{short(now) or 'nothing'}"
    return Judgement(FAILED, f"another deployment took its place: {who}")


def progress(deployment: Facts) -> str:
    failed = int(deployment.get("failedTasks") or 0)
    return (
        f"{deployment.get('runningCount', 0)} of {deployment.get('desiredCount', 0)} tasks of "
        f"{short(deployment.get('taskDefinition'))} run" + (f", {failed} failed" if failed else "")
    )


#: By the status of a service deployment; the others are on their way.
ENDS = {
    "SUCCESSFUL": DONE,
    "STOPPED": FAILED,
    "ROLLBACK_SUCCESSFUL": FAILED,
    "ROLLBACK_FAILED": FAILED,
}


def judge_service_deployment(row: Facts | None) -> Judgement:
    """As `judge`, for BLUE_GREEN, LINEAR and CANARY: AWS shows rolloutState for rolling updates only."""
    if row is None:
        return Judgement(FAILED, "AWS no longer shows the deployment")
    status = str(row.get("status"))
    words = [status.lower().replace("_", " "), str(row.get("lifecycleStage") or "").lower().replace("_", " ")]
    text = ", ".join(filter(None, [*words, str(row.get("statusReason") or "").rstrip(".")]))
    return Judgement(ENDS.get(status, ROLLING), text, status == "ROLLBACK_SUCCESSFUL")


def new_events(service: Facts | None, known: t.Collection[str]) -> list[tuple[str, str]]:
    """Id and text of the events that are not known yet, the oldest first; AWS lists the latest first."""
    rows = [(str(one.get("id")), str(one.get("message"))) for one in (service or {}).get("events") or ()]
    return [row for row in reversed(rows) if row[0] not in known]


def newest(rows: t.Iterable[Facts]) -> Facts | None:
    begin = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return max(rows, key=lambda one: one.get("createdAt") or begin, default=None)


#: A definition's tag that says what became of it, so that a return knows where to.
MARK, COMPLETED, RETURNED = "nexod:rollout", "completed", "returned"


def revision_of(arn: str) -> int:
    return int(arn.rpartition(":")[2])


def previous_of(current: str, marks: t.Mapping[str, str]) -> str:
    """The definition to return to from `current`; `current` itself if that was done already, empty if there is none.

    `marks`: the tag MARK of the family's definitions. A definition is marked as completed when a later one replaces it
    while it serves, and as returned when the service is returned from it; it is not a place to return to then.
    """
    here = revision_of(current)
    later = [arn for arn in marks if revision_of(arn) > here]
    if any(marks[arn] == RETURNED for arn in later) and not any(marks[arn] == COMPLETED for arn in later):
        return current
    earlier = [arn for arn, mark in marks.items() if mark == COMPLETED and revision_of(arn) < here]
    return max(earlier, key=revision_of, default="")
