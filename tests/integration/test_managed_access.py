"""Accounts, database and grants on a server that has only an administrator, over TLS: as on Amazon RDS."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import shared_verifier
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, play, tasks_of

from .conftest import PASSWORD, Postgres, folder_of_postgres, running_postgres, until

ROOT = Path(__file__).resolve().parents[2]
ADMINISTRATOR = "master"
OWNER_GRANTED = "postgres: GRANT far_owner TO master"
ROLES = ("far_owner", "far_app", "far_monitor")


@pytest.fixture(scope="module", params=["15", "16", "17", "18"])
def server(request: pytest.FixtureRequest) -> t.Iterator[tuple[Postgres, Path]]:
    """A server that accepts TLS only and logs what servers usually log, and its folder."""
    version = request.param
    if version != "15" and not Path(f"/usr/lib/postgresql/{version}/bin/initdb").exists():
        pytest.skip(f"PostgreSQL {version} is not installed")
    further = "-c shared_preload_libraries=pg_stat_statements -c log_statement=ddl -c log_min_duration_statement=1s"
    with folder_of_postgres() as folder, running_postgres(folder, version, further) as made:
        key, certificate = folder / "data/server.key", folder / "data/server.crt"
        request_ = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        request_ += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(request_, check=True, capture_output=True)
        if os.geteuid() == 0:
            shutil.chown(key, "postgres", "postgres")
            shutil.chown(certificate, "postgres", "postgres")
        key.chmod(0o600)
        hba = folder / "data/pg_hba.conf"
        hba.write_text(hba.read_text().replace("host  ", "hostssl"))
        made.rows("ALTER SYSTEM SET ssl = on", "postgres")
        made.rows("SELECT pg_reload_conf()", "postgres")
        until(lambda: made.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "postgres") == [(True,)])
        made.rows("CREATE EXTENSION pg_stat_statements", "postgres")
        yield made, folder


@dataclasses.dataclass
class Managed:
    """The module, run from a host that reaches the server only over TCP."""

    server: Postgres
    folder: Path
    scratch: Path

    def __call__(self, *, check: bool = False, **given: t.Any) -> dict[str, t.Any]:
        psql = self.scratch / "psql"
        psql.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {self.scratch}/arguments\nexec psql "$@"\n')
        psql.chmod(0o755)
        asked = {
            "host": "localhost",
            "port": self.server.port,
            "user": ADMINISTRATOR,
            "password": PASSWORD,
            "sslrootcert": str(self.folder / "data/server.crt"),
            "program": str(psql),
            **declared(),
            **given,
            "_ansible_check_mode": check,
        }
        done = subprocess.run(
            [sys.executable, "-m", "ansible_collections.nexod.infra.plugins.modules.postgresql_access"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": asked}),
            env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.stdout, done.stderr
        result = json.loads(done.stdout)
        shown = json.dumps({key: value for key, value in result.items() if key != "invocation"})
        assert not any(word in shown for word in ("-secret", "SCRAM-SHA", PASSWORD))
        assert not any(word in done.stdout for word in ("-secret", "SCRAM-SHA"))
        return t.cast("dict[str, t.Any]", result)

    def connect(self, user: str, password: str, database: str = "far") -> t.Any:
        place = {"host": "127.0.0.1", "port": self.server.port, "dbname": database, "sslmode": "require"}
        connection = psycopg2.connect(user=user, password=password, **place)
        connection.autocommit = True
        return connection

    def run(self, user: str, password: str, sql: str) -> None:
        with contextlib.closing(self.connect(user, password)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)

    def sessions(self, *users: str) -> list[tuple[t.Any, ...]]:
        named = ", ".join(f"'{user}'" for user in users)
        return self.server.rows(f"SELECT usename FROM pg_stat_activity WHERE usename IN ({named})", "postgres")


def declared(**changed: str) -> dict[str, t.Any]:
    return {
        "roles": [
            {"name": "far_owner", "password_change": "always"},
            {"name": "far_app", "connection_limit": 5},
            {
                "name": "far_monitor",
                "member_of": ["pg_monitor"],
                "settings": {"statement_timeout": "10s"},
                "password_change": "always",
            },
        ],
        "passwords": {name: changed.get(name, f"{name}-secret") for name in ROLES},
        "databases": [
            {
                "name": "far",
                "owner": "far_owner",
                "read_write": ["far_app"],
                "connect": ["far_monitor"],
                "extensions": ["pg_trgm"],
            }
        ],
    }


@pytest.fixture
def managed(server: tuple[Postgres, Path], tmp_path: Path) -> t.Iterator[Managed]:
    """A server that holds nothing but an administrator as on RDS."""
    postgres, folder = server

    def clear() -> None:
        postgres.rows("DROP DATABASE IF EXISTS far WITH (FORCE)", "postgres")
        for name in (*ROLES, ADMINISTRATOR):
            postgres.rows(f"DROP ROLE IF EXISTS {name}", "postgres")

    clear()
    quoted = PASSWORD.replace("'", "''")
    postgres.rows(f"CREATE ROLE {ADMINISTRATOR} LOGIN CREATEROLE CREATEDB PASSWORD '{quoted}'", "postgres")
    postgres.rows(f"GRANT pg_monitor, pg_signal_backend TO {ADMINISTRATOR} WITH ADMIN OPTION", "postgres")
    yield Managed(postgres, folder, tmp_path)
    clear()


def test_created_unchanged_and_used(managed: Managed) -> None:
    """Check mode predicts exactly what the run does; a second run does nothing; the roles can do their work."""
    predicted = managed(check=True)
    assert managed.server.rows("SELECT rolname FROM pg_roles WHERE rolname ~ '^far'", "postgres") == []
    made = managed()
    assert made["statements"] == predicted["statements"], made
    assert OWNER_GRANTED in made["statements"]
    assert "postgres: CREATE DATABASE far OWNER far_owner TEMPLATE template0 ENCODING 'UTF8'" in made["statements"]
    for check in (True, False):
        assert managed(check=check)["statements"] == []
    managed.run("far_owner", "far_owner-secret", "CREATE TABLE notes (id serial PRIMARY KEY)")
    managed.run("far_app", "far_app-secret", "INSERT INTO notes DEFAULT VALUES")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        managed.run("far_app", "far_app-secret", "CREATE TABLE mine (id int)")
    assert managed()["changed"] is False
    # A table as from a backup without its grants.
    managed.run("far_owner", "far_owner-secret", "REVOKE ALL ON notes FROM far_app")
    assert managed()["statements"][0].startswith("far: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES")
    managed.run("far_app", "far_app-secret", "INSERT INTO notes DEFAULT VALUES")


SAME_ONE = "postgres: ALTER ROLE far_app PASSWORD '...' (the same, as the verifier that the pooler has)"


def test_a_verifier_that_the_pooler_has_too(managed: Managed) -> None:
    """Whether it has the salt that the pooler's has is seen although nobody may read it; sessions are not disturbed."""
    managed()
    roles = [{**row, "shared_verifier": row["name"] == "far_app"} for row in declared()["roles"]]
    with contextlib.closing(managed.connect("far_app", "far_app-secret")):
        for check in (True, False):
            assert managed(roles=roles, check=check)["statements"] == [SAME_ONE]
        assert managed(roles=roles)["changed"] is False
    stored = managed.server.rows("SELECT rolpassword FROM pg_authid WHERE rolname = 'far_app'", "postgres")
    assert stored == [(shared_verifier("far_app", "far_app-secret"),)]
    managed.run("far_app", "far_app-secret", "SELECT 1")
    assert managed()["changed"] is False, "without the option, any salt will do"


def test_a_database_of_somebody_else_is_handed_over(managed: Managed) -> None:
    """As RDS makes one with the instance, which belongs to the administrator."""
    managed.server.rows(f"CREATE DATABASE far OWNER {ADMINISTRATOR}", "postgres")
    assert managed(check=True)["statements"] == managed()["statements"]
    assert managed()["changed"] is False


def test_a_closed_database_is_read_after_its_owner_was_joined(managed: Managed) -> None:
    managed()
    managed.server.rows(f"REVOKE far_owner FROM {ADMINISTRATOR}", "postgres")
    again = managed()
    assert again["statements"] == [OWNER_GRANTED]
    assert managed()["changed"] is False


@pytest.mark.parametrize("used", [False, True])
def test_a_password_is_changed_unless_it_is_in_use(managed: Managed, used: bool) -> None:
    managed()
    changed = {"passwords": declared(far_app="other-secret")["passwords"]}
    session = managed.connect("far_app", "far_app-secret") if used else contextlib.nullcontext()
    with contextlib.closing(session) if used else session:
        if not used:
            until(lambda: not managed.sessions(*ROLES))
        said = 'Cannot change the password of role "far_app": 1 sessions use it (127.0.0.1: 1)'
        for check in (True, False):
            result = managed(check=check, **changed)
            assert said in result["msg"] if used else result["changed"], result
    managed.connect("far_app", "far_app-secret" if used else "other-secret").close()
    if not used:
        assert managed(**changed)["changed"] is False


def test_a_change_that_is_accepted_in_use(managed: Managed) -> None:
    managed()
    changed = {"passwords": declared(far_monitor="other-secret")["passwords"]}
    with contextlib.closing(managed.connect("far_monitor", "far_monitor-secret")):
        assert managed(**changed)["statements"] == [
            "postgres: ALTER ROLE far_monitor PASSWORD '...' (sessions go on, new ones need the new password)"
        ]
    assert managed(**changed)["changed"] is False


def test_sessions_that_cannot_be_seen_count_as_use(managed: Managed) -> None:
    managed()
    managed.server.rows(f"REVOKE pg_monitor FROM {ADMINISTRATOR} CASCADE", "postgres")
    until(lambda: not managed.sessions(*ROLES))
    changed = {"passwords": declared(far_app="other-secret")["passwords"]}
    retired = {"roles": [{"name": "far_app", "login": False}], "passwords": {}, "databases": []}
    for given in (changed, retired):
        refused = managed(**given)
        assert refused["failed"]
        assert "not a member of pg_read_all_stats" in refused["msg"]
    managed.connect("far_app", "far_app-secret").close()


def test_retired_and_back_with_its_password(managed: Managed) -> None:
    managed()
    until(lambda: not managed.sessions("far_app"))
    retired = {"roles": [{"name": "far_app", "login": False}], "passwords": {}, "databases": []}
    assert managed(**retired)["statements"] == ["postgres: ALTER ROLE far_app NOLOGIN"]
    # The attempt to log in tells that its password is the declared one, though it may not log in.
    assert managed()["statements"] == ["postgres: ALTER ROLE far_app LOGIN"]
    managed.connect("far_app", "far_app-secret").close()


def test_a_full_role_has_its_password(managed: Managed) -> None:
    managed()
    with contextlib.ExitStack() as stack:
        for _number in range(5):
            stack.enter_context(contextlib.closing(managed.connect("far_app", "far_app-secret")))
        assert managed()["statements"] == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"password": "wrong"}, "Correct the administrator's name and password"),
        ({"port": 1}, "Check that the server runs and listens"),
        ({"host": "gone.invalid"}, "Correct the server's name"),
        ({"host": ""}, "Set `host`"),
        ({"host": "127.0.0.1"}, "Use the name that the server's certificate is for"),
        ({"sslrootcert": "/nowhere"}, "Install the certificate authority's file"),
        ({"sslmode": "disable", "sslrootcert": None}, "Connect with TLS (sslmode)"),
        ({"program": "/nowhere/psql"}, "Install it (postgresql-client)"),
        (
            {"databases": [{"name": "far", "owner": "far_owner", "extensions": ["pg_stat_statements"]}]},
            "the administrator must be a member of rds_superuser",
        ),
    ],
)
def test_a_refusal_has_its_next_step(managed: Managed, given: dict[str, t.Any], says: str) -> None:
    refused = managed(**given)
    assert refused["failed"]
    assert says in refused["msg"]


@pytest.mark.parametrize(
    "given",
    [{"host": ""}, {"host": "(known when it is created)"}, {"host": "gone.invalid"}, {"program": "/nowhere/psql"}],
)
def test_what_does_not_exist_yet_has_nothing(managed: Managed, given: dict[str, t.Any]) -> None:
    result = managed(check=True, **given)
    assert ("program" in given) == ("is not on this host yet" in str(result.get("warnings"))), result
    predicted = result["statements"]
    assert "postgres: CREATE ROLE far_app LOGIN CONNECTION LIMIT 5 PASSWORD '...'" in predicted
    assert any(statement.startswith("postgres: CREATE DATABASE far") for statement in predicted)


def test_check_mode_fails_for_a_server_that_is_there_and_refuses(managed: Managed) -> None:
    assert managed(check=True, password="wrong")["failed"]
    assert managed(check=True, port=1)["failed"]


def test_secrets_are_nowhere(managed: Managed) -> None:
    """Neither in an argument nor in the log nor in the statistics, though the session may turn off neither."""
    managed()
    until(lambda: not managed.sessions(*ROLES))
    managed(passwords=declared(far_app="other-secret")["passwords"])
    # A statement that fails is logged too.
    managed.server.rows(f"ALTER ROLE {ADMINISTRATOR} NOCREATEROLE", "postgres")
    until(lambda: not managed.sessions(*ROLES))
    assert managed(passwords=declared(far_monitor="third-secret")["passwords"])["failed"]
    statistics = managed.server.rows("SELECT query FROM pg_stat_statements", "postgres")
    assert any("nexod.verifier" in query for (query,) in statistics)
    log = (managed.folder / "log").read_text()
    assert "permission denied" in log
    for place in (log, str(statistics), (managed.scratch / "arguments").read_text()):
        for secret in ("-secret", "SCRAM-SHA-256$"):
            # The fixture's own statement for the administrator has its password in plain text.
            assert secret not in place
    assert PASSWORD not in (managed.scratch / "arguments").read_text()


def test_the_role_sets_up_what_is_declared_and_retires(managed: Managed, tmp_path: Path) -> None:
    """All but its package, which is the system's."""
    given = declared()
    roles = [{**row, "password": given["passwords"][row["name"]]} for row in given["roles"]]
    tasks = [
        {"ansible.builtin.include_role": {"name": "nexod.infra.database_access", "tasks_from": name}}
        for name in ("preflight", "run", "run", "retire")
    ]
    variables = {
        "ansible_python_interpreter": sys.executable,
        "database_access_host": "localhost",
        "database_access_port": str(managed.server.port),
        "database_access_user": ADMINISTRATOR,
        "database_access_password": PASSWORD,
        "database_access_ca_file": str(managed.folder / "data/server.crt"),
        "database_access_roles": roles,
        "database_access_databases": given["databases"],
        "database_access_retired_roles": ["far_app"],
    }
    written = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables, "tasks": tasks}
    (tmp_path / "play.json").write_text(json.dumps([written]))
    done = play("-i", "localhost,", "play.json", cwd=tmp_path, **AS_JSON)
    shown = [
        row["hosts"]["localhost"] for row in tasks_of(done) if row["hosts"]["localhost"].get("statements") is not None
    ]
    assert [row["changed"] for row in shown] == [True, False, True], done.stdout
    assert shown[-1]["statements"] == ["postgres: ALTER ROLE far_app NOLOGIN"]
    assert "-secret" not in done.stdout


def test_the_role_predicts_a_server_that_is_created_later(tmp_path: Path) -> None:
    given = declared()
    tasks = [
        {"ansible.builtin.include_role": {"name": "nexod.infra.database_access", "tasks_from": name}}
        for name in ("preflight", "run")
    ]
    variables = {
        "ansible_python_interpreter": sys.executable,
        "database_access_host": "(known when rds_instance/shop is created)",
        "database_access_password": PASSWORD,
        "database_access_roles": given["roles"],
        "database_access_databases": given["databases"],
    }
    written = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables, "tasks": tasks}
    (tmp_path / "play.json").write_text(json.dumps([written]))
    predicted = play("-i", "localhost,", "play.json", "--check", cwd=tmp_path, **AS_JSON)
    assert predicted.returncode == 0, predicted.stdout
    assert "CREATE DATABASE far" in predicted.stdout
    refused = play("-i", "localhost,", "play.json", cwd=tmp_path, **AS_JSON)
    assert "database_access_host is '(known when" in refused.stdout
