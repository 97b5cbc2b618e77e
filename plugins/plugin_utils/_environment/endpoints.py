# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The type of the endpoints, the only structure that the infrastructure stage passes to the others."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.specs import misfits

_PORT = {"type": "int", "required": True, "description": "TCP port."}
_HOST = {"type": "str", "required": True, "description": "Address or name, without port or scheme."}
_URL = {"type": "str", "required": True, "description": "Where users reach it, without a slash at its end."}
_SSLMODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

_SERVICE = (
    ("name", "str", "Name of the service."),
    ("cluster", "str", "Name of its cluster."),
    ("region", "str", "AWS region."),
    ("endpoint_url", "str", "URL of the API of AWS, if it is not Amazon's."),
    ("profile", "str", "Profile of the AWS configuration, unless boto3 finds the credentials."),
    ("subnets", "list", "Ids of the subnets of the tasks."),
    ("security_groups", "list", "Ids of the security groups of the tasks."),
    ("target_group", "str", "ARN of the target group."),
    ("load_balancer", "str", "ARN of the load balancer."),
    ("execution_role", "str", "ARN of the role that ECS takes to start a task."),
    ("task_role", "str", "ARN of the role of the application."),
    ("log_group", "str", "Log group of CloudWatch Logs."),
    ("alarms", "list", "Names of the CloudWatch alarms that end a rollout."),
    ("environment_source", "str", "ARN of what the secrets of the application are read from."),
    ("repository", "str", "URL of the image's repository."),
    ("profiler_image", "str", "Image of the container that profiles the application."),
    ("migration_security_groups", "list", "Ids of the security groups of a task that migrates the schema."),
    ("migration_environment_source", "str", "ARN of what the secrets of such a task are read from."),
)

_ORIGIN = (
    ("bucket", "str", "Its name."),
    ("folder", "str", "Its folder that is delivered."),
    ("region", "str", "AWS region."),
    ("distribution", "str", "Id of the distribution of CloudFront."),
    ("endpoint_url", "str", "URL of the API of AWS, if it is not Amazon's."),
    ("profile", "str", "Profile of the AWS configuration, unless boto3 finds the credentials."),
)

_MAY_LACK = (
    "endpoint_url",
    "profile",
    "alarms",
    "migration_security_groups",
    "migration_environment_source",
    "profiler_image",
)

ENDPOINTS: t.Final[dict[str, dict[str, t.Any]]] = {
    "database": {
        "type": "dict",
        "required": True,
        "description": "The primary, direct.",
        "options": {
            "host": _HOST,
            "port": _PORT,
            "name": {"type": "str", "required": True, "description": "Database name."},
            "sslmode": {"type": "str", "required": True, "choices": _SSLMODES, "description": "libpq's word."},
            "user_suffix": {
                "type": "str",
                "description": "What follows the name of each user, where a pooler asks for it.",
            },
            "exposed_schemas": {"type": "list", "elements": "str", "description": "Schemas that a public API serves."},
            "closed_schemas": {"type": "list", "elements": "str", "description": "Those without rights for its roles."},
            "ignored_schemas": {"type": "list", "elements": "str", "description": "Schemas that are the provider's."},
            "ca_file": {
                "type": "str",
                "description": "File on the migration runner with the authority of its certificate.",
            },
        },
    },
    "replicas": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "description": "Read-only copies; may be empty.",
        "options": {"host": _HOST, "port": _PORT},
    },
    "pooler": {
        "type": "dict",
        "required": True,
        "description": "What the application connects to; null where there is none.",
        "options": {
            "host": _HOST,
            "port": _PORT,
            "name": {"type": "str", "required": True, "description": "Database name."},
        },
    },
    "cache": {
        "type": "dict",
        "required": True,
        "description": "Redis.",
        "options": {
            "host": _HOST,
            "port": _PORT,
            "tls": {"type": "bool", "required": True, "description": "Whether it uses TLS."},
            "db": {"type": "int", "required": True, "description": "Number of the logical database."},
        },
    },
    "api": {
        "type": "dict",
        "required": True,
        "description": "The API.",
        "options": {
            "url": _URL,
            "instances": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "description": "Instances; empty where the provider hides them.",
                "options": {
                    "name": {"type": "str", "required": True, "description": "Instance name."},
                    "host": _HOST,
                    "port": _PORT,
                },
            },
            "service": {
                "type": "dict",
                "description": "The service of Amazon ECS whose tasks serve, instead of hosts.",
                "options": {
                    name: {"type": kind, "required": name not in _MAY_LACK, "description": description}
                    for name, kind, description in _SERVICE
                },
            },
        },
    },
    "cdn": {
        "type": "dict",
        "required": True,
        "description": "Static files.",
        "options": {
            "url": _URL,
            "origin": {
                "type": "dict",
                "description": "The bucket of S3 whose files are delivered, instead of those of hosts.",
                "options": {
                    name: {"type": kind, "required": name not in _MAY_LACK, "description": description}
                    for name, kind, description in _ORIGIN
                },
            },
        },
    },
    "object_store": {
        "type": "dict",
        "required": True,
        "description": "Uploads.",
        "options": {
            "bucket": {"type": "str", "required": True, "description": "Bucket name."},
            "endpoint_url": {"type": "str", "required": True, "description": "URL of the S3 API."},
            "region": {"type": "str", "required": True, "description": "Region of the bucket."},
        },
    },
}
# What an environment may lack (with Supabase, cache and pooler). It is null then, never omitted.
NULLABLE: t.Final = ("pooler", "cache", "api", "cdn", "object_store")

# Supabase's pooler; https://supabase.com/docs/guides/database/connecting-to-postgres
_SESSION_PORT, _TRANSACTION_PORT = 5432, 6543
_SECRET = re.compile(r"passw|secret|token|credential", re.IGNORECASE)


def endpoint_faults(endpoints: object) -> list[str]:
    """All problems of `endpoints` as sentences; empty if it is valid."""
    if not isinstance(endpoints, t.Mapping):
        return [f"infra_endpoints must be a mapping, not {type(endpoints).__name__}"]
    null = {key for key in NULLABLE if key in endpoints and endpoints[key] is None}
    given = {key: value for key, value in endpoints.items() if key not in null}
    options = {key: spec for key, spec in ENDPOINTS.items() if key not in null}
    found = [
        f"{fault.where.lstrip('.')}: {fault.cause}" for fault in misfits(given, {"type": "dict", "options": options})
    ]
    found += [f"{where}: secrets are not allowed in the endpoints" for where in _secrets(endpoints)]
    found += [f"{where}: {value} is not a valid port" for where, value in _ports(endpoints)]
    found += [f"{where}: {_shown_url(value)} {fault}" for where, value, fault in _urls(endpoints)]
    found += [f"{where}: {cause}; {next_step}" for where, cause, next_step in transaction_mode(endpoints)]
    return [text.removeprefix(": ") for text in found]


def _walk(value: object, where: str = "") -> t.Iterator[tuple[str, str, object]]:
    """(path, last key, value) of every leaf and branch below `value`."""
    if isinstance(value, t.Mapping):
        for key, below in value.items():
            path = f"{where}.{key}".lstrip(".")
            yield path, str(key), below
            yield from _walk(below, path)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _walk(below, f"{where}[{index}]")


def _secrets(endpoints: object) -> list[str]:
    return [path for path, key, value in _walk(endpoints) if _SECRET.search(key)] + [
        path
        for path, key, value in _walk(endpoints)
        if isinstance(value, str) and re.search(r"://[^/@\s]*:[^/@\s]*@", value)
    ]


def _ports(endpoints: object) -> list[tuple[str, object]]:
    return [
        (path, value)
        for path, key, value in _walk(endpoints)
        if key == "port" and str(value).lstrip("-").isdigit() and not 0 < int(str(value)) < 65536
    ]


def transaction_mode(value: object) -> list[tuple[str, str, str]]:
    """Path, problem and next step of each address of Supabase's pooler in transaction mode."""
    places = [("", "", value), *_walk(value)]
    return [
        (
            f"{path}.port".lstrip("."),
            f"{_TRANSACTION_PORT} at {where['host']} is transaction mode, in which locks and settings of migrations do "
            "not hold",
            f"use session mode, which is port {_SESSION_PORT} of the same host",
        )
        for path, _key, where in places
        if isinstance(where, t.Mapping)
        and str(where.get("port")) == str(_TRANSACTION_PORT)
        and str(where.get("host", "")).endswith((".supabase.com", ".supabase.co"))
    ]


def _urls(endpoints: object) -> list[tuple[str, str, str]]:
    found = []
    for path, key, value in _walk(endpoints):
        if key == "url" and isinstance(value, str) and value:
            if not re.match(r"https?://[^/]", value):
                found.append((path, value, "is not an http or https URL"))
            elif value.endswith("/"):
                found.append((path, value, "ends with a slash"))
    return found


def _shown_url(url: str) -> str:
    return re.sub(r"://[^/@\s]*@", "://***@", url)


# Used to evaluate templates before the infrastructure exists: valid endpoints, reserved host names (RFC 2606).
PLACEHOLDER: t.Final[dict[str, t.Any]] = {
    "database": {"host": "database.invalid", "port": 5432, "name": "app", "sslmode": "prefer"},
    "replicas": [{"host": "replica.invalid", "port": 5432}],
    "pooler": {"host": "pooler.invalid", "port": 6432, "name": "app"},
    "cache": {"host": "cache.invalid", "port": 6379, "tls": False, "db": 0},
    "api": {"url": "http://api.invalid", "instances": [{"name": "api-1", "host": "api-1.invalid", "port": 8000}]},
    "cdn": {"url": "http://cdn.invalid"},
    "object_store": {"bucket": "uploads", "endpoint_url": "http://store.invalid", "region": "us-east-1"},
}
