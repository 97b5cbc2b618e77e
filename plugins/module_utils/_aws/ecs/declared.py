# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of the modules for ECS to what is declared, with the ranges that types alone let pass."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.definition import definition_from
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deploy import Declared
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.options import (
    CONTAINER_RANGES,
    HEALTH_RANGES,
    PROVIDER_RANGES,
    TASK_RANGES,
)
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.run import Wanted
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.service import service_from
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges

Options = t.Mapping[str, t.Any]
SERVICE_RANGES = {
    "desired_count": (0, None),
    "health_check_grace_seconds": (0, None),
    "keep_definitions": (2, None),
}
DEPLOYMENT_RANGES = {
    "min_percent": (0, 100),
    "max_percent": (100, 200),
    "bake_minutes": (0, 1440),
    "step_percent": (1, 99),
    "step_bake_minutes": (0, 1440),
}


def require_definition(given: Options) -> None:
    """Ansible's rules on what is required take `null` for a value."""
    if not given.get("task_definition") and not given.get("definition"):
        raise InfraError("use the option", '"task_definition"', "it is not set", "Declare the task definition.")


def check_task(given: Options) -> None:
    """Refuse numbers out of their ranges in what the modules share."""
    check_ranges(given, {"wait_seconds": (1, None)})
    for provider in given["capacity_providers"]:
        check_ranges(provider, PROVIDER_RANGES)
    definition = given.get("task_definition")
    if not definition:
        return
    check_ranges(definition, TASK_RANGES)
    for container in definition["containers"]:
        if not container["image"]:
            fix = "Name the image; in an environment, name the version to deploy (backend_version)."
            raise InfraError("use the option", '"image"', f"it is empty for the container {container['name']}", fix)
        check_ranges(container, CONTAINER_RANGES)
        check_ranges(container.get("health_check") or {}, HEALTH_RANGES)
        for port in container["ports"]:
            check_ranges({"ports": port}, {"ports": (1, 65535)})


def declared_task(given: Options) -> Wanted:
    """The task as declared."""
    require_definition(given)
    options = given["task_definition"]
    definition = definition_from(options, given["name"], given["region"], given["launch_type"]) if options else {}
    return Wanted(
        cluster=given["cluster"],
        name=given["name"],
        definition=definition,
        existing=given["definition"] or "",
        container=given["container"],
        command=given["command"],
        environment=given["environment"],
        options=given,
        seconds=float(given["wait_seconds"]),
    )


def check_service(given: Options) -> None:
    if given["state"] == "present":
        require_definition(given)
    check_task(given)
    check_ranges(given, SERVICE_RANGES)
    check_ranges(given["deployment"], DEPLOYMENT_RANGES)
    for balancer in given["load_balancers"]:
        check_ranges(balancer, {"port": (1, 65535)})


def declared_service(given: Options) -> Declared:
    """The service as declared; without a definition where the state needs none."""
    options = given["task_definition"]
    definition = definition_from(options, given["name"], given["region"], given["launch_type"]) if options else {}
    return Declared(
        cluster=given["cluster"],
        name=given["name"],
        definition=definition,
        service=service_from(given),
        count=given["desired_count"],
        tags=given["tags"],
        environment=given["environment"],
        force=given["force_new_deployment"],
        seconds=float(given["wait_seconds"]),
        roll_back=bool(given["deployment"].get("roll_back", True)),
        keep=given["keep_definitions"],
    )
