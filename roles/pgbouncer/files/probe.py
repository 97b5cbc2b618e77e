# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what a PgBouncer runs with to its configuration files.

    probe.py staged FOLDER HOME [ACCOUNT...]
                                  starts a throwaway PgBouncer with FOLDER's files, on a Unix socket of its own;
                                  HOME is where the files will be later, which is how they refer to one another.
                                  No account that clients use may be missing or, except ACCOUNTs, have another password
    probe.py live FOLDER PROCESS  asks the running one with that number, whose files are in FOLDER
    probe.py login FOLDER PROCESS logs in through each of its pools and sends a query
    probe.py retired FOLDER PROCESS
                                  closes its server connections of accounts that FOLDER no longer lists
    probe.py reload FOLDER PROCESS PID
                                  lets a running one read its files again
    probe.py stop FOLDER PROCESS PID DRAIN SECONDS
                                  ends a running one: as long as another one takes its new clients, here or on one of
                                  the hosts that FOLDER lists, it serves those that it has for DRAIN seconds; then
                                  transactions have SECONDS to end

`staged` logs in through each pool of the throwaway PgBouncer as well, before anything is changed. Passwords are in the
environment variable NEXOD_PGBOUNCER_LOGINS, as JSON: {ACCOUNT: {"password": ..., "databases": [...]}}.

PgBouncer has no option to check its files, its reload always reports success, and it ignores some errors silently.
What it shows in its admin console (SHOW CONFIG, SHOW DATABASES, SHOW USERS) is what it really uses.
Exit status: 0 if all agrees, 1 if not, with the differences, 78 if waiting does not change them, 127 if PgBouncer is
not installed yet.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import ipaddress
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import types
import typing as t

# console.py is beside this file: plugins/module_utils/_pgbouncer/console.py of the collection. Its compiled form would
# be a stray file of the set.
sys.dont_write_bytecode = True
from console import Console, RefusedError, without_logins  # noqa: E402 after what it needs
from detour import detour  # noqa: E402 beside this file, as console.py
from login import Login, accepts  # noqa: E402 beside this file, as console.py

ACCOUNT = "postgres"
# Below it are the vulnerabilities CVE-2026-6664 to CVE-2026-6667.
VERSION_FLOOR = (1, 25, 2)
FILES = ("databases.ini", "hba.conf", "pgbouncer.ini", "settings.ini", "userlist.txt")
# What starts a process, which includes the others.
PROCESS = "process-{}.ini"
# From the first to before the second, keys that PgBouncer learns from clients are not always kept.
KEYS_LOST = ((1, 25, 0), (1, 26, 0))
# What PgBouncer has from a version on. It ignores or misunderstands some of it before.
FEATURES = {
    "peer_id": ((1, 19, 0), "with several processes, a cancelled query would go on (pgbouncer_processes: 1)"),
    "max_prepared_statements": ((1, 21, 0), "prepared statements would fail (pgbouncer_max_prepared_statements)"),
}
# What is different in the throwaway one: its own folder, no TCP, no log elsewhere.
THROWAWAY = {
    "listen_addr": "",
    "unix_socket_dir": "{scratch}",
    "logfile": "",
    "pidfile": "",
    "syslog": "0",
}
# Which column of SHOW DATABASES and SHOW USERS shows a parameter. Versions differ in the columns that they have.
DATABASE_COLUMNS = {
    "host": "host",
    "port": "port",
    "dbname": "database",
    "user": "force_user",
    "pool_size": "pool_size",
    "min_pool_size": "min_pool_size",
    "reserve_pool": "reserve_pool",
    "reserve_pool_size": "reserve_pool_size",
    "pool_mode": "pool_mode",
    "max_db_connections": "max_connections",
}
USER_COLUMNS = {
    "pool_mode": "pool_mode",
    "pool_size": "pool_size",
    "max_user_connections": "max_user_connections",
    "max_user_client_connections": "max_user_client_connections",
}
PEER_COLUMNS = {"host": "host", "port": "port"}
# How this host reaches who listens on all its addresses.
ANYWHERE = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 compared, not listened on
SECONDS = 10.0
# How long one login may take, all of them, and a connection to a server.
LOGIN_SECONDS, LOGINS_SECONDS, SERVER_SECONDS = 5.0, 12.0, 2.0
# Accounts, passwords and databases to log in with.
LOGINS = "NEXOD_PGBOUNCER_LOGINS"
# What a server reports that has nothing to do with its pooler's configuration.
BUSY = (
    "too many clients already",
    "remaining connection slots are reserved",
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
)
# What PgBouncer and the server report when they don't have the same password or verifier, and what to do then.
OTHER_VERIFIER = ("password authentication failed", "wrong password", "SCRAM")
SAME_VERIFIER = (
    "The server {} has another password or verifier for it, or its password has expired there (VALID UNTIL). Give the"
    " server the same one first: in an environment, deploy with the tag infrastructure as well; elsewhere, use"
    " shared_verifier of nexod.infra.postgresql_access, or ALTER ROLE with the filter nexod.infra.scram_verifier; or"
    " set pgbouncer_password_storage to plain."
)
# Kinds of auth_type that may ask for something else than a password, and what PgBouncer then reports.
OTHER_WAYS = ("hba", "cert", "pam", "ldap")
NOT_FROM_HERE = (
    "login rejected",
    "no authentication method is found",
    "unix socket login rejected",
    "certificate authentication failed",
)
LOG_BYTES = 1 << 20
DEAF = "it does not listen on"
# The state of a TCP connection in /proc/net/tcp.
LISTEN = "0A"
# Between two looks at a process that ends, and at the clients that it still has.
PAUSE, LOOK, LOGIN_LOOK = 0.1, 0.5, 0.02
# How long new clients may be kept waiting while those before them log in.
BLOCKED_SECONDS = 1.0
# The file with the addresses of other hosts.
OTHER_HOSTS = "other-hosts"
# From it on, a process can close its port and serve the clients that it has.
CLOSES_FIRST = (1, 23, 0)

Row = dict[str, str]


class NotInstalledError(Exception):
    """PgBouncer or its account is not on this host."""


class Files(t.NamedTuple):
    """What the files say: `settings` of all files, `reloaded` those that must need no restart, lines by name."""

    settings: Row
    reloaded: frozenset[str]
    databases: dict[str, Row]
    users: dict[str, Row]
    peers: t.Mapping[str, Row] = types.MappingProxyType({})


class Shown(t.NamedTuple):
    """What the admin console shows; `fixed` are the settings that PgBouncer reads at its start only."""

    settings: Row
    fixed: frozenset[str]
    databases: dict[str, Row]
    users: dict[str, Row]
    peers: t.Mapping[str, Row] = types.MappingProxyType({})


def read_files(folder: pathlib.Path, process: str = "1") -> Files:
    lines = read_section(folder / PROCESS.format(process), "peers")
    peers = {number: read_line(line) for number, line in lines.items()}
    files = Files({}, frozenset(read_section(folder / "settings.ini")), {}, {}, peers)
    for name in ("databases.ini", "pgbouncer.ini", PROCESS.format(process), "settings.ini"):
        files.settings.update(read_section(folder / name, "pgbouncer", first="pgbouncer"))
    for rows, section in ((files.databases, "databases"), (files.users, "users")):
        for key, line in read_section(folder / "databases.ini", section).items():
            rows[key] = read_line(line)
    return files


def places(folder: pathlib.Path) -> list[tuple[str, str]]:
    """Folder and port of the Unix socket of each process that the files are for."""
    numbers = sorted(path.stem.partition("-")[2] for path in folder.glob(PROCESS.format("*")))
    found = [read_files(folder, number).settings for number in numbers]
    return [(settings["unix_socket_dir"], settings["listen_port"]) for settings in found]


def read_section(path: pathlib.Path, section: str = "", first: str = "") -> Row:
    """Keys and values of a section; `first` is the section that the file begins in."""
    found, inside = {}, first
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            inside = line.strip("[] ")
        key, equals, value = (part.strip() for part in line.partition("="))
        if equals and inside == section and not line.startswith((";", "#", "%")):
            found[key] = value
    return found


def read_line(line: str) -> Row:
    """Parameters of a connection string: words, some in single quotes, where a quote is written twice."""
    pairs = re.findall(r"(\w+)\s*=\s*('(?:[^']|'')*'|\S*)", line)
    return {key: value[1:-1].replace("''", "'") if value.startswith("'") else value for key, value in pairs}


def same(key: str, value: str, shown: str | None) -> bool:
    """Whether PgBouncer shows `value`, which it writes in its own way: 511 for mode 0777, 1 for yes, 30 for 30.0."""
    if shown is None:
        return False
    if value == shown or (not value and shown == "<empty>"):
        return True
    if key.endswith("_mode") and value.isdigit():
        return shown.isdigit() and int(value, 8) == int(shown)
    words = {"on": "1", "yes": "1", "true": "1", "off": "0", "no": "0", "false": "0"}
    if words.get(value.lower()) == shown:
        return True
    with contextlib.suppress(ValueError):
        return float(value) == float(shown)
    return False


def differences(files: Files, shown: Shown, without: t.Container[str] = ()) -> list[str]:
    """What the files say and PgBouncer does not use; empty if it uses all."""
    found = [
        f"{key} is {shown.settings.get(key, 'not known')!r}, not {value!r}"
        for key, value in files.settings.items()
        if key not in without and not same(key, value, shown.settings.get(key))
    ]
    found += [f"{key} needs a restart: PgBouncer would ignore it in a reload" for key in files.reloaded & shown.fixed]
    for name, line in files.databases.items():
        # The wildcard has no row until somebody connects, and then one by the name that was asked for.
        if name != "*":
            found += row_differences(f"database {name}", line, shown.databases.get(name), DATABASE_COLUMNS)
    for name, line in files.users.items():
        found += row_differences(f"user {name}", line, shown.users.get(name), USER_COLUMNS)
    for name, line in files.peers.items():
        found += row_differences(f"peer {name}", line, shown.peers.get(name), PEER_COLUMNS)
    found += [f"peer {name} is still there" for name in shown.peers if name not in files.peers]
    if "*" not in files.databases:
        stale = [name for name in shown.databases if name not in files.databases and name != "pgbouncer"]
        found += [f"database {name} is still there" for name in stale]
    return found


def row_differences(what: str, line: Row, row: Row | None, columns: Row) -> list[str]:
    if row is None:
        return [f"{what} is not there"]
    return [
        f"{what} has {key} {row[columns[key]]!r}, not {value!r}"
        for key, value in line.items()
        if columns.get(key) in row and not same(key, value, row[columns[key]])
    ]


def as_text(rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[Row]:
    """Rows as files have their values: numbers as text, and what is NULL empty."""
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


def ask(folder: str, port: str, *commands: str) -> list[list[Row]]:
    """Rows of admin console commands."""
    with Console(f"{folder}/.s.PGSQL.{port}") as console:
        return [as_text(console.ask(command)) for command in commands]


def show(folder: str, port: str) -> Shown:
    config, databases, users = ask(folder, port, "SHOW CONFIG", "SHOW DATABASES", "SHOW USERS")
    settings = {row["key"]: row["value"] for row in config}
    # Older versions know no peers.
    peers = ask(folder, port, "SHOW PEERS")[0] if "peer_id" in settings else []
    return Shown(
        settings,
        frozenset(row["key"] for row in config if row.get("changeable") == "no"),
        {row["name"]: row for row in databases},
        {row["name"]: row for row in users},
        {row["peer_id"]: row for row in peers},
    )


def read_accounts(folder: pathlib.Path) -> Row:
    """Names and passwords of userlist.txt."""
    text = (folder / "userlist.txt").read_text(encoding="utf-8")
    pairs = re.findall(r'^"((?:[^"]|"")*)" "((?:[^"]|"")*)"', text, re.MULTILINE)
    return {name.replace('""', '"'): secret.replace('""', '"') for name, secret in pairs}


def asks_others(folder: pathlib.Path) -> bool:
    """Whether accounts may log in that are not in the list: PgBouncer asks the server, PAM or LDAP, or nobody."""
    files = read_files(folder)
    if any("auth_user" in settings for settings in (files.settings, *files.databases.values())):
        return True
    rules = (folder / "hba.conf").read_text(encoding="utf-8")
    return files.settings.get("auth_type") in ("any", "pam", "ldap") or bool(re.search(r"\b(pam|ldap)\b", rules))


def same_password(before: str, after: str) -> bool:
    """Whether clients can go on with the password that they have: one may be a verifier, and the other the password."""
    if before == after:
        return True
    for verifier, password in ((before, after), (after, before)):
        found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):.+", verifier)
        if found and not password.startswith("SCRAM-SHA-256$"):
            salt = base64.b64decode(found[2])
            salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, int(found[1]))
            key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
            return hmac.compare_digest(base64.b64encode(key).decode(), found[3])
    return False


def lost_accounts(before: Row, after: Row, changeable: t.Container[str], asks: bool) -> Row:
    """What accounts lose that clients may use: the account itself, or the password."""
    lost = {name: "would be removed" for name in before if name not in after and not asks}
    kept = [name for name in before if name in after and name not in changeable]
    changed = [name for name in kept if not same_password(before[name], after[name])]
    return {**lost, **dict.fromkeys(changed, "would have another password")}


def clients_of(lost: Row, clients: t.Iterable[Row]) -> list[str]:
    """Accounts that clients would lose, with where these are."""
    addresses: dict[str, dict[str, int]] = {}
    for row in clients:
        if row["user"] in lost:
            counts = addresses.setdefault(row["user"], {})
            counts[row["addr"]] = counts.get(row["addr"], 0) + 1
    found = []
    for name, counts in addresses.items():
        places = ", ".join(f"{address}: {count}" for address, count in sorted(counts.items()))
        found.append(
            f"account {name} {lost[name]}, and {sum(counts.values())} clients use it ({places}), which could not"
            " connect again. Deploy them with another account first, while this one stays as it is (docs/passwords.md),"
            " or accept the failures for a changed password: password_change: always."
        )
    return found


def accounts_in_use(folder: pathlib.Path, home: pathlib.Path, changeable: t.Container[str]) -> list[str]:
    """Accounts that the running PgBouncer's clients use and that `folder` would take from them."""
    if not (home / "userlist.txt").exists():
        return []
    lost = lost_accounts(read_accounts(home), read_accounts(folder), changeable, asks_others(folder))
    clients: list[Row] = []
    for place in places(home) if lost else []:
        # What does not run has no clients.
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            clients += ask(*place, "SHOW CLIENTS")[0]
    return clients_of(lost, clients)


class Failure(t.NamedTuple):
    """Why a login failed; `down`: the server takes no connections at all."""

    cause: str
    down: bool = False


class Way(t.NamedTuple):
    """One way through PgBouncer that a client may take; of a forced account, the pool is the same for all clients."""

    account: str
    database: str
    password: str


def ways(files: Files, accounts: Row, logins: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[Way]:
    """Every pool with a password for it. What is not in the list of accounts has its password elsewhere."""
    found: list[Way] = []
    forced: set[str] = set()
    for name, login in logins.items():
        # A set that is returned to may have another one.
        if name not in accounts or not same_password(accounts[name], login["password"]):
            continue
        named = login.get("databases")
        for database in [one for one in files.databases if one != "*"] if named is None else named:
            if "user" not in files.databases.get(database, {}):
                found.append(Way(name, database, login["password"]))
            elif database not in forced:
                forced.add(database)
                found.append(Way(name, database, login["password"]))
    return found


def unlike(accounts: Row, logins: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Accounts that are not in the list with the password that is to be proven."""
    return [
        f"account {name}: userlist.txt has another password"
        for name, login in logins.items()
        if not same_password(accounts.get(name, ""), login["password"])
    ]


def failed_logins(
    folder: str, port: str, found: t.Sequence[Way], files: Files, log: t.IO[str] | None = None
) -> dict[Way, Failure]:
    """What PgBouncer reports of each login and query that fails; a server that is down is not waited for."""
    down: dict[str, str] = {}
    for way in found:
        line = server_of(files, way.database)
        if (server := address_of(line)) not in down:
            down[server] = "" if way.database == "pgbouncer" else unreachable(line)
    failed, ends = {}, time.monotonic() + LOGINS_SECONDS
    for way in found:
        server = address_of(server_of(files, way.database))
        left = min(LOGIN_SECONDS, ends - time.monotonic())
        if down[server]:
            failed[way] = Failure(down[server], down=True)
            continue
        begun = os.fstat(log.fileno()).st_size if log else 0
        try:
            if left <= 0:
                raise TimeoutError(f"not tried within {LOGINS_SECONDS:g} s")
            with Login(f"{folder}/.s.PGSQL.{port}", way.account, way.database, way.password, left) as client:
                client.ask("SHOW VERSION" if way.database == "pgbouncer" else "SELECT 1")
        except (OSError, RefusedError) as error:
            # The client is often just disconnected, and the log has the reason.
            logged = reasons(read_log(log, begun)) if log else []
            # Of several replicas, PgBouncer tries each in turn, those too that are down.
            gone = [f"{host}: {why}" for host, why in silent(server_of(files, way.database)).items() if why]
            part = bool(gone) and way.database != "pgbouncer"
            failed[way] = Failure("; ".join(dict.fromkeys([*(gone if part else []), str(error), *logged])), down=part)
    return failed


def read_log(log: t.IO[str], begun: int = 0) -> str:
    """What a running process has logged. Not by a seek: it writes at the same place."""
    return os.pread(log.fileno(), LOG_BYTES, begun).decode(errors="replace")


def reasons(logged: str) -> list[str]:
    """Of what PgBouncer logged meanwhile, what went wrong at the server."""
    lines = [line.split("] ", 1)[-1] for line in logged.splitlines() if re.search(r"\] (WARNING|ERROR|FATAL) ", line)]
    return [re.sub(r"^\S+ (\S-\S+: \S+ )?", "", line).strip() for line in lines if "pooler error" not in line]


def server_of(files: Files, database: str) -> Row:
    return files.databases.get(database, files.databases.get("*", {}))


def address_of(line: Row) -> str:
    return f"{line.get('host', '')}:{line.get('port', 5432)}"


def unreachable(line: Row) -> str:
    """Why none of a database's servers takes connections."""
    causes = silent(line)
    return "" if "" in causes.values() else "; ".join(causes.values())


def silent(line: Row) -> dict[str, str]:
    """By server of a database, why it takes no connections; empty where it does."""
    hosts = [host.strip() for host in line.get("host", "").split(",")]
    return {host: accepts(host, int(line.get("port", 5432)), SERVER_SECONDS) for host in hosts}


def explained(failed: t.Mapping[Way, Failure], files: Files, before: Files | None) -> tuple[list[str], list[str]]:
    """Faults, and what is no fault of these files: a server that is down or full, and that was the same one before."""
    faults, notes = [], []
    for way, failure in failed.items():
        server = address_of(server_of(files, way.database))
        where = f"account {way.account} can't log in through the pool of database {way.database}"
        cause = failure.cause
        if failure.down:
            text = f"{where}: its server {server} does not take connections: {cause}. Start it, or correct its address."
            same_one = before is not None and address_of(server_of(before, way.database)) == server
            (notes if same_one else faults).append(text)
        elif any(words in cause for words in BUSY):
            notes.append(f"{where}: {cause}. The server {server} is busy or starting.")
        elif any(words in cause for words in OTHER_VERIFIER) and way.database != "pgbouncer":
            faults.append(f"{where}: {cause}. {SAME_VERIFIER.format(server)}")
        else:
            faults.append(
                f"{where}: {cause}. Correct what it reports, at the server {server} or in PgBouncer's options."
            )
    return faults, notes


def given_logins() -> dict[str, dict[str, t.Any]]:
    return dict(json.loads(os.environ.get(LOGINS) or "{}"))


def logins_through(folder: pathlib.Path, process: str) -> list[str]:
    """Log in through the pools of a running process."""
    files = read_files(folder, process)
    found = ways(files, read_accounts(folder), given_logins())
    failed = failed_logins(files.settings["unix_socket_dir"], files.settings["listen_port"], found, files)
    if files.settings.get("auth_type") in OTHER_WAYS:
        # Who may log in from this host, and how, is what these decide. The throwaway PgBouncer has asked for passwords.
        failed = {way: failure for way, failure in failed.items() if failure.cause not in NOT_FROM_HERE}
    faults, notes = explained(failed, files, files)
    for note in notes:
        say(f"warning: {note}")
    return faults


def first_logins(folder: pathlib.Path, scratch: str, files: Files, home: pathlib.Path, log: t.IO[str]) -> list[str]:
    """Log in through the pools of the throwaway PgBouncer, before anything is changed."""
    logins, port = given_logins(), files.settings["listen_port"]
    # In check mode, the server may not have the accounts yet.
    if not logins or os.environ.get("NEXOD_CHECK_MODE"):
        return []
    accounts = read_accounts(folder)
    if found := unlike(accounts, logins):
        return found
    # Each connection to a server is closed after use, as the server may have few left.
    settings = {"server_lifetime": "0"}
    if files.settings.get("auth_type") in OTHER_WAYS:
        settings["auth_type"] = "scram-sha-256"
    ask(scratch, port, *(f"SET {key} = '{value}'" for key, value in settings.items()))
    failed = failed_logins(scratch, port, ways(files, accounts, logins), files, log)
    before = read_files(home) if (home / PROCESS.format(1)).exists() else None
    faults, notes = explained(failed, files, before)
    for note in notes:
        say(f"warning: {note}")
    return faults


def retired_connections(folder: pathlib.Path, process: str) -> list[str]:
    """Server connections of accounts that are no longer listed. They are closed, each at the end of its transaction."""
    if asks_others(folder):
        return []
    files = read_files(folder, process)
    known = {*read_accounts(folder), *(line["user"] for line in files.databases.values() if "user" in line)}
    place = (files.settings["unix_socket_dir"], files.settings["listen_port"])
    stale = [row for row in ask(*place, "SHOW SERVERS")[0] if row["user"] not in known]
    for name in sorted({row["database"] for row in stale}):
        with without_logins(f"{place[0]}/.s.PGSQL.{place[1]}", name) as console:
            console.ask(f'RECONNECT "{name}"')
    return [f"account {name} still has server connections" for name in sorted({row["user"] for row in stale})]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def installed_version() -> tuple[int, ...]:
    output = subprocess.run(["pgbouncer", "--version"], capture_output=True, check=False, text=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)\.(\d+)", output)
    return tuple(map(int, found.groups())) if found else ()


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def warn_of_version(version: tuple[int, ...], others: t.Collection[str]) -> None:
    if version and version < VERSION_FLOOR:
        say(
            f"warning: PgBouncer {dotted(version)} is below {dotted(VERSION_FLOOR)}, the first without CVE-2026-6664"
            " to CVE-2026-6667"
        )
    if version and version < CLOSES_FIRST and others:
        say(
            f"warning: PgBouncer {dotted(version)} can't close its port while it serves clients: when this host stops,"
            f" they are disconnected after their transactions, {BLOCKED_SECONDS:g} s later at most. From"
            f" {dotted(CLOSES_FIRST)} on, they have pgbouncer_drain_seconds to connect to another host"
        )


def lacking(settings: Row, version: tuple[int, ...]) -> list[str]:
    """What the files use and the installed version does not have."""
    return [
        f"{name} needs PgBouncer {dotted(since)}, and this host has {dotted(version)}: {why}"
        for name, (since, why) in FEATURES.items()
        if name in settings and version and version < since and settings[name] != "0"
    ]


def loses_keys(accounts: Row, version: tuple[int, ...]) -> list[str]:
    """Whether the version can't be used with verifiers (https://github.com/pgbouncer/pgbouncer/pull/1504)."""
    if not KEYS_LOST[0] <= version < KEYS_LOST[1] or not any("SCRAM-SHA-256$" in one for one in accounts.values()):
        return []
    return [
        f"PgBouncer {dotted(version)} can't log in at the server with a verifier after it has lost its connections:"
        " install 1.26, or set pgbouncer_password_storage to plain"
    ]


def missing_files(settings: Row, home: str) -> list[str]:
    """Files that do not exist: PgBouncer would only notice at the first connection that needs them."""
    named = {key: value for key, value in settings.items() if key.endswith("_file") and value}
    others = {key: value for key, value in named.items() if not value.startswith(f"{home.rstrip('/')}/")}
    return [f"{key}: there is no file {value}" for key, value in others.items() if not os.path.isfile(value)]


def moved(text: str, home: str, scratch: str) -> str:
    """A file of the set with the paths of the set's other files in `scratch` instead of `home`."""
    return re.sub(rf"(?<!\S){re.escape(home.rstrip('/'))}/(?=\S)", f"{scratch}/", text)


def staged(folder: pathlib.Path, home: str) -> list[str]:
    """Let a PgBouncer that nobody can reach load the files."""
    if shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        raise NotInstalledError("pgbouncer is not installed. Install the package first.")
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError as error:
        raise NotInstalledError(f"there is no account {ACCOUNT}. Reinstall the package pgbouncer.") from error
    files = read_files(folder)
    if found := lacking(files.settings, installed_version()) + loses_keys(read_accounts(folder), installed_version()):
        return found
    first = PROCESS.format(1)
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as scratch:
        os.chown(scratch, account.pw_uid, account.pw_gid)
        os.makedirs(f"{scratch}/tls")
        os.chown(f"{scratch}/tls", account.pw_uid, account.pw_gid)
        for name in (*FILES, first, *(f"tls/{path.name}" for path in (folder / "tls").glob("*"))):
            text = (folder / name).read_text(encoding="utf-8")
            if name.endswith(".ini"):
                text = moved(text, home, scratch)
            if name == first:
                different = [f"{key} = {value.format(scratch=scratch)}" for key, value in THROWAWAY.items()]
                text += "\n" + "\n".join(different) + "\n"
            path = os.path.join(scratch, name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            os.chown(path, account.pw_uid, account.pw_gid)
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                ["pgbouncer", f"{scratch}/{first}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=ACCOUNT,
                group=ACCOUNT,
                # A key of the host may be for one of them, such as ssl-cert.
                extra_groups=os.getgrouplist(ACCOUNT, account.pw_gid),
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )
            try:
                found = wait_and_compare(process, scratch, home, files)
                found += logged_errors(read_log(log).splitlines(), scratch) + missing_files(files.settings, home)
                found = found or first_logins(folder, scratch, files, pathlib.Path(home), log)
            finally:
                process.kill()
                process.wait()
        return found


def logged_errors(log: t.Iterable[str], scratch: str) -> list[str]:
    """PgBouncer runs on in spite of some of the errors that it logs, and a wrong rule of hba.conf is but a warning."""
    errors = [line for line in log if re.search(r"\] (ERROR|FATAL) |\] WARNING .*\bhba\b", line)]
    return [line.split("] ", 1)[-1].replace(f"{scratch}/", "").strip() for line in errors]


def wait_and_compare(process: subprocess.Popen[bytes], scratch: str, home: str, files: Files) -> list[str]:
    end = time.monotonic() + SECONDS
    while True:
        if process.poll() is not None:
            return [f"PgBouncer ended with {process.returncode}"]
        if any(name.startswith(".s.PGSQL.") for name in os.listdir(scratch)):
            moved_too = [key for key, value in files.settings.items() if value.startswith(f"{home.rstrip('/')}/")]
            return differences(files, show(scratch, files.settings["listen_port"]), (*THROWAWAY, *moved_too))
        if time.monotonic() > end:
            return [f"PgBouncer did not open its socket within {SECONDS:g} s"]
        time.sleep(0.02)


def console_of(pid: int, folder: pathlib.Path, process: str) -> Console:
    """The console of a running process, whose files may already be for another place: those before are tried too."""
    causes = []
    for path in (folder.parent / name for name in ("current", "live", "previous")):
        try:
            settings = read_files(path, process).settings
            console = Console(f"{settings['unix_socket_dir']}/.s.PGSQL.{settings['listen_port']}")
        except (OSError, KeyError) as error:
            causes.append(f"{path}: {error}")
            continue
        if console.listener() == pid:
            return console
        causes.append(f"{path}: its socket is that of process {console.listener()}")
        console.close()
    raise OSError(f"no Unix socket of process {pid} was found; {'; '.join(causes)}")


def others_listen(config: Row) -> bool:
    """Whether another process accepts new clients at the address that this one had."""
    first = config["listen_addr"].split(",")[0].strip()
    if not first:
        return False
    try:
        with socket.create_connection((ANYWHERE.get(first, first), int(config["listen_port"])), timeout=1):
            return True
    except ConnectionRefusedError:
        return False
    except OSError:
        # A slow answer is one too.
        return True


def listeners(pid: int, port: int, proc: str = "/proc") -> set[str]:
    """Addresses of a TCP port that a process listens on itself, whoever else does."""
    own = set()
    for path in pathlib.Path(proc, str(pid), "fd").iterdir():
        with contextlib.suppress(OSError):
            own.add(os.readlink(path))
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with contextlib.suppress(FileNotFoundError):
            for line in pathlib.Path(proc, "net", table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                address, number = words[1].split(":")
                if words[3] == LISTEN and int(number, 16) == port and f"socket:[{words[9]}]" in own:
                    # Words of the host's byte order.
                    parts = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
                    found.add(socket.inet_ntop(family, struct.pack(f"={len(parts)}I", *parts)))
    return found


def deaf(settings: Row, found: t.Container[str]) -> list[str]:
    """Addresses that PgBouncer does not listen on: 1.18 runs on without one that another program has."""
    lost = []
    for address in (part.strip() for part in settings["listen_addr"].split(",") if part.strip()):
        try:
            asked = str(ipaddress.ip_address("0.0.0.0" if address == "*" else address))  # noqa: S104 compared only
        except ValueError:
            # A name.
            continue
        if asked not in found:
            lost.append(f"{DEAF} {address}:{settings['listen_port']}: look for another program there (ss -ltnp)")
    return lost


def other_certificate(files: Files) -> list[str]:
    """Whether new clients get another certificate than the one in the file. Of several processes, any may answer."""
    path, address = files.settings.get("client_tls_cert_file", ""), files.settings["listen_addr"].split(",")[0]
    if not path or not address or files.peers:
        return []
    request = struct.pack("!ii", 8, 80877103)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((ANYWHERE.get(address, address), int(files.settings["listen_port"])), SECONDS) as raw:
        raw.sendall(request)
        if raw.recv(1) != b"S":
            return ["it offers no TLS to clients"]
        with context.wrap_socket(raw) as connection:
            presented = connection.getpeercert(binary_form=True)
    first = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", read_text(path), re.DOTALL)
    same_one = first and ssl.PEM_cert_to_DER_cert(first[0]) == presented
    return [] if same_one else [f"clients get another certificate than the one in {path}"]


def read_text(path: str) -> str:
    return pathlib.Path(path).read_text(encoding="utf-8")


def ended(pid: int, seconds: float) -> bool:
    """Whether a process ends in time. In /proc, the unit's confinement hides it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(PAUSE)
    return False


def taken_over(config: Row, others: t.Iterable[str]) -> bool:
    """Whether new clients are accepted elsewhere: by another process of this host, or on another host."""
    port = int(config["listen_port"])
    return others_listen(config) or any(not accepts(other, port, SERVER_SECONDS) for other in others)


def other_hosts(folder: pathlib.Path) -> list[str]:
    """Addresses of other hosts whose PgBouncer takes new clients."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / OTHER_HOSTS).read_text(encoding="utf-8").split()
    return []


def nobody_logs_in(console: Console) -> bool:
    return not any(row["list"] == "login_clients" and row["items"] for row in console.ask("SHOW LISTS"))


def only_consoles(console: Console) -> bool:
    """Whether all clients have gone. SHOW CLIENTS leaves out those that are logging in."""
    return nobody_logs_in(console) and all(row["database"] == "pgbouncer" for row in console.ask("SHOW CLIENTS"))


def has_client(console: Console, port: int) -> bool:
    """Whether the process has the connection from that port of this host."""
    return any(row["type"] == "C" and row["port"] == port for row in console.ask("SHOW SOCKETS"))


def wait(console: Console, seconds: float, done: t.Callable[[Console], bool], pause: float = PAUSE) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not done(console):
        time.sleep(pause)


def stop(pid: int, folder: pathlib.Path, process: str, drain: float, seconds: float) -> None:
    """End a process without ending what its clients do, as far as its version can."""
    with console_of(pid, folder, process) as console:
        config = {row["key"]: row["value"] for row in as_text(console.ask("SHOW CONFIG"))}
        with detour(config["listen_addr"], int(config["listen_port"]), functools.partial(has_client, console)) as way:
            # Those that were on their way.
            time.sleep(PAUSE)
            wait(console, LOGIN_SECONDS if way.others else BLOCKED_SECONDS, nobody_logs_in, LOGIN_LOOK)
            try:
                console.ask("SHUTDOWN WAIT_FOR_CLIENTS")
            except RefusedError:
                # Before 1.23. It ends once no transaction runs, and SIGTERM ends it at once.
                wait(console, drain if way.others else min(drain, BLOCKED_SECONDS), only_consoles)
                os.kill(pid, signal.SIGINT)
                if not ended(pid, seconds):
                    os.kill(pid, signal.SIGTERM)
                return
        others = other_hosts(folder)
        # Each look is a connection in the log of the other process.
        wait(console, drain, lambda console: not taken_over(config, others) or only_consoles(console), LOOK)
        console.ask("SHUTDOWN WAIT_FOR_SERVERS")
        if not ended(pid, seconds):
            os.kill(pid, signal.SIGINT)


def read_again(pid: int, folder: pathlib.Path, process: str) -> None:
    """Let a process read its files again, at a moment when it is not logging in at a server."""
    try:
        with console_of(pid, folder, process) as found, without_logins(found.path) as console:
            # Unlike a signal, it reports from 1.26 on what it could not read.
            console.ask("RELOAD")
    except OSError as error:
        say(f"The console was not asked, so the process gets a signal: {error}")
        os.kill(pid, signal.SIGHUP)


def judged(mode: str, folder: pathlib.Path, first: str, changeable: t.Sequence[str]) -> list[str]:
    """Everything that is wrong; `first` is where the files will be, or the number of the process."""
    if mode == "staged":
        found = staged(folder, first) + accounts_in_use(folder, pathlib.Path(first), changeable)
        warn_of_version(installed_version(), other_hosts(folder))
        return found
    if mode == "login":
        return logins_through(folder, first)
    if mode == "retired":
        return retired_connections(folder, first)
    files = read_files(folder, first)
    place, port = files.settings["unix_socket_dir"], files.settings["listen_port"]
    if found := differences(files, show(place, port)):
        return found
    with Console(f"{place}/.s.PGSQL.{port}") as console:
        found = deaf(files.settings, listeners(console.listener(), int(port)))
    return found or other_certificate(files)


def main(mode: str, subject: str, first: str, *rest: str) -> int:
    try:
        if mode == "stop":
            # systemd knows no process where it has ended by itself.
            pid, drain, seconds = rest
            if pid:
                stop(int(pid), pathlib.Path(subject), first, float(drain), float(seconds))
            return 0
        if mode == "reload":
            read_again(int(rest[0]), pathlib.Path(subject), first)
            return 0
        found = judged(mode, pathlib.Path(subject), first, rest)
    except NotInstalledError as error:
        say(f"Cannot check PgBouncer's files: {error}")
        return 127
    except (OSError, RefusedError, subprocess.SubprocessError) as error:
        found = [str(error)]
    for line in found:
        say(line)
    # Waiting does not change that one (EX_CONFIG).
    return 78 if any(line.startswith(DEAF) for line in found) else 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
