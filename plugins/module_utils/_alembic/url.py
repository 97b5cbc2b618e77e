# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database's URL: made, read, and kept out of everything that is shown."""

from __future__ import annotations

import typing as t
from urllib.parse import quote, unquote, urlencode

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.address import (
    SOCKET_FOLDERS,
    Address,
    UnreadableUrlError,
    normal_url,
    read_address,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Facts = t.Mapping[str, t.Any]
HIDDEN = "********"
SHORTEST_SECRET = 8  # a shorter text may be a word like any other
# Fields of an event that programs read. A secret is not searched for in them: it may be a word like any other.
IDENTIFIERS = ("event", "kind", "revision", "revisions", "heads", "known", "sqlstate", "after", "script_heads")


def database_url(database: Facts, driver: str) -> str:
    """The SQLAlchemy URL of `database`. asyncpg has another name for libpq's sslmode."""
    host, port = str(database["host"]), database.get("port") or 5432
    user = quote(database["user"], safe="")
    password = quote(database.get("password") or "", safe="")
    account = f"{user}:{password}" if password else user
    options = {"ssl" if driver == "asyncpg" else "sslmode": database.get("sslmode") or "prefer"}
    if host.startswith("/"):  # the folder of a socket
        options, place = {"host": host, "port": str(port), **options}, ""
    else:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"postgresql+{driver}://{account}@{place}/{quote(database['name'], safe='')}?{urlencode(options)}"


def address_of(url: str) -> Address:
    """The address in the option `url`. The error does not quote the URL, which may be a secret."""
    try:
        return read_address(url)
    except UnreadableUrlError as error:
        raise InfraError("read the database's address in", "`url`", str(error), error.next_step) from None


def read_url(url: str) -> dict[str, t.Any]:
    """Where a SQLAlchemy URL connects to: host and port (the first of several), all of them as text, and the name."""
    address = address_of(url)
    hosts = [one for one in address.hosts if one[0] not in SOCKET_FOLDERS or len(address.hosts) == 1]
    host, port = hosts[0] if hosts else ("localhost", 5432)
    shown = ", ".join(f"[{name}]:{number}" if ":" in name else f"{name}:{number}" for name, number in hosts)
    return {
        "host": host,
        "port": port,
        "hosts": shown or "the default host",
        "name": address.name,
        "candidates": address.candidates(),
    }


def place(database: Facts) -> str:
    """The database in a message: ``"app" at db:5432``."""
    hosts = database.get("hosts") or f"{database['host']}:{database['port']}"
    return f'"{database["name"]}" at {hosts}'


def secrets_of(url: str) -> tuple[str, ...]:
    """Every text that must not be shown, the longest first."""
    found = {url, normal_url(url)}
    for secret in address_of(url).secrets:
        found |= forms_of(secret) | forms_of(unquote(secret))
    found |= {text.replace("%", "%%") for text in found}  # as a configuration file has it
    return tuple(sorted((text for text in found if text), key=len, reverse=True))


def forms_of(secret: str) -> set[str]:
    """A password as it is written in URLs, SQLAlchemy's included, and in Python's messages."""
    quoted = {quote(secret, safe=safe) for safe in ("", " +", "/")}
    return {secret, repr(secret)[1:-1], *quoted, *(text.replace("%20", "+") for text in quoted)}


def secrets_in(environment: Facts | None) -> tuple[str, ...]:
    """The values of `environment` that must not be shown. All are secret, but a short one may be any word."""
    return tuple(str(value) for value in (environment or {}).values() if len(str(value)) >= SHORTEST_SECRET)


def redacted(value: t.Any, secrets: t.Sequence[str], name: str = "") -> t.Any:
    """`value` without the secrets, in every text inside it that is not an identifier."""
    if isinstance(value, str) and name not in IDENTIFIERS:
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: redacted(one, secrets, str(key)) for key, one in value.items()}
    if isinstance(value, list):
        return [redacted(one, secrets, name) for one in value]
    return value
