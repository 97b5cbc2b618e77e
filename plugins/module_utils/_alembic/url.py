# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database's URL: made, read, and kept out of everything that is shown."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import parse_qs, quote, unquote, urlencode

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Facts = t.Mapping[str, t.Any]
# SQLAlchemy's own grammar of a URL: it accepts what urllib refuses, such as a password with a slash in it.
URL = re.compile(
    r"(?P<driver>[\w+]+)://(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<six>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>\d*))?(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?$"
)
HIDDEN = "********"
# Fields of an event that programs read. A secret is not searched for in them: it may be a word like any other.
IDENTIFIERS = ("event", "kind", "revision", "revisions", "heads", "known", "sqlstate", "after", "script_heads")


def database_url(database: Facts, driver: str) -> str:
    """The SQLAlchemy URL of `database`. asyncpg has another name for libpq's sslmode."""
    host = f"[{database['host']}]" if ":" in database["host"] else database["host"]
    user = quote(database["user"], safe="")
    password = quote(database.get("password") or "", safe="")
    account = f"{user}:{password}" if password else user
    options = urlencode({"ssl" if driver == "asyncpg" else "sslmode": database.get("sslmode") or "prefer"})
    name, port = quote(database["name"], safe=""), database.get("port") or 5432
    return f"postgresql+{driver}://{account}@{host}:{port}/{name}?{options}"


def read_url(url: str) -> dict[str, t.Any]:
    """Host, port, name and password of a SQLAlchemy URL. The error does not quote the URL, which may be a secret."""
    found = URL.match(url)
    if found is None or not found["driver"].startswith("postgres"):
        raise InfraError(
            "read the database's address in",
            "`url`",
            "it is not a URL that SQLAlchemy can read, or not one of PostgreSQL",
            "Write it as postgresql+psycopg://USER:PASSWORD@HOST:5432/NAME, with special characters as %XX.",
        )
    query = parse_qs(found["query"] or "")
    host = found["six"] or found["host"] or next(iter(query.get("host", [])), "localhost")
    return {
        "host": host,
        "port": int(found["port"] or next(iter(query.get("port", [])), 5432)),
        "name": unquote(found["name"] or found["user"] or ""),
        "password": found["password"] or "",
    }


def place(database: Facts) -> str:
    """The database in a message: ``"app" at db:5432``."""
    return f'"{database["name"]}" at {database["host"]}:{database["port"]}'


def secrets_of(url: str) -> tuple[str, ...]:
    """Every text that must not be shown, the longest first."""
    password = read_url(url)["password"]
    found = {url, url.replace("%", "%%"), password, unquote(password), password.replace("%", "%%")}
    return tuple(sorted((text for text in found if text), key=len, reverse=True))


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
