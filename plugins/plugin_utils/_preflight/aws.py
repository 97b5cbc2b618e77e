# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight of what only AWS knows: what to ask, and the problems in its answer (module aws_info)."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import CONTROLLER, Fault, Inputs

Facts = t.Mapping[str, t.Any]
#: Stages that need the image of the release.
OF_THE_IMAGE = ("all", "backend", "migrate")
#: Of what a value that was not checked is about.
NAMES = {
    "regions": "whether the account can use the region",
    "zones": "whether the availability zones exist",
    "networks": "whether the network overlaps with another VPC",
    "engine_versions": "whether RDS offers the version of PostgreSQL",
    "instance": "the storage of the database",
    "image": "whether the image exists",
    "serving": "which images the service runs",
    "serving_since": "since when the service runs its release",
    "tasks": "how many tasks the service runs",
}
#: Suggestions in a message.
SHOWN = 8


def wanted(inputs: Inputs, tags: t.Collection[str] = ("all",)) -> dict[str, t.Any]:
    """What to ask AWS about, as options of aws_info, and what to judge the answer by; nothing with other providers.

    `tags`: the stages that run.
    """

    def value(name: str) -> t.Any:
        return inputs.value(CONTROLLER, f"provider_aws_{name}")

    region, declared = value("region"), value("endpoints_declared")
    if inputs.provider != "aws" or not isinstance(region, str) or not region or declared:
        return {}
    # As the role's defaults say, which are templates.
    prefix = str(value("prefix") or f"nexod-{inputs.environment.replace('_', '-')}")
    zones = value("zones")
    # Of the controller, where no role of hosts runs.
    version = inputs.value(CONTROLLER, "ecs_service_version")
    image = str(inputs.value(CONTROLLER, "ecs_service_image") or "")
    asked = {
        "region": region,
        "account": value("account"),
        "profile": value("profile"),
        "endpoint_url": value("endpoint_url"),
        "instance": prefix,
    }
    if version and set(tags) & set(OF_THE_IMAGE):
        # Without endpoints, the registry is not known yet.
        own = {"repository": str(value("repository") or f"{prefix}-api"), "tag": str(version)}
        asked |= own if image.startswith(":") or not image else {"image": image}
        # As the endpoints name them (plugin_utils/_aws/endpoints.py).
        asked |= {"cluster": prefix, "service": "api"}
    return {
        "asked": {name: given for name, given in asked.items() if given},
        "environment": inputs.environment,
        "prefix": prefix,
        "zones": [str(zone) for zone in zones] if isinstance(zones, (list, tuple)) else [],
        "cidr": str(value("cidr") or ""),
        "rds_engine_version": str(value("rds_engine_version") or ""),
        "rds_storage_gb": inputs.number(CONTROLLER, "provider_aws_rds_storage_gb"),
        "rds_storage_max_gb": inputs.number(CONTROLLER, "provider_aws_rds_storage_max_gb"),
        # In an emulator there is nobody to notify.
        "subscribed": bool(value("alarm_subscriptions") or value("endpoint_url")),
    }


def judge_aws(wants: Facts, found: Facts) -> list[Fault]:
    """The problems in the answer of aws_info, or that it gave none."""
    if found.get("skipped"):
        return []
    if "account" not in found:
        error = found.get("error") or {}
        cause = str(error.get("cause") or found.get("msg") or "no answer").rstrip(".")
        place = f" ({error['object']})" if error.get("object") else ""
        return [
            Fault("AWS", f"can't be used{place}: {cause}", str(error.get("next_step") or "Correct it, then run again."))
        ]
    faults = [
        Fault("AWS", f"does not say {NAMES[row['about']]}: {row['cause'].rstrip('.')}", row["next_step"])
        for row in found.get("refused", ())
    ]
    region, regions = wants["asked"]["region"], found.get("regions")
    if regions and region not in regions:
        cause = f"is {region}, which is no region that the account {found.get('account')} can use"
        step = f"Set it to one of {_some(regions)}, or enable it in the account's settings."
        return [*faults, Fault("provider_aws_region", cause, step)]
    return [*faults, *_zones(wants, found), *_network(wants, found), *_database(wants, found), *_image(wants, found)]


def _zones(wants: Facts, found: Facts) -> list[Fault]:
    there = found.get("zones")
    lacking = [zone for zone in wants["zones"] if there and zone not in there]
    if not lacking:
        return []
    cause = f"contains {', '.join(lacking)}, which the account has no access to"
    return [Fault("provider_aws_zones", cause, f"Use {_some(there or ())}.")]


def _network(wants: Facts, found: Facts) -> list[Fault]:
    """A network that another VPC has too could never be connected to it. Where ours exists, it can't be changed."""
    rows = found.get("networks") or ()
    own = (wants["prefix"], wants["environment"])
    if not wants["cidr"] or any((row["name"], row["environment"]) == own for row in rows):
        return []
    ours = ipaddress.ip_network(wants["cidr"], strict=False)
    overlapping = [
        f"{cidr} of {row['id']}" + (f" ({row['name']})" if row["name"] else "")
        for row in rows
        for cidr in row["cidrs"]
        if ours.overlaps(ipaddress.ip_network(cidr))
    ]
    if not overlapping:
        return []
    cause = f"is {ours}, which overlaps with {', '.join(overlapping)}; such VPCs can't be peered"
    return [Fault("provider_aws_cidr", cause, "Choose a network that no other VPC of the region has.")]


def _database(wants: Facts, found: Facts) -> list[Fault]:
    faults = []
    offered, version, there = found.get("engine_versions"), wants["rds_engine_version"], found.get("instance") or {}
    majors = {one.partition(".")[0] for one in offered or ()}
    has_it = str(there.get("version", "")).partition(".")[0] == version
    if majors and version and version not in majors and not has_it:
        cause = f"is {version}, which RDS does not offer (any more)"
        step = f"Set it to one of {_some(sorted(majors, key=lambda one: (len(one), one)))}."
        faults.append(Fault("provider_aws_rds_engine_version", cause, step))
    size = there.get("storage_gb")
    most = wants["rds_storage_max_gb"]
    if size and most is not None and size >= most:
        cause = f"is {most}, and the database already has {size} GB"
        faults.append(Fault("provider_aws_rds_storage_max_gb", cause, f"Set it above {size}: RDS storage only grows."))
    return faults


def _image(wants: Facts, found: Facts) -> list[Fault]:
    if found.get("image") != "no":
        return []
    asked = wants["asked"]
    name = asked.get("image") or f"{asked.get('repository')}:{asked.get('tag')}"
    return [
        Fault("the image", f"{name} is not in ECR", "Push it, or deploy a version (backend_version) that is there.")
    ]


def notes(wants: Facts, found: Facts) -> list[str]:
    """What is no problem, but should be known."""
    lines = [f"Not checked, as the emulator can't say it: {NAMES[name]}." for name in found.get("not_checked", ())]
    if not wants.get("subscribed", True):
        cause = "No subscription to the alarms of AWS is declared (provider_aws_alarm_subscriptions)"
        lines.append(f"{cause}: they reach only who has been subscribed otherwise.")
    size, least = (found.get("instance") or {}).get("storage_gb"), wants["rds_storage_gb"]
    if size and least is not None and size > least:
        # Autoscaling does that, and must not end the next deploy.
        cause = f"provider_aws_rds_storage_gb is {least}, and the database has {size} GB, which stay"
        lines.append(f"{cause}: RDS storage grows by itself and never shrinks.")
    return lines


def _some(names: t.Iterable[str]) -> str:
    rows = list(names)
    return ", ".join(rows[:SHOWN]) + (" ..." if len(rows) > SHOWN else "")
