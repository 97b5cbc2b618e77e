# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a database URL of SQLAlchemy's connects to, and which parts of it are secret.

SQLAlchemy passes the query on to the driver, where it overrides what stands before it. A URL that says two things, or
that a person and SQLAlchemy can read differently, is refused: it would name one database and connect to another.
No message quotes any part of the URL.
"""

from __future__ import annotations

import dataclasses
import re
import socket
import typing as t
from urllib.parse import parse_qsl, unquote

# SQLAlchemy's own grammar of a URL: it accepts what urllib refuses, such as a password with a slash in it.
URL = re.compile(
    r"(?P<dialect>[\w+]+)://(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<six>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>[^/?]*))?(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
# host:port in a value of the query, where SQLAlchemy looks for it.
HOST_AND_PORT = re.compile(r"(?P<host>[a-zA-Z0-9\-.]*):(?P<port>\d*)")
DEFAULT_PORT = 5432
SOCKET_FOLDERS = ("/var/run/postgresql", "/tmp")  # noqa: S108  where the builds of libpq look
SECRET_PARAMETERS = ("password", "sslpassword")
# Environment variables from which libpq would take another server or account than the URL's.
VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGSERVICEFILE")
# Parameters from which a driver would take the server or the account, beside or instead of the URL.
ELSEWHERE = ("service", "servicefile", "dsn", "conninfo")
ENCODE = "Write each special character of the user, the password and the database's name as %XX (@ as %40, : as %3A, "
ENCODE += "/ as %2F, % as %25, a space as %20)"
FORM = "Write it as postgresql+psycopg://USER:PASSWORD@HOST:5432/NAME, with special characters as %XX."
SEVERAL = "Write several hosts as postgresql+psycopg://USER:PASSWORD@/NAME?host=HOST1:5432&host=HOST2:5432."


class UnreadableUrlError(ValueError):
    """The URL is refused; `next_step` says how to write it."""

    def __init__(self, cause: str, next_step: str) -> None:
        super().__init__(cause)
        self.next_step = next_step


@dataclasses.dataclass(frozen=True)
class Address:
    """`hosts`: each with its port, in the order in which the driver tries them; a path is a socket's folder."""

    hosts: tuple[tuple[str, int], ...]
    name: str
    secrets: tuple[str, ...] = ()  # as written

    def candidates(self) -> tuple[tuple[str, int], ...]:
        """All that the driver may connect to."""
        return self.hosts or (*((folder, DEFAULT_PORT) for folder in SOCKET_FOLDERS), ("localhost", DEFAULT_PORT))

    def listens(self) -> bool:
        """Whether anything accepts connections at one of the addresses."""
        return any(accepts(host, port) for host, port in self.candidates())


def accepts(host: str, port: int) -> bool:
    try:
        if host.startswith(("/", "@")):
            path = f"{host}/.s.PGSQL.{port}"
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect("\0" + path[1:] if path.startswith("@") else path)
        else:
            socket.create_connection((host, port), timeout=5).close()
    except PermissionError:
        return True  # somebody listens, but not for this account
    except OSError:
        return False
    return True


def normal_url(url: str) -> str:
    """libpq's older name ``postgres`` as the one that SQLAlchemy knows."""
    return re.sub(r"^postgres(?=\+|:)", "postgresql", url)


def read_address(url: str) -> Address:
    """The address in `url`; raises UnreadableUrlError."""
    found = URL.fullmatch(normal_url(url))
    if found is None or not re.fullmatch(r"postgresql(\+\w+)?", found["dialect"]):
        raise UnreadableUrlError("it is not a URL that SQLAlchemy can read, or not one of PostgreSQL", FORM)
    if re.search(r"[\x00-\x1f\x7f]", url) or url != url.strip():
        raise UnreadableUrlError("it begins or ends with a space, or contains a line break or control character", FORM)
    outside = "".join(found[name] or "" for name in ("user", "six", "host", "port", "name", "query"))
    if "@" in outside:
        raise UnreadableUrlError(
            "it contains more than one @, or one that is not between the password and the host, so that the password "
            "can't be told apart from the host",
            f"{ENCODE}.",
        )
    query = query_of(found["query"] or "")
    hosts = hosts_of(found, query)
    user = agreed("user", unquote(found["user"] or ""), single(query, "user"))
    name = agreed("database", unquote(found["name"] or ""), single(query, "dbname") or single(query, "database"))
    password = agreed("password", unquote(found["password"] or ""), single(query, "password"))
    secrets = [found["password"] or "", password, *(value for key in SECRET_PARAMETERS for value in query.get(key, []))]
    secrets += raw_values(found["query"] or "")
    return Address(hosts, name or user, tuple(dict.fromkeys(filter(None, secrets))))


def query_of(text: str) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    for key, value in parse_qsl(text):
        query.setdefault(key, []).append(value)
    named = [key for key in ELSEWHERE if key in query]
    if named:
        raise UnreadableUrlError(
            f"its parameter {named[0]} names another place that says where to connect",
            "Write host, port, user and database into the URL itself.",
        )
    return query


def raw_values(text: str) -> list[str]:
    """The secret values of a query as they are written there."""
    pairs = [part.partition("=") for part in text.split("&")]
    return [value for key, _equals, value in pairs if unquote(key) in SECRET_PARAMETERS]


def single(query: t.Mapping[str, list[str]], key: str) -> str:
    values = query.get(key, [])
    if len(values) > 1:
        raise UnreadableUrlError(f"it has the parameter {key} more than once", f"Write {key} once.")
    return values[0] if values else ""


def agreed(what: str, before: str, in_query: str) -> str:
    if before and in_query and before != in_query:
        raise UnreadableUrlError(f"it has the {what} twice, once in its query", f"Write the {what} once.")
    return before or in_query


def hosts_of(found: re.Match[str], query: t.Mapping[str, list[str]]) -> tuple[tuple[str, int], ...]:
    written = found["six"] or found["host"] or ""
    port = found["port"] or ""
    if "," in port or ("," in written and "asyncpg" in found["dialect"]):
        raise UnreadableUrlError("SQLAlchemy can't read several hosts before the database's name", SEVERAL)
    names, ports = hosts_in_query(query)
    if not names:
        names = [host for host in written.split(",") if host]
    elif written and (written != ",".join(names) or (port and any(ports) and ports != [port])):
        raise UnreadableUrlError("it has the host twice, once in its query", "Write host and port once.")
    elif port and (len(names) > 1 or (any(ports) and ports != [port])):
        raise UnreadableUrlError("it has the port twice, once in its query", "Write host and port once.")
    if port and any(ports) and ports != [port]:
        raise UnreadableUrlError("it has the port twice, once in its query", "Write host and port once.")
    ports = ports if any(ports) else [port]
    if len(ports) > 1 and len(ports) != len(names):
        raise UnreadableUrlError("it has not as many ports as hosts", SEVERAL)
    numbers = [number_of(one) for one in ports] * (len(names) if len(ports) == 1 else 1)
    at = single(query, "hostaddr").split(",") if query.get("hostaddr") else []
    if at:
        # libpq connects there, and uses the host's name for TLS only.
        if names and len(at) != len(names):
            raise UnreadableUrlError("it has not as many entries in hostaddr as hosts", "Write one for each host.")
        numbers = numbers or [number_of(ports[0])] * len(at)
        names = at
    if not names and ports[0]:
        names = [*SOCKET_FOLDERS, "localhost"]
        numbers = [number_of(ports[0])] * len(names)
    return tuple(zip(names, numbers))  # noqa: B905  Python 3.9


def hosts_in_query(query: t.Mapping[str, list[str]]) -> tuple[list[str], list[str]]:
    """Hosts and ports as SQLAlchemy finds them: ``host=a:1&host=b:2``, or ``host=a,b&port=1,2``."""
    given, ports = query.get("host", []), query.get("port", [])
    pairs = [HOST_AND_PORT.fullmatch(one) for one in given]
    if len(given) > 1:
        if ports:
            raise UnreadableUrlError("it mixes two ways to write several hosts", SEVERAL)
        if any(one.count(":") > 1 or "," in one or (":" in one and not pair) for one, pair in zip(given, pairs)):  # noqa: B905
            raise UnreadableUrlError("its hosts can't be told apart from their ports", SEVERAL)
        return [pair["host"] if pair else one for one, pair in zip(given, pairs)], [  # noqa: B905
            pair["port"] if pair else "" for pair in pairs
        ]
    if given and pairs[0] and not ports:
        return [pairs[0]["host"]], [pairs[0]["port"]]
    hosts = given[0].split(",") if given else []
    if len(hosts) > 1 and any(":" in one and not one.startswith("/") for one in hosts):
        raise UnreadableUrlError("its hosts can't be told apart from their ports", SEVERAL)
    return hosts, ports if len(ports) > 1 else (ports[0].split(",") if ports else [""])


def number_of(port: str) -> int:
    if not port:
        return DEFAULT_PORT
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise UnreadableUrlError(
            "its port is not a number from 1 to 65535, or a password without its user or @ stands there", f"{ENCODE}."
        )
    return int(port)
