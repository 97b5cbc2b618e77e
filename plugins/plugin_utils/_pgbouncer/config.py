# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of the role pgbouncer to the lines of its files, with everything that is wrong in one list."""

from __future__ import annotations

import collections
import re
import typing as t

Options = t.Mapping[str, t.Any]

#: Settings of pgbouncer.ini that have an option of their own; setting one twice would leave the winner to chance.
OWNED: t.Final = {
    "admin_users": "pgbouncer_admin_users",
    "auth_file": "pgbouncer_users",
    "auth_hba_file": "pgbouncer_hba_rules",
    "auth_type": "pgbouncer_auth_type",
    "client_tls_ca_file": "pgbouncer_tls_client_ca",
    "client_tls_cert_file": "pgbouncer_tls_certificate",
    "client_tls_key_file": "pgbouncer_tls_key",
    "client_tls_sslmode": "pgbouncer_client_sslmode",
    "default_pool_size": "pgbouncer_pool_size",
    "idle_transaction_timeout": "pgbouncer_idle_transaction_seconds",
    "ignore_startup_parameters": "pgbouncer_ignore_startup_parameters",
    "listen_addr": "pgbouncer_listen_addresses",
    "listen_port": "pgbouncer_port",
    "log_connections": "pgbouncer_log_connections",
    "log_disconnections": "pgbouncer_log_disconnections",
    "max_client_conn": "pgbouncer_max_client_connections",
    "max_db_connections": "pgbouncer_max_server_connections",
    "max_prepared_statements": "pgbouncer_max_prepared_statements",
    "pool_mode": "pgbouncer_pool_mode",
    "query_wait_timeout": "pgbouncer_query_wait_seconds",
    "server_login_retry": "pgbouncer_login_retry_seconds",
    "server_tls_ca_file": "pgbouncer_server_ca",
    "server_tls_sslmode": "pgbouncer_server_sslmode",
    "stats_users": "pgbouncer_stats_users",
    "tcp_keepalive": "pgbouncer_vanished_seconds",
    "tcp_keepcnt": "pgbouncer_vanished_seconds",
    "tcp_keepidle": "pgbouncer_vanished_seconds",
    "tcp_keepintvl": "pgbouncer_vanished_seconds",
    "tcp_user_timeout": "pgbouncer_vanished_seconds",
    "unix_socket_dir": "pgbouncer_socket_dir",
    "unix_socket_mode": "pgbouncer_socket_mode",
}
#: Settings that are systemd's business here.
REFUSED: t.Final = {
    "conffile": "the role decides where its files are",
    "logfile": "the log goes to the journal; use syslog to send it elsewhere",
    "peer_id": "the role numbers the processes (pgbouncer_processes)",
    "pidfile": "systemd knows the process",
    "so_reuseport": "the role always sets it, so that a process can be replaced while it serves",
    "user": "systemd starts PgBouncer under its account",
}
#: The same for a line of [databases] and of [users].
OWNED_BY_DATABASE: t.Final = {
    "dbname": "dbname",
    "host": "host",
    "max_db_connections": "max_connections",
    "password": "password",
    "pool_mode": "pool_mode",
    "pool_size": "pool_size",
    "port": "port",
    "user": "user",
}
OWNED_BY_USER: t.Final = {"max_user_connections": "max_connections", "pool_mode": "pool_mode"}

#: What PgBouncer reads at its start only: "changeable" is "no" in SHOW CONFIG of 1.18 to 1.26.
AT_START: t.Final = frozenset(
    [
        "disable_pqexec",
        "job_name",
        "listen_backlog",
        "pkt_buf",
        "resolv_conf",
        "track_extra_parameters",
        "unix_socket_group",
    ]
)
#: File descriptors of the unit (LimitNOFILE), less those that PgBouncer needs for itself.
DESCRIPTORS: t.Final = 524288 - 512
#: Servers that keep their accounts' verifiers from everybody.
MANAGED: t.Final = re.compile(r"\.rds\.amazonaws\.com(\.cn)?\.?$")
#: Ways to store passwords in which the host has none.
VERIFIERS: t.Final = ("scram",)
VERIFYING: t.Final = ("verify-ca", "verify-full")
#: Settings that name a file: the option with its text (and, with _file, with a path on the host), and the file's name.
TLS: t.Final = {
    "server_tls_ca_file": ("pgbouncer_server_ca", "server-ca.crt"),
    "client_tls_cert_file": ("pgbouncer_tls_certificate", "server.crt"),
    "client_tls_key_file": ("pgbouncer_tls_key", "server.key"),
    "client_tls_ca_file": ("pgbouncer_tls_client_ca", "client-ca.crt"),
}


def configure(options: Options) -> dict[str, t.Any]:
    """Lines for the templates, by file, and `problems`: what must be corrected before any of it is used.

    `share` is what each database without a limit of its own gets of the server connections. Options are of all
    processes together, and lines of one process.
    """
    processes = int(options["pgbouncer_processes"])
    databases, users = listed(options["pgbouncer_databases"]), listed(options["pgbouncer_users"])
    extra = {name: as_text(value) for name, value in (options["pgbouncer_settings"] or {}).items()}
    share = share_of_each(databases, int(options["pgbouncer_max_server_connections"]))
    return {
        # 0, which is no limit, where each database has its own.
        "share": of_each(share, processes) if share else 0,
        "pool_size": of_each(options["pgbouncer_pool_size"], processes),
        "restart": {name: value for name, value in extra.items() if name in AT_START},
        "reload": {name: value for name, value in extra.items() if name not in AT_START},
        "databases": {row["name"]: database_line(row, processes) for row in databases},
        "users": {row["name"]: line for row in users if (line := user_line(row, processes))},
        "secret": any(row.get("password") for row in databases),
        "verifiers": with_verifier(users, databases, options),
        "logins": logins(users, databases, options),
        "tls": tls_settings(options),
        "tls_files": {name: str(options[option]).strip() + "\n" for option, name in TLS.values() if options[option]},
        "problems": [
            *problems_of_databases(databases, options, share),
            *problems_of_users(users, databases, options),
            *problems_of_passwords(users, databases, options),
            *problems_of_queries(databases, options),
            *problems_of_settings(extra),
            *problems_of_values(options),
            *problems_of_tls(options),
        ],
    }


def as_text(value: t.Any) -> str:
    """A value as pgbouncer.ini writes it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (list, tuple)):
        return ",".join(as_text(one) for one in value)
    return "" if value is None else str(value)


def listed(value: t.Any) -> list[t.Any]:
    """A list as it is, or as text with commas, which is how an INI inventory and --extra-vars give it."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else list(value or [])


def quoted(value: str) -> str:
    """A value of a connection string, in quotes where it would otherwise end early."""
    return value if re.fullmatch(r"[^\s']+", value) else "'" + value.replace("'", "''") + "'"


def line_of(pairs: t.Mapping[str, t.Any], extra: t.Mapping[str, t.Any] | None) -> str:
    """One line of a section: what is given of `pairs`, then `extra`."""
    given = {name: as_text(value) for name, value in pairs.items() if value not in (None, "")}
    given |= {name: as_text(value) for name, value in (extra or {}).items()}
    return " ".join(f"{name}={quoted(value)}" for name, value in given.items())


def given(options: Options, option: str) -> bool:
    """Whether a certificate or key is given, as text or as a file on the host."""
    return bool(options[option] or options[f"{option}_file"])


def tls_settings(options: Options) -> dict[str, str]:
    """By setting, a path on the host, or the name of a file that the role writes."""
    return {
        setting: str(options[f"{option}_file"] or name)
        for setting, (option, name) in TLS.items()
        if given(options, option)
    }


def of_each(number: t.Any, processes: int) -> int:
    """What one of several processes gets of a number of connections."""
    return max(int(number) // processes, 1)


def database_line(row: Options, processes: int = 1) -> str:
    pairs = {
        "host": row["host"],
        "port": row.get("port") or 5432,
        # With the wildcard the client's own database name is meant.
        "dbname": row.get("dbname") or (None if row["name"] == "*" else row["name"]),
        "user": row.get("user"),
        "password": row.get("password"),
        "pool_size": row.get("pool_size") and of_each(row["pool_size"], processes),
        "pool_mode": row.get("pool_mode"),
        "max_db_connections": row.get("max_connections") and of_each(row["max_connections"], processes),
    }
    return line_of(pairs, row.get("settings"))


def user_line(row: Options, processes: int = 1) -> str:
    limit = row.get("max_connections") and of_each(row["max_connections"], processes)
    pairs = {"pool_mode": row.get("pool_mode"), "max_user_connections": limit}
    return line_of(pairs, row.get("settings"))


def is_verifier(password: t.Any) -> bool:
    return str(password).startswith("SCRAM-SHA-256$")


def logs_in_itself(databases: t.Sequence[Options], options: Options) -> set[str]:
    """Accounts that PgBouncer logs in as whoever the client is: it learns nothing from a client then."""
    found = {str(row["user"]) for row in databases if row.get("user")}
    found |= {str(row["settings"]["auth_user"]) for row in databases if "auth_user" in (row.get("settings") or {})}
    return found | {str(value) for key, value in (options["pgbouncer_settings"] or {}).items() if key == "auth_user"}


def with_verifier(users: t.Sequence[Options], databases: t.Sequence[Options], options: Options) -> list[str]:
    """Accounts whose verifier is stored in place of the password."""
    if options["pgbouncer_password_storage"] not in VERIFIERS:
        return []
    itself = logs_in_itself(databases, options)
    return [row["name"] for row in users if row["name"] not in itself and not is_verifier(row["password"])]


def logins(users: t.Sequence[Options], databases: t.Sequence[Options], options: Options) -> dict[str, t.Any]:
    """By account, what the probe logs in with: those of the console there, all others through each pool."""
    console = {*listed(options["pgbouncer_admin_users"]), *listed(options["pgbouncer_stats_users"])}
    known = {row["name"] for row in databases}
    found = {}
    for row in users:
        usual = ["pgbouncer"] if row["name"] in console else [name for name in known if name != "*"]
        if not is_verifier(row["password"]):
            found[row["name"]] = {
                "password": str(row["password"]),
                "databases": sorted(usual if row.get("databases") is None else row["databases"]),
            }
    return found


def of_replica(row: Options) -> bool:
    """Whether its connections are those of another server than the primary, which has its own budget."""
    return row.get("server") == "replica"


def share_of_each(databases: t.Sequence[Options], budget: int) -> int:
    """What is left of the budget after the databases with a limit of their own, for each of the others."""
    counted = [row for row in databases if not of_replica(row)]
    without = sum(1 for row in counted if not row.get("max_connections"))
    left = budget - sum(int(row.get("max_connections") or 0) for row in counted)
    return left // max(without, 1)


def problems_of_databases(databases: t.Sequence[Options], options: Options, share: int) -> list[str]:
    if not databases:
        return ["pgbouncer_databases is empty: list at least one database"]
    found = [f"pgbouncer_databases lists {name} more than once" for name in twice(databases)]
    budget, usual = int(options["pgbouncer_max_server_connections"]), int(options["pgbouncer_pool_size"])
    counted = [row for row in databases if not of_replica(row)]
    own = sum(int(row.get("max_connections") or 0) for row in counted)
    if own > budget or (share < 1 and any(not row.get("max_connections") for row in counted)):
        found.append(
            f"pgbouncer_max_server_connections is {budget}: too few for {len(counted)} databases,"
            f" whose max_connections add up to {own}"
        )
        share = budget
    for row in databases:
        name, limit = row["name"], int(row.get("max_connections") or share)
        if name != "*" and not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            found.append(f"database {name!r}: a name has letters, digits, dots, hyphens and underscores only")
        if name == "pgbouncer":
            found.append("database pgbouncer: the name belongs to the admin console")
        size = int(row.get("pool_size") or usual)
        if of_replica(row) and not row.get("max_connections"):
            found.append(
                f"database {name}: server is replica, whose connections are not those of"
                " pgbouncer_max_server_connections; set its max_connections"
            )
        elif size > limit:
            found.append(f"database {name}: its pools have {size} connections, and it may open {limit}")
        found += owned(f"database {name}: settings", row.get("settings"), OWNED_BY_DATABASE)
        found += broken_lines(f"database {name}", row)
    return found


def problems_of_users(users: t.Sequence[Options], databases: t.Sequence[Options], options: Options) -> list[str]:
    asks_server = "auth_user" in (options["pgbouncer_settings"] or {}) or any(
        "auth_user" in (row.get("settings") or {}) for row in databases
    )
    found = [f"pgbouncer_users lists {name} more than once" for name in twice(users)]
    known = {row["name"] for row in users}
    # With auth_user, PgBouncer asks the server for everybody who is not in the list.
    if not asks_server and options["pgbouncer_auth_type"] in ("scram-sha-256", "md5", "plain"):
        if not users:
            found.append("pgbouncer_users is empty: list the accounts that may log in, or set auth_user")
        for option in ("pgbouncer_stats_users", "pgbouncer_admin_users"):
            strangers = [name for name in listed(options[option]) if name not in known]
            if strangers and users:
                found.append(f"{option} names {', '.join(strangers)}, who is not in pgbouncer_users")
    for row in users:
        found += owned(f"user {row['name']}: settings", row.get("settings"), OWNED_BY_USER)
        found += broken_lines(f"user {row['name']}", row)
        if user_line(row) and not re.fullmatch(r"[A-Za-z0-9_.-]+", row["name"]):
            found.append(f"user {row['name']!r}: PgBouncer takes limits for plain names only")
    return found


def problems_of_passwords(users: t.Sequence[Options], databases: t.Sequence[Options], options: Options) -> list[str]:
    """What PgBouncer could not log in at the server with, and databases that do not exist."""
    found, kind = [], options["pgbouncer_auth_type"]
    if options["pgbouncer_password_storage"] in VERIFIERS and kind not in ("scram-sha-256", "md5", "hba"):
        found.append(
            f"pgbouncer_password_storage is scram and pgbouncer_auth_type {kind}: PgBouncer logs in at the server with"
            " what it learns from a client that logs in by SCRAM; set one of them to plain or to scram-sha-256"
        )
    itself = logs_in_itself(databases, options)
    given = {str(row["user"]) for row in databases if row.get("password") and not is_verifier(row["password"])}
    found += [
        f"user {row['name']}: PgBouncer logs in as this account itself, for which it needs the password, not a verifier"
        for row in users
        if row["name"] in itself - given and is_verifier(row["password"])
    ]
    known = {row["name"] for row in databases}
    for row in users:
        strangers = [name for name in row.get("databases") or [] if name not in {*known, "pgbouncer"}]
        if strangers and "*" not in known:
            found.append(f"user {row['name']}: databases names {', '.join(strangers)}, not in pgbouncer_databases")
    return found


def problems_of_queries(databases: t.Sequence[Options], options: Options) -> list[str]:
    """Databases whose verifiers PgBouncer would look up in vain: https://github.com/pgbouncer/pgbouncer/issues/446."""
    usual = options["pgbouncer_settings"] or {}
    found = []
    for row in databases:
        own = {**usual, **(row.get("settings") or {})}
        query = str(own.get("auth_query", "pg_shadow"))
        if own.get("auth_user") and MANAGED.search(row["host"]) and re.search("pg_shadow|pg_authid", query):
            found.append(
                f"database {row['name']}: auth_user can't read verifiers on Amazon RDS, where not even rds_superuser"
                " may; list the accounts in pgbouncer_users, or give an auth_query that reads a table of yours"
            )
    return found


def problems_of_settings(extra: t.Mapping[str, str]) -> list[str]:
    found = owned("pgbouncer_settings", extra, OWNED)
    found += [f"pgbouncer_settings: {name} can't be set, {why}" for name, why in REFUSED.items() if name in extra]
    found += [
        f"pgbouncer_settings: {name!r} is no setting's name" for name in extra if not re.fullmatch(r"[a-z0-9_]+", name)
    ]
    return found + broken_lines("pgbouncer_settings", extra)


def problems_of_values(options: Options) -> list[str]:
    found = []
    hba = options["pgbouncer_auth_type"] == "hba"
    if hba != bool(options["pgbouncer_hba_rules"]):
        found.append("pgbouncer_auth_type hba and pgbouncer_hba_rules need each other")
    processes = int(options["pgbouncer_processes"])
    if int(options["pgbouncer_pool_size"]) < processes:
        found.append(
            f"pgbouncer_processes is {processes}: more than the {options['pgbouncer_pool_size']} connections of"
            " pgbouncer_pool_size, of which each process has a part"
        )
    clients = int(options["pgbouncer_max_client_connections"])
    replicas = sum(
        int(row.get("max_connections") or 0) for row in listed(options["pgbouncer_databases"]) if of_replica(row)
    )
    if clients + int(options["pgbouncer_max_server_connections"]) + replicas > DESCRIPTORS:
        found.append(f"pgbouncer_max_client_connections is {clients}: the unit has file descriptors for {DESCRIPTORS}")
    if not str(options["pgbouncer_socket_dir"]).startswith("/"):
        found.append("pgbouncer_socket_dir must be an absolute path")
    return found


def problems_of_tls(options: Options) -> list[str]:
    found = [
        f"{option} and {option}_file are both set: give the text or the path"
        for option, _name in TLS.values()
        if options[option] and options[f"{option}_file"]
    ]
    for option, _name in TLS.values():
        if options[option] and "-----BEGIN " not in str(options[option]):
            found.append(f"{option} is not in PEM: it has no line -----BEGIN ...-----; for a path, use {option}_file")
    server, client = options["pgbouncer_server_sslmode"], options["pgbouncer_client_sslmode"]
    if server in VERIFYING and not given(options, "pgbouncer_server_ca"):
        found.append(f"pgbouncer_server_sslmode is {server}: set pgbouncer_server_ca or pgbouncer_server_ca_file")
    parts = {name: given(options, f"pgbouncer_tls_{name}") for name in ("certificate", "key", "client_ca")}
    if client == "disable" and any(parts.values()):
        found.append("pgbouncer_client_sslmode is disable, and a certificate is given: set it to require, for example")
    if client != "disable":
        found += [
            f"pgbouncer_client_sslmode is {client}: set pgbouncer_tls_{name} or pgbouncer_tls_{name}_file"
            for name in ("certificate", "key")
            if not parts[name]
        ]
    if client in VERIFYING and not parts["client_ca"]:
        found.append(
            f"pgbouncer_client_sslmode is {client}: set pgbouncer_tls_client_ca or pgbouncer_tls_client_ca_file"
        )
    if options["pgbouncer_auth_type"] == "cert" and client != "verify-full":
        found.append(f"pgbouncer_auth_type is cert: set pgbouncer_client_sslmode to verify-full, not {client}")
    return found


def twice(rows: t.Sequence[Options]) -> list[str]:
    return [name for name, count in collections.Counter(row["name"] for row in rows).items() if count > 1]


def owned(where: str, given: t.Mapping[str, t.Any] | None, names: t.Mapping[str, str]) -> list[str]:
    return [f"{where}: {name} is set by {names[name]}" for name in given or {} if name in names]


def broken_lines(where: str, row: t.Mapping[str, t.Any]) -> list[str]:
    """Names of values with a line break, which would begin a line of its own; the value may be a secret."""
    values = {name: value for name, value in row.items() if name != "settings"} | dict(row.get("settings") or {})
    broken = [name for name, value in values.items() if re.search(r"[\r\n]", as_text(value))]
    return [f"{where}: {name} has a line break" for name in broken]
