# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout needs is looked at before anything is changed, and everything that is wrong is reported at once."""

from __future__ import annotations

import concurrent.futures
import functools
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import LATER

Facts = t.Mapping[str, t.Any]
Check = t.Callable[[], t.Sequence[str]]
WORKERS = 8
IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)
#: AWS' table of sizes for Fargate: units of CPU, and the least, most and step of memory in MiB.
FARGATE = {
    256: (512, 2048, 512),
    512: (1024, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16384, 1024),
    4096: (8192, 30720, 1024),
    8192: (16384, 61440, 4096),
    16384: (32768, 122880, 8192),
}
#: 0.25 vCPU has 512, 1024 and 2048 MiB only.
SMALLEST = (512, 1024, 2048)
ASSUMES = "ecs-tasks.amazonaws.com"


def faults_of(definition: Facts, service: Facts) -> list[str]:
    """What is wrong with the declaration itself."""
    containers = list(definition["containerDefinitions"])
    names = [one["name"] for one in containers]
    faults = [
        f"there are {names.count(name)} containers {name}" for name in sorted(set(names)) if names.count(name) > 1
    ]
    if not any(one.get("essential", True) for one in containers):
        faults.append("no container is essential; one has to be")
    if "FARGATE" in definition.get("requiresCompatibilities", ()):
        faults += size_faults(definition.get("cpu"), definition.get("memory"))
        if any(one.get("secrets") for one in containers) and not definition.get("executionRoleArn"):
            faults.append("a container has secrets, which ECS reads with the execution role: set execution_role")
    if definition.get("networkMode") == "awsvpc" and not service.get("networkConfiguration"):
        faults.append("tasks with the network mode awsvpc need subnets: set subnets")
    for one in service.get("loadBalancers") or ():
        faults += balancer_faults(one, containers)
    return faults


def size_faults(cpu: t.Any, memory: t.Any) -> list[str]:
    if not str(cpu or "").isdigit() or not str(memory or "").isdigit():
        return [] if cpu and memory else ["Fargate needs cpu and memory_mb of the task definition"]
    found = FARGATE.get(int(cpu))
    if found is None:
        return [f"Fargate has no {cpu} CPU units; it has {', '.join(map(str, FARGATE))}"]
    least, most, step = found
    size = int(memory)
    if least <= size <= most and (size % step == 0 if int(cpu) != min(FARGATE) else size in SMALLEST):
        return []
    return [f"Fargate has no {memory} MiB with {cpu} CPU units; it has {least} to {most} in steps of {step}"]


def balancer_faults(balancer: Facts, containers: t.Sequence[Facts]) -> list[str]:
    name, port = balancer["containerName"], balancer["containerPort"]
    found = [one for one in containers if one["name"] == name]
    if not found:
        return [f"the load balancer is to reach the container {name}, which is not declared"]
    ports = [one["containerPort"] for one in found[0].get("portMappings") or ()]
    return (
        [] if port in ports else [f"the load balancer is to reach port {port} of {name}, which has {ports or 'none'}"]
    )


def checks_for(api: Api, cluster: str, definition: Facts, service: Facts) -> list[Check]:
    """One for each thing in AWS that a rollout needs."""
    containers = definition["containerDefinitions"]
    secrets = {str(row["valueFrom"]) for one in containers for row in one.get("secrets") or ()}
    roles = {str(definition[key]) for key in ("executionRoleArn", "taskRoleArn") if definition.get(key)}

    balancers = list(service.get("loadBalancers") or ())
    later = not_created([*secrets, *roles, *(one["targetGroupArn"] for one in balancers)])

    def of(look: t.Callable[[Api, str], list[str]], names: t.Iterable[str]) -> list[Check]:
        return [functools.partial(look, api, name) for name in names if not LATER.match(name)]

    return [
        lambda: [f"{key} is not created yet" for key in later],
        *of(cluster_faults, [cluster]),
        *of(image_faults, sorted({str(one["image"]) for one in containers})),
        *of(secret_faults, sorted(secrets)),
        *of(role_faults, sorted(roles)),
        *of(log_faults, sorted(log_groups(containers, api.region))),
        *of(alarm_faults, alarms_of(service)),
        *(
            functools.partial(target_faults, api, one, definition)
            for one in balancers
            if not LATER.match(one["targetGroupArn"])
        ),
    ]


def not_created(values: t.Iterable[str]) -> list[str]:
    """The resources of which a plan knows only that an earlier task would create them."""
    return sorted({found["key"] for value in values if (found := LATER.match(value))})


def missing(api: Api, cluster: str, definition: Facts, service: Facts) -> list[str]:
    """Every fault of what the declaration refers to; what could not be looked at is one as well."""

    def run(check: Check) -> t.Sequence[str]:
        try:
            return check()
        except InfraError as error:
            return [" ".join(str(error).split())]

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(run, checks_for(api, cluster, definition, service)))
    return [fault for rows in found for fault in rows]


def verify(api: Api, cluster: str, definition: Facts, service: Facts, *, action: str, label: str) -> list[str]:
    """Refuse the declaration with all its faults.

    In check mode, what it refers to may be what an earlier task would create: that is returned, not refused.
    """
    faults, absent = faults_of(definition, service), missing(api, cluster, definition, service)
    refuse(faults if api.check else [*faults, *absent], action, label)
    return absent


def refuse(faults: t.Sequence[str], action: str, label: str) -> None:
    if faults:
        raise InfraError(
            action,
            label,
            f"there {'is a fault' if len(faults) == 1 else f'are {len(faults)} faults'}",
            "Correct the declaration or create what is missing, then run again; nothing was changed.",
            detail="\n".join(f"- {fault}" for fault in faults),
            faults=list(faults),
        )


def cluster_faults(api: Api, cluster: str) -> list[str]:
    rows = api.call("ecs", "DescribeClusters", clusters=[cluster])["clusters"]
    if not rows:
        return [f"there is no cluster {cluster} in {api.region}"]
    status = rows[0].get("status")
    return [] if status == "ACTIVE" else [f"the cluster {cluster} is {status}"]


def image_faults(api: Api, image: str) -> list[str]:
    """Images of another registry or region are not looked at."""
    found = IMAGE.fullmatch(image)
    if found is None or found["region"] != api.region:
        return []
    wanted = {"imageDigest": found["digest"]} if found["digest"] else {"imageTag": found["tag"] or "latest"}
    missing = ("ImageNotFoundException", "RepositoryNotFoundException")
    rows = api.call(
        "ecr",
        "DescribeImages",
        missing,
        registryId=found["account"],
        repositoryName=found["repository"],
        imageIds=[wanted],
    )
    return [] if rows and rows["imageDetails"] else [f"there is no image {image} in ECR: push it first"]


def secret_faults(api: Api, reference: str) -> list[str]:
    parts = reference.split(":")
    if reference.startswith("arn:") and parts[2] == "secretsmanager":
        # After the name there may be the key, the stage and the version.
        arn = ":".join(parts[:7])
        found = api.call("secretsmanager", "DescribeSecret", ("ResourceNotFoundException",), SecretId=arn)
        if found is None:
            return [f"there is no secret {arn}"]
        return [f"the secret {arn} is being deleted"] if found.get("DeletedDate") else []
    name = reference if not reference.startswith("arn:") else reference.partition(":parameter")[2]
    plain = name if name.count("/") > 1 else name.lstrip("/")
    filters = [{"Key": "Name", "Option": "Equals", "Values": [plain]}]
    rows = api.call("ssm", "DescribeParameters", ParameterFilters=filters)["Parameters"]
    return [] if rows else [f"there is no parameter {plain} in Systems Manager"]


def role_faults(api: Api, role: str) -> list[str]:
    name = role.rpartition("/")[2]
    found = api.call("iam", "GetRole", ("NoSuchEntity", "NoSuchEntityException"), RoleName=name)
    if found is None:
        return [f"there is no role {name}"]
    if ASSUMES not in str(found["Role"].get("AssumeRolePolicyDocument")):
        return [f"the role {name} can't be assumed by ECS: its trust policy has to name {ASSUMES}"]
    return []


def log_groups(containers: t.Iterable[Facts], region: str) -> set[str]:
    """The groups that have to exist beforehand; those of another region are not looked at."""
    found = set()
    for one in containers:
        log = one.get("logConfiguration") or {}
        options = log.get("options") or {}
        made = str(options.get("awslogs-create-group", "")).lower() == "true"
        if log.get("logDriver") == "awslogs" and not made and options.get("awslogs-region", region) == region:
            found.add(str(options.get("awslogs-group") or ""))
    return found


def log_faults(api: Api, group: str) -> list[str]:
    if not group:
        return ["a container logs to CloudWatch Logs without a group: set log.group"]
    rows = api.call("logs", "DescribeLogGroups", logGroupNamePrefix=group)["logGroups"]
    return [] if any(one["logGroupName"] == group for one in rows) else [f"there is no log group {group}"]


def alarms_of(service: Facts) -> list[str]:
    deployment = service.get("deploymentConfiguration") or {}
    return sorted((deployment.get("alarms") or {}).get("alarmNames") or ())


def alarm_faults(api: Api, alarm: str) -> list[str]:
    found = api.call("cloudwatch", "DescribeAlarms", AlarmNames=[alarm], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return [] if found.get("MetricAlarms") or found.get("CompositeAlarms") else [f"there is no alarm {alarm}"]


def target_faults(api: Api, balancer: Facts, definition: Facts) -> list[str]:
    arn = balancer["targetGroupArn"]
    found = api.call("elbv2", "DescribeTargetGroups", ("TargetGroupNotFound",), TargetGroupArns=[arn])
    if not found or not found["TargetGroups"]:
        return [f"there is no target group {arn}"]
    row, faults = found["TargetGroups"][0], []
    if definition.get("networkMode") == "awsvpc" and row.get("TargetType") != "ip":
        faults.append(
            f"the target group {row['TargetGroupName']} has targets of type {row.get('TargetType')}; tasks with the "
            "network mode awsvpc need ip"
        )
    if not row.get("LoadBalancerArns"):
        faults.append(f"no listener forwards to the target group {row['TargetGroupName']}, which ECS refuses")
    return faults
