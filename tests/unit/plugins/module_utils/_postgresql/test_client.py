# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server's reports mean, and what is passed to psql and where."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result
from ansible_collections.nexod.infra.plugins.module_utils._postgresql import client
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import RemotePsql, Server

FATAL = 'psql: error: connection to server at "10.0.0.5", port 5432 failed: FATAL:  '


@pytest.mark.parametrize(
    ("rc", "stderr", "accepted"),
    [
        (0, "", True),
        (2, f'{FATAL}password authentication failed for user "app"', False),
        (2, f'{FATAL}role "app" is not permitted to log in', True),
        (2, f'{FATAL}too many connections for role "app"', True),
        (2, f'{FATAL}permission denied for database "postgres"', True),
        (2, f"{FATAL}remaining connection slots are reserved for non-replication superuser connections", True),
        # Reported before the server has looked at the password.
        (2, f"{FATAL}sorry, too many clients already", None),
        (2, f'{FATAL}no pg_hba.conf entry for host "10.0.0.9", user "app", database "postgres", no encryption', None),
        (2, 'psql: error: failed: authentication method requirement "scram-sha-256" failed: server did not', None),
        (2, f'{FATAL}PAM authentication failed for user "app"', None),
        (2, "psql: error: connection to server failed: timeout expired", None),
        (124, "no end within 120 s", None),
    ],
)
def test_whether_a_login_shows_that_a_password_is_right(rc: int, stderr: str, accepted: bool | None) -> None:
    assert client.accepts_password(Result(rc, "", stderr)) is accepted


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ('could not translate host name "x" to address', "name service"),
        ('root certificate file "/root/.postgresql/root.crt" does not exist', "sslrootcert"),
        ('ERROR:  permission denied to create extension "pg_stat_statements"', "rds_superuser"),
        ('ERROR:  must have admin option on role "owner"', "WITH ADMIN OPTION"),
        ('ERROR:  permission denied to grant role "owner"', "WITH ADMIN OPTION"),
        ("ERROR:  permission denied to alter role", "WITH ADMIN OPTION"),
        ("ERROR:  must be superuser to create replication users", "superuser"),
        ("ERROR:  permission denied to create database", "CREATEDB"),
        ("ERROR:  syntax error", "Fix the error that the server reports"),
    ],
)
def test_the_next_step_fits_the_report(output: str, advice: str) -> None:
    assert advice in client.next_step(output)


def test_passwords_are_in_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], dict[str, t.Any]]] = []

    def run(argv: list[str], **given: t.Any) -> Result:
        seen.append((argv, given))
        return Result(0, "null", "")

    monkeypatch.setattr(client, "run", run)
    server = Server("db", 5432, "verify-full", "/ca.pem")
    psql = RemotePsql("psql", server, user="master", password="hunter2", maintenance="postgres")
    psql.ask("SELECT NULL;")
    psql.accepts("app", "hunter3")
    given = [(row["environment"]["PGUSER"], row["environment"]["PGPASSWORD"]) for _argv, row in seen]
    assert given == [("master", "hunter2"), ("app", "hunter3")]
    # A server that does not ask for the role's password proves nothing.
    assert ["PGREQUIREAUTH" in row["environment"] for _argv, row in seen] == [False, True]
    assert all(row["environment"]["PGSSLMODE"] == "verify-full" for _argv, row in seen)
    assert "hunter" not in str([(argv, row["stdin"]) for argv, row in seen])


def test_a_password_that_cannot_be_verified_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        client, "run", lambda *_argv, **_given: Result(2, "", f"{FATAL}sorry, too many clients already")
    )
    psql = RemotePsql("psql", Server("db", 5432), user="master", password="x", maintenance="postgres")
    with pytest.raises(InfraError, match='Cannot verify the password of role "app"'):
        psql.accepts("app", "y")
