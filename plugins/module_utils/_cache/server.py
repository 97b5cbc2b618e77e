# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to a Redis or Valkey: one server, one found through Sentinel, or the primaries of a cluster.

redis-py opens the connection, with TLS and authentication. Commands are then written to its socket, and replies read by
hiredis, directly: in a pipeline of single-key UNLINKs redis-py's bookkeeping for each reply takes most of the time
(80 thousand keys/s instead of 447 thousand).
"""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

MISSING: str | None = None
MISSING_NAME = ""
try:
    import redis
    from redis.backoff import NoBackoff
    from redis.crc import key_slot
    from redis.retry import Retry
except ImportError:
    MISSING, MISSING_NAME = traceback.format_exc(), "redis (Debian: python3-redis)"
try:
    import hiredis
except ImportError:
    MISSING, MISSING_NAME = traceback.format_exc(), MISSING_NAME or "hiredis (Debian: python3-hiredis)"

Facts = t.Mapping[str, t.Any]

CONNECTION: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "no_log": True},
    "host": {"type": "str"},
    "port": {"type": "int", "default": 6379},
    "db": {"type": "int", "default": 0},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "tls": {"type": "bool", "default": False},
    "ca_cert": {"type": "path"},
    "sentinels": {"type": "list", "elements": "str"},
    "sentinel_service": {"type": "str"},
    "sentinel_username": {"type": "str"},
    "sentinel_password": {"type": "str", "no_log": True},
    "iam_cache": {"type": "str"},
    "iam_serverless": {"type": "bool", "default": False},
    "region": {"type": "str"},
    "timeout": {"type": "int", "default": 30},
}
CONNECTION_RULES: dict[str, t.Any] = {
    "required_one_of": [("url", "host", "sentinels")],
    "mutually_exclusive": [("url", "host"), ("url", "sentinels"), ("host", "sentinels"), ("password", "iam_cache")],
    "required_together": [("sentinels", "sentinel_service")],
    "required_by": {"iam_cache": ["username", "region"]},
}
ALL_SLOTS = 16384
# Errors of a server that fails over, moves slots or loads its data: it, or another one, will answer soon.
TRANSIENT = frozenset({"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MOVED", "ASK"})


class Refused(Exception):  # noqa: N818 - the server's reply, not a fault of ours
    """An error reply of the server."""

    @property
    def word(self) -> str:
        return str(self).partition(" ")[0]


class Unreachable(Exception):  # noqa: N818
    """The server does not answer, or not now."""


class NobodyThereError(InfraError):
    """Nothing answers at the cache's address; expected in check mode before the cache is installed."""


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

    @property
    def name(self) -> str:
        return f'"{self.service}" of Sentinel' if self.sentinels else f"{self.host}:{self.port}"


@dataclasses.dataclass(frozen=True)
class Node:
    """A primary, and the slots that it serves in a cluster."""

    host: str
    port: int
    slots: frozenset[int] | None = None

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


def _address(text: str, port: int) -> tuple[str, int]:
    found = urllib.parse.urlsplit(f"//{text}")
    return found.hostname or "", found.port or port


def target_of(given: Facts) -> Target:
    """The target that a module's options describe. The parts of a URL override the other options."""
    common = {
        name: given.get(name)
        for name in ("ca_cert", "timeout", "sentinel_username", "sentinel_password", "iam_cache", "iam_serverless")
    }
    options: dict[str, t.Any] = {name: value for name, value in common.items() if value is not None}
    options["region"] = given.get("region") or ""
    try:
        if given.get("sentinels"):
            options["sentinels"] = tuple(_address(one, 26379) for one in given["sentinels"])
            options["service"] = given["sentinel_service"]
        host, port, db, tls = given.get("host") or "", given["port"], given["db"], given["tls"]
        username, password = given.get("username"), given.get("password")
        if given.get("url"):
            url = urllib.parse.urlsplit(given["url"])
            if url.scheme not in ("redis", "rediss", "valkey", "valkeys") or not url.hostname:
                raise ValueError("neither redis:// nor rediss:// with a host")
            host, port, tls = url.hostname, url.port or port, url.scheme in ("rediss", "valkeys") or tls
            db = int(url.path.strip("/") or db)
            username = urllib.parse.unquote(url.username) if url.username else username
            password = urllib.parse.unquote(url.password) if url.password else password
    except ValueError as error:
        # The error is not quoted: it may contain the URL, and with it the password.
        raise InfraError(
            "read the address of",
            "the cache",
            "it is not a valid address",
            "Write the URL as rediss://user@host:6379/0, and a Sentinel as host:port.",
        ) from error
    return Target(host, port, db, username, password, tls, **options)


def iam_token(target: Target, credentials: t.Any = None) -> str:
    """A password for ElastiCache that is valid for 15 minutes: a signed request, sent as text."""
    try:
        import botocore.session  # noqa: PLC0415 - only needed for this login
        from botocore.auth import SigV4QueryAuth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    except ImportError as error:
        raise InfraError(
            "sign in with IAM to", target.name, "boto3 is not installed on the host that runs the module",
            "Install python3-boto3 there, or set password.",
        ) from error  # fmt: skip
    credentials = credentials or botocore.session.get_session().get_credentials()
    if credentials is None:
        raise InfraError(
            "sign in with IAM to",
            target.name,
            "there are no AWS credentials",
            "Provide them where boto3 looks for them, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    query = {"Action": "connect", "User": target.username or ""}
    if target.iam_serverless:
        query["ResourceType"] = "ServerlessCache"
    request = AWSRequest("GET", f"http://{target.iam_cache}/", params=query)
    SigV4QueryAuth(credentials, "elasticache", target.region, expires=900).add_auth(request)
    return str(request.prepare().url).removeprefix("http://")


def packed(*words: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


class Connection:
    """One connection: commands are written packed, replies are read in their order."""

    def __init__(self, connection: t.Any) -> None:
        self._connection = connection  # redis-py's
        self._socket = connection._sock
        self._reader = hiredis.Reader(replyError=Refused)

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Unreachable(str(error) or type(error).__name__) from error

    def read(self) -> t.Any:
        """The next reply; an error reply is returned, not raised."""
        reader = self._reader
        while (answer := reader.gets()) is False:
            try:
                data = self._socket.recv(262144)
            except OSError as error:
                raise Unreachable(str(error) or type(error).__name__) from error
            if not data:
                raise Unreachable("the connection was closed")
            reader.feed(data)
        return answer

    def answer(self) -> t.Any:
        answer = self.read()
        if isinstance(answer, Refused):
            raise answer
        return answer

    def ask(self, *words: bytes) -> t.Any:
        self.send(packed(*words))
        return self.answer()

    def close(self) -> None:
        self._connection.disconnect()


def connect(target: Target, host: str, port: int, *, sentinel: bool = False) -> Connection:
    options: dict[str, t.Any] = {
        "host": host,
        "port": port,
        "db": 0 if sentinel else target.db,
        "username": target.sentinel_username if sentinel else target.username,
        "password": target.sentinel_password if sentinel else target.password,
        "socket_timeout": target.timeout,
        "socket_connect_timeout": min(10, target.timeout),
        "retry": Retry(NoBackoff(), 0),
    }
    if target.iam_cache and not sentinel:
        options["password"] = iam_token(target)
    if int(redis.__version__.split(".")[0]) >= 5:
        options["protocol"] = 2  # without HELLO, and without push messages
    if target.tls:
        options |= {"ssl_ca_certs": target.ca_cert, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
    connection = (redis.SSLConnection if target.tls else redis.Connection)(**options)
    try:
        connection.connect()
    except redis.exceptions.AuthenticationError as error:
        raise Refused(f"WRONGPASS {error}") from error
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
        if str(error).startswith("Error") and "certificate" in str(error).lower():
            raise Refused(f"TLS {error}") from error
        raise Unreachable(str(error)) from error
    except redis.exceptions.ResponseError as error:
        raise Refused(str(error)) from error
    return Connection(connection)


def info(connection: Connection, section: bytes) -> dict[str, str] | None:
    """A section of INFO; None if the account lacks the permission."""
    try:
        text = connection.ask(b"INFO", section)
    except Refused as refused:
        if refused.word == "NOPERM":
            return None
        raise
    rows = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in rows if colon}


def nodes_of(answer: t.Sequence[t.Any], asked: str) -> list[Node]:
    """The primaries in the reply of `asked` to CLUSTER SLOTS. A node without an address is `asked` itself."""
    slots: dict[tuple[str, int], set[int]] = {}
    for first, last, primary, *_replicas in answer:
        host = (primary[0] or b"").decode() or asked
        slots.setdefault((asked if host == "?" else host, int(primary[1])), set()).update(range(first, last + 1))
    return [Node(host, port, frozenset(found)) for (host, port), found in sorted(slots.items())]


class Cache:
    """The cache as a whole: its current primaries, and connections to them."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.clustered = False
        self._known: list[tuple[str, int]] = [] if target.sentinels else [(target.host, target.port)]

    def connection(self, node: Node) -> Connection:
        return connect(self.target, node.host, node.port)

    def primaries(self) -> list[Node]:
        """The current primaries; in a cluster, according to the first node that answers."""
        if self.target.sentinels:
            return [self._primary_from_sentinel()]
        errors: list[Unreachable] = []
        for host, port in self._known:
            try:
                nodes = self._primaries_from(host, port)
            except Unreachable as unreachable:
                errors.append(unreachable)
                continue
            if self.clustered:
                self._known = list(dict.fromkeys([*((node.host, node.port) for node in nodes), *self._known]))
            return nodes
        raise errors[0]

    def _primaries_from(self, host: str, port: int) -> list[Node]:
        with contextlib.closing(connect(self.target, host, port)) as connection:
            enabled = (info(connection, b"cluster") or {}).get("cluster_enabled")
            nodes: list[Node] = []
            if enabled != "0":
                try:
                    nodes = nodes_of(connection.ask(b"CLUSTER", b"SLOTS"), host)
                except Refused:
                    if enabled == "1":
                        raise  # without INFO, this is how a single server is recognised
            self.clustered = bool(enabled == "1" or nodes)
            if not self.clustered:
                self._must_be_primary(connection)
                return [Node(host, port)]
        if sum(len(node.slots or ()) for node in nodes) != ALL_SLOTS:
            raise Unreachable("not all slots of the cluster are served")
        return nodes

    def _must_be_primary(self, connection: Connection) -> None:
        found = info(connection, b"replication") or {}
        if found.get("role") == "slave":
            raise InfraError(
                "write to",
                self.target.name,
                "it is a read-only replica",
                f"Use its primary: {found.get('master_host')}:{found.get('master_port')}.",
            )

    def _primary_from_sentinel(self) -> Node:
        errors: list[str] = []
        for host, port in self.target.sentinels:
            try:
                with contextlib.closing(connect(self.target, host, port, sentinel=True)) as connection:
                    found = connection.ask(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self.target.service.encode())
            except Unreachable as unreachable:
                errors.append(f"{host}:{port} {unreachable}")
                continue
            if found is None:
                raise InfraError(
                    "find", self.target.name, f"{host}:{port} has no service of that name", "Check sentinel_service."
                )
            node = Node(found[0].decode(), int(found[1]))
            with contextlib.closing(self.connection(node)) as connection:
                if (info(connection, b"replication") or {}).get("role") == "slave":
                    raise Unreachable(f"{node.name} is not the primary any more")
            return node
        raise Unreachable("; ".join(errors))

    def connection_for(self, key: bytes) -> Connection:
        """A connection to the primary that serves `key`."""
        nodes = self.primaries()
        slot = key_slot(key) if self.clustered else 0
        return self.connection(next(node for node in nodes if node.slots is None or slot in node.slots))


def rights_of(target: Target, keys: t.Sequence[bytes], commands: str, *, clustered: bool) -> str:
    """The ACL line with the permissions that suffice. An ACL can't contain a space or a quote: `?` replaces them."""
    allowed = frozenset(range(33, 127)) - frozenset(b"\"'")
    globs = ("".join(chr(byte) if byte in allowed else "?" for byte in key) for key in keys)
    shown = "".join(f" ~{glob}" for glob in globs)
    more = " +cluster|slots" if clustered else ""
    return f"ACL SETUSER {target.username or 'default'} resetkeys{shown} -@all {commands}{more}"


@contextlib.contextmanager
def refusals_as_errors(action: str, target: Target, rights: t.Callable[[], str]) -> t.Iterator[None]:
    """Turn the servers' errors into InfraErrors; `rights` returns the ACL line that suffices."""
    try:
        yield
    except Unreachable as unreachable:
        raise NobodyThereError(
            action,
            target.name,
            str(unreachable).rstrip("."),
            "Check that the server is up and accepts this host, and whether it requires TLS.",
        ) from unreachable
    except Refused as refused:
        raise fault(action, target, refused, rights) from refused


def fault(action: str, target: Target, refused: Refused, rights: t.Callable[[], str]) -> InfraError:
    if refused.word in ("WRONGPASS", "NOAUTH") or "invalid password" in str(refused):
        return InfraError(action, target.name, f"it rejects the account: {refused}", "Check username and password.")
    if refused.word == "TLS":
        return InfraError(
            action,
            target.name,
            f"its certificate is not trusted: {str(refused).removeprefix('TLS ')}",
            "Set ca_cert to the certificates of the authority that signed it.",
        )
    if refused.word == "NOPERM":
        return InfraError(
            action,
            target.name,
            f"the account lacks a permission: {str(refused).removeprefix('NOPERM ')}",
            f"These permissions suffice: {rights()}",
        )
    return InfraError(action, target.name, f"it answered: {refused}", "Look up the error in the server's log.")
