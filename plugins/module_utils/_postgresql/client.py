# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the PostgreSQL modules share: quoting, SCRAM verifiers and calls of psql."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import os
import shutil
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


# The same for an administrator without a superuser's rights: what it may set. A refusal is not logged either.
SILENCE_IF_ALLOWED = """
DO $$
DECLARE pair text[];
BEGIN
  FOREACH pair SLICE 1 IN ARRAY ARRAY[['log_statement', 'none'], ['log_min_duration_statement', '-1'],
    ['log_min_error_statement', 'panic'], ['log_duration', 'off'], ['pg_stat_statements.track', 'none']] LOOP
    BEGIN
      PERFORM set_config(pair[1], pair[2], false);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END $$;
"""

ADMIN_OPTION = (
    "As a superuser or as the role's creator, grant it to the administrator WITH ADMIN OPTION, then run again."
)
#: By a piece of what psql or the server reports: what to do. The first that fits.
NEXT_STEPS = {
    "could not translate host name": "Correct the server's name, or the name service of this host, then run again.",
    "Connection refused": "Check that the server runs and listens on this address and port, then run again.",
    "timeout expired": "Let this host reach the server (security groups, firewall, routes), then run again.",
    "no pg_hba.conf entry": "Connect with TLS (sslmode), or let the server accept this account from here.",
    "root certificate file": "Install the certificate authority's file on this host and name it (sslrootcert).",
    "certificate verify failed": "Give the file of the authority that signed the server's certificate (sslrootcert).",
    "server certificate for": "Use the name that the server's certificate is for, or another sslmode.",
    "does not support SSL": "Turn on TLS at the server, or use another sslmode.",
    "password authentication failed": "Correct the administrator's name and password, then run again.",
    "no password supplied": "Give the administrator's password, then run again.",
    "permission denied to create extension": "Create it as a superuser, or remove it from the declared extensions. On "
    "Amazon RDS, the administrator must be a member of rds_superuser, and RDS must offer the extension.",
    "must have admin option on role": ADMIN_OPTION,  # before PostgreSQL 16
    "permission denied to grant role": ADMIN_OPTION,
    "permission denied to alter role": ADMIN_OPTION,
    "must be superuser": "Do it as a superuser, or change the declaration: a managed server has no account that may.",
    "permission denied": "Grant the administrator what it lacks (CREATEROLE, CREATEDB; on Amazon RDS rds_superuser), "
    "then run again.",
}
#: What a server reports after it has accepted a role's password.
AFTER_LOGIN = (
    "is not permitted to log in",
    "too many connections for role",
    "too many connections for database",
    "remaining connection slots are reserved",
    "permission denied for database",
)


def next_step(output: str) -> str:
    """What to do about `output` of psql."""
    found = (advice for words, advice in NEXT_STEPS.items() if words in output)
    return next(found, "Fix the error that the server reports, then run again.")


def accepts_password(login: Result) -> bool | None:
    """Whether the server has accepted the password in an attempt to log in; None if that can't be known."""
    if login.rc == 0 or any(words in login.stderr for words in AFTER_LOGIN):
        return True
    return False if "password authentication failed" in login.stderr else None


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


def shared_verifier(role: str, password: str) -> str:
    """The verifier of a role that PgBouncer has as well: always the same, so that each host can compute it.

    With the same verifier on both sides, PgBouncer logs in at the server with what it learns when a client logs in, and
    needs no password. The salt is public. It is derived as slowly as the verifier itself, so that it makes guessing a
    password no faster than the verifier does.
    """
    return scram_verifier(password, salt=shared_salt(role, password))


def shared_salt(role: str, password: str) -> bytes:
    """The salt of `shared_verifier`."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), f"nexod.infra {role}".encode(), SCRAM_ITERATIONS, 16)


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

    silence = SILENCE

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

    def installed(self) -> bool:
        """Whether the program is there; on the server's own host it comes with the server."""
        return True

    def exists(self) -> bool:
        """Whether there is a server that can be asked."""
        return os.path.exists(self.program) and self.ready().rc == 0

    def ask(self, query: str, database: str = "postgres") -> t.Any:
        """The JSON value that `query` returns."""
        done = self._run(f"{self.silence}\n{query}\n", database)
        if done.rc != 0:
            raise InfraError(
                "read",
                f'database "{database}"',
                done.output or f"psql ended with {done.rc}",
                next_step(done.output),
            )
        return json.loads(done.stdout)

    def execute(self, statements: Sequence[str], database: str) -> None:
        """Run `statements` in order; stops at the first one that fails."""
        done = self._run("\n".join([self.silence, *(f"{statement};" for statement in statements)]) + "\n", database)
        if done.rc != 0:
            raise InfraError(
                "change",
                f'database "{database}"',
                done.output or f"psql ended with {done.rc}",
                f"{next_step(done.output)} Completed statements are kept.",
            )


@dataclasses.dataclass(frozen=True)
class Server:
    """How a server is reached over TCP."""

    host: str
    port: int
    sslmode: str = "prefer"
    sslrootcert: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGSSLMODE": self.sslmode,
            **({"PGSSLROOTCERT": self.sslrootcert} if self.sslrootcert else {}),
            "PGCONNECT_TIMEOUT": "10",
            # No other password than the one given, and none of the caller's settings.
            "PGPASSFILE": os.devnull,
            "PGOPTIONS": "",
        }


class RemotePsql(Psql):
    """Runs statements on a server over TCP, as an administrator with a password, which goes through the environment."""

    silence = SILENCE_IF_ALLOWED

    def __init__(self, program: str, server: Server, *, user: str, password: str, maintenance: str) -> None:
        super().__init__(program, account="", socket_dir="", port=server.port)
        self.server, self.user, self.password, self.maintenance = server, user, password, maintenance

    def _connect(self, script: str, database: str, user: str, password: str, **more: str) -> Result:
        given = {"PGDATABASE": database, "PGUSER": user, "PGPASSWORD": password, **more}
        environment = {**self.server.environment, **given}
        # In its context, an error would quote a statement.
        argv = [self.program, "-XAtqw", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse"]
        done = run(argv, stdin=script, timeout=120, cwd="/", environment=environment)
        if done.missing:
            raise InfraError(
                "connect to",
                f"the server at {self.server.host}",
                f"there is no program {self.program} on this host",
                "Install it (postgresql-client), or name it (program); then run again.",
            )
        return done

    def _run(self, script: str, database: str) -> Result:
        return self._connect(script, database, self.user, self.password)

    def installed(self) -> bool:
        return shutil.which(self.program) is not None

    def exists(self) -> bool:
        """A server whose name is not known does not exist yet. One that does not respond does, and is an error."""
        if not (self.server.host and self.installed()):
            return False
        return "could not translate host name" not in self._run("SELECT 1;\n", self.maintenance).stderr

    def accepts(self, role: str, password: str) -> bool:
        """Whether the role has this password: found by one attempt to log in."""
        # From release 16, the client refuses a server that does not ask for the password; former ones ignore it.
        asked = {"PGREQUIREAUTH": "password,md5,scram-sha-256"}
        done = self._connect("SELECT 1;\n", self.maintenance, role, password, **asked)
        accepted = accepts_password(done)
        if accepted is None:
            raise InfraError(
                "verify the password of",
                f'role "{role}"',
                done.output or f"psql ended with {done.rc}",
                "Let this role log in from this host with a password, then run again: nothing was changed.",
            )
        return accepted
