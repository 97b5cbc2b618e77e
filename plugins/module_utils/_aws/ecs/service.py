# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service as declared, as it is, and what has to be changed. Nothing here calls AWS."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.definition import without_none
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Facts = t.Mapping[str, t.Any]
ROLLING = "ROLLING"
#: What only CreateService takes.
FIXED = ("launchType",)
#: What AWS uses where nothing is said.
AWS_DEFAULTS = {"minimumHealthyPercent": 100, "maximumPercent": 200}
#: Lists whose order means nothing to AWS.
SETS = ("subnets", "securityGroups", "alarmNames")


def service_from(options: Facts) -> dict[str, t.Any]:
    """What is declared of a service, as CreateService takes it, without name, cluster, definition, count and tags."""
    providers = options.get("capacity_providers")
    grace = options.get("health_check_grace_seconds")
    return {
        **({} if providers else {"launchType": options["launch_type"]}),
        **without_none(
            {
                "capacityProviderStrategy": providers_from(providers) or None,
                "platformVersion": options.get("platform_version"),
                "networkConfiguration": network_from(options),
                "loadBalancers": [balancer_from(one) for one in options.get("load_balancers") or ()] or None,
                "healthCheckGracePeriodSeconds": grace,
                "propagateTags": options.get("propagate_tags"),
                "enableExecuteCommand": options.get("enable_execute_command"),
            }
        ),
        "deploymentConfiguration": deployment_from(options.get("deployment") or {}),
    }


def providers_from(rows: t.Iterable[Facts] | None) -> list[dict[str, t.Any]]:
    return [
        {"capacityProvider": one["name"], "weight": one.get("weight") or 0, "base": one.get("base") or 0}
        for one in rows or ()
    ]


def network_from(options: Facts) -> dict[str, t.Any] | None:
    if not options.get("subnets"):
        return None
    return {
        "awsvpcConfiguration": {
            "subnets": list(options["subnets"]),
            "securityGroups": list(options.get("security_groups") or ()),
            "assignPublicIp": "ENABLED" if options.get("public_ip") else "DISABLED",
        }
    }


def balancer_from(options: Facts) -> dict[str, t.Any]:
    more = without_none(
        {
            "alternateTargetGroupArn": options.get("alternate_target_group"),
            "productionListenerRule": options.get("production_rule"),
            "testListenerRule": options.get("test_rule"),
            "roleArn": options.get("role"),
        }
    )
    return {
        "targetGroupArn": options["target_group"],
        "containerName": options["container"],
        "containerPort": options["port"],
        **({"advancedConfiguration": more} if more else {}),
    }


def deployment_from(options: Facts) -> dict[str, t.Any]:
    """Rolling with the circuit breaker unless something else is asked for; AWS has the breaker for ROLLING only."""
    strategy, back = options.get("strategy") or ROLLING, options.get("roll_back") is not False
    found: dict[str, t.Any] = {
        "strategy": strategy,
        "minimumHealthyPercent": number(options.get("min_percent"), 100),
        "maximumPercent": number(options.get("max_percent"), 200),
    }
    if strategy == ROLLING:
        breaker = options.get("circuit_breaker") is not False
        found["deploymentCircuitBreaker"] = {"enable": breaker, "rollback": breaker and back}
    if options.get("alarms"):
        found["alarms"] = {"alarmNames": list(options["alarms"]), "enable": True, "rollback": back}
    if strategy != ROLLING:
        found["bakeTimeInMinutes"] = number(options.get("bake_minutes"), 5)
    if strategy in ("LINEAR", "CANARY"):
        percent, minutes = number(options.get("step_percent"), 10), number(options.get("step_bake_minutes"), 5)
        word = strategy.lower()
        name = "stepPercent" if strategy == "LINEAR" else "canaryPercent"
        bake = "stepBakeTimeInMinutes" if strategy == "LINEAR" else "canaryBakeTimeInMinutes"
        found[f"{word}Configuration"] = {name: float(percent), bake: minutes}
    return found


def number(value: t.Any, default: int) -> t.Any:
    return default if value is None else value


def differences(wanted: Facts, seen: Facts) -> list[str]:
    """The declared properties that are not as declared. What is not declared is not compared."""
    return [name for name, value in wanted.items() if not covered(value, current(seen, name), name)]


def current(seen: Facts, name: str) -> t.Any:
    """A property of the service, or of its primary deployment, where AWS shows only that."""
    if name == "deploymentConfiguration":
        return {**AWS_DEFAULTS, **(seen.get(name) or {})}
    if seen.get(name) is not None:
        return seen[name]
    first: Facts = next((one for one in seen.get("deployments") or () if one.get("status") == "PRIMARY"), {})
    return first.get(name)


def covered(wanted: t.Any, seen: t.Any, name: str = "") -> bool:
    """Whether `seen` is as `wanted`, where AWS may show more of a structure than was declared."""
    if isinstance(wanted, t.Mapping):
        shown = seen if isinstance(seen, t.Mapping) else {}
        return all(covered(value, shown.get(key), key) for key, value in wanted.items())
    if isinstance(wanted, list):
        rows = list(seen or ())
        if name in SETS:
            return sorted(map(str, wanted)) == sorted(map(str, rows))
        return len(wanted) == len(rows) and all(any(covered(one, row) for row in rows) for one in wanted)
    if seen is None:
        return wanted in (False, 0, "", "NONE", ROLLING)
    return bool(wanted == seen)


def fixed(changed: t.Collection[str], wanted: Facts, seen: Facts, label: str) -> None:
    """Refuse what UpdateService does not take."""
    for name in FIXED:
        if name in changed:
            raise InfraError(
                "change",
                label,
                f"its {name} is {current(seen, name) or 'a capacity provider'}, and AWS can't change that to "
                f"{wanted[name]}",
                "Declare it as it is, or give the new service another name and remove this one later. Nothing was "
                "done to it.",
            )


def count_for(declared: int | None, seen: Facts | None, scaled: bool) -> int | None:
    """The number of tasks to send, None for none: what autoscaling has decided is not touched."""
    if seen is None:
        return 1 if declared is None else declared
    if declared is None or scaled or seen.get("desiredCount") == declared:
        return None
    return declared


def tags_from(tags: Facts | None) -> list[dict[str, str]]:
    return [{"key": str(key), "value": str(value)} for key, value in sorted((tags or {}).items())]


def missing_tags(tags: Facts | None, seen: Facts) -> dict[str, str]:
    """The declared tags that the service lacks; others that it has are kept."""
    there = {str(one["key"]): str(one["value"]) for one in seen.get("tags") or ()}
    return {str(key): str(value) for key, value in (tags or {}).items() if there.get(str(key)) != str(value)}
