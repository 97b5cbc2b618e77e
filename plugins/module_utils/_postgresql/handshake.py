# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The salt of a role's password, as the server sends it to whoever begins to log in (RFC 5802).

On a managed server, no account can read a verifier. A login shows whether a password is correct, and the salt shows
whether the verifier is the one that PgBouncer has.
"""

from __future__ import annotations

import base64
import re
import secrets
import socket
import ssl
import struct

from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import Server

SECONDS = 10.0
SSL_REQUEST, SASL, SASL_CONTINUE = 80877103, 10, 11
MECHANISM = b"SCRAM-SHA-256"


def salt_of(server: Server, role: str, database: str) -> tuple[bytes, int] | None:
    """Salt and number of iterations, or None where the server asks for no SCRAM password.

    The login is not completed, so that no password is needed. Raises OSError if the server can't be reached.
    """
    with socket.create_connection((server.host, server.port), SECONDS) as plain:
        connection = encrypted(plain, server)
        names = {"user": role, "database": database}
        text = b"".join(key.encode() + b"\0" + value.encode() + b"\0" for key, value in names.items()) + b"\0"
        connection.sendall(struct.pack("!ii", len(text) + 8, 3 << 16) + text)
        kind, body = message(connection)
        if kind != b"R" or number(body) != SASL or MECHANISM not in body[4:].split(b"\0"):
            return None
        first = f"n,,n=,r={secrets.token_urlsafe(18)}".encode()
        answer = MECHANISM + b"\0" + struct.pack("!i", len(first)) + first
        connection.sendall(b"p" + struct.pack("!i", len(answer) + 4) + answer)
        kind, body = message(connection)
        found = re.search(rb",s=([^,]+),i=(\d+)", body) if kind == b"R" and number(body) == SASL_CONTINUE else None
        return (base64.b64decode(found[1]), int(found[2])) if found else None


def encrypted(plain: socket.socket, server: Server) -> socket.socket:
    """The connection with TLS, if the server offers it and `sslmode` allows it."""
    if server.sslmode == "disable":
        return plain
    plain.sendall(struct.pack("!ii", 8, SSL_REQUEST))
    if plain.recv(1) != b"S":
        if server.sslmode in ("allow", "prefer"):
            return plain
        raise OSError(f"the server offers no TLS, and sslmode is {server.sslmode}")
    context = ssl.create_default_context(cafile=server.sslrootcert or None)
    context.check_hostname = server.sslmode == "verify-full"
    if not server.sslmode.startswith("verify"):
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=server.host)


def message(connection: socket.socket) -> tuple[bytes, bytes]:
    """Type and content of the next message."""
    head = exactly(connection, 5)
    return head[:1], exactly(connection, struct.unpack("!i", head[1:])[0] - 4)


def exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = connection.recv(count - len(found))
        if not part:
            raise OSError("the server closed the connection")
        found += part
    return found


def number(body: bytes) -> int:
    return int(struct.unpack_from("!i", body)[0]) if len(body) >= 4 else -1
