# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer's admin console over its Unix socket, in PostgreSQL's own protocol, so that no client has to be installed.

This file is copied to hosts: it runs alone as the program that resumes paused databases when nobody else does (see
timer.py), and the role's probe imports it. So it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import stat
import struct
import sys
import time
import typing as t

SECONDS = 10.0
#: How often the program tries to resume a process that does not answer, once a second.
ATTEMPTS = 300
#: How long a command waits for logins at the server that have begun, and between two looks at them.
LOGIN_SECONDS, LOOK_SECONDS = 5.0, 0.02
#: What limits the connections to servers where a database, a pool or an account has no limit of its own.
LIMITS = ("default_pool_size", "max_db_connections", "max_user_connections")
#: Types of PostgreSQL that are numbers: int8, int2, int4.
NUMBERS = (20, 21, 23)

Value: t.TypeAlias = "str | int | None"
Row: t.TypeAlias = "dict[str, Value]"


class RefusedError(Exception):
    """PgBouncer refused a command, in its own words."""


class ClosedError(OSError):
    """PgBouncer closed the connection: it was stopped or restarted."""


def quoted(name: str) -> str:
    """The name of a database in a command."""
    return '"{}"'.format(name.replace('"', '""'))


def sockets(folder: str, port: int) -> list[str]:
    """Sockets of PgBouncer's processes: the one in `folder`, and those in folders right below it, in order."""
    name = f".s.PGSQL.{port}"
    below = sorted((path for path in pathlib.Path(folder).glob("*") if path.is_dir()), key=in_order)
    return [str(path / name) for path in (pathlib.Path(folder), *below) if is_socket(path / name)]


def in_order(path: pathlib.Path) -> tuple[int, str]:
    return (int(path.name) if path.name.isdigit() else 0, path.name)


def is_socket(path: pathlib.Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


class Console:
    """A connection to the admin console of the process with the socket `path`."""

    def __init__(self, path: str, seconds: float = SECONDS) -> None:
        self.path = path
        self.version = ""
        self.notices: list[str] = []
        self._seconds = seconds
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connection.settimeout(seconds)
            self._connect()
            names = b"".join(f"{key}\0{value}\0".encode() for key, value in self._names().items())
            startup = struct.pack("!i", 3 << 16) + names + b"\0"
            self._send(struct.pack("!i", len(startup) + 4) + startup)
            self.receive()
        except BaseException:
            self.close()
            raise

    def _names(self) -> dict[str, str]:
        return {"user": "pgbouncer", "database": "pgbouncer"}

    def _connect(self) -> None:
        # Over the Unix socket, PgBouncer lets the account that it runs as in without a password: the socket's owner.
        before = os.geteuid()
        if before == 0:
            os.seteuid(os.stat(self.path).st_uid)
        try:
            self._connection.connect(self.path)
        finally:
            if before == 0:
                os.seteuid(before)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def listener(self) -> int:
        """The process that listens on the socket."""
        shape = "3i"
        found = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(shape))
        return int(struct.unpack(shape, found)[0])

    def ask(self, command: str) -> list[Row]:
        """Rows of a command's answer."""
        self.send(command)
        return self.receive()

    def send(self, *commands: str) -> None:
        """Send commands in one piece: PgBouncer executes all of them, even if this program dies meanwhile."""
        texts = [command.encode() + b"\0" for command in commands]
        self._send(b"".join(b"Q" + struct.pack("!i", len(text) + 4) + text for text in texts))

    def _send(self, message: bytes) -> None:
        try:
            self._connection.sendall(message)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ClosedError("it closed the connection") from error

    def receive(self, ends: float | None = None) -> list[Row]:
        """Read messages until PgBouncer is ready for the next command, or until `ends`; the rows among them."""
        ends = time.monotonic() + self._seconds if ends is None else ends
        columns: list[tuple[str, int]] = []
        rows: list[Row] = []
        refusal = ""
        self.notices = []
        while True:
            try:
                kind, body = self._message(ends)
            except ClosedError:
                if refusal:
                    raise RefusedError(refusal) from None
                raise
            if kind == b"Z":
                if refusal:
                    raise RefusedError(refusal)
                return rows
            if kind == b"E":
                refusal = fields(body).get("M", "unknown error")
            elif kind == b"N":
                self.notices.append("\n".join(fields(body).get(key, "") for key in "MD"))
            elif kind == b"R":
                self._authenticate(struct.unpack_from("!i", body)[0], body[4:])
            elif kind == b"S":
                name, value = body.split(b"\0")[:2]
                if name == b"server_version":
                    self.version = value.decode().partition("/")[0]
            elif kind == b"T":
                columns = list(described(body))
            elif kind == b"D":
                rows.append(dict(values(body, columns)))

    def _authenticate(self, kind: int, _content: bytes) -> None:
        """Answer a request for authentication; 0 is none."""
        if kind:
            raise RefusedError("it asks the account that owns its socket for a password")

    def _message(self, ends: float) -> tuple[bytes, bytes]:
        head = self._exactly(5, ends)
        return head[:1], self._exactly(struct.unpack("!i", head[1:])[0] - 4, ends)

    def _exactly(self, count: int, ends: float) -> bytes:
        found = b""
        while len(found) < count:
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError("it does not answer")
            self._connection.settimeout(left)
            try:
                part = self._connection.recv(count - len(found))
            except ConnectionResetError as error:
                raise ClosedError("it closed the connection") from error
            except TimeoutError as error:
                raise TimeoutError("it does not answer") from error
            if not part:
                raise ClosedError("it closed the connection")
            found += part
        return found


def fields(body: bytes) -> dict[str, str]:
    """Fields of an error or a notice, by their letter."""
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def described(body: bytes) -> t.Iterator[tuple[str, int]]:
    """Name and type of each column."""
    at = 2
    while at < len(body):
        end = body.index(b"\0", at)
        (kind,) = struct.unpack_from("!i", body, end + 7)
        yield body[at:end].decode(), kind
        at = end + 19


def values(body: bytes, columns: list[tuple[str, int]]) -> t.Iterator[tuple[str, Value]]:
    """Names and values of a row: numbers as such, NULL as None."""
    at = 2
    for name, kind in columns:
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        if length < 0:
            yield name, None
            continue
        text = body[at : at + length].decode(errors="replace")
        yield name, int(text) if kind in NUMBERS and text.lstrip("-").isdigit() else text
        at += length


def logging_in(pools: t.Iterable[Row], database: str = "") -> bool:
    """Whether PgBouncer is logging in at the server for one of a database's pools, or for any."""
    return any(row.get("sv_login") for row in pools if database in ("", row.get("database")))


@contextlib.contextmanager
def without_logins(path: str, database: str = "") -> t.Iterator[Console]:
    """A console of a process that does not log in at the server meanwhile; what takes longer to begin with is cut.

    PAUSE and RECONNECT close logins that are under way, and so does a reload that replaces the connections to the
    server: before 1.24 each one, unless server_tls_sslmode is disable. PgBouncer counts that as a login that has
    failed: it does not log in again for server_login_retry, and meanwhile refuses the clients of a pool that has no
    connections, as all of them are closed after their transactions.

    A look is not enough, as the next login may begin right after it. So every limit is one connection meanwhile. What
    has a limit of its own has others that SET does change, unless a database, its pools and its account all have one.
    """
    # Nothing but SIGKILL is to leave the limits as they are here.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
    try:
        with Console(path) as console:
            before = {row["key"]: row["value"] for row in console.ask("SHOW CONFIG") if row["key"] in LIMITS}
            try:
                for name in LIMITS:
                    console.ask(f"SET {name} = '1'")
                ends = time.monotonic() + LOGIN_SECONDS
                while logging_in(console.ask("SHOW POOLS"), database) and time.monotonic() < ends:
                    time.sleep(LOOK_SECONDS)
                yield console
            finally:
                now = {row["key"]: row["value"] for row in console.ask("SHOW CONFIG") if row["key"] in LIMITS}
                # A reload has restored them, or set others.
                if {*now.values()} == {"1"}:
                    for name, value in before.items():
                        console.ask(f"SET {name} = '{value}'")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def resume(folder: str, port: int, names: t.Collection[str]) -> list[str]:
    """Resume the databases on every process; what failed. A process that does not run starts resumed."""
    failed = []
    for path in sockets(folder, port):
        try:
            with Console(path) as console:
                for row in console.ask("SHOW DATABASES"):
                    if row["name"] in names and row["paused"]:
                        console.ask("RESUME " + quoted(str(row["name"])))
        except (ConnectionRefusedError, FileNotFoundError, ClosedError):
            continue
        except (OSError, RefusedError) as error:
            failed.append(f"{path}: {error}")
    return failed


def main(path: str) -> int:
    """Resume what the file `path` lists, again and again until every process has answered."""
    failed: list[str] = []
    for _attempt in range(ATTEMPTS):
        try:
            order = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            # Somebody else has resumed them meanwhile.
            return 0
        failed = resume(order["socket_dir"], order["port"], order["databases"])
        if not failed:
            return 0
        time.sleep(1)
    sys.stderr.write("Cannot resume PgBouncer: {}\n".format("; ".join(failed)))
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
