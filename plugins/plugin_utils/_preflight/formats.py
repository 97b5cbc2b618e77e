# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of a text that names something: a URL, a network, an address, a database.

What an option holds follows from the last word of its name, which is the same in all roles: ``_url``, ``_networks``,
``_listen_address``, ``_host``. An empty text is no value, and never wrong here.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._cache.address import read_url
from ansible_collections.nexod.infra.plugins.module_utils._core import durations
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Check = t.Callable[[str], str]

WEB: t.Final = ("http", "https")
# Where a package can be taken from: what apt and ansible.builtin.get_url can read besides the web.
PACKAGES: t.Final = (*WEB, "ftp", "file")
#: Keywords of pg_hba.conf in place of a network.
PG_HBA_WORDS: t.Final = ("all", "samehost", "samenet")
_NAME: t.Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.$@-]{0,62}")
_HOST_NAME: t.Final = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)


def url(value: str, schemes: t.Sequence[str] = WEB) -> str:
    """What is wrong with a URL; empty if nothing is."""
    expected = f"a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)} and names a host"
    try:
        parts = urllib.parse.urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return expected
    if parts.scheme not in schemes or re.search(r"[\s\x00-\x1f]", value):
        return expected
    if parts.scheme == "file":
        return "" if parts.path.startswith("/") else expected
    return "" if host and not address(host) else expected


def package_url(value: str) -> str:
    return url(value, PACKAGES)


def cache_url(value: str) -> str:
    """A URL of a Redis or Valkey. The reason is not repeated: it could contain a part of a password."""
    try:
        read_url(value)
    except InfraError:
        return "a URL such as rediss://user@host:6379/0, with the user and password percent-encoded"
    return ""


def network(value: str) -> str:
    """An IPv4 or IPv6 network with its length. Python also takes a netmask, PostgreSQL does not."""
    expected = "a network in CIDR notation, such as 192.0.2.0/24"
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return expected
    return "" if re.search(r"/\d+$", value) else expected


def network_or_word(value: str) -> str:
    return "" if value in PG_HBA_WORDS else network(value) and f"{network(value)}, or {', '.join(PG_HBA_WORDS)}"


def address(value: str) -> str:
    """A host name or IP address, without scheme and port."""
    expected = "an IP address or a host name, without scheme and port"
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    # What only has digits and dots is meant as an IPv4 address: 10.0.0.256 is no host name.
    if ":" in bare or re.fullmatch(r"[\d.]+", bare):
        try:
            ipaddress.ip_address(bare.partition("%")[0])
        except ValueError:
            return expected
        return ""
    return "" if _HOST_NAME.fullmatch(bare) and len(bare) <= 253 else expected


def address_or_star(value: str) -> str:
    return "" if value == "*" else address(value)


def address_or_directory(value: str) -> str:
    """As libpq and PgBouncer take it: a path is the directory of a Unix socket."""
    return "" if value.startswith("/") else address(value)


def addresses_or_directory(value: str) -> str:
    """Several hosts after one another, as PgBouncer takes them."""
    return next((expected for part in value.split(",") if (expected := address_or_directory(part.strip()))), "")


def domain(value: str) -> str:
    return address(value) and "a domain, without scheme, port and path"


def database_name(value: str) -> str:
    """A name that PostgreSQL, PgBouncer, URLs and file names all take without quoting."""
    if value == "*" or _NAME.fullmatch(value):
        return ""
    return "1 to 63 letters (a to z), digits and characters of _ . $ @ -, beginning with a letter or _"


def duration(value: str) -> str:
    """As ``nexod.infra.durations`` describes it; never negative."""
    try:
        durations.seconds(value, "")
    except InfraError:
        return "a duration such as 300, 200ms, 60s, 5m or 1h"
    return ""


def like(pattern: str, expected: str) -> Check:
    """The check of a text by a regular expression."""
    compiled = re.compile(pattern)
    return lambda value: "" if compiled.fullmatch(value) else expected


haproxy_time: t.Final = like(r"\d+(us|ms|s|m|h|d)?", "a time in HAProxy's format, such as 500ms or 10s")

policy_arn: t.Final = like(r"arn:[\w-]+:iam::(\d{12}|aws):policy/\S+", "the ARN of a policy of IAM")

# The whole name of an option, or of one in the rows of a list (`[].name`), comes before its last word.
BY_NAME: t.Final[dict[str, Check]] = {
    "caches_redis.url": cache_url,
    "grafana_package_url": package_url,
    "grafana_repository.url": package_url,
    "infra_domain": domain,
    "infra_database_name": database_name,
    "infra_database_owner_user": database_name,
    "infra_database_app_user": database_name,
    "infra_database_app_retiring_user": database_name,
    "infra_database_app_retired_users": database_name,
    "infra_database_monitor_user": database_name,
    "infra_database_admin_user": database_name,
    "database_access_user": database_name,
    "database_access_database": database_name,
    "database_access_roles.name": database_name,
    "database_access_databases.name": database_name,
    "provider_aws_permissions_boundary": policy_arn,
    "provider_hosts_database_name": database_name,
    "postgresql_databases.name": database_name,
    "postgresql_roles.name": database_name,
    "postgresql_replication_user": database_name,
    "postgresql_networks": network_or_word,
    "pgbouncer_databases.host": addresses_or_directory,
    "pgbouncer_databases.name": database_name,
    "pgbouncer_databases.dbname": database_name,
    "pgbouncer_databases.user": database_name,
    "pgbouncer_users.name": database_name,
    "pgbouncer_other_hosts": address,
    "migration_runner_database.host": address_or_directory,
    "migration_runner_database.name": database_name,
    "migration_runner_database.user": database_name,
    "migration_runner_rehearsal_database.host": address_or_directory,
    "migration_runner_rehearsal_database.name": database_name,
    "migration_runner_rehearsal_database.user": database_name,
    "exporters_postgres_server_host": address_or_directory,
    "exporters_postgres_server_database": database_name,
    "exporters_postgres_user": database_name,
    "exporters_pgbouncer_user": database_name,
    # Text of another kind: a header, and a host of the inventory.
    "caches_deadline": duration,
    "caches_patience": duration,
    "migration_runner_lock_wait": duration,
    "migration_runner_lock_timeout": duration,
    "migration_runner_statement_timeout": duration,
    "migration_runner_timeout": duration,
    "haproxy_check_interval": haproxy_time,
    "haproxy_check_fast_interval": haproxy_time,
    "haproxy_check_timeout": haproxy_time,
    "haproxy_timeouts.connect": haproxy_time,
    "haproxy_timeouts.http_request": haproxy_time,
    "haproxy_timeouts.http_keep_alive": haproxy_time,
    "haproxy_timeouts.queue": haproxy_time,
    "haproxy_check_status": like(r"[1-5]\d\d([-,][1-5]\d\d)*", "an HTTP status, or a range such as 200-399"),
    "prometheus_retention_size": like(r"\d+(B|[KMGTPE]B)", "a size such as 20GB"),
    "pgbouncer_socket_mode": like(r"0?[0-7]{3}", "a mode in octal, such as 0770"),
    "haproxy_check_host": lambda _value: "",
    "verify_prometheus_host": lambda _value: "",
}
BY_LAST_WORDS: t.Final[tuple[tuple[re.Pattern[str], Check], ...]] = (
    (re.compile(r"(^|[_.])(urls?|mirror)$"), url),
    (re.compile(r"(^|_)(subnets?|networks?|cidrs?)$"), network),
    (re.compile(r"(^|_)listen_address(es)?$"), address_or_star),
    (re.compile(r"(^|[_.])host$"), address),
)
#: Options whose name ends like one of these, and that hold something else.
NEVER: t.Final = frozenset({"lab_hosts_network"})


def check_of(option: str) -> Check | None:
    """The check of an option by its name: `pgbouncer_port`, or `pgbouncer_databases.host` in a list or mapping."""
    if option in NEVER:
        return None
    if option in BY_NAME:
        return BY_NAME[option]
    return next((check for pattern, check in BY_LAST_WORDS if pattern.search(option)), None)
