# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the PostgreSQL modules share: quoting, SCRAM verifiers and calls of psql."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import typing as t
from collections.abc import Sequence

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result, run

# PostgreSQL's default. An existing verifier with another count is accepted.
SCRAM_ITERATIONS = 4096

# Set first in a superuser's session, so that no statement (which may contain a verifier) is logged by the server or
# stored by pg_stat_statements. The last one has no effect if that extension is not loaded.
SILENCE = (
    "SET log_statement = 'none'; SET log_min_duration_statement = -1; SET log_min_error_statement = 'panic'; "
    "SET log_duration = off; SET pg_stat_statements.track = 'none';"
)


def identifier(name: str) -> str:
    """`name` as an SQL identifier; quoted only if necessary, so that a diff is readable."""
    if name.isascii() and name.replace("_", "a").isalnum() and name == name.lower() and not name[:1].isdigit():
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a SQL string; independent of standard_conforming_strings."""
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in quoted else f"'{quoted}'"


def scram_verifier(password: str, *, salt: bytes | None = None, iterations: int = SCRAM_ITERATIONS) -> str:
    """What PostgreSQL stores for `password` (RFC 5803), so that the password itself is never sent to the server."""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"


def scram_matches(verifier: str | None, password: str) -> bool:
    """Whether `verifier`, as read from pg_authid, belongs to `password`."""
    try:
        kind, parameters, _keys = (verifier or "").split("$")
        iterations, salt = parameters.split(":")
        if kind != "SCRAM-SHA-256":
            return False
        again = scram_verifier(password, salt=base64.b64decode(salt, validate=True), iterations=int(iterations))
    except ValueError:
        return False
    return hmac.compare_digest(again, verifier or "")


class Psql:
    """Runs statements on this host's server over its socket, as the account that owns it (peer authentication)."""

    def __init__(self, program: str, *, account: str, socket_dir: str, port: int) -> None:
        self.program = program
        self.account = account
        self.socket_dir = socket_dir
        self.port = port

    def _run(self, script: str, database: str) -> Result:
        argv = [
            self.program,
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            self.socket_dir,
            "-p",
            str(self.port),
            "-d",
            database,
        ]
        return run(["runuser", "-u", self.account, "--", *argv], stdin=script, timeout=120, cwd="/")

    def ready(self) -> Result:
        """rc 0 if the server responds."""
        return self._run("SELECT 1;\n", "postgres")

    def ask(self, query: str, database: str = "postgres") -> t.Any:
        """The JSON value that `query` returns."""
        done = self._run(f"{SILENCE}\n{query}\n", database)
        if done.rc != 0:
            raise InfraError(
                "read",
                f'database "{database}"',
                done.output or f"psql ended with {done.rc}",
                "Fix the error that the server reports, then run again.",
            )
        return json.loads(done.stdout)

    def execute(self, statements: Sequence[str], database: str) -> None:
        """Run `statements` in order; stops at the first one that fails."""
        done = self._run("\n".join([SILENCE, *(f"{statement};" for statement in statements)]) + "\n", database)
        if done.rc != 0:
            raise InfraError(
                "change",
                f'database "{database}"',
                done.output or f"psql ended with {done.rc}",
                "Fix the error that the server reports, then run again. Completed statements are kept.",
            )
