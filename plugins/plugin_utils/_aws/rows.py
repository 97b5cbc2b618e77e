# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of an environment's declaration share: a row, and references to networks and groups."""

from __future__ import annotations

import ipaddress
import typing as t

Options = t.Mapping[str, t.Any]
Row = dict[str, t.Any]
#: Each zone gets a public and a private subnet of this size.
SUBNET_BITS = 24
#: Private subnets follow after this many, so that zones can be added.
PRIVATE_FROM = 128
POSTGRESQL, REDIS = 5432, 6379
#: Of the policy language.
POLICY_VERSION = "2012-10-17"


def row(kind: str, name: str, **properties: t.Any) -> Row:
    return {"kind": kind, "name": name, "properties": properties}


def zone_of(zone: str) -> str:
    """The letter of a zone, by which the resources in it are named: us-east-1a -> a."""
    return zone[-1]


def subnets(options: Options) -> list[tuple[str, str, str, str]]:
    """Of each zone: its name, its letter, the public and the private subnet."""
    blocks = list(ipaddress.ip_network(options["cidr"]).subnets(new_prefix=SUBNET_BITS))
    private = blocks[min(PRIVATE_FROM, len(blocks) // 2) :]
    return [
        (zone, zone_of(zone), str(blocks[number]), str(private[number])) for number, zone in enumerate(options["zones"])
    ]


def private_subnets(options: Options) -> list[str]:
    return [f"@subnet/{options['prefix']}-private-{zone_of(zone)}" for zone in options["zones"]]


def public_subnets(options: Options) -> list[str]:
    return [f"@subnet/{options['prefix']}-public-{zone_of(zone)}" for zone in options["zones"]]


def poolers(options: Options) -> list[str]:
    """The declared hosts that are poolers, as keys."""
    return [f"ec2_instance/{host['name']}" for host in options["hosts"] if "pooler" in (host.get("groups") or ())]


def has_pooler(options: Options) -> bool:
    """Whether the API's tasks connect to a pooler: a declared one, or one whose address is given."""
    return bool(poolers(options) or options["pooler"])


def group(options: Options, part: str) -> str:
    """A reference to the security group of a part."""
    return f"@security_group/{options['prefix']}-{part}"


def allow(actions: str | list[str], resource: str, **conditions: t.Any) -> Row:
    """A statement of a policy."""
    return {
        "Effect": "Allow",
        "Action": actions,
        "Resource": resource,
        **({"Condition": conditions} if conditions else {}),
    }


def policies(name: str, statements: list[Row]) -> Row:
    """A policy of a role, by its name."""
    return {name: {"Version": POLICY_VERSION, "Statement": statements}}


def place(options: Options) -> str:
    """Region and account, as they stand in an ARN."""
    return f"{options['region']}:{options['account'] or '*'}"
