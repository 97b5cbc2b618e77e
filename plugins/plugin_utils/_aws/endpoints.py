# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints of an environment on AWS, from the outputs of its resources."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import known_later
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.alarms import rollout_alarms
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.delivery import PUBLISHED
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import (
    POSTGRESQL,
    REDIS,
    Options,
    Row,
    group,
    poolers,
    private_subnets,
)

#: The domain of what has no address yet.
NOT_CREATED = "not-created-yet.invalid"


def known(outputs: t.Mapping[str, Options], key: str, name: str) -> str:
    """An output, or in check mode when it will be known: a host by a name that can never be resolved (RFC 2606)."""
    kind = key.partition("/")[0].replace("_", "-")
    later = f"{kind}.{NOT_CREATED}" if name in ("host", "private_ip") else known_later(key)
    return str(outputs.get(key, {}).get(name) or later)


def endpoints(outputs: t.Mapping[str, Options], options: Options) -> Row:
    """The endpoints, from the outputs of the declared resources."""
    name = options["prefix"]
    replicas = [f"rds_replica/{name}-replica-{number}" for number in range(1, options["rds_replicas"] + 1)]
    scheme = "https" if options["certificate"] else "http"
    url = options["api_url"] or f"{scheme}://{known(outputs, f'load_balancer/{name}', 'host')}"
    # Of several, the first, as where addresses are given.
    address = next((known(outputs, one, "private_ip") for one in poolers(options)), options["pooler"])
    pooler = {"host": address, "port": options["pooler_port"], "name": options["database_name"]}
    return {
        "database": {
            "host": known(outputs, f"rds_instance/{name}", "host"),
            "port": POSTGRESQL,
            "name": options["database_name"],
            "sslmode": options["rds_sslmode"],
        },
        "replicas": [{"host": known(outputs, one, "host"), "port": POSTGRESQL} for one in replicas],
        "pooler": pooler if address else None,
        "cache": {
            "host": known(outputs, f"cache_replication_group/{name}", "host"),
            "port": REDIS,
            "tls": options["cache_tls"],
            "db": 0,
        },
        "api": {"url": url, "instances": [], "service": tasks(outputs, options)},
        "cdn": cdn(outputs, options),
        "object_store": {
            "bucket": options["uploads_bucket"],
            "endpoint_url": options["endpoint_url"] or f"https://s3.{options['region']}.amazonaws.com",
            "region": options["region"],
        },
    }


def cdn(outputs: t.Mapping[str, Options], options: Options) -> Row | None:
    """The distribution, and the bucket whose files it delivers: what publishing them must know."""
    if not options["cdn"]:
        return None
    key = f"cloudfront_distribution/{options['prefix']}"
    host = options["cdn_domains"][0] if options["cdn_domains"] else known(outputs, key, "host")
    origin = {
        "bucket": options["cdn_bucket"],
        "folder": PUBLISHED,
        "region": options["region"],
        "distribution": known(outputs, key, "id"),
        **{name: options[name] for name in ("endpoint_url", "profile") if options[name]},
    }
    return {"url": f"https://{host}", "origin": origin}


def tasks(outputs: t.Mapping[str, Options], options: Options) -> Row:
    """The ECS service that runs the API: what the rollout must know of it."""
    name = options["prefix"]
    return {
        "name": "api",
        "cluster": name,
        "region": options["region"],
        **{name: options[name] for name in ("endpoint_url", "profile") if options[name]},
        "subnets": [known(outputs, one.removeprefix("@"), "id") for one in private_subnets(options)],
        "security_groups": [known(outputs, group(options, "api").removeprefix("@"), "id")],
        "target_group": known(outputs, f"target_group/{name}-api", "arn"),
        "load_balancer": known(outputs, f"load_balancer/{name}", "arn"),
        "execution_role": known(outputs, f"iam_role/{name}-api-execution", "arn"),
        "task_role": known(outputs, f"iam_role/{name}-api", "arn"),
        "log_group": f"/{name}/api",
        "alarms": rollout_alarms(options),
        "environment_source": known(outputs, f"secret/{name}-api", "arn"),
        **(migrations(outputs, options) if options["migration_secrets"] else {}),
        "repository": known(outputs, f"ecr_repository/{options['repository']}", "url"),
        **({"profiler_image": options["profiler_image"]} if options["profiler_image"] else {}),
    }


def migrations(outputs: t.Mapping[str, Options], options: Options) -> Row:
    """What a task that migrates the schema has instead of what the service's tasks have."""
    name = options["prefix"]
    return {
        "migration_security_groups": [known(outputs, group(options, "migrations").removeprefix("@"), "id")],
        "migration_environment_source": known(outputs, f"secret/{name}-migrations", "arn"),
    }
