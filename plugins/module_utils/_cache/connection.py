# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to a Redis or Valkey: TLS, sign-in, commands and replies, with time limits that hold.

Commands are written to the socket, and replies parsed by hiredis, directly: in a pipeline of single-key UNLINKs
redis-py's bookkeeping for each reply takes most of the time (80 thousand keys/s instead of 447 thousand). Its
connection is not used either: it reports a certificate for another name, a missing file and a refused client alike, and
waits for each of these as long as it likes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import socket
import ssl
import time
import traceback
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.credentials import aws_fault
from ansible_collections.nexod.infra.plugins.module_utils._cache.address import Target, named
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

MISSING: str | None = None
MISSING_NAME = "hiredis (Debian: python3-hiredis)"
try:
    import hiredis
except ImportError:
    MISSING = traceback.format_exc()

CONNECT_SECONDS = 10.0
# Errors of a server that fails over, moves slots, loads its data or runs a script: one will answer soon.
TRANSIENT = frozenset(
    {"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MOVED", "ASK", "BUSY"}
)
REDIRECTIONS = frozenset({"MOVED", "ASK", "TRYAGAIN"})
WRONG_NAME = (62, 64)  # OpenSSL: host name mismatch, address mismatch


class Refused(Exception):  # noqa: N818 - the server's reply, not a fault of ours
    """An error reply of the server, or one of TLS with a first word of ours."""

    @property
    def word(self) -> str:
        return str(self).partition(" ")[0]


class Unreachable(Exception):  # noqa: N818
    """The server does not answer, or not now. `absent`: there may be none yet."""

    def __init__(self, text: str, *, absent: bool = False, next_step: str = "") -> None:
        super().__init__(text)
        self.absent, self.next_step = absent, next_step


class DeadlineError(Exception):
    pass


def packed(*words: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


def time_left(seconds: float, ends: float) -> float:
    """`seconds`, or less if the time is up before; DeadlineError if it is up."""
    left = min(seconds, ends - time.monotonic())
    if left <= 0:
        raise DeadlineError
    return left


class Connection:
    """Commands are written packed, replies are read in their order. No call lasts longer than `timeout` or `ends`."""

    def __init__(self, stream: socket.socket, timeout: float, ends: float = math.inf) -> None:
        self._socket, self._timeout, self.ends = stream, timeout, ends
        self._reader = hiredis.Reader(replyError=Refused)
        stream.settimeout(timeout)

    def send(self, data: bytes) -> None:
        try:
            self._limit()
            self._socket.sendall(data)
        except OSError as error:
            raise self._fault(error) from error

    def read(self) -> t.Any:
        """The next reply; an error reply is returned, not raised."""
        reader = self._reader
        try:
            return self._next(reader)
        except hiredis.ProtocolError as error:
            raise Unreachable("it does not speak the protocol of Redis") from error

    def _next(self, reader: t.Any) -> t.Any:
        while (answer := reader.gets()) is False:
            try:
                self._limit()
                data = self._socket.recv(262144)
            except OSError as error:
                raise self._fault(error) from error
            if not data:
                raise Unreachable("the connection was closed")
            reader.feed(data)
        return answer

    def _limit(self) -> None:
        """Let the next call end with the deadline."""
        if self.ends - time.monotonic() < self._timeout:
            self._socket.settimeout(time_left(self._timeout, self.ends))

    def _fault(self, error: OSError) -> Exception:
        if isinstance(error, socket.timeout):
            if time.monotonic() >= self.ends:
                return DeadlineError()
            return Unreachable(f"it did not answer within {self._timeout:g} s")
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return tls_fault(error)
        return Unreachable(error.strerror or str(error) or type(error).__name__)

    def answer(self) -> t.Any:
        answer = self.read()
        if isinstance(answer, Refused):
            raise answer
        return answer

    def ask(self, *words: bytes) -> t.Any:
        self.send(packed(*words))
        return self.answer()

    def interrupt(self) -> None:
        """Let a thread that waits for a reply get an error at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()


def tls_fault(error: ssl.SSLError) -> Exception:
    """An error of TLS, told by its first word; see `FAULTS`."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        word = "TLSNAME" if error.verify_code in WRONG_NAME else "TLS"
        return Refused(f"{word} {error.verify_message}")
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "BAD_CERTIFICATE" in reason:
        return Refused(f"TLSCLIENT {reason}")
    if "UNKNOWN_CA" in reason:
        return Refused(f"TLSCLIENT {reason}")
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_EOF_WHILE_READING"):
        return Refused(f"NOTLS {reason}")
    return Unreachable(str(error))


def tls_context(target: Target) -> ssl.SSLContext:
    """Verifies the certificate and its name; files that can't be read are named."""
    try:
        context = ssl.create_default_context(cafile=target.ca_cert)
    except (OSError, ssl.SSLError) as error:
        raise unreadable("ca_cert", target.ca_cert, error) from error
    if target.client_cert:
        try:
            context.load_cert_chain(target.client_cert, target.client_key)
        except (OSError, ssl.SSLError) as error:
            path = f"{target.client_cert} with {target.client_key}"
            raise unreadable("client_cert", path, error) from error
    return context


def unreadable(option: str, path: str | None, error: OSError) -> InfraError:
    cause = error.strerror if isinstance(error, ssl.SSLError) else None
    reason = cause or error.strerror or str(error)
    return InfraError(
        "read", f"{option} {path}", reason, "The file must exist, in PEM, on the host that runs the module."
    )


def connect(target: Target, host: str, port: int, *, sentinel: bool = False, ends: float = math.inf) -> Connection:
    """A connection that is signed in, and whose server has answered."""
    context = tls_context(target) if target.tls else None
    host, port = target.mapped(host, port)
    stream = _opened(target, host, port, ends)
    try:
        if context:
            stream = _encrypted(stream, context, target.tls_server_name or host, ends)
        connection = Connection(stream, target.timeout, ends)
        try:
            _sign_in(connection, target, sentinel=sentinel)
        except Unreachable as unreachable:
            if context and not target.client_cert:
                # With TLS 1.3 a server refuses a client without a certificate only after the handshake.
                raise Refused(f"TLSCLIENT {unreachable}") from unreachable
            raise
    except BaseException:
        stream.close()
        raise
    return connection


def _opened(target: Target, host: str, port: int, ends: float) -> socket.socket:
    seconds = time_left(min(CONNECT_SECONDS, target.timeout), ends)
    try:
        if target.unix_socket and not port:
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stream.settimeout(seconds)
            stream.connect(target.unix_socket)
            return stream
        stream = socket.create_connection((host, port), timeout=seconds)
    except TimeoutError as error:
        time_left(1, ends)
        raise Unreachable(f"no connection to {named(host, port)} within {seconds:g} s", absent=True) from error
    except OSError as error:
        place = target.unix_socket if target.unix_socket and not port else named(host, port)
        raise Unreachable(f"{place}: {error.strerror or error}", absent=True) from error
    except UnicodeError as error:
        raise Unreachable("its host name is not valid") from error
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def _encrypted(stream: socket.socket, context: ssl.SSLContext, name: str, ends: float) -> socket.socket:
    seconds = time_left(stream.gettimeout() or CONNECT_SECONDS, ends)
    stream.settimeout(seconds)
    try:
        return context.wrap_socket(stream, server_hostname=name)
    except TimeoutError as error:
        time_left(1, ends)
        raise Refused(f"NOTLS no answer to the handshake within {seconds:g} s") from error
    except ssl.SSLError as error:
        raise tls_fault(error) from error
    except OSError as error:
        # A server without TLS closes the connection.
        raise Refused(f"NOTLS {error.strerror or error}") from error


def _sign_in(connection: Connection, target: Target, *, sentinel: bool) -> None:
    username = target.sentinel_username if sentinel else target.username
    password = target.sentinel_password if sentinel else target.password
    if target.iam_cache and not sentinel:
        password = iam_token(target)
    if username is not None or password is not None:
        words = [text.encode() for text in (username, password or "") if text is not None]
        try:
            connection.ask(b"AUTH", *words)
        except Refused as refused:
            if refused.word in TRANSIENT or refused.word == "DENIED":
                raise
            raise Refused(f"WRONGPASS {refused}") from refused
    database = 0 if sentinel else target.db
    try:
        # The reply to the first command shows whether the server accepts this client at all.
        connection.ask(*((b"SELECT", b"%d" % database) if database else (b"PING",)))
    except Refused as refused:
        if database and "cluster" in str(refused).lower():
            raise Refused(f"CLUSTERDB {refused}") from refused
        if database or refused.word != "NOPERM":
            raise


def iam_token(target: Target, credentials: t.Any = None) -> str:
    """A password for ElastiCache that is valid for 15 minutes: a signed request, sent as text."""
    action = "sign in with IAM to"
    try:
        import botocore.session  # noqa: PLC0415 - only needed for this login
        from botocore.auth import SigV4QueryAuth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, NoCredentialsError  # noqa: PLC0415
    except ImportError as error:
        raise InfraError(
            action, target.name, "boto3 is not installed on the host that runs the module",
            "Install python3-boto3 there, or set password.",
        ) from error  # fmt: skip
    query = {"Action": "connect", "User": target.username or ""}
    if target.iam_serverless:
        query["ResourceType"] = "ServerlessCache"
    request = AWSRequest("GET", f"http://{target.iam_cache}/", params=query)
    try:
        found = credentials or botocore.session.get_session().get_credentials()
        if found is None:
            raise NoCredentialsError
        SigV4QueryAuth(found, "elasticache", target.region, expires=900).add_auth(request)
    except BotoCoreError as error:
        raise aws_fault(action, target.name, error) from error
    return str(request.prepare().url).removeprefix("http://")


def info(connection: Connection, section: bytes) -> dict[str, str] | None:
    """A section of INFO; None if the account lacks the permission, or the server the command."""
    try:
        text = connection.ask(b"INFO", section)
    except Refused as refused:
        if refused.word == "NOPERM" or is_unknown(refused):
            return None
        raise
    rows = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in rows if colon}


def is_unknown(refused: Refused) -> bool:
    """Whether the server does not have the command, such as one that was renamed."""
    return "unknown command" in str(refused).lower() or "unknown subcommand" in str(refused).lower()


def hello(connection: Connection) -> dict[str, str]:
    """Mode (standalone, cluster, sentinel) and role (master, replica), for accounts without INFO; Redis 6 and newer."""
    try:
        answer = connection.ask(b"HELLO", b"2")
    except Refused as refused:
        if refused.word in TRANSIENT:
            raise
        return {}
    words = [word.decode() if isinstance(word, bytes) else "" for word in answer]
    return dict(zip(words[::2], words[1::2]))  # noqa: B905 - Python 3.9


def role_of(connection: Connection) -> tuple[str, str]:
    """``master``, ``replica`` or an empty text if it can't be known, and the primary of a replica."""
    found = info(connection, b"replication")
    if found and "role" in found:
        role = "replica" if found["role"] in ("slave", "replica") else found["role"]
        place = f"{found.get('master_host')}:{found.get('master_port')}" if role == "replica" else ""
        return role, place
    role = hello(connection).get("role", "")
    return ("replica" if role == "slave" else role), ""


@dataclasses.dataclass(frozen=True)
class Fault:
    cause: str  # {} is what the server said
    next_step: str


# By first word of an error.
FAULTS = {
    **dict.fromkeys(
        ("WRONGPASS", "NOAUTH"), Fault("it rejects the account: {}", "Check username and password.")
    ),
    "TLS": Fault(
        "its certificate is not trusted: {}", "Set ca_cert to the certificates of the authority that signed it."
    ),
    "TLSNAME": Fault(
        "its certificate is for another name: {}",
        "Connect by a name in the certificate, or set tls_server_name to one.",
    ),
    "TLSCLIENT": Fault(
        "it does not accept this client's certificate, or the lack of one: {}",
        "Set client_cert and client_key to a certificate that the server's authority (tls-ca-cert-file) has signed.",
    ),
    "NOTLS": Fault("it does not use TLS on this port: {}", "Use its port for TLS, or remove tls (redis:// in a URL)."),
    "DENIED": Fault(
        "it is in protected mode and accepts only local clients",
        "Set a password on the server (requirepass or an ACL), which ends protected mode, and bind it to its address.",
    ),
    "CLUSTERDB": Fault("it is a cluster, which has only database 0", "Remove db."),
    "BUSY": Fault(
        "it runs a script or function and answers nobody: {}", "Wait for it, or end it with SCRIPT KILL."
    ),
    "MISCONF": Fault("it accepts no writes because it cannot save: {}", "Repair its disk; see the server's log."),
}  # fmt: skip


def fault(action: str, target: Target, refused: Refused, rights: t.Callable[[], str]) -> InfraError:
    """What the server refused, with the next step."""
    said = str(refused)
    if refused.word == "NOPERM":
        cause = f"the account lacks a permission: {said.removeprefix('NOPERM ')}"
        return InfraError(action, target.name, cause, f"These permissions suffice: {rights()}")
    if "DB index is out of range" in said:
        return InfraError(action, target.name, f"it has no database {target.db}", "Check db.")
    if refused.word == "ERR" and "invalid password" in said:
        said = f"WRONGPASS {said}"
    found = FAULTS.get(said.partition(" ")[0])
    if found is None:
        return InfraError(action, target.name, f"it answered: {said}", "Look up the error in the server's log.")
    text = said if refused.word in ("WRONGPASS", "NOAUTH", "BUSY", "MISCONF") else said.partition(" ")[2]
    return InfraError(action, target.name, found.cause.format(text), found.next_step)
