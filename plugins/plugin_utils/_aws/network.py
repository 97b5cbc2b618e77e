# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VPC, its subnets and ways, and who may connect to what."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import (
    POSTGRESQL,
    REDIS,
    Options,
    Row,
    group,
    has_pooler,
    row,
    subnets,
)

ANYWHERE = "0.0.0.0/0"


def network(options: Options) -> list[Row]:
    """The VPC, a public and a private subnet in each zone, and the ways to the Internet and to S3."""
    name = options["prefix"]
    zones = subnets(options)
    # One gateway in the first zone, or one in each.
    letters = [letter for _zone, letter, _public, _private in zones][: options["nat_gateways"]]
    vpc = f"@vpc/{name}"
    rows = [row("vpc", name, cidr=options["cidr"]), row("internet_gateway", name, vpc=vpc)]
    for zone, letter, public, private in zones:
        rows += [
            row("subnet", f"{name}-public-{letter}", vpc=vpc, cidr=public, zone=zone),
            row("subnet", f"{name}-private-{letter}", vpc=vpc, cidr=private, zone=zone),
        ]
    for letter in letters:
        rows += [
            row("elastic_ip", f"{name}-nat-{letter}"),
            row(
                "nat_gateway",
                f"{name}-{letter}",
                subnet=f"@subnet/{name}-public-{letter}",
                address=f"@elastic_ip/{name}-nat-{letter}",
            ),
        ]
    rows.append(
        row(
            "route_table",
            f"{name}-public",
            vpc=vpc,
            subnets=[f"@subnet/{name}-public-{letter}" for _zone, letter, _public, _private in zones],
            routes=[{"to": ANYWHERE, "via": f"@internet_gateway/{name}"}],
        )
    )
    for _zone, letter, _public, _private in zones:
        gateway = letter if letter in letters else (letters or [""])[0]
        rows.append(
            row(
                "route_table",
                f"{name}-private-{letter}",
                vpc=vpc,
                subnets=[f"@subnet/{name}-private-{letter}"],
                routes=[{"to": ANYWHERE, "via": f"@nat_gateway/{name}-{gateway}"}] if gateway else [],
            )
        )
    tables = [f"@route_table/{name}-private-{letter}" for _zone, letter, _public, _private in zones]
    rows.append(row("gateway_endpoint", f"{name}-s3", vpc=vpc, service="s3", route_tables=tables))
    return rows


def security_groups(options: Options) -> list[Row]:
    """What must pass, and nothing else: who may connect to each part, and on which ports."""
    name, vpc, api = options["prefix"], f"@vpc/{options['prefix']}", options["api_port"]
    edge = [80, 443] if options["certificate"] else [80]
    # The hosts, from which Prometheus scrapes each task, are in the private subnets; two groups can't name each other.
    private = [block for _zone, _letter, _public, block in subnets(options)]
    migrations = ["migrations"] if options["migration_secrets"] else []
    clients = ["hosts", *([] if has_pooler(options) else ["api"]), *migrations]
    ways: dict[str, tuple[str, list[tuple[t.Any, str]]]] = {
        "edge": ("The load balancer", [(port, ANYWHERE) for port in edge]),
        "api": ("The API's tasks", [(api, group(options, "edge")), *((api, block) for block in private)]),
        # Hosts reach each other on every port: exporters, Alertmanager, Grafana's data sources.
        "hosts": (
            "Poolers, migration runner, monitoring",
            [
                (options["pooler_port"], group(options, "api")),
                ("0-65535", "self"),
                *((22, block) for block in options["hosts_ssh_from"]),
            ],
        ),
        "database": ("PostgreSQL", [(POSTGRESQL, group(options, part)) for part in clients]),
        "cache": ("Redis", [(REDIS, group(options, part)) for part in ("hosts", "api")]),
    }
    if migrations:
        ways["migrations"] = ("Tasks that migrate the schema; nothing connects to them", [])
    return [
        row(
            "security_group",
            f"{name}-{part}",
            vpc=vpc,
            description=description,
            ingress=[{"ports": port, "from": source} for port, source in rules],
        )
        for part, (description, rules) in ways.items()
    ]
