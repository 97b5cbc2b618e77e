# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight of values that have the right type but contradict each other.

Each rule is a function from all inputs to a list of problems, and is listed in `RULES`. A rule skips values that are
missing or invalid: those are reported elsewhere.
"""

from __future__ import annotations

import base64
import collections
import ipaddress
import itertools
import posixpath
import re
import string
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.subscriptions import PROTOCOLS, revealed
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_env import IGNORE
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_project import DASHBOARD, REF
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_seeds import ENVIRONMENT
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.alarms import by_name, subscriptions
from ansible_collections.nexod.infra.plugins.plugin_utils._environment.endpoints import transaction_mode
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.connections import budget_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import (
    CONTROLLER,
    EvaluationError,
    Fault,
    HostInputs,
    Inputs,
    mentions,
    missing_next_step,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.specs import is_missing
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.tables import CONTROLLER_FILES, NEEDED_SECRETS
from ansible_collections.nexod.infra.plugins.plugin_utils._service import firewall
from ansible_collections.nexod.infra.plugins.plugin_utils._service.bcrypt import LONGEST
from ansible_collections.nexod.infra.plugins.plugin_utils._service.web import SHORTEST


def environment_is_named(inputs: Inputs) -> list[Fault]:
    """The name becomes part of file names, labels and lock files; the provider is one that there is a role for."""
    found = []
    if inputs.environment and not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", inputs.environment):
        cause = f"is {inputs.environment!r}"
        step = "Use lower-case letters, digits, hyphens and underscores, at most 63, beginning with a letter or digit."
        found.append(Fault("infra_environment", cause, step))
    return found


def supabase_is_reachable(inputs: Inputs) -> list[Fault]:
    """The project is named; no declared address is its pooler's in transaction mode."""
    found = []
    if inputs.provider == "supabase" and not inputs.value(CONTROLLER, "infra_endpoints_declared"):
        name = "provider_supabase_project"
        ref = str(inputs.value(CONTROLLER, name) or "")
        raw = inputs.hosts[CONTROLLER].raw.get(name) if CONTROLLER in inputs.hosts else None
        if not ref and (CONTROLLER, name) not in inputs.faulty:
            found.append(Fault(name, "is empty", missing_next_step(raw, name)))
        elif ref and not re.fullmatch(REF, ref):
            step = f"Copy it from the address of the project in the dashboard: {DASHBOARD}/REF."
            found.append(Fault(name, f"is {ref!r}, and a ref is 20 lower-case letters", step))
    for (_host, name), value in sorted(inputs.values.items(), key=lambda item: item[0]):
        if name in ("infra_endpoints_declared", "migration_runner_database", "provider_supabase_endpoints_declared"):
            found += [
                Fault(f"{name}.{where}", f"is {cause}", f"{step[0].upper()}{step[1:]}.")
                for where, cause, step in transaction_mode(value)
            ]
    return found


def seeds_are_for_dev(inputs: Inputs) -> list[Fault]:
    """Seed data in no other environment, and each file with a name of its own, by which it is recorded."""
    name = "provider_supabase_seeds"
    rows = inputs.value(CONTROLLER, name) if inputs.provider == "supabase" else None
    if not isinstance(rows, list) or not rows:
        return []
    found = []
    if inputs.environment != ENVIRONMENT:
        cause = f"is declared for {inputs.environment}, and only {ENVIRONMENT} is seeded"
        found.append(Fault(name, cause, f"Remove it; it belongs in the inventory of {ENVIRONMENT} only."))
    files = [posixpath.basename(str(row.get("file"))) for row in rows if isinstance(row, dict)]
    for file, times in collections.Counter(files).items():
        if times > 1:
            step = "Rename them: a file is recorded by its name without the folder."
            found.append(Fault(name, f"has {times} files of the name {file}", step))
    return found


class _Row(t.NamedTuple):
    """A row of the latency table, with the name that problems refer to."""

    name: str
    metric: str
    quantile: float
    target: float
    alert: float


def _latency_rows(inputs: Inputs) -> list[_Row]:
    table = inputs.value(CONTROLLER, "infra_latency_targets")
    return [
        _Row(
            f"infra_latency_targets[{index}]",
            str(row["metric"]),
            float(row["quantile"]),
            float(row["target_seconds"]),
            float(row["alert_seconds"]),
        )
        for index, row in enumerate(table if isinstance(table, list) else [])
    ]


def latency_targets(inputs: Inputs) -> list[Fault]:
    """Each row: a quantile between 0 and 1, a target above 0 and below its alert."""
    found = []
    for row in _latency_rows(inputs):
        if not 0 < row.quantile < 1:
            cause = f"has the quantile {row.quantile:g}"
            found.append(Fault(row.name, cause, "Set a quantile between 0 and 1, such as 0.95."))
        if row.target <= 0:
            found.append(Fault(row.name, f"has the target {row.target:g} s", "Set a target above 0."))
        if row.target >= row.alert:
            cause = f"has a target ({row.target:g} s) that is not below its alert ({row.alert:g} s) for {row.metric}"
            found.append(Fault(row.name, cause, "Raise alert_seconds above target_seconds."))
    return found


def latency_rows_agree(inputs: Inputs) -> list[Fault]:
    """No duplicate rows; for one metric, a higher quantile has a longer target."""
    rows = _latency_rows(inputs)
    found = []
    for (metric, quantile), times in collections.Counter((row.metric, row.quantile) for row in rows).items():
        if times > 1:
            cause = f"has {times} rows for {metric} at the quantile {quantile:g}"
            found.append(Fault("infra_latency_targets", cause, "Keep one of them."))
    for low, high in itertools.permutations(rows, 2):
        if low.metric == high.metric and low.quantile < high.quantile and low.target > high.target:
            cause = (
                f"has a shorter target for {high.metric} at the quantile {high.quantile:g} ({high.target:g} s)"
                f" than at {low.quantile:g} ({low.target:g} s)"
            )
            found.append(Fault(high.name, cause, "Give the higher quantile the longer target."))
    return found


def database_users_differ(inputs: Inputs) -> list[Fault]:
    """A role that is used for two purposes has the rights of both."""
    names = [f"infra_database_{user}_user" for user in ("owner", "app", "app_retiring", "monitor")]
    users = {name: inputs.value(CONTROLLER, name) for name in names}
    return [
        Fault(second, f"is the same role as {first}", "Give each its own role: their rights differ.")
        for first, second in itertools.combinations(names, 2)
        if users[first] and users[first] == users[second]
    ]


def accounts_in_turn(inputs: Inputs) -> list[Fault]:
    """The application's former accounts: one that retires has its password, and one in use is not retired."""
    found = []
    retiring, retired = "infra_database_app_retiring_user", "infra_database_app_retired_users"
    needed = "infra_database_app_retiring_password"
    if inputs.value(CONTROLLER, retiring) and inputs.value(CONTROLLER, needed) == "":
        step = "Set it to the password that the account has now (docs/passwords.md)."
        found.append(Fault(needed, f"is empty, but {retiring} is set", step))
    names = inputs.value(CONTROLLER, retired)
    for user in ("owner", "app", "app_retiring", "monitor"):
        option = f"infra_database_{user}_user"
        name = inputs.value(CONTROLLER, option)
        if name and isinstance(names, list) and name in names:
            cause = f"lists {name}, which is {option}"
            found.append(Fault(retired, cause, "Remove it from the list: a retired account may not log in."))
    return found


def hosts_have_their_own_address(inputs: Inputs) -> list[Fault]:
    """Two hosts of the inventory that are one machine: both would be given files, units and ports of the other."""
    named: dict[tuple[str, ...], list[str]] = collections.defaultdict(list)
    for host in inputs.hosts.values():
        if host.name not in inputs.groups.get("all", ()) or _text_of(host, "ansible_connection") not in OVER_SSH:
            continue
        address = _text_of(host, "ansible_host") or host.name
        parts = ("ansible_port", "ansible_ssh_common_args", "ansible_ssh_extra_args")
        port, *way = (_text_of(host, name) for name in parts)
        named[_normal(address), port or "22", *way].append(host.name)
    step = "Give each host the address of a machine of its own, or one host all the groups."
    return [
        Fault("hosts", f"have the same address {key[0]}, port {key[1]}", step, tuple(hosts))
        for key, hosts in named.items()
        if len(hosts) > 1
    ]


#: How Ansible connects to an address; with other plugins (local, containers), an address says nothing.
OVER_SSH: t.Final = ("", "ssh", "ansible.builtin.ssh", "smart", "paramiko", "paramiko_ssh")


def _text_of(host: HostInputs, name: str) -> str:
    try:
        return str(host.evaluate(name) or "") if name in host.raw else ""
    except EvaluationError:
        return ""


def _normal(address: str) -> str:
    """One form of an address: ``::1`` and ``0:0:0:0:0:0:0:1`` are the same."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower().rstrip(".")


#: Lists whose rows become things of that name.
NAMED_ROWS: t.Final = (
    *("haproxy_servers", "pgbouncer_databases", "pgbouncer_users", "postgresql_roles", "postgresql_databases"),
    *("prometheus_scrape_jobs", "lab_hosts_hosts", "lab_hosts_services"),
)


def rows_have_their_own_name(inputs: Inputs) -> list[Fault]:
    """Two rows of a list with one name: the second would replace the first, or the product refuse both."""
    found = []
    for host, option in itertools.product(inputs.hosts, NAMED_ROWS):
        rows = inputs.values.get((host, option))
        names = [str(row.get("name")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        for name, times in collections.Counter(names).items():
            if times > 1:
                found.append(Fault(option, f"has {times} rows with the name {name}", "Keep one of them.", (host,)))
    return found


def secrets_are_one_line(inputs: Inputs) -> list[Fault]:
    """A line break or other control character in a password breaks configuration files."""
    found = []
    further = ("infra_database_app_retiring_password", "infra_cache_previous_passwords", "infra_monitoring_password")
    for name in (*NEEDED_SECRETS.get(inputs.provider, ()), *further):
        given = inputs.value(CONTROLLER, name)
        values = given if isinstance(given, list) else [given]
        if any(isinstance(value, str) and re.search(r"[\x00-\x1f\x7f]|^\s|\s$", value) for value in values):
            cause = "contains a line break or another control character, or begins or ends with a space"
            found.append(Fault(name, cause, "Remove it (often it is the line break at the end of a file)."))
    return found


def connection_budget(inputs: Inputs) -> list[Fault]:
    """The sum of pools, migrations, exporters and the superuser's reserve, against the declared limits."""
    poolers = list(inputs.groups.get("pooler", ()))
    pooled = budget_of(inputs, "primary").pools
    found = []
    limit = inputs.number(CONTROLLER, "infra_database_pooled_connections")
    if limit is not None and pooled > limit:
        cause = (
            f"lets {len(poolers)} pooler hosts open {pooled} server connections together,"
            f" more than the {limit} of infra_database_pooled_connections"
        )
        next_step = f"Lower it to {limit // len(poolers)} at most."
        found.append(Fault("pgbouncer_max_server_connections", cause, next_step, tuple(poolers)))
    for kind, group, lower in (
        ("primary", "database_primary", "pgbouncer_max_server_connections"),
        ("replica", "database_replica", "infra_database_replica_connections"),
    ):
        budget = budget_of(inputs, kind)
        for host in inputs.groups.get(group, ()):
            server = inputs.number(host, "postgresql_max_connections")
            if server is not None and (budget.pools or kind == "primary") and budget.needed > server:
                cause = f"is {server}, less than the {budget.needed} needed: {budget}"
                next_step = f"Raise it to {budget.needed}, or lower {lower}."
                found.append(Fault("postgresql_max_connections", cause, next_step, (host,)))
    return found


def values_of_pgbouncer(inputs: Inputs) -> list[Fault]:
    """Contradictions between the values of PgBouncer."""
    found = []
    for host in inputs.groups.get("pooler", ()):
        size = inputs.number(host, "pgbouncer_pool_size")
        cap = inputs.number(host, "pgbouncer_max_server_connections")
        clients = inputs.number(host, "pgbouncer_max_client_connections")
        if size is not None and cap is not None and size > cap:
            cause = f"is {size}, more than the {cap} of pgbouncer_max_server_connections"
            found.append(Fault("pgbouncer_pool_size", cause, f"Lower it to {cap} at most.", (host,)))
        if clients is not None and cap is not None and clients < cap:
            cause = f"is {clients}, less than the {cap} of pgbouncer_max_server_connections"
            found.append(Fault("pgbouncer_max_client_connections", cause, f"Raise it to {cap} at least.", (host,)))
        sslmode = str(inputs.value(host, "pgbouncer_server_sslmode"))
        authorities = [inputs.value(host, f"pgbouncer_server_ca{end}") for end in ("", "_file")]
        if sslmode.startswith("verify") and authorities == ["", ""]:
            cause = f"is empty, but pgbouncer_server_sslmode {sslmode} needs it"
            next_step = "Set it to the CA's certificates, or pgbouncer_server_ca_file to their path on the host."
            found.append(Fault("pgbouncer_server_ca", cause, next_step, (host,)))
    return found


def database_hosts(inputs: Inputs) -> list[Fault]:
    """One primary, and replicas that know its address and allow as many connections."""
    primaries = list(inputs.groups.get("database_primary", ()))
    replicas = list(inputs.groups.get("database_replica", ()))
    hosts_file = "the inventory's hosts file"
    found = []
    if len(primaries) > 1:
        cause = f"has {len(primaries)} hosts, but replicas follow a single primary"
        next_step = f"Keep one of them in {hosts_file} and move the others to database_replica."
        found.append(Fault("group database_primary", cause, next_step, tuple(primaries)))
    for host in set(primaries) & set(replicas):
        cause = "is in both database_primary and database_replica"
        found.append(Fault(f"host {host}", cause, f"Remove it from one of the two in {hosts_file}."))
    for host in [*primaries, *replicas] if replicas else []:
        if inputs.value(host, "postgresql_replication_password") == "":
            next_step = "Export NEXOD_DATABASE_REPLICATION_PASSWORD, or set it in a vault."
            cause = "is empty, and there are replicas"
            found.append(Fault("postgresql_replication_password", cause, next_step, (host,)))
    wanted = max((inputs.number(host, "postgresql_max_connections") or 0 for host in primaries), default=0)
    for host in replicas:
        if inputs.value(host, "postgresql_primary_host") == "":
            next_step = "Set it to the primary's address."
            found.append(Fault("postgresql_primary_host", "is empty on a replica", next_step, (host,)))
        own = inputs.number(host, "postgresql_max_connections")
        if own is not None and own < wanted:
            cause = (
                f"is {own} on a replica, less than the primary's {wanted}; PostgreSQL refuses to start such a replica"
            )
            found.append(Fault("postgresql_max_connections", cause, f"Raise it to {wanted}.", (host,)))
    return found


def values_of_prometheus(inputs: Inputs) -> list[Fault]:
    """Contradictions between the values of Prometheus."""
    found = []
    for host in inputs.groups.get("monitoring", ()):
        interval = inputs.number(host, "prometheus_scrape_interval_seconds")
        timeout = inputs.number(host, "prometheus_scrape_timeout_seconds")
        if interval is not None and timeout is not None and timeout > interval:
            cause = f"is {timeout}, more than the {interval} of prometheus_scrape_interval_seconds"
            found.append(Fault("prometheus_scrape_timeout_seconds", cause, f"Lower it to {interval}.", (host,)))
        days = inputs.number(host, "prometheus_retention_days")
        if days is not None and days < MINIMUM_RETENTION_DAYS:
            cause = f"is {days}, less than the {MINIMUM_RETENTION_DAYS} that the longest window of a rule needs"
            next_step = f"Raise it to {MINIMUM_RETENTION_DAYS} at least."
            found.append(Fault("prometheus_retention_days", cause, next_step, (host,)))
    return found


# No rule has a range of more than a day; one more because the oldest day is partly deleted.
MINIMUM_RETENTION_DAYS: t.Final = 2

# The product's AI calls take this long; no timeout between user and API may be shorter.
LONGEST_USUAL_CALL_SECONDS: t.Final = 30


def calls_live(inputs: Inputs) -> list[Fault]:
    """An entry point whose timeout is shorter than a usual AI call."""
    found = []
    for host in inputs.groups.get("edge", ()):
        seconds = inputs.number(host, "haproxy_longest_call_seconds")
        if seconds is not None and seconds <= LONGEST_USUAL_CALL_SECONDS:
            cause = f"is {seconds}, but AI calls take {LONGEST_USUAL_CALL_SECONDS} s and more"
            found.append(Fault("haproxy_longest_call_seconds", cause, "Raise it; the default is 600.", (host,)))
    return found


def rollout_is_no_outage(inputs: Inputs) -> list[Fault]:
    """A rollout takes one instance at a time out of service: with a single one it is an outage, unless accepted."""
    instances = inputs.groups.get("api", ())
    if len(instances) != 1 or inputs.number(instances[0], "backend_least_serving") == 0:
        return []
    cause = "has one host; replacing it is an outage"
    step = "Add a second host to the group, or accept the outage: backend_least_serving: 0."
    return [Fault("group api", cause, step, tuple(instances))]


# Options of two roles that must have the same value: (option, on the hosts of a group) twice.
AGREEING: t.Final[tuple[tuple[tuple[str, str], tuple[str, str]], ...]] = (
    (("backend_version", "api"), ("migration_runner_version", "migration_runner")),
    (("haproxy_static_port", "edge"), ("frontend_port", "edge")),
)


def names_of_one_fact_agree(inputs: Inputs) -> list[Fault]:
    """Options of two roles for the same fact that have different values."""
    found = []
    for (first, first_group), (second, second_group) in AGREEING:
        wanted = {str(value) for value in _values(inputs, first_group, first)}
        for host in inputs.groups.get(second_group, ()):
            value = inputs.value(host, second)
            if value is not None and wanted and str(value) not in wanted:
                cause = f"is {value}, but {first} is {', '.join(sorted(wanted))}; they must be equal"
                found.append(Fault(second, cause, "Set both to the same value.", (host,)))
    return found


def _values(inputs: Inputs, group: str, name: str) -> list[object]:
    hosts = [CONTROLLER] if group == CONTROLLER else inputs.groups.get(group, ())
    return [value for host in hosts if (value := inputs.value(host, name)) is not None]


def one_grafana(inputs: Inputs) -> list[Fault]:
    """One source of Grafana's package: a URL with its checksum, a file, or a repository."""
    found = []
    for host in inputs.groups.get("grafana", ()):
        url, path, repository, checksum = (
            inputs.value(host, f"grafana_{what}")
            for what in ("package_url", "package_path", "repository", "package_checksum")
        )
        given = (("package_url", url), ("package_path", path), ("repository", repository))
        ways = [name for name, value in given if value]
        if not ways and url is not None and path is not None:
            next_step = (
                "Set grafana_package_url with grafana_package_checksum, grafana_package_path, or grafana_repository"
            )
            by = "NEXOD_GRAFANA_PACKAGE_URL and NEXOD_GRAFANA_PACKAGE_CHECKSUM, or NEXOD_GRAFANA_PACKAGE_PATH"
            found.append(Fault("Grafana's package", "is not set", f"{next_step} (export {by}).", (host,)))
        if len(ways) > 1:
            cause = f"is set in {len(ways)} ways: {', '.join(f'grafana_{way}' for way in ways)}"
            found.append(Fault("Grafana's package", cause, "Keep one of them.", (host,)))
        if url and checksum == "":
            cause = "is empty, but grafana_package_url is set"
            found.append(Fault("grafana_package_checksum", cause, "Set it to sha256:...", (host,)))
    return found


#: Of a password of ElastiCache: letters, digits and these.
_AUTH_TOKEN: t.Final = frozenset(string.ascii_letters + string.digits + "!&#$^<>-")


def alerts_reach_somebody(inputs: Inputs) -> list[Fault]:
    """An Alertmanager without a receiver drops every alert."""
    names = ("alertmanager_webhook_urls", "alertmanager_slack_webhook_url", "alertmanager_pagerduty_routing_key")
    found = []
    for host in inputs.groups.get("monitoring", ()):
        values = [inputs.value(host, name) for name in names]
        if all(value is not None for value in values) and not any(values):
            next_step = (
                f"Set one of {', '.join(names)} (export NEXOD_SLACK_WEBHOOK_URL or NEXOD_PAGERDUTY_ROUTING_KEY)."
            )
            found.append(Fault("alerts", "are sent to nobody: no receiver is set", next_step, (host,)))
    return found


def monitoring_access(inputs: Inputs) -> list[Fault]:
    """A password that the services refuse, and certificates without which some of them would serve HTTP."""
    found = []
    password = inputs.value(CONTROLLER, "infra_monitoring_password")
    if isinstance(password, str) and password and not SHORTEST <= len(password.encode()) <= LONGEST:
        cause = f"has {len(password.encode())} bytes, not {SHORTEST} to {LONGEST}"
        found.append(Fault("infra_monitoring_password", cause, "Set another one: openssl rand -hex 24 prints one."))
    parts = ("ca", "certificate", "key")
    for host in sorted({host for group in _MONITORED for host in inputs.groups.get(group, ())}):
        given = inputs.value(host, "infra_monitoring_tls")
        lacking = [part for part in parts if not given.get(part)] if isinstance(given, t.Mapping) and given else []
        if lacking:
            next_step = f"Set {', '.join(parts)}, or nothing at all."
            found.append(Fault("infra_monitoring_tls", f"lacks {', '.join(lacking)}", next_step, (host,)))
    return found


#: By vendor, what makes an account there necessary, and what is then necessary with it.
ACCOUNTS: t.Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "clerk": (
        ("services_clerk_origins", "services_clerk_redirect_urls", "services_clerk_jwt_templates"),
        ("services_clerk_token",),
    ),
    "sentry": (
        ("services_sentry_projects",),
        ("services_sentry_token", "services_sentry_organization", "services_sentry_team"),
    ),
    "vercel": (("services_vercel_project",), ("services_vercel_token",)),
}


def _vendors(inputs: Inputs) -> t.Collection[t.Any]:
    """Those that the environment uses; all, unless it says so."""
    given = inputs.value(CONTROLLER, "services_vendors")
    return given if isinstance(given, list) else tuple(ACCOUNTS)


def _raw(inputs: Inputs, name: str) -> t.Any:
    return inputs.hosts[CONTROLLER].raw.get(name) if CONTROLLER in inputs.hosts else None


def accounts_at_vendors(inputs: Inputs) -> list[Fault]:
    """A vendor for which something is declared can be asked."""
    found = []
    for vendor, (declarations, needed) in ACCOUNTS.items():
        declared = next((name for name in declarations if inputs.value(CONTROLLER, name)), "")
        for name in needed if declared and vendor in _vendors(inputs) else ():
            if not inputs.value(CONTROLLER, name) and (CONTROLLER, name) not in inputs.faulty:
                next_step = f"{missing_next_step(_raw(inputs, name), name)} {WITHOUT.format(vendor=vendor)}"
                found.append(Fault(name, f"is empty, and {declared} is declared", next_step))
    return found


#: What else somebody can do who has no account.
WITHOUT: t.Final = "Without {vendor}, leave it out of services_vendors."


def values_at_vendors(inputs: Inputs) -> list[Fault]:
    """Parts of declarations that are read from the environment, and are empty."""
    found = []
    for name in ("services_sentry_slack", "services_sentry_pagerduty"):
        value, raw = inputs.value(CONTROLLER, name), _raw(inputs, name)
        if "sentry" in _vendors(inputs) and isinstance(value, dict) and value and not value.get("target"):
            target = raw.get("target") if isinstance(raw, dict) else None
            next_step = f"{missing_next_step(target, f'{name}.target')} To notify nobody there, set {name} to {{}}."
            found.append(Fault(f"{name}.target", "is empty", next_step))
    secrets, raws = inputs.value(CONTROLLER, "services_secrets"), _raw(inputs, "services_secrets")
    rows = inputs.value(CONTROLLER, "services_vercel_variables") if "vercel" in _vendors(inputs) else ()
    used = {row.get("value_from") for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()
    for entry, one in secrets.items() if isinstance(secrets, dict) else ():
        raw = raws.get(entry) if isinstance(raws, dict) else None
        # A token that is empty is reported by itself.
        if entry in used and is_missing(one) and not mentions(raw) & _TOKENS:
            name = f"services_secrets.{entry}"
            found.append(Fault(name, "is empty", missing_next_step(raw, name)))
    found += _protection_of_vercel(inputs)
    name, rows = "infra_clerk_webhook_secrets", inputs.value(CONTROLLER, "infra_clerk_webhook_secrets")
    if inputs.value(CONTROLLER, "infra_clerk_issuer") and not rows and (CONTROLLER, name) not in inputs.faulty:
        next_step = f"{missing_next_step(_raw(inputs, name), name)} {WITHOUT.format(vendor='clerk')}"
        found.append(Fault(name, "is empty, and infra_clerk_issuer is set", next_step))
    return found


def _protection_of_vercel(inputs: Inputs) -> list[Fault]:
    """A deployment that only members of the team may open is checked with the secret that lets automation in."""
    name, checked = "services_vercel_bypass", ("services_vercel_commit", "services_vercel_check_paths")
    project, targets = (inputs.value(CONTROLLER, f"services_vercel_{one}") for one in ("project", "targets"))
    protection = project.get("protection", "none") if isinstance(project, dict) else "none"
    production = not isinstance(targets, list) or "production" in targets
    if "vercel" not in _vendors(inputs) or protection in ("none", *(["preview"] if production else [])):
        return []
    if inputs.value(CONTROLLER, name) or not all(inputs.value(CONTROLLER, one) for one in checked):
        return []
    next_step = f"{missing_next_step(_raw(inputs, name), name)} To check no pages, set {checked[1]} to []."
    cause = f"is empty, and nobody else may open a deployment whose protection is {protection}"
    return [Fault(name, cause, next_step)]


_TOKENS: t.Final = {name for _declared, needed in ACCOUNTS.values() for name in needed if name.endswith("_token")}
#: A Frontend API URL: its host alone. Where tokens are verified by keys that came without TLS, anybody can sign in.
_ISSUER: t.Final = re.compile(r"https://[^/?#\s@]+|http://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")
_PUBLISHABLE_KEY: t.Final = re.compile(r"pk_(?:live|test)_([A-Za-z0-9+/_-]+)=*")


def issuer_of_clerk(inputs: Inputs) -> list[Fault]:
    """Without the issuer, the API would accept no token of Clerk, or verify none, and `verify` would not notice."""
    name, issuer = "infra_clerk_issuer", inputs.value(CONTROLLER, "infra_clerk_issuer")
    if not isinstance(issuer, str):
        return []
    is_it = "Set it to the Frontend API URL of the instance (Clerk's dashboard, API keys)"
    if not issuer:
        declared = next((one for one in ACCOUNTS["clerk"][0] if inputs.value(CONTROLLER, one)), "")
        # The tokens of a stand-in are none that an API could verify.
        if not declared or "clerk" not in _vendors(inputs) or inputs.value(CONTROLLER, "services_clerk_url"):
            return []
        return [Fault(name, f"is empty, and {declared} is declared", f"{is_it}. {WITHOUT.format(vendor='clerk')}")]
    if not _ISSUER.fullmatch(issuer):
        cause = f"is {issuer!r}, which is not https:// and a host alone, without a slash at its end"
        return [Fault(name, cause, f"{is_it}.")]
    rows = inputs.value(CONTROLLER, "services_vercel_variables")
    for row in rows if isinstance(rows, list) and "clerk" in _vendors(inputs) else ():
        host = host_of_key(row.get("value")) if isinstance(row, t.Mapping) else ""
        if host and host != issuer.partition("://")[2]:
            cause = f"is {issuer}, and the publishable key in {row.get('key')} is of https://{host}"
            return [Fault(name, cause, f"{is_it}, or correct the key: both are of one instance.")]
    return []


def host_of_key(value: object) -> str:
    """The host of the Frontend API that a publishable key of Clerk names; empty if it is none."""
    found = _PUBLISHABLE_KEY.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return ""
    try:
        text = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)).decode("ascii")
    except ValueError:
        return ""
    return text.removesuffix("$") if text.endswith("$") else ""


def sentry_project_is_declared(inputs: Inputs) -> list[Fault]:
    """The project whose client key the API gets, and the account by which the deploy is recorded there."""
    name = "infra_sentry_project"
    project, rows = inputs.value(CONTROLLER, name), inputs.value(CONTROLLER, "services_sentry_projects")
    if not project or not isinstance(rows, list):
        return []
    known = sorted(str(row.get("name")) for row in rows if isinstance(row, t.Mapping))
    if project in known:
        return []
    cause = f"is {project}, which is not in services_sentry_projects ({', '.join(known) or 'empty'})"
    return [Fault(name, cause, "Declare the project there, or correct the name.")]


def values_of_firewall(inputs: Inputs) -> list[Fault]:
    """Rules that nftables could not take, most often because a host has a name instead of an address."""
    found = []
    for host in sorted({host for group in _MONITORED for host in inputs.groups.get(group, ())}):
        rules = inputs.value(host, "firewall_rules")
        if inputs.value(host, "infra_monitoring_firewall") != "present" or not isinstance(rules, list):
            continue
        for fault in firewall.faults(rules):
            cause, _semicolon, next_step = fault.partition("; ")
            found.append(Fault("infra_monitoring_firewall", cause, f"{next_step[:1].upper()}{next_step[1:]}.", (host,)))
    return found


#: Groups whose hosts have something that Prometheus scrapes with this access.
_MONITORED: t.Final = ("database", "cache", "pooler", "api", "edge", "monitoring", "grafana")


def values_of_rds(inputs: Inputs) -> list[Fault]:
    """Values that RDS refuses, and values that an environment must never have."""
    if inputs.provider != "aws":
        return []
    storage, most, days, replicas = (
        inputs.number(CONTROLLER, f"provider_aws_rds_{what}")
        for what in ("storage_gb", "storage_max_gb", "backup_days", "replicas")
    )
    found = []
    if storage is not None and most is not None and most <= storage:
        cause = f"is {most}, not above the {storage} of provider_aws_rds_storage_gb"
        found.append(Fault("provider_aws_rds_storage_max_gb", cause, "Raise it: RDS storage can only grow."))
    if days is not None and not 0 <= days <= 35:
        cause = f"is {days}; RDS keeps backups for 0 to 35 days"
        found.append(Fault("provider_aws_rds_backup_days", cause, "Set it to 1 to 35."))
    if days == 0 and replicas:
        cause = f"is {replicas}, but RDS creates replicas from backups, which provider_aws_rds_backup_days disables"
        found.append(Fault("provider_aws_rds_replicas", cause, "Keep backups for at least a day."))
    # RDS' user guide, limitations of the integration with Secrets Manager.
    if replicas and not inputs.value(CONTROLLER, "provider_aws_rds_password"):
        cause = f"is {replicas}, but RDS creates no replica of a database whose password it keeps itself"
        step = "Export NEXOD_DATABASE_ADMIN_PASSWORD (infra_database_admin_password), or set the replicas to 0."
        found.append(Fault("provider_aws_rds_replicas", cause, step))
    if replicas is not None and not 0 <= replicas <= 15:
        found.append(Fault("provider_aws_rds_replicas", f"is {replicas}", "Set it to 0 to 15."))
    if inputs.environment == "production" and _true(inputs.value(CONTROLLER, "provider_aws_rds_public")):
        cause = "is true; production's database must never be reached from the public internet"
        found.append(Fault("provider_aws_rds_public", cause, "Set it to false."))
    return found


def values_of_aws_network(inputs: Inputs) -> list[Fault]:
    """A network that AWS refuses, or in which RDS and the load balancer can't be placed."""
    if inputs.provider != "aws":
        return []
    region, zones = (inputs.value(CONTROLLER, f"provider_aws_{what}") for what in ("region", "zones"))
    found = []
    if isinstance(region, str) and not re.fullmatch(r"[a-z]{2,4}(-[a-z]+){1,3}-\d", region):
        found.append(Fault("provider_aws_region", f"is {region!r}", "Name a region of AWS, such as us-east-1."))
        return found
    if isinstance(zones, (list, tuple)) and isinstance(region, str):
        names = [str(zone) for zone in zones]
        if elsewhere := [name for name in names if not re.fullmatch(rf"{re.escape(region)}[a-z]", name)]:
            cause = f"contains {', '.join(elsewhere)}, which the region {region} does not have"
            found.append(Fault("provider_aws_zones", cause, f"Name zones such as {region}a."))
        if len(set(names)) < 2:
            cause = f"names {len(set(names))} zone, but RDS and the load balancer need two"
            found.append(Fault("provider_aws_zones", cause, "Name at least two zones, each once."))
        gateways = inputs.number(CONTROLLER, "provider_aws_nat_gateways")
        if gateways is not None and gateways > len(set(names)):
            cause = f"is {gateways}, which is more than the zones ({len(set(names))})"
            found.append(Fault("provider_aws_nat_gateways", cause, "Set it to at most one for each zone."))
    network = _network(inputs.value(CONTROLLER, "provider_aws_cidr"))
    if network and (not network.is_private or not 16 <= network.prefixlen <= 22):
        cause = f"is {network}; a VPC needs private addresses, and its subnets a network from /16 to /22"
        found.append(Fault("provider_aws_cidr", cause, "Set it to a network such as 10.20.0.0/16."))
    return found


def aws_networks_are_apart(inputs: Inputs) -> list[Fault]:
    """Subnets have their own part of the VPC, and the VPC shares no address with the networks that reach it."""
    network = _network(inputs.value(CONTROLLER, "provider_aws_cidr")) if inputs.provider == "aws" else None
    if network is None:
        return []
    found = []
    zones = inputs.value(CONTROLLER, "provider_aws_zones")
    # A public and a private /24 for each.
    most = 2 ** max(0, 24 - network.prefixlen) // 2
    if isinstance(zones, (list, tuple)) and len(zones) > most > 1:
        cause = f"is {network}, which has subnets for {most} zones, and provider_aws_zones names {len(zones)}"
        found.append(Fault("provider_aws_cidr", cause, "Set a larger network, or fewer zones."))
    peers = inputs.value(CONTROLLER, "provider_aws_peer_networks")
    for peer in peers if isinstance(peers, (list, tuple)) else ():
        other = _network(peer)
        if other and other.overlaps(network):
            cause = f"is {network}, which overlaps with {other} of provider_aws_peer_networks"
            found.append(Fault("provider_aws_cidr", cause, "Choose a network that nothing connected to the VPC has."))
    return found


def values_of_subscriptions(inputs: Inputs) -> list[Fault]:
    """Endpoints that are not of the form that their protocol needs."""
    rows = inputs.value(CONTROLLER, "provider_aws_alarm_subscriptions")
    if inputs.provider != "aws" or not isinstance(rows, list):
        return []
    # What lacks one of them, or has another protocol, is reported by the specification.
    complete = all(isinstance(row, dict) and row.get("endpoint") and row.get("protocol") in PROTOCOLS for row in rows)
    # In the order of the rows, as their severity does not matter here.
    given = {"alarm_subscriptions": [{**row, "severity": "page"} for row in rows] if complete else []}
    return [
        Fault(f"provider_aws_alarm_subscriptions{where}", f"must be {expected}", "Correct it, or the protocol.")
        for fault in revealed(subscriptions(given, "page"), by_name(given))[1]
        for where, _must_be, expected in [fault.partition(" must be ")]
    ]


def values_of_ecs(inputs: Inputs) -> list[Fault]:
    """Bounds of the number of tasks that contradict each other."""
    least, most = (inputs.number(CONTROLLER, f"ecs_service_{what}") for what in ("count", "most"))
    if inputs.provider != "aws" or least is None or not most or most >= least:
        return []
    cause = f"is {most}, below the {least} of ecs_service_count"
    return [Fault("ecs_service_most", cause, "Raise it, lower ecs_service_count, or set it to 0 to scale nothing.")]


def hosts_of_ec2(inputs: Inputs) -> list[Fault]:
    """Declared hosts that the inventory could not ask for, and hosts that would be there twice."""
    declared = inputs.value(CONTROLLER, "infra_declared_hosts")
    if inputs.provider != "aws" or not isinstance(declared, list) or not declared:
        return []
    found = []
    # The plugin amazon.aws.aws_ec2 adds this group wherever it succeeds, and Ansible goes on where it does not.
    if "aws_ec2" not in inputs.groups:
        step = "See the inventory's warning: often credentials (export AWS_PROFILE) or the right ec2:DescribeInstances."
        found.append(Fault("hosts of EC2", "could not be read by the inventory (aws_ec2.yml)", step))
    names = {str(row["name"]) for row in declared}
    for group in sorted({str(group) for row in declared for group in row.get("groups") or ()}):
        if others := sorted(set(inputs.groups.get(group, ())) - names):
            cause = "has hosts that provider_aws_hosts does not declare, beside those that it does"
            step = "Set provider_aws_hosts to [] if the hosts are elsewhere, or remove what is not declared any more."
            found.append(Fault(f"group {group}", cause, step, tuple(others)))
    if inputs.number(CONTROLLER, "provider_aws_nat_gateways") == 0:
        cause = "is 0, but the declared hosts install packages and are reached by way of the Internet"
        found.append(Fault("provider_aws_nat_gateways", cause, "Set it to 1 at least."))
    return found


def _network(value: object) -> ipaddress.IPv4Network | None:
    """Nothing where the form of the value is at fault, which its specification reports."""
    try:
        return ipaddress.IPv4Network(str(value))
    except ValueError:
        return None


def values_of_elasticache(inputs: Inputs) -> list[Fault]:
    """Passwords that ElastiCache refuses, minutes after it has begun to create a cache."""
    if inputs.provider != "aws" or not _true(inputs.value(CONTROLLER, "provider_aws_cache_tls")):
        return []
    password = inputs.value(CONTROLLER, "provider_aws_cache_password")
    if not isinstance(password, str) or not password:
        return []
    found = []
    if not 16 <= len(password) <= 128:
        found.append(f"has {len(password)} characters; ElastiCache takes 16 to 128")
    if set(password) - _AUTH_TOKEN:
        found.append("contains characters that ElastiCache refuses")
    next_step = "Use letters, digits and !&#$^<>- (docs/passwords.md says how to change it)."
    return [Fault("infra_cache_password", cause, next_step) for cause in found]


#: CloudFront takes certificates of this region only, wherever the rest is.
_CERTIFICATE_OF_CLOUDFRONT = re.compile(r"arn:[a-z-]+:acm:us-east-1:\d+:certificate/.+")


def values_of_cloudfront(inputs: Inputs) -> list[Fault]:
    """Names and certificates that CloudFront refuses, when the rest of the environment has been created."""
    if inputs.provider != "aws" or not _true(inputs.value(CONTROLLER, "provider_aws_cdn")):
        return []
    name = "provider_aws_cdn_certificate"
    domains = inputs.value(CONTROLLER, "provider_aws_cdn_domains")
    certificate = str(inputs.value(CONTROLLER, name) or "")
    if domains and not certificate:
        cause = "is empty, but provider_aws_cdn_domains has names"
        return [Fault(name, cause, "Set it to the ARN of a certificate for them, in us-east-1.")]
    if certificate and not _CERTIFICATE_OF_CLOUDFRONT.fullmatch(certificate):
        cause = f"is {certificate}, which is not the ARN of a certificate of ACM in us-east-1"
        return [Fault(name, cause, "Request one in us-east-1: CloudFront takes no other.")]
    return []


def _true(value: object) -> bool:
    return str(value).lower() in ("true", "yes", "on", "1", "y", "t")


RULES: t.Final[tuple[t.Callable[[Inputs], list[Fault]], ...]] = (
    environment_is_named,
    supabase_is_reachable,
    seeds_are_for_dev,
    latency_targets,
    latency_rows_agree,
    database_users_differ,
    accounts_in_turn,
    hosts_have_their_own_address,
    rows_have_their_own_name,
    secrets_are_one_line,
    connection_budget,
    values_of_pgbouncer,
    database_hosts,
    values_of_prometheus,
    calls_live,
    rollout_is_no_outage,
    names_of_one_fact_agree,
    one_grafana,
    alerts_reach_somebody,
    monitoring_access,
    accounts_at_vendors,
    values_at_vendors,
    issuer_of_clerk,
    sentry_project_is_declared,
    values_of_firewall,
    values_of_rds,
    values_of_subscriptions,
    values_of_aws_network,
    aws_networks_are_apart,
    values_of_ecs,
    hosts_of_ec2,
    values_of_elasticache,
    values_of_cloudfront,
)


def check_files(inputs: Inputs, exists: t.Callable[[str], bool]) -> list[Fault]:
    """Files that must exist on the controller."""
    return [
        Fault(name, f"is {posixpath.normpath(value)}, which does not exist", next_step, (host.name,), host.where(name))
        for host in inputs.hosts.values()
        for name, next_step in CONTROLLER_FILES.items()
        if isinstance(value := inputs.values.get((host.name, name)), str) and value and not exists(value)
    ]


def check_seeds(inputs: Inputs, exists: t.Callable[[str], bool]) -> list[Fault]:
    """Files of seed data that must exist on the controller."""
    name = "provider_supabase_seeds"
    rows = inputs.value(CONTROLLER, name) if inputs.provider == "supabase" else None
    files = [row.get("file") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [
        Fault(f"{name}[{index}].file", f"is {file}, which does not exist", "Correct the path, or remove the row.")
        for index, file in enumerate(files)
        if isinstance(file, str) and not exists(file)
    ]


def check_private_files(inputs: Inputs, is_exposed: t.Callable[[str], bool]) -> list[Fault]:
    """Files with secrets that the deploy would write where git would commit them."""
    name = "provider_supabase_env_file"
    value = inputs.value(CONTROLLER, name) if inputs.provider == "supabase" else ""
    if not isinstance(value, str) or not value or not is_exposed(value):
        return []
    return [Fault(name, f"is {posixpath.normpath(value)}, which git does not ignore", IGNORE)]


def check_rules(inputs: Inputs) -> list[Fault]:
    """The problems that all rules find."""
    return [fault for rule in RULES for fault in rule(inputs)]
