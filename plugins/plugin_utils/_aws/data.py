# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data layer: RDS for PostgreSQL with its replicas, and ElastiCache."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import Options, Row, group, private_subnets, row


def database(options: Options) -> list[Row]:
    """RDS for PostgreSQL: a primary with standby where asked, and its read replicas."""
    name, version = options["prefix"], options["rds_engine_version"]
    password = {"password": "database"} if options["rds_password"] else {}
    rows = [
        row("rds_subnet_group", name, description="Private subnets", subnets=private_subnets(options)),
        row(
            "rds_parameter_group",
            f"{name}-postgres{version}",
            family=f"postgres{version}",
            description="What migrations and monitoring need",
            parameters=options["rds_parameters"],
        ),
        row(
            "rds_instance",
            name,
            engine_version=str(version),
            instance_class=options["rds_instance_class"],
            database=options["database_name"],
            user=options["rds_user"],
            **password,
            storage_gb=options["rds_storage_gb"],
            storage_max_gb=options["rds_storage_max_gb"],
            storage_type=options["rds_storage_type"],
            multi_az=options["rds_multi_az"],
            backup_days=options["rds_backup_days"],
            encrypted=options["rds_encrypted"],
            public=options["rds_public"],
            deletion_protection=options["rds_deletion_protection"],
            apply_immediately=options["apply_immediately"],
            subnet_group=f"@rds_subnet_group/{name}",
            parameter_group=f"@rds_parameter_group/{name}-postgres{version}",
            security_groups=[group(options, "database")],
        ),
    ]
    replicas = [
        row(
            "rds_replica",
            f"{name}-replica-{number}",
            source=f"@rds_instance/{name}",
            instance_class=options["rds_instance_class"],
            public=options["rds_public"],
            security_groups=[group(options, "database")],
            apply_immediately=options["apply_immediately"],
        )
        for number in range(1, options["rds_replicas"] + 1)
    ]
    return rows + replicas


def cache(options: Options) -> list[Row]:
    """ElastiCache: a primary, and replicas in other zones that take its place."""
    name, replicas = options["prefix"], options["cache_replicas"]
    token = {"auth_token": "cache"} if options["cache_tls"] else {}
    return [
        row("cache_subnet_group", name, description="Private subnets", subnets=private_subnets(options)),
        row(
            "cache_replication_group",
            name,
            engine=options["cache_engine"],
            engine_version=options["cache_engine_version"],
            node_type=options["cache_node_type"],
            replicas=replicas,
            automatic_failover=replicas > 0,
            multi_az=replicas > 0,
            subnet_group=f"@cache_subnet_group/{name}",
            security_groups=[group(options, "cache")],
            tls=options["cache_tls"],
            **token,
            snapshot_days=options["cache_snapshot_days"],
            apply_immediately=options["apply_immediately"],
        ),
    ]
