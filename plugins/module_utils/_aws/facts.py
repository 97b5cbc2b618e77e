# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight asks AWS before a deploy: read-only, everything at the same time, after the account is compared."""

from __future__ import annotations

import concurrent.futures
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.verify import IMAGE
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import from_tags
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import OWNER, Facts

#: Where an account and its regions are asked for, by the beginning of the region, which stands for the partition.
HOMES = {"cn-": "cn-north-1", "us-gov-": "us-gov-west-1"}
DEFAULT_HOME = "us-east-1"
ENGINE = "postgres"
#: Meanings (errors.py) that an emulator means as well.
REFUSALS = ("denied", "expired", "unknown key", "clock", "region")


def home_of(region: str) -> str:
    return next((home for start, home in HOMES.items() if region.startswith(start)), DEFAULT_HOME)


def regions(api: Api) -> list[str]:
    """The regions that the account can use."""
    rows = api.call("ec2", "DescribeRegions")["Regions"]
    return sorted(row["RegionName"] for row in rows)


def zones(api: Api) -> list[str]:
    rows = api.call("ec2", "DescribeAvailabilityZones")["AvailabilityZones"]
    return sorted(row["ZoneName"] for row in rows if row.get("State", "available") == "available")


def networks(api: Api) -> list[dict[str, t.Any]]:
    """All VPCs with their networks, and whose they are."""
    found = []
    for row in api.call("ec2", "DescribeVpcs")["Vpcs"]:
        tags = from_tags(row.get("Tags"))
        blocks = [one["CidrBlock"] for one in row.get("CidrBlockAssociationSet") or [row]]
        found.append(
            {"id": row["VpcId"], "name": tags.get("Name", ""), "environment": tags.get(OWNER, ""), "cidrs": blocks}
        )
    return found


def engine_versions(api: Api) -> list[str]:
    """Versions of PostgreSQL that new instances can have."""
    rows = api.call("rds", "DescribeDBEngineVersions", Engine=ENGINE)["DBEngineVersions"]
    return [row["EngineVersion"] for row in rows if row.get("Status", "available") == "available"]


def instance(api: Api, name: str) -> dict[str, t.Any]:
    """The database, if it exists."""
    found = api.call("rds", "DescribeDBInstances", ("DBInstanceNotFound",), DBInstanceIdentifier=name)
    rows = found["DBInstances"] if found else ()
    return {"storage_gb": rows[0]["AllocatedStorage"], "version": rows[0].get("EngineVersion", "")} if rows else {}


def image(api: Api, reference: str) -> str:
    """Whether it is in ECR: yes, no, or where it is not to be looked for."""
    found = IMAGE.fullmatch(reference)
    if found is None or found["region"] != api.region:
        return "elsewhere"
    wanted = {"imageDigest": found["digest"]} if found["digest"] else {"imageTag": found["tag"] or "latest"}
    rows = api.call(
        "ecr",
        "DescribeImages",
        ("ImageNotFoundException", "RepositoryNotFoundException"),
        registryId=found["account"],
        repositoryName=found["repository"],
        imageIds=[wanted],
    )
    if rows and rows["imageDetails"]:
        return "yes"
    # The first deploy creates the repository, so the image can only be pushed afterwards.
    named = {"registryId": found["account"], "repositoryNames": [found["repository"]]}
    known = api.call("ecr", "DescribeRepositories", ("RepositoryNotFoundException",), **named)
    return "no" if known else "no repository yet"


def service_of(api: Api, cluster: str, service: str) -> Facts | None:
    """A service of ECS, if it exists."""
    found = api.call("ecs", "DescribeServices", ("ClusterNotFoundException",), cluster=cluster, services=[service])
    rows = [row for row in (found or {}).get("services") or () if row.get("status") == "ACTIVE"]
    return rows[0] if rows else None


def definition_of(api: Api, service: Facts) -> Facts:
    found = api.call("ecs", "DescribeTaskDefinition", taskDefinition=service["taskDefinition"])
    return t.cast("Facts", found["taskDefinition"])


def serving(api: Api, cluster: str, service: str) -> list[str]:
    """The images of the task definition that a service of ECS runs; none where there is no such service."""
    found = service_of(api, cluster, service)
    return [str(one["image"]) for one in definition_of(api, found)["containerDefinitions"]] if found else []


def serving_since(api: Api, cluster: str, service: str) -> int:
    """Since when a service of ECS serves its release alone, in Unix time; 0 where there is no such service.

    While a deployment runs, it is now. Scaling the service moves the time too, so it may be too late, never too early.
    """
    found = service_of(api, cluster, service)
    rows: t.Sequence[Facts] = (found or {}).get("deployments") or []
    if len(rows) != 1 or rows[0].get("rolloutState", "COMPLETED") != "COMPLETED":
        return int(time.time()) if found else 0
    return int((rows[0].get("updatedAt") or rows[0]["createdAt"]).timestamp())


def tasks(api: Api, cluster: str, service: str) -> dict[str, int]:
    """How many tasks a service of ECS runs, and how large each is; empty where there is no such service."""
    found = service_of(api, cluster, service)
    if found is None:
        return {}
    definition = definition_of(api, found)
    scaled = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
    named = {"ResourceIds": [f"service/{cluster}/{service}"], **scaled}
    targets = api.call("application-autoscaling", "DescribeScalableTargets", **named)["ScalableTargets"]
    return {
        "least": int(targets[0]["MinCapacity"] if targets else found["desiredCount"]),
        "most": int(targets[0]["MaxCapacity"]) if targets else 0,
        # Tasks on instances of EC2 may have no size, and cost nothing themselves.
        "cpu": int(definition.get("cpu") or 0),
        "memory_mb": int(definition.get("memory") or 0),
    }


def questions(api: Api, wants: Facts) -> dict[str, t.Callable[[], t.Any]]:
    reference = wants.get("image") or ""
    if wants.get("repository") and not reference:
        reference = f"{api.account}.dkr.ecr.{api.region}.amazonaws.com/{wants['repository']}:{wants.get('tag')}"
    return {
        "zones": lambda: zones(api),
        "networks": lambda: networks(api),
        "engine_versions": lambda: engine_versions(api),
        "instance": lambda: instance(api, str(wants.get("instance"))),
        "image": lambda: image(api, reference),
        **(
            {
                "serving": lambda: serving(api, str(wants["cluster"]), str(wants["service"])),
                "serving_since": lambda: serving_since(api, str(wants["cluster"]), str(wants["service"])),
                "tasks": lambda: tasks(api, str(wants["cluster"]), str(wants["service"])),
            }
            if wants.get("cluster") and wants.get("service")
            else {}
        ),
    }


def gather(api: Api, home: Api, wants: Facts, *, emulated: bool) -> dict[str, t.Any]:
    """All facts by name. What AWS refused is in `refused`; what an emulator does not know in `not_checked`.

    `home`: where the account and its regions are asked for, as a region that is not enabled knows no credentials.
    Raises InfraError for credentials that are none, or are another account's: then nothing else is called.
    """
    if wants.get("account"):
        home.require_account(str(wants["account"]))
    found: dict[str, t.Any] = {"account": home.account, "refused": [], "not_checked": []}
    answer(found, {"regions": lambda: regions(home)}, emulated=emulated)
    if found["refused"] or (found.get("regions") and api.region not in found["regions"]):
        return found
    answer(found, questions(api, wants), emulated=emulated)
    return found


def answer(found: dict[str, t.Any], asked: t.Mapping[str, t.Callable[[], t.Any]], *, emulated: bool) -> None:
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        futures = {name: pool.submit(ask) for name, ask in asked.items()}
    for name, future in futures.items():
        try:
            found[name] = future.result()
        except InfraError as error:
            if emulated and error.facts.get("meaning") not in REFUSALS:
                found["not_checked"].append(name)
            else:
                found["refused"].append({"about": name, "cause": error.cause, "next_step": error.next_step})
