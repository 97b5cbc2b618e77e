# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a cache is and how to sign in, from the modules' options. What is not understood or contradicts is refused.

A URL is read by a strict grammar: a lenient parser connects elsewhere than the text says if the password contains a
slash, drops parameters, and removes line breaks. Errors never quote a part of the URL that may belong to a password.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges

Facts = t.Mapping[str, t.Any]

# Without defaults where a URL states the same: a value that was given must be distinguishable from none.
CONNECTION: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "no_log": True},
    "host": {"type": "str"},
    "port": {"type": "int"},
    "unix_socket": {"type": "path"},
    "db": {"type": "int"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "tls": {"type": "bool"},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "tls_server_name": {"type": "str"},
    "sentinels": {"type": "list", "elements": "str"},
    "sentinel_service": {"type": "str"},
    "sentinel_username": {"type": "str"},
    "sentinel_password": {"type": "str", "no_log": True},
    "address_map": {"type": "dict"},
    "iam_cache": {"type": "str"},
    "iam_serverless": {"type": "bool"},
    "region": {"type": "str"},
    "timeout": {"type": "int", "default": 30},
}
CONNECTION_RULES: dict[str, t.Any] = {
    "required_one_of": [("url", "host", "unix_socket", "sentinels")],
    "mutually_exclusive": [("url", "host", "unix_socket", "sentinels"), ("password", "iam_cache")],
    "required_together": [("sentinels", "sentinel_service"), ("client_cert", "client_key")],
    "required_by": {"iam_cache": ["username", "region"], "sentinel_username": ["sentinel_password"]},
}
RANGES = {"port": (1, 65535), "db": (0, None), "timeout": (1, 3600)}
PORT, SENTINEL_PORT = 6379, 26379
# An option in the first column means nothing without one of those in the second.
NEEDS = {
    "ca_cert": ("tls",),
    "client_cert": ("tls",),
    "tls_server_name": ("tls",),
    "iam_serverless": ("iam_cache",),
    "sentinel_password": ("sentinels",),
}
USELESS_WITH = {
    "sentinels": ("port",),
    "unix_socket": ("port", "tls", "ca_cert", "client_cert", "tls_server_name", "iam_cache", "address_map"),
}

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?"
HOST = re.compile(NAME)
ADDRESS = re.compile(rf"(?:(?P<host>{NAME})|\[(?P<six>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?")
URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<username>[^:@/?#\[\]]*)(?::(?P<password>[^@/?#\[\]]*))?@)?"
    r"(?P<address>[^@/?#]*)(?P<path>/[^@?#]*)?(?:\?(?P<query>[^@#]*))?"
)
TLS_SCHEMES, PLAIN_SCHEMES, SOCKET_SCHEMES = ("rediss", "valkeys"), ("redis", "valkey"), ("unix", "redis+socket")
EXAMPLE = "rediss://user@host:6379/0"
# By parameter of a URL: the option that it is.
PARAMETERS = {"db": "db", "ssl_ca_certs": "ca_cert", "ssl_certfile": "client_cert", "ssl_keyfile": "client_key"}

SUPPORTED = ", ".join((*PARAMETERS, "ssl_cert_reqs=required"))


@dataclasses.dataclass(frozen=True)
class Target:
    """How to reach the cache, and as which account."""

    host: str
    port: int
    db: int = 0
    username: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    tls: bool = False
    ca_cert: str | None = None
    timeout: int = 30
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = dataclasses.field(default=None, repr=False)
    iam_cache: str | None = None
    iam_serverless: bool = False
    region: str = ""
    client_cert: str | None = None
    client_key: str | None = None
    tls_server_name: str | None = None
    unix_socket: str | None = None
    address_map: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        if self.sentinels:
            return f'"{self.service}" of Sentinel'
        return self.unix_socket or named(self.host, self.port)

    def mapped(self, host: str, port: int) -> tuple[str, int]:
        """Where to connect for an address that a cluster or a Sentinel has named."""
        given = dict(self.address_map)
        for key in (named(host, port), host):
            if key in given:
                return read_address(given[key], port, "address_map")
        return host, port


def named(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def refused(cause: str, next_step: str = "", *, object: str = "the cache") -> InfraError:
    steps = next_step or f"Write the URL as {EXAMPLE}, and a Sentinel as host:port."
    return InfraError("read the address of", object, cause, steps)


def is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).version == 6
    except ValueError:
        return False


def read_address(text: str, port: int, option: str) -> tuple[str, int]:
    """``host``, ``host:port``, ``[address]:port``."""
    found = ADDRESS.fullmatch(text)
    if found is None and is_ipv6(text):
        return text, port
    number = int(found["port"] or port) if found else 0
    if found is None or not 0 < number <= 65535 or (found["six"] and not is_ipv6(found["six"])):
        raise refused(f"{option} contains an entry that is not a valid address", "Write it as host:port.")
    return found["host"] or found["six"], number


def target_of(given: Facts) -> Target:
    """The target that a module's options describe."""
    check_ranges(given, RANGES)
    found: dict[str, t.Any] = {name: value for name, value in given.items() if name in CONNECTION and value is not None}
    if found.get("url"):
        found = merged(read_url(found.pop("url")), found)
    _refuse_contradictions(found)
    if found.get("host") is not None and not (HOST.fullmatch(found["host"]) or is_ipv6(found["host"])):
        raise refused("host is not the name or address of a host", "Write the port in port, and a URL in url.")
    for name in ("username", "password", "sentinel_username", "sentinel_password", "sentinel_service"):
        _encodable(found, name)
    options: dict[str, t.Any] = {
        name: found[name]
        for name in (
            "ca_cert", "timeout", "sentinel_username", "sentinel_password", "iam_cache", "iam_serverless", "region",
            "client_cert", "client_key", "tls_server_name", "unix_socket",
        )
        if name in found
    }  # fmt: skip
    if "sentinels" in found:
        options["sentinels"] = tuple(read_address(one, SENTINEL_PORT, "sentinels") for one in found["sentinels"])
        options["service"] = found["sentinel_service"]
    if "address_map" in found:
        options["address_map"] = tuple((str(key), str(value)) for key, value in found["address_map"].items())
        for _key, value in options["address_map"]:
            read_address(value, PORT, "address_map")
    return Target(
        found.get("host", ""),
        found.get("port", PORT),
        found.get("db", 0),
        found.get("username"),
        found.get("password"),
        found.get("tls", False),
        **options,
    )


def _encodable(found: Facts, name: str) -> None:
    try:
        str(found.get(name, "")).encode()
    except UnicodeEncodeError as error:
        raise refused(f"{name} contains half a character (a surrogate)", "Write it in UTF-8.") from error


def merged(url: Facts, options: Facts) -> dict[str, t.Any]:
    """The parts of a URL and the options beside it; both may state the same, but nothing else."""
    for name, value in url.items():
        if name in options and options[name] != value:
            raise refused(f"the URL and the option {name} contradict each other", f"Remove {name}, or change the URL.")
    return {**options, **url}


def _refuse_contradictions(found: Facts) -> None:
    for option, needed in NEEDS.items():
        if found.get(option) and not any(found.get(one) for one in needed):
            more = " (rediss:// in a URL)" if needed == ("tls",) else ""
            raise refused(f"{option} is set, but not {needed[0]}", f"Set {needed[0]}{more}, or remove {option}.")
    for option, useless in USELESS_WITH.items():
        for one in useless:
            if found.get(option) and found.get(one):
                raise refused(f"{option} and {one} are set", f"Remove {one}, which has no effect with {option}.")
    if found.get("iam_cache") and not found.get("tls"):
        raise refused(
            "iam_cache is set, but not tls: the token would cross the network in clear text",
            "Set tls: true (rediss:// in a URL). ElastiCache accepts IAM only with TLS.",
        )


def read_url(url: str) -> dict[str, t.Any]:
    """What a URL states, by the names of the options."""
    if any(letter <= " " or letter in "\x7f\\" or letter.isspace() for letter in url):
        raise refused("the URL contains white space, a control character or a backslash")
    found = URL.fullmatch(url)
    if found is None:
        raise refused(*_why_no_url(url))
    scheme, path = found["scheme"].lower(), found["path"] or ""
    parts: dict[str, t.Any] = {}
    if scheme in SOCKET_SCHEMES:
        if found["address"] or len(path) < 2:
            raise refused("the URL names no socket", "Write it as unix:///run/redis/redis.sock?db=0.")
        parts["unix_socket"] = _decoded(path, "path")
    elif scheme in (*TLS_SCHEMES, *PLAIN_SCHEMES):
        parts |= _server(found["address"], path, tls=scheme in TLS_SCHEMES)
    else:
        raise refused("the URL does not begin with redis://, rediss:// or unix://")
    for name in ("username", "password"):
        if found[name]:
            parts[name] = _decoded(found[name], name)
    return merged(_parameters(found["query"]), parts) if found["query"] is not None else parts


def _why_no_url(url: str) -> tuple[str, str]:
    if "://" not in url:
        return "the URL has no scheme", ""
    authority = re.split(r"[/?#]", url.partition("://")[2])[0]
    user_info = authority.rpartition("@")[0]
    if "@" in user_info or "@" in url.partition("://")[2][len(authority) :]:
        return (
            "its user or password contains one of the characters @ / ? # unencoded",
            "Encode them (@ as %40, / as %2F, ? as %3F, # as %23), or set username and password instead.",
        )
    if set(user_info) & set("[]"):
        return (
            "its user or password contains one of the characters [ ] unencoded",
            "Encode them ([ as %5B, ] as %5D), or set username and password instead.",
        )
    if "#" in url:
        return "the URL contains a #", "If it belongs to the password, write %23, or set password instead."
    return "the URL is not valid", ""


def _server(address: str, path: str, *, tls: bool) -> dict[str, t.Any]:
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise refused("the URL has no valid host and port")
    host, port = read_address(address, PORT, "the URL")
    parts: dict[str, t.Any] = {"host": host, "tls": tls}
    if match["port"]:
        parts["port"] = port
    if path not in ("", "/"):
        if not re.fullmatch(r"/[0-9]{1,9}", path):
            raise refused("the path of the URL is not the number of a database")
        parts["db"] = int(path[1:])
    return parts


def _parameters(query: str) -> dict[str, t.Any]:
    """The parameters of a URL. Their values are not quoted in errors: one may be a password."""
    parts: dict[str, t.Any] = {}
    for text in query.split("&") if query else []:
        name, equals, value = text.partition("=")
        if name == "ssl_cert_reqs" and value == "required":
            continue
        if name not in PARAMETERS or not equals or not value:
            shown = name if re.fullmatch(r"[a-z_]{1,30}", name) and equals else "of another form"
            raise refused(
                f"the URL has a parameter that is not supported ({shown})",
                f"Use the module's options instead. Supported are {SUPPORTED}.",
            )
        option = PARAMETERS[name]
        if option in parts:
            raise refused(f"the URL has the parameter {name} twice")
        if option == "db" and not re.fullmatch(r"[0-9]{1,9}", value):
            raise refused("the parameter db of the URL is not a number")
        parts[option] = int(value) if option == "db" else _decoded(value, name)
    return parts


def _decoded(text: str, part: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise refused(f"the {part} in the URL contains a % that begins no escape", "Write it as %25.")
    try:
        found = urllib.parse.unquote(text, errors="strict")
        found.encode()
    except UnicodeError as error:
        raise refused(f"the {part} in the URL is not UTF-8", "Set it in the option instead.") from error
    if any(letter < " " for letter in found):
        raise refused(f"the {part} in the URL contains a control character", "Set it in the option instead.")
    return found


def secrets_of(given: Facts) -> set[str]:
    """What must not appear in any output: whatever could be a password in the URL, as written and decoded.

    Also of a URL that is refused, whose password may lie anywhere between the scheme and the last @.
    """
    rest = str(given.get("url") or "").partition("://")[2] or str(given.get("url") or "")
    found: set[str] = set()
    user_info, at, _rest = rest.rpartition("@")
    if at:
        found |= {user_info.partition(":")[2], *re.split(r"[@:/?#]", user_info.partition(":")[2])}
    query = rest.partition("?")[2]
    for text in query.split("&"):
        name, _equals, value = text.partition("=")
        if re.search(r"pass|secret|token|auth|key", name, re.IGNORECASE):
            found.add(value)
    return {text for one in found if one for text in (one, urllib.parse.unquote(one)) if text}
