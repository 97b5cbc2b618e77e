"""Passwords of a real PostgreSQL, PgBouncer and Redis, changed while clients use them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import psycopg2
import pytest
import redis
import yaml
from jinja2 import Environment, FileSystemLoader

from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import shared_verifier
from ansible_collections.nexod.infra.tests.fixtures.pgbouncer_probe import load_probe

from .conftest import Postgres, RedisServer, Servers, free_port, until

ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")
OWNER = {"name": "turn_owner"}


class Access:
    """The module on the tests' server: what the roles of an environment ask for, for the accounts given."""

    def __init__(self, server: Postgres, database: str) -> None:
        self.server, self.database = server, database

    def __call__(
        self,
        *,
        check: bool = False,
        retired: t.Sequence[str] = (),
        poolers: t.Sequence[str] = (),
        shared: bool = False,
        **accounts: str,
    ) -> dict[str, t.Any]:
        """Apply `accounts` (name: password), or those of `retired` apart, as the stage pooler does.

        `shared`: with the verifiers that the pooler has.
        """
        changeable = {"password_change": "always"} if "monitor" in accounts else {}
        roles = [OWNER, *({"name": name, "shared_verifier": shared, **changeable} for name in accounts)]
        database = {"name": self.database, "owner": OWNER["name"], "read_write": list(accounts)}
        given = {
            "version": 15,
            "port": self.server.port,
            "socket_dir": self.server.socket,
            "roles": [{"name": name, "login": False} for name in retired] or roles,
            "passwords": {} if retired else accounts,
            "databases": [] if retired else [database],
            "poolers": list(poolers),
            "_ansible_check_mode": check,
        }
        done = subprocess.run(
            [sys.executable, "-m", "ansible_collections.nexod.infra.plugins.modules.postgresql_access"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
            env={**os.environ, "PYTHONPATH": str(ROOT / ".collections"), "PGPASSWORD": self.server.password},
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.stdout, done.stderr
        assert not any(password in done.stdout for password in accounts.values())
        return t.cast("dict[str, t.Any]", json.loads(done.stdout))

    def connect(self, user: str, password: str) -> t.Any:
        place = {"host": self.server.host, "port": self.server.port, "dbname": self.database}
        connection = psycopg2.connect(user=user, password=password, **place)
        connection.autocommit = True
        return connection


def answer(connection: t.Any, sql: str) -> t.Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture
def access(postgres: Postgres) -> t.Iterator[Access]:
    """An empty database, and no account of the tests; both are gone afterwards."""

    def clear() -> None:
        postgres.rows("DROP DATABASE IF EXISTS turn WITH (FORCE)", "postgres")
        for name in ("turn_a", "turn_b", "monitor", OWNER["name"]):
            postgres.rows(f"DROP ROLE IF EXISTS {name}", "postgres")

    clear()
    yield Access(postgres, "turn")
    clear()


def privileges(server: Postgres, role: str) -> list[tuple[t.Any, ...]]:
    return server.rows(
        f"""
        SELECT c.relname, p FROM pg_class c, unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,USAGE}}'::text[]) p
        WHERE relnamespace = 'public'::regnamespace AND CASE WHEN relkind = 'S' THEN p IN ('SELECT', 'UPDATE', 'USAGE')
          AND has_sequence_privilege('{role}', c.oid, p) ELSE relkind = 'r' AND p <> 'USAGE'
          AND has_table_privilege('{role}', c.oid, p) END
        UNION ALL SELECT d.defaclobjtype::text, x.privilege_type FROM pg_default_acl d, aclexplode(d.defaclacl) x
        WHERE x.grantee = '{role}'::regrole
        UNION ALL SELECT 'database', p FROM unnest('{{CONNECT,TEMPORARY,CREATE}}'::text[]) p
        WHERE has_database_privilege('{role}', current_database(), p)
        UNION ALL SELECT 'schema', p FROM unnest('{{USAGE,CREATE}}'::text[]) p
        WHERE has_schema_privilege('{role}', 'public', p)
        ORDER BY 1, 2
        """,
        "turn",
    )


@as_root
def test_two_accounts_in_turn(access: Access, postgres: Postgres) -> None:
    """The sessions of the former account go on until it is retired; both accounts have the same rights meanwhile."""
    assert access(turn_a="first")["changed"]
    postgres.rows("SET ROLE turn_owner; CREATE TABLE early (id serial PRIMARY KEY)", "turn")
    former = access.connect("turn_a", "first")

    both = {"turn_b": "second", "turn_a": "first"}
    assert "postgres: CREATE ROLE turn_b LOGIN PASSWORD '...'" in access(check=True, **both)["statements"]
    assert access(**both)["changed"]
    assert not access(**both)["changed"]
    postgres.rows("SET ROLE turn_owner; CREATE TABLE late (id serial PRIMARY KEY)", "turn")
    assert privileges(postgres, "turn_b") == privileges(postgres, "turn_a")
    assert ("late", "INSERT") in privileges(postgres, "turn_b")
    current = access.connect("turn_b", "second")
    for connection in (former, current, access.connect("turn_a", "first")):
        assert answer(connection, "INSERT INTO late DEFAULT VALUES RETURNING 1") == 1
        if connection not in (former, current):
            connection.close()

    for check in (True, False):
        refused = access(retired=["turn_a"], check=check)
        assert refused["failed"]
        assert 'Cannot take the right to log in from role "turn_a": 1 sessions use it (127.0.0.1: 1)' in refused["msg"]
    # The pooler at that address has not closed them in check mode: it would have in a run.
    assert access(retired=["turn_a"], poolers=["127.0.0.1"], check=True)["changed"]
    assert access(retired=["turn_a"], poolers=["127.0.0.1"])["failed"]
    assert answer(former, "SELECT 1") == 1
    former.close()
    until(lambda: not postgres.rows("SELECT 1 FROM pg_stat_activity WHERE usename = 'turn_a'", "postgres"))
    assert access(retired=["turn_a"], check=True)["statements"] == ["postgres: ALTER ROLE turn_a NOLOGIN"]
    access.connect("turn_a", "first").close()
    until(lambda: not postgres.rows("SELECT 1 FROM pg_stat_activity WHERE usename = 'turn_a'", "postgres"))
    assert access(retired=["turn_a"])["changed"]
    assert not access(retired=["turn_a"])["changed"]
    with pytest.raises(psycopg2.OperationalError, match="not permitted to log in"):
        access.connect("turn_a", "first")
    assert answer(current, "SELECT 1") == 1

    # And back: the first account again, with its third password.
    assert access(turn_a="third", turn_b="second")["statements"] == ["postgres: ALTER ROLE turn_a LOGIN PASSWORD '...'"]
    access.connect("turn_a", "third").close()
    current.close()


@as_root
def test_a_password_in_use_is_not_changed(access: Access) -> None:
    access(turn_a="first")
    with contextlib.closing(access.connect("turn_a", "first")) as session:
        for check in (True, False):
            refused = access(turn_a="second", check=check)
            assert refused["failed"]
            assert 'Cannot change the password of role "turn_a": 1 sessions use it (127.0.0.1: 1)' in refused["msg"]
        access.connect("turn_a", "first").close()
        assert answer(session, "SELECT 1") == 1


@as_root
def test_a_password_in_use_is_changed_where_that_is_accepted(access: Access) -> None:
    access(monitor="first")
    with contextlib.closing(access.connect("monitor", "first")) as session:
        said = "postgres: ALTER ROLE monitor PASSWORD '...' (sessions go on, new ones need the new password)"
        assert access(monitor="second", check=True)["statements"] == [said]
        assert access(monitor="second")["statements"] == [said]
        assert answer(session, "SELECT 1") == 1
        access.connect("monitor", "second").close()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            access.connect("monitor", "first")


# -- PgBouncer


@pytest.fixture(scope="module")
def probe() -> t.Any:
    return load_probe()


class Pooler:
    """A PgBouncer with the role's files, some of them shortened."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.home = folder / "current"
        self.home.mkdir()
        (self.home / "hba.conf").touch()
        (self.home / "databases.ini").write_text(f"[databases]\nturn = host={server.host} port={server.port}\n")
        (self.home / "settings.ini").write_text(
            f"auth_type = scram-sha-256\nauth_file = {self.home}/userlist.txt\npool_mode = transaction\n"
        )
        (self.home / "pgbouncer.ini").write_text(
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\n%include {self.home}/settings.ini\n"
        )
        (self.home / "process-1.ini").write_text(
            f"%include {self.home}/databases.ini\n[pgbouncer]\n%include {self.home}/pgbouncer.ini\n"
            f"unix_socket_dir = {folder}\n"
        )

    def write(self, folder: Path, **accounts: str) -> None:
        (folder / "userlist.txt").write_text("".join(f'"{name}" "{word}"\n' for name, word in accounts.items()))

    def staged(self, probe: t.Any, *changeable: str, **accounts: str) -> list[str]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for path in self.home.iterdir():
                (folder / path.name).write_text(path.read_text())
            self.write(folder, **accounts)
            return list(probe.accounts_in_use(folder, self.home, changeable))

    def reload(self, **accounts: str) -> None:
        self.write(self.home, **accounts)
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def connect(self, user: str, password: str) -> t.Any:
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, dbname="turn", user=user, password=password)
        connection.autocommit = True
        return connection


@pytest.fixture
def pooler(postgres: Postgres, account_folder: Path) -> t.Iterator[Pooler]:
    folder = Path(tempfile.mkdtemp(prefix="pooler-", dir=account_folder))
    shutil.chown(folder, "postgres", "postgres")
    made = Pooler(postgres, folder)
    made.write(made.home, turn_a="first")
    account = pwd.getpwnam("postgres")
    process = subprocess.Popen(
        ["/usr/sbin/pgbouncer", f"{made.home}/process-1.ini"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
    )
    try:
        until((folder / f".s.PGSQL.{made.port}").exists)
        made.process = process
        yield made
    finally:
        process.kill()
        process.wait()


@as_root
def test_the_pooler_keeps_accounts_that_clients_use(
    access: Access, postgres: Postgres, pooler: Pooler, probe: t.Any
) -> None:
    access(turn_a="first", turn_b="second")
    former = pooler.connect("turn_a", "first")
    assert answer(former, "SELECT 1") == 1
    # The account is in use: neither removed nor given another password.
    assert "account turn_a would be removed, and 1 clients use it (127.0.0.1: 1)" in pooler.staged(probe, turn_b="2")[0]
    assert "turn_a would have another password" in pooler.staged(probe, turn_a="x")[0]
    assert pooler.staged(probe, "turn_a", turn_a="x") == []
    assert pooler.staged(probe, turn_a="first", turn_b="second") == []
    # Both accounts: the former's client goes on.
    pooler.reload(turn_a="first", turn_b="second")
    until(lambda: "turn_b" in probe.show(str(pooler.folder), str(pooler.port)).users)
    current = pooler.connect("turn_b", "second")
    assert [answer(client, "SELECT current_user::text") for client in (former, current)] == ["turn_a", "turn_b"]
    assert probe.retired_connections(pooler.home, "1") == []
    # No client uses the former any more: it is removed, and its idle server connections are closed.
    former.close()
    until(lambda: pooler.staged(probe, turn_b="second") == [])
    assert postgres.rows("SELECT 1 FROM pg_stat_activity WHERE usename = 'turn_a'", "postgres")
    pooler.reload(turn_b="second")
    assert probe.retired_connections(pooler.home, "1") == ["account turn_a still has server connections"]
    until(lambda: probe.retired_connections(pooler.home, "1") == [])
    until(lambda: not postgres.rows("SELECT 1 FROM pg_stat_activity WHERE usename = 'turn_a'", "postgres"))
    assert access(retired=["turn_a"])["changed"]
    assert answer(current, "SELECT current_user::text") == "turn_b"
    with pytest.raises(psycopg2.OperationalError):
        pooler.connect("turn_a", "first")
    current.close()


@as_root
def test_the_pooler_needs_no_password(access: Access, postgres: Postgres, pooler: Pooler, probe: t.Any) -> None:
    """With the same verifier at the server, PgBouncer logs in with what it learns from the client."""
    access(turn_a="first")
    with contextlib.closing(access.connect("turn_a", "first")):
        again = ["postgres: ALTER ROLE turn_a PASSWORD '...' (the same, as the verifier that the pooler has)"]
        assert access(shared=True, turn_a="first", check=True)["statements"] == again
        assert access(shared=True, turn_a="first")["statements"] == again
        assert not access(shared=True, turn_a="first")["changed"]
    same = shared_verifier("turn_a", "first")

    pooler.reload(turn_a=same)
    probe.ask(str(pooler.folder), str(pooler.port), "RELOAD")
    client = pooler.connect("turn_a", "first")
    assert answer(client, "SELECT current_user::text") == "turn_a"
    with pytest.raises(psycopg2.OperationalError):
        pooler.connect("turn_a", "second")
    # For the account in use, the password and its verifier are the same.
    assert pooler.staged(probe, turn_a="first") == []
    assert pooler.staged(probe, turn_a="second")
    client.close()


# -- Redis


def rendered(template: str, **given: t.Any) -> str:
    """A template of the role, with the role's own variables."""
    environment = Environment(loader=FileSystemLoader(ROOT / "roles/redis/templates"), keep_trailing_newline=True)
    environment.filters["hash"] = lambda text, _kind: hashlib.sha256(text.encode()).hexdigest()
    values = dict(given)
    for name, value in yaml.safe_load((ROOT / "roles/redis/vars/main.yml").read_text()).items():
        words = environment.from_string(value).render(**values) if isinstance(value, str) else value
        values.setdefault(name, words)
    return environment.get_template(template).render(**values)


def write_set(folder: Path, home: Path, port: int, password: str, *previous: str) -> Path:
    folder.mkdir()
    given = {
        "redis_password": password,
        "redis_previous_passwords": list(previous),
        "redis_port": port,
        "__redis_home": str(home),
    }
    (folder / "users.acl").write_text(rendered("users.acl.j2", **given))
    (folder / "reload").write_text(rendered("reload.j2", **given))
    secret = hashlib.sha256(f"nexod-reload:{password}".encode()).hexdigest()
    (folder / "reload-password").write_text(secret)
    return folder


def point(home: Path, link: str, folder: Path) -> None:
    (home / "new").symlink_to(folder)
    (home / "new").rename(home / link)


def client_of(server: RedisServer, password: str, user: str | None = None) -> t.Any:
    return redis.Redis(host=server.host, port=server.port, username=user, password=password, retry=None)


def kept(staged: Path, home: Path, change: str = "listed") -> int:
    script = ROOT / "roles/redis/files/keep-password"
    done = subprocess.run(["sh", script, staged, home / "live", change], capture_output=True, text=True, check=False)
    assert (done.returncode == 1) == ("redis_previous_passwords" in done.stderr), done.stderr
    return done.returncode


@pytest.mark.parametrize("engine", ["redis7", "redis8", "valkey"])
def test_redis_accepts_both_passwords_and_keeps_its_clients(servers: Servers, tmp_path: Path, engine: str) -> None:
    home = tmp_path / "redis"
    home.mkdir()
    port = free_port()
    first = write_set(home / "1", home, port, "first")
    # A bare host: there is nothing to keep.
    assert kept(first, home) == 0
    point(home, "current", first)
    point(home, "live", first)
    server = servers.start(f"aclfile {home}/current/users.acl", engine=engine, ready=False, port=port)
    until(lambda: client_of(server, "first").ping())

    def load() -> int:
        return subprocess.run(["sh", home / "current/reload"], capture_output=True, text=True, check=False).returncode

    former = client_of(server, "first")
    former.set("session:1", "someone")
    number = former.client_id()
    listener = client_of(server, "first").pubsub()
    listener.subscribe("news")

    both = write_set(home / "2", home, port, "second", "first")
    assert kept(both, home) == 0
    assert kept(write_set(home / "only", home, port, "second"), home) == 1
    assert kept(home / "only", home, "always") == 0
    point(home, "current", both)
    assert load() == 0
    # A run killed here has not marked it live: the reload works again.
    assert load() == 0
    point(home, "live", both)
    assert former.client_id() == number
    current = client_of(server, "second")
    assert current.get("session:1") == b"someone"
    assert client_of(server, "first").ping()
    current.publish("news", "still here")
    until(lambda: (message := listener.get_message(timeout=1)) is not None and message["data"] == b"still here")

    number = current.client_id()
    second = write_set(home / "3", home, port, "second")
    assert kept(second, home) == 0
    point(home, "current", second)
    assert load() == 0
    assert current.client_id() == number
    with pytest.raises(redis.AuthenticationError):
        client_of(server, "first").ping()
    # The user of the reload can do that and nothing else, and no client can do it.
    secret = (second / "reload-password").read_text()
    for client, command in ((client_of(server, secret, "nexod-reload"), "PING"), (current, "ACL LOAD")):
        with pytest.raises(redis.ResponseError, match=r"(?i)no permissions"):
            client.execute_command(command)

    # A file that Redis refuses changes nothing, and the reload says so.
    broken = write_set(home / "4", home, port, "second")
    (broken / "users.acl").write_text("user default on #nothing\n")
    point(home, "current", broken)
    assert load() == 1
    assert current.client_id() == number
