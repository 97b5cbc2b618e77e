# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Task definitions as data: from the options of a module to AWS' parameters, and compared by what they mean."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import LATER

Facts = t.Mapping[str, t.Any]

#: What AWS adds to a definition when it is registered.
ADDED = (
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
)
#: Values that mean the same as none; a container is essential unless it says otherwise.
DEFAULTS: dict[str, tuple[t.Any, ...]] = {
    "cpu": (0,),
    "essential": (True,),
    "versionConsistency": ("enabled",),
    "startPeriod": (0,),
    "protocol": ("tcp",),
    "hostPort": (0,),
}
HEALTH_CHECK = {"interval": 30, "timeout": 5, "retries": 3}
PLATFORM = {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}
#: Lists whose order means nothing, by the key that their rows are sorted by.
UNORDERED = {
    "containerDefinitions": "name",
    "environment": "name",
    "secrets": "name",
    "secretOptions": "name",
    "portMappings": "containerPort",
    "dependsOn": "containerName",
    "ulimits": "name",
    "volumes": "name",
    "mountPoints": "containerPath",
    "environmentFiles": "value",
    "systemControls": "namespace",
    "extraHosts": "hostname",
}
#: Texts and maps of the user, in which nothing is a default and nothing is left out.
VERBATIM = ("command", "entryPoint", "dockerLabels", "driverOpts", "labels")


def without_none(values: Facts) -> dict[str, t.Any]:
    return {name: value for name, value in values.items() if value is not None}


def pairs(values: Facts | None, key: str = "value") -> list[dict[str, str]]:
    return [{"name": str(name), key: str(value)} for name, value in sorted((values or {}).items())]


def definition_from(options: Facts, family: str, region: str, launch_type: str = "FARGATE") -> dict[str, t.Any]:
    """The parameters of RegisterTaskDefinition for the option `task_definition`."""
    disk = options.get("ephemeral_storage_gb")
    return {
        "family": options.get("family") or family,
        "networkMode": options.get("network_mode") or "awsvpc",
        "requiresCompatibilities": [launch_type],
        "runtimePlatform": {
            "cpuArchitecture": options.get("cpu_architecture") or "X86_64",
            "operatingSystemFamily": options.get("operating_system") or "LINUX",
        },
        **without_none(
            {
                "cpu": text_of(options.get("cpu")),
                "memory": text_of(options.get("memory_mb")),
                "executionRoleArn": options.get("execution_role"),
                "taskRoleArn": options.get("task_role"),
                "ephemeralStorage": {"sizeInGiB": disk} if disk else None,
            }
        ),
        "containerDefinitions": [container_from(one, region) for one in options["containers"]],
        **(options.get("parameters") or {}),
    }


def text_of(number: t.Any) -> str | None:
    return None if number is None else str(number)


def container_from(options: Facts, region: str) -> dict[str, t.Any]:
    health, log = options.get("health_check"), options.get("log")
    ports = [{"containerPort": port, "protocol": "tcp"} for port in options.get("ports") or ()]
    awaited = [{"containerName": one, "condition": how} for one, how in (options.get("depends_on") or {}).items()]
    given = {
        "name": options["name"],
        "image": options["image"],
        "essential": options.get("essential") is not False,
        # Empty for the image's own.
        "command": options.get("command") or None,
        "entryPoint": options.get("entry_point"),
        "environment": pairs(options.get("environment")) or None,
        "secrets": pairs(options.get("secrets"), "valueFrom") or None,
        "portMappings": ports or None,
        "dependsOn": awaited or None,
        "healthCheck": health_check_from(health) if health else None,
        "logConfiguration": log_from(log, options["name"], region) if log else None,
        "cpu": options.get("cpu"),
        "memory": options.get("memory_mb"),
        "memoryReservation": options.get("memory_reservation_mb"),
        "user": options.get("user"),
        "workingDirectory": options.get("working_directory"),
        "readonlyRootFilesystem": options.get("read_only_root"),
        "stopTimeout": options.get("stop_seconds"),
    }
    return {**without_none(given), **(options.get("parameters") or {})}


def health_check_from(options: Facts) -> dict[str, t.Any]:
    return without_none(
        {
            "command": options["command"],
            "interval": options.get("interval_seconds"),
            "timeout": options.get("timeout_seconds"),
            "retries": options.get("retries"),
            "startPeriod": options.get("start_seconds"),
        }
    )


def log_from(options: Facts, container: str, region: str) -> dict[str, t.Any]:
    """To CloudWatch Logs, unless another driver is named. With the prefix the stream's name is known beforehand."""
    driver = options.get("driver") or "awslogs"
    own = {
        "awslogs-group": options.get("group"),
        "awslogs-region": options.get("region") or region,
        "awslogs-stream-prefix": options.get("prefix") or container,
    }
    more = {str(name): str(value) for name, value in (options.get("options") or {}).items()}
    return {"logDriver": driver, "options": {**(without_none(own) if driver == "awslogs" else {}), **more}}


def normalised(definition: Facts) -> dict[str, t.Any]:
    """The definition without what AWS adds, without defaults, and with lists in one order: equal if they mean the same.

    A role is compared by its name, because AWS takes its ARN as well.
    """
    kept = {name: value for name, value in definition.items() if name not in ADDED and name != "tags"}
    kept["runtimePlatform"] = {**PLATFORM, **without_none(kept.get("runtimePlatform") or {})}
    for role in ("taskRoleArn", "executionRoleArn"):
        if kept.get(role) and not LATER.match(kept[role]):
            kept[role] = str(kept[role]).rpartition("/")[2]
    containers = []
    for one in kept.get("containerDefinitions") or ():
        container = dict(one)
        if container.get("healthCheck"):
            container["healthCheck"] = {**HEALTH_CHECK, **without_none(container["healthCheck"])}
        if kept.get("networkMode") == "awsvpc":
            # There the port of the host is the container's, which AWS fills in.
            container["portMappings"] = [
                {name: value for name, value in port.items() if name != "hostPort"}
                for port in container.get("portMappings") or ()
            ]
        containers.append(container)
    kept["containerDefinitions"] = containers
    kept["requiresCompatibilities"] = sorted(kept.get("requiresCompatibilities") or ())
    return t.cast("dict[str, t.Any]", plain(kept))


def plain(value: t.Any, name: str = "") -> t.Any:
    if name in VERBATIM:
        return value
    if isinstance(value, t.Mapping):
        rows = {key: plain(one, key) for key, one in value.items()}
        if name == "options":
            return {key: str(one) for key, one in rows.items()}
        return {key: one for key, one in rows.items() if not empty(key, one, kept=name in ("environment", "secrets"))}
    if isinstance(value, (list, tuple)):
        items = [plain(one, name) for one in value]
        return sorted(items, key=lambda one: str(one.get(UNORDERED[name]))) if name in UNORDERED else items
    return value


def empty(name: str, value: t.Any, *, kept: bool) -> bool:
    """Whether it means the same as if it were left out. `kept`: a variable's value, where "" is a value."""
    if value is None or (kept and name == "value"):
        return value is None
    if name == "essential":
        return value is True
    return value is False or value in ("", [], {}) or any(value == one for one in DEFAULTS.get(name, ()))


def same_definition(wanted: Facts, seen: Facts | None) -> bool:
    return seen is not None and normalised(wanted) == normalised(seen)


def shown(values: Facts | None) -> str:
    """For a diff."""
    return json.dumps(values, indent=2, sort_keys=True, default=str) + "\n" if values else ""


def log_place(definition: Facts, container: str, task_id: str) -> tuple[str, str, str] | str:
    """Region, group and stream of a container's log in CloudWatch Logs; or why it can't be read there."""
    found = [one for one in definition.get("containerDefinitions") or () if one.get("name") == container]
    log = (found[0].get("logConfiguration") if found else None) or {}
    if not log:
        return "the container has no log configuration, so its output is kept nowhere"
    if log.get("logDriver") != "awslogs":
        return f"the container logs to {log.get('logDriver')}, which this module can't read"
    options = log.get("options") or {}
    group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
    if not group or not prefix:
        return "its log has no group or no stream prefix, so the stream's name is not known"
    return str(options.get("awslogs-region") or ""), str(group), f"{prefix}/{container}/{task_id}"
