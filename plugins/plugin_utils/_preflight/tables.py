# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight must know of the parts: who runs what where, on which port, and what a provider needs.

The one place for these facts; a test holds it against the roles that there are.
"""

from __future__ import annotations

import typing as t

# A role's options are required on the hosts of these groups, and evaluated there. "all" is every host;
# "localhost" the controller.
ROLE_GROUPS: t.Final[dict[str, tuple[str, ...]]] = {
    "alertmanager": ("monitoring",),
    "backend": ("api",),
    "environment": ("all", "localhost"),
    "exporters": ("database", "cache", "pooler", "api", "edge", "monitoring", "grafana"),
    "frontend": ("edge",),
    "grafana": ("grafana",),
    "haproxy": ("edge",),
    "lab_hosts": ("localhost",),
    "lab_postgresql": ("database",),
    "lab_redis": ("cache",),
    "migration_runner": ("migration_runner",),
    "pgbouncer": ("pooler",),
    "prometheus": ("monitoring",),
    "provider_aws": ("localhost",),
    "provider_lab": ("localhost",),
    "provider_supabase": ("localhost",),
    "verify": ("localhost",),
}

# Roles that are a provider's own; with another provider nothing of them is required.
PROVIDER_OF_ROLE: t.Final[dict[str, str]] = {
    "lab_hosts": "lab",
    "lab_postgresql": "lab",
    "lab_redis": "lab",
    "provider_aws": "aws",
    "provider_lab": "lab",
    "provider_supabase": "supabase",
}

# A role whose variables begin with something else than its name.
PREFIX_OF_ROLE: t.Final[dict[str, str]] = {"environment": "infra_"}

# Facts that the collection publishes itself under a checked prefix.
PUBLISHED: t.Final = frozenset({"infra_endpoints"})

# Groups that must have hosts, with the stage that needs them, by provider. AWS hides data layer, API and edge;
# dev (Supabase) migrates from the engineer's machine and deploys nothing else.
NEEDED_GROUPS: t.Final[dict[str, dict[str, str]]] = {
    "lab": {
        "database_primary": "infrastructure",
        "cache": "infrastructure",
        "monitoring": "monitoring",
        "grafana": "monitoring",
        "pooler": "pooler",
        "migration_runner": "migrate",
        "api": "backend",
        "edge": "backend",
    },
    "aws": {
        "monitoring": "monitoring",
        "grafana": "monitoring",
        "pooler": "pooler",
        "migration_runner": "migrate",
    },
    "supabase": {"migration_runner": "migrate"},
}
EMPTY_GROUPS: t.Final[dict[str, tuple[str, ...]]] = {
    "aws": ("database", "cache"),
    "supabase": ("database", "cache", "pooler"),
}
KNOWN_GROUPS: t.Final = frozenset(
    {
        "all",
        "api",
        "cache",
        "database",
        "database_primary",
        "database_replica",
        "edge",
        "grafana",
        "migration_runner",
        "monitoring",
        "pooler",
        "ungrouped",
    }
)

# Environment-wide secrets that are needed, by provider.
_ALL_SECRETS = (
    "infra_database_owner_password",
    "infra_database_app_password",
    "infra_database_monitor_password",
    "infra_cache_password",
)
NEEDED_SECRETS: t.Final[dict[str, tuple[str, ...]]] = {
    "lab": _ALL_SECRETS,
    "aws": _ALL_SECRETS,
    "supabase": ("infra_database_owner_password",),
}


class Port(t.NamedTuple):
    """A port that a role listens on: the option that sets it, the units that may hold it, and whether it is wanted.

    `enabled` is a list option and the member without which the port is not used.
    """

    option: str
    units: tuple[str, ...]
    enabled: tuple[str, str] | None = None


def _exporter(name: str) -> Port:
    return Port(f"exporters_{name}_port", (f"prometheus-{name}-exporter.service",), ("exporters_enabled", name))


# What each role wants to listen on.
ROLE_PORTS: t.Final[dict[str, tuple[Port, ...]]] = {
    "alertmanager": (Port("alertmanager_port", ("prometheus-alertmanager.service",)),),
    "backend": (Port("backend_port", ("api.service",)),),
    "exporters": tuple(map(_exporter, ("node", "postgres", "redis", "pgbouncer", "blackbox"))),
    "frontend": (Port("frontend_port", ("nginx.service",)),),
    "grafana": (Port("grafana_port", ("grafana-server.service",)),),
    "haproxy": (Port("haproxy_port", ("haproxy.service",)), Port("haproxy_metrics_port", ("haproxy.service",))),
    "lab_postgresql": (Port("lab_postgresql_port", ("postgresql@*.service",)),),
    "lab_redis": (Port("lab_redis_port", ("redis-server.service",)),),
    "pgbouncer": (Port("pgbouncer_port", ("pgbouncer.service",)),),
    "prometheus": (Port("prometheus_port", ("prometheus.service",)),),
}

# Options that name a file or folder on the controller, each with what brings it there.
CONTROLLER_FILES: t.Final[dict[str, str]] = {
    "backend_archive": "Build the release (examples/api/build.py VERSION), or name one that is built.",
    "frontend_source": "Name the folder of the static files.",
    "grafana_package_path": "Name Grafana's Debian package, or leave it empty.",
    "grafana_stand_in_path": "Name the stand-in's program.",
    "migration_runner_archive": "Build the release (examples/api/build.py VERSION), or name one that is built.",
}

# Debian releases on which every role is tested.
SUPPORTED_RELEASES: t.Final[dict[str, tuple[str, ...]]] = {"debian": ("bookworm", "trixie", "forky")}
# What ansible-core 2.19 asks of a host.
MINIMUM_PYTHON: t.Final = (3, 8)


class Credential(t.NamedTuple):
    """A way to prove who one is: all of `variables` in the environment, or one of `files` in place."""

    variables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


# By provider: what must be there, the ways to have it (any one is enough) and what to do where it is missing.
class Need(t.NamedTuple):
    """Something the provider's API asks for."""

    subject: str
    ways: tuple[Credential, ...]
    next_step: str


PROVIDER_NEEDS: t.Final[dict[str, tuple[Need, ...]]] = {
    "lab": (),
    "aws": (
        Need(
            "AWS credentials",
            (
                Credential(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
                Credential(("AWS_PROFILE",)),
                Credential(("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")),
                Credential(("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",)),
                Credential(("AWS_CONTAINER_CREDENTIALS_FULL_URI",)),
                Credential(files=("~/.aws/credentials", "~/.aws/config")),
            ),
            "Export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run `aws configure`.",
        ),
    ),
    "supabase": (
        Need(
            "Supabase access token",
            (Credential(("SUPABASE_ACCESS_TOKEN",)), Credential(files=("~/.supabase/access-token",))),
            "Export SUPABASE_ACCESS_TOKEN (made at supabase.com/dashboard/account/tokens).",
        ),
    ),
}
