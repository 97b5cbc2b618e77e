# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys a service: compares, verifies, registers, updates, and follows the deployment that it has started."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.client import (
    TASKS_SHOWN,
    definition_of,
    failed_first,
    find_definition,
    register,
    tasks_of,
    told_with_log,
)
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.definition import normalised, shown
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deployment import (
    COMPLETED,
    DONE,
    FAILED,
    MARK,
    RETURNED,
    ROLLING,
    Judgement,
    described,
    in_use,
    judge,
    judge_service_deployment,
    new_events,
    newest,
    previous_of,
    primary,
    revision_of,
    serving,
    short,
    under_way,
)
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.service import (
    count_for,
    current,
    differences,
    fixed,
    missing_tags,
    tags_from,
)
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.verify import verify
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import Tell, nobody
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import OWNER

Facts = t.Mapping[str, t.Any]
#: Seconds between two looks at a rollout: the first, by which it grows, and the longest.
PAUSE, GROWTH, LONGEST_PAUSE = 1.0, 1.3, 5.0
#: Definitions of the family that are looked at for the one to return to.
LOOKED_AT = 25
#: Which of a service's properties AWS starts a deployment for.
ROLLED_OUT = ("networkConfiguration", "loadBalancers", "platformVersion", "propagateTags", "enableExecuteCommand")


@dataclasses.dataclass(frozen=True)
class Declared:
    """A service as declared: `definition` and `service` in AWS' spelling."""

    cluster: str
    name: str
    definition: dict[str, t.Any]
    service: dict[str, t.Any]
    count: int | None = None
    tags: Facts = dataclasses.field(default_factory=dict)
    environment: str | None = None
    force: bool = False
    seconds: float = 900.0
    roll_back: bool = True
    keep: int | None = None

    @property
    def label(self) -> str:
        return f'the service "{self.name}" in the cluster "{self.cluster}"'

    @property
    def all_tags(self) -> dict[str, str]:
        own = {OWNER: self.environment} if self.environment else {}
        return {**{str(key): str(value) for key, value in self.tags.items()}, **own}

    @property
    def rolling(self) -> bool:
        return bool(self.service["deploymentConfiguration"]["strategy"] == "ROLLING")


@dataclasses.dataclass
class Result:
    """What was done, or would be in check mode."""

    action: str = "none"
    changed: bool = False
    changes: list[str] = dataclasses.field(default_factory=list)
    task_definition: str | None = None
    previous_task_definition: str | None = None
    deployment: str | None = None
    events: list[str] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    diff: list[dict[str, str]] = dataclasses.field(default_factory=list)

    def compare(self, what: str, before: str, after: str) -> None:
        if before != after:
            self.diff.append({"before_header": what, "after_header": what, "before": before, "after": after})


class Deployer:
    """One service of ECS. `tell` receives events and what is waited for."""

    def __init__(self, api: Api, declared: Declared, tell: Tell = nobody, clock: t.Any = time) -> None:
        self.api, self.declared, self.tell, self.clock = api, declared, tell, clock
        self.result = Result()
        # Of the service as it is where none is declared, as for a return.
        self._rolling = declared.rolling
        self._known: set[str] = set()
        self._ends = 0.0

    # -- states

    def present(self) -> Result:
        declared, seen = self.declared, self._staying(self._ours(self._service()))
        using = in_use(seen)
        found, before = find_definition(self.api, declared.definition, using)
        if seen is not None:
            fixed(differences(declared.service, seen), declared.service, seen, declared.label)
        changed = self._changed(seen, found, using)
        self._predict(seen, before, changed, same=found == using != "")
        if changed:
            self.result.missing = verify(
                self.api, declared.cluster, declared.definition, declared.service, action="deploy", label=declared.label
            )
        elif self._rolling and under_way(seen):
            # Begun by a run that was ended: what it has changed is known when it is complete.
            self.result.action, self.result.changed = "follow", True
        if self.api.check:
            self.result.task_definition = found or None
            self._deregister()
            return self.result
        if seen is None or changed:
            definition = found or register(self.api, declared.definition, declared.all_tags)
            self.result.task_definition = definition
            self._apply(seen, definition, changed)
        else:
            self.result.task_definition = using
            self._follow_current(seen, using)
        self._deregister()
        return self.result

    def previous(self) -> Result:
        """Return to the definition that served before the last deploy; doing so twice is doing it once."""
        seen = self._staying(self._ours(self._service()))
        if seen is None:
            raise self._fault("return", "it does not exist", "Deploy it with state: present.")
        self._rolling = (current(seen, "deploymentConfiguration").get("strategy") or "ROLLING") == "ROLLING"
        using = in_use(seen)
        target = previous_of(using, self._marks(using))
        if not target:
            raise self._fault(
                "return",
                f"no definition of {short(using)}'s family is known to have served before",
                "Deploy the earlier release with state: present.",
            )
        self.result.task_definition, self.result.previous_task_definition = target, using
        if target == using:
            if under_way(seen):
                self.result.action, self.result.changed = "follow", True
            if not self.api.check:
                self._follow_current(seen, using)
            return self.result
        self.result.action, self.result.changed = "return", True
        self.result.changes = ["taskDefinition"]
        self.result.compare(
            f"task definition of {self.declared.name}",
            shown(normalised(definition_of(self.api, using) or {})),
            shown(normalised(definition_of(self.api, target) or {})),
        )
        if not self.api.check:
            self._mark(using, RETURNED)
            self._update(seen, {"taskDefinition": target}, target, before=using)
        return self.result

    def absent(self) -> Result:
        seen = self._staying(self._ours(self._service()))
        if seen is None:
            return self.result
        self.result.action, self.result.changed = "delete", True
        self.result.task_definition = in_use(seen)
        self.result.compare(f"service {self.declared.name}", shown(self._shown(seen)), "")
        if not self.api.check:
            self.api.call("ecs", "DeleteService", cluster=self.declared.cluster, service=self.declared.name, force=True)
            self._await_gone()
        return self.result

    # -- what there is

    def _service(self) -> Facts | None:
        found = self.api.call(
            "ecs",
            "DescribeServices",
            ("ClusterNotFoundException",),
            cluster=self.declared.cluster,
            services=[self.declared.name],
            include=["TAGS"],
        )
        rows = [one for one in (found or {}).get("services", ()) if one.get("status") != "INACTIVE"]
        return rows[0] if rows else None

    def _ours(self, seen: Facts | None) -> Facts | None:
        environment = self.declared.environment
        if seen is None or not environment:
            return seen
        owner = next((str(one["value"]) for one in seen.get("tags") or () if one["key"] == OWNER), None)
        if owner == environment:
            return seen
        belongs = f"the environment {owner}" if owner else "no environment"
        raise self._fault(
            "manage",
            f"its tag {OWNER} says that it belongs to {belongs}, not to {environment}",
            f"Give yours another name, or set the tag {OWNER} to take this one over. Nothing was done to it.",
        )

    def _staying(self, seen: Facts | None) -> Facts | None:
        """None for a service that is being deleted, once it is gone: AWS makes no other of its name before."""
        if seen is None or seen.get("status") != "DRAINING":
            return seen
        if not self.api.check:
            self.tell("waiting until the service that is being deleted is gone")
            self._await_gone()
        return None

    def _changed(self, seen: Facts | None, found: str, using: str) -> list[str]:
        declared = self.declared
        if seen is None:
            return ["create"]
        changed = [] if found and found == using else ["taskDefinition"]
        changed += differences(declared.service, seen)
        if count_for(declared.count, seen, self._scaled(seen)) is not None:
            changed.append("desiredCount")
        if missing_tags(declared.all_tags, seen):
            changed.append("tags")
        first = primary(seen) or {}
        # AWS starts nothing for a failed deployment: without another, the service would stay as it is.
        if declared.force or (first.get("rolloutState") == "FAILED" and "taskDefinition" not in changed):
            changed.append("forceNewDeployment")
        return changed

    def _scaled(self, seen: Facts) -> bool:
        """Whether autoscaling decides the number of tasks. Asked only where a number would be sent."""
        if self.declared.count in (None, seen.get("desiredCount")):
            return False
        # Both in the API may be an ARN.
        resource = f"service/{short(seen.get('clusterArn')) or self.declared.cluster}/{self.declared.name}"
        rows = self.api.call(
            "application-autoscaling",
            "DescribeScalableTargets",
            ServiceNamespace="ecs",
            ResourceIds=[resource],
            ScalableDimension="ecs:service:DesiredCount",
        )["ScalableTargets"]
        return bool(rows)

    def _marks(self, using: str) -> dict[str, str]:
        family = short(using).rpartition(":")[0]
        found = {}
        for arn in self._family(family)[:LOOKED_AT]:
            tags = self.api.call("ecs", "ListTagsForResource", resourceArn=arn)["tags"]
            if mark := next((str(one["value"]) for one in tags if one["key"] == MARK), ""):
                found[arn] = mark
        return found

    def _family(self, family: str) -> list[str]:
        """The registered definitions of a family, the latest first."""
        found = self.api.call("ecs", "ListTaskDefinitions", familyPrefix=family, status="ACTIVE", sort="DESC")
        # A prefix is of other families as well.
        same = [arn for arn in found["taskDefinitionArns"] if short(arn).rpartition(":")[0] == family]
        return sorted(same, key=revision_of, reverse=True)

    # -- what would change

    def _predict(self, seen: Facts | None, before: Facts | None, changed: list[str], *, same: bool) -> None:
        declared, result = self.declared, self.result
        result.changed = bool(changed)
        result.changes = [] if seen is None else changed
        result.action = "none" if not changed else "create" if seen is None else "update"
        result.previous_task_definition = in_use(seen) or None
        if not same:
            result.compare(
                f"task definition {declared.definition['family']}",
                shown(normalised(before) if before else None),
                shown(normalised(declared.definition)),
            )
        count = count_for(declared.count, seen, "desiredCount" not in changed) if changed else None
        after = {**declared.service, **({} if count is None else {"desiredCount": count})}
        if declared.all_tags:
            after["tags"] = declared.all_tags
        names = list(after) if seen is None else [name for name in after if name in changed]
        result.compare(
            f"service {declared.name}",
            shown(self._shown(seen, names)),
            shown({name: after[name] for name in names}),
        )

    def _shown(self, seen: Facts | None, names: t.Iterable[str] | None = None) -> dict[str, t.Any]:
        if seen is None:
            return {}
        tags = {str(one["key"]): str(one["value"]) for one in seen.get("tags") or ()}
        names = [*self.declared.service, "desiredCount", "taskDefinition"] if names is None else names
        return {name: tags if name == "tags" else current(seen, name) for name in names}

    # -- changing it

    def _apply(self, seen: Facts | None, definition: str, changed: t.Sequence[str]) -> None:
        declared = self.declared
        if seen is None:
            self._start_clock(None)
            made = self.api.call(
                "ecs",
                "CreateService",
                cluster=declared.cluster,
                serviceName=declared.name,
                taskDefinition=definition,
                desiredCount=count_for(declared.count, None, scaled=False),
                **declared.service,
                **({"tags": tags_from(declared.all_tags)} if declared.all_tags else {}),
            )["service"]
            self._follow(made, definition, before="", known=())
            return
        if tags := missing_tags(declared.all_tags, seen) if "tags" in changed else {}:
            self.api.call("ecs", "TagResource", resourceArn=seen["serviceArn"], tags=tags_from(tags))
        send = {name: declared.service[name] for name in changed if name in declared.service}
        if "desiredCount" in changed:
            send["desiredCount"] = declared.count
        if "forceNewDeployment" in changed:
            send["forceNewDeployment"] = True
        before = serving(seen)
        if "taskDefinition" in changed:
            send["taskDefinition"] = definition
            if before:
                self._mark(before, COMPLETED)
        if send:
            self._update(seen, send, definition, before)

    def _update(self, seen: Facts, send: Facts, definition: str, before: str) -> None:
        self._start_clock(seen)
        known = self._service_deployments()
        made = self.api.call("ecs", "UpdateService", cluster=self.declared.cluster, service=self.declared.name, **send)[
            "service"
        ]
        self._follow(made, definition, before, known)

    def _mark(self, arn: str, mark: str) -> None:
        self.api.call("ecs", "TagResource", resourceArn=arn, tags=tags_from({MARK: mark}))

    def _deregister(self) -> None:
        """Deregister the oldest definitions; those that run or could be returned to are among the latest."""
        if self.declared.keep is None:
            return
        listed = self._family(self.declared.definition["family"])
        # In check mode the latest may not be registered yet.
        unregistered = self.api.check and not self.result.task_definition
        used = {str(one.get("taskDefinition")) for one in (self._service() or {}).get("deployments") or ()}
        for arn in listed[self.declared.keep - unregistered :]:
            if arn not in used:
                if not self.api.check:
                    self.api.call("ecs", "DeregisterTaskDefinition", taskDefinition=arn)
                self.result.changed = True
                self.result.changes.append(f"deregister {short(arn)}")

    # -- following it

    def _start_clock(self, seen: Facts | None) -> None:
        self._ends = self.clock.monotonic() + self.declared.seconds
        self._known = {str(one.get("id")) for one in (seen or {}).get("events") or ()}

    def _service_deployments(self) -> list[str]:
        """What DescribeServiceDeployments knows already; for rolling updates it is not needed."""
        return [] if self._rolling else [str(one["serviceDeploymentArn"]) for one in self._listed()]

    def _listed(self) -> list[Facts]:
        return list(
            self.api.call("ecs", "ListServiceDeployments", cluster=self.declared.cluster, service=self.declared.name)[
                "serviceDeployments"
            ]
        )

    def _follow_current(self, seen: Facts, definition: str) -> None:
        """Nothing has to be changed; but a rollout may be on its way, begun by a run that was ended."""
        self._start_clock(seen)
        first = primary(seen) or {}
        if self._rolling:
            self._follow(seen, definition, before=self._elsewhere(seen, definition), known=())
        elif (latest := newest(self._listed())) and latest.get("status") not in ("SUCCESSFUL", None):
            self.result.deployment = str(latest["serviceDeploymentArn"])
            self._wait(definition, before="")
        else:
            self.result.deployment = first.get("id")

    @staticmethod
    def _elsewhere(seen: Facts, definition: str) -> str:
        """The other definition that a rollout in progress replaces."""
        rows = [str(one["taskDefinition"]) for one in seen.get("deployments") or () if one.get("status") == "ACTIVE"]
        return next((arn for arn in rows if arn != definition), "")

    def _follow(self, service: Facts, definition: str, before: str, known: t.Collection[str]) -> None:
        first = primary(service) or {}
        self.result.deployment = str(first.get("id") or "")
        if not self._rolling:
            self.result.deployment = self._new_deployment(known) or self.result.deployment
        self._wait(definition, before)

    def _new_deployment(self, known: t.Collection[str]) -> str:
        """The service deployment that was started last; AWS lists it a moment later."""
        pause = PAUSE
        while True:
            rows = [one for one in self._listed() if one["serviceDeploymentArn"] not in known]
            if found := newest(rows):
                return str(found["serviceDeploymentArn"])
            # What starts no deployment, such as another number of tasks, is over now.
            if not self._rolls_out() or self.clock.monotonic() + pause > self._ends:
                return ""
            self.clock.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    def _rolls_out(self) -> bool:
        names = ("taskDefinition", "forceNewDeployment", *ROLLED_OUT)
        return self.result.action in ("create", "return") or any(name in names for name in self.result.changes)

    def _judged(self, definition: str, before: str) -> tuple[Judgement, Facts | None]:
        service = self._service()
        deployment = str(self.result.deployment)
        if self._rolling or ":service-deployment/" not in deployment:
            return judge(service, deployment, definition, before), service
        rows = self.api.call("ecs", "DescribeServiceDeployments", serviceDeploymentArns=[deployment])
        return judge_service_deployment(next(iter(rows["serviceDeployments"]), None)), service

    def _events(self, service: Facts | None) -> None:
        for key, text in new_events(service, self._known):
            self._known.add(key)
            self.result.events.append(text)
            self.tell(text)

    def _wait(self, definition: str, before: str) -> None:
        pause, said = PAUSE, ""
        while True:
            judgement, service = self._judged(definition, before)
            self._events(service)
            if judgement.state == DONE:
                return
            if judgement.state == FAILED:
                raise self._failed(definition, judgement, service)
            if judgement.text != said:
                said = judgement.text
                self.tell(said)
            if self.clock.monotonic() + pause > self._ends:
                raise self._late(definition, before, judgement, service)
            self.clock.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    def _await_gone(self) -> None:
        ends, pause = self.clock.monotonic() + self.declared.seconds, PAUSE
        while self._service() is not None:
            if self.clock.monotonic() + pause > ends:
                raise self._fault(
                    "remove", f"it still drains after {self.declared.seconds:g} s", "Run again; AWS continues."
                )
            self.clock.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    # -- failures

    def _fault(self, action: str, cause: str, next_step: str, detail: str = "") -> InfraError:
        error = InfraError(action, self.declared.label, cause, next_step, detail)
        # Not as arguments: the result has an `action` too.
        error.facts.update(dataclasses.asdict(self.result))
        return error

    def _failed(self, definition: str, judgement: Judgement, service: Facts | None) -> InfraError:
        how = "AWS has rolled it back" if judgement.rolled_back else "the rollout has ended"
        now = described(service) or "nothing runs"
        # Whatever was reported before, this is what there is when the run ends.
        return self._fault(
            f"roll out {short(definition)} to",
            f"{judgement.text}; {how}, and now: {now}",
            "Correct the release or the declaration by the reasons below, then deploy again."
            + ("" if judgement.rolled_back else " To go back meanwhile, run with state: previous."),
            "\n".join(self._reasons(definition)),
        )

    def _late(self, definition: str, before: str, judgement: Judgement, service: Facts | None) -> InfraError:
        """The time is up: the service goes back to what served before, unless that is not wanted or not known."""
        reasons = "\n".join(self._reasons(definition))
        late = f"not complete after {self.declared.seconds:g} s: {judgement.text}"
        # A return that takes too long must not end where the bad release is.
        returns = self.declared.roll_back and self.result.action != "return" and self._rolling
        if not returns or before in ("", definition):
            return self._fault(
                f"roll out {short(definition)} to",
                f"{late}; now: {described(service)}",
                "AWS continues. Run again to follow it, or return with state: previous.",
                reasons,
            )
        self.tell(f"the time is up: returning to {short(before)}")
        made = self.api.call(
            "ecs",
            "UpdateService",
            cluster=self.declared.cluster,
            service=self.declared.name,
            taskDefinition=before,
        )["service"]
        self._start_clock(made)
        back = str((primary(made) or {}).get("id"))
        word = self._returned(back, before)
        return self._fault(
            f"roll out {short(definition)} to",
            f"{late}; {word}, and now: {described(self._service())}",
            "Correct the release by the reasons below, or increase wait_seconds, then deploy again.",
            reasons,
        )

    def _returned(self, deployment: str, before: str) -> str:
        pause = PAUSE
        while True:
            service = self._service()
            judgement = judge(service, deployment, before, "")
            self._events(service)
            if judgement.state != ROLLING:
                done = judgement.state == DONE
                return (
                    f"the service was returned to {short(before)}" if done else f"the return failed: {judgement.text}"
                )
            if self.clock.monotonic() + pause > self._ends:
                return f"the return to {short(before)} is not complete"
            self.clock.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    def _reasons(self, definition: str) -> list[str]:
        """Why tasks of the definition have stopped; AWS forgets them after about an hour. Never a failure itself."""
        try:
            tasks = tasks_of(self.api, self.declared.cluster, serviceName=self.declared.name, desiredStatus="STOPPED")
            stopped = failed_first(one for one in tasks if one.get("taskDefinitionArn") == definition)[:TASKS_SHOWN]
            seen = definition_of(self.api, definition) or {}
            return [line for task in stopped for line in told_with_log(self.api, seen, task)] or [
                "(AWS shows no stopped task of this definition)"
            ]
        except InfraError as error:
            return [f"(why its tasks have stopped could not be read: {error.cause})"]
