# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that logs in through PgBouncer with a password, over a process's own Unix socket.

This file is copied to hosts, where the role's probe imports it. It imports nothing but the standard library and
console.py, so that no client has to be installed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import struct
import sys
import typing as t
import unicodedata

if t.TYPE_CHECKING or __name__.startswith("ansible"):
    from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.console import Console, RefusedError
else:
    # On a host, it is beside this file, and its compiled form would be a stray file.
    sys.dont_write_bytecode = True
    from console import Console, RefusedError

OK, CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12
MECHANISM = b"SCRAM-SHA-256"


class Login(Console):
    """A connection of the account `user` to a database that the process with the socket `path` pools."""

    def __init__(self, path: str, user: str, database: str, password: str, seconds: float) -> None:
        # As libpq prepares a password (SASLprep), for all but rare characters.
        self._user, self._database, self._password = user, database, unicodedata.normalize("NFKC", password)
        self._first, self._signature = b"", b""
        super().__init__(path, seconds)

    def _names(self) -> dict[str, str]:
        return {"user": self._user, "database": self._database, "application_name": "nexod-login"}

    def _connect(self) -> None:
        # As root, which is the account of no database: a password is asked for.
        self._connection.connect(self.path)

    def _authenticate(self, kind: int, content: bytes) -> None:
        if kind == CLEARTEXT:
            self._answer(self._password.encode() + b"\0")
        elif kind == MD5:
            inner = hashlib.md5(self._password.encode() + self._user.encode(), usedforsecurity=False).hexdigest()
            outer = hashlib.md5(inner.encode() + content[:4], usedforsecurity=False).hexdigest()
            self._answer(b"md5" + outer.encode() + b"\0")
        elif kind == SASL and MECHANISM in content.split(b"\0"):
            self._first = b"n=,r=" + secrets.token_urlsafe(18).encode()
            message = b"n,," + self._first
            self._answer(MECHANISM + b"\0" + struct.pack("!i", len(message)) + message)
        elif kind == SASL_CONTINUE:
            self._answer(self._final(content))
        elif kind == SASL_FINAL:
            if content != b"v=" + self._signature:
                raise RefusedError("it does not know the password itself: its signature is another one")
        elif kind != OK:
            raise RefusedError(f"it asks for an authentication that is not known here ({kind})")

    def _final(self, challenge: bytes) -> bytes:
        """The answer to the server's first message (RFC 5802), and the signature that it must answer with."""
        given = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), base64.b64decode(given[b"s"]), int(given[b"i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        final = b"c=biws,r=" + given[b"r"]
        signed = b",".join([self._first, challenge, final])
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        self._signature = base64.b64encode(server)
        return final + b",p=" + base64.b64encode(proof)

    def _answer(self, content: bytes) -> None:
        self._connection.sendall(b"p" + struct.pack("!i", len(content) + 4) + content)


def accepts(host: str, port: int, seconds: float) -> str:
    """Why a server does not take connections; empty where it does. A host that begins with / is a folder of sockets."""
    try:
        if host.startswith("/"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(seconds)
                connection.connect(f"{host}/.s.PGSQL.{port}")
        else:
            socket.create_connection((host, port), seconds).close()
    except OSError as error:
        return str(error)
    return ""
