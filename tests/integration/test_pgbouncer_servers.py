"""PgBouncer with the role's files in front of real servers: replicas, limits, restarts, auth_query."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
import typing as t
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.console import Console
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.limits import server_limits
from ansible_collections.nexod.infra.tests.fixtures import pgbouncer_set
from ansible_collections.nexod.infra.tests.fixtures.pgbouncer_probe import load_probe
from ansible_collections.nexod.infra.tests.fixtures.pgbouncer_programs import pgbouncer

from .conftest import Postgres, folder_of_postgres, free_port, running_postgres, until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")


class Pooler:
    """A process of PgBouncer with the files that the role would write."""

    def __init__(
        self, folder: Path, version: str = "1.18", address: str = "127.0.0.1", port: int = 0, **options: t.Any
    ) -> None:
        self.home, self.folder, self.address, self.port = folder / "current", folder, address, port or free_port()
        self.program = pgbouncer(version)
        self.home.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.write(**options)

    def write(self, **options: t.Any) -> str:
        """Write the files; whether the change needs a restart or a reload."""
        account = pwd.getpwnam("postgres")
        place = {"port": self.port, "listen_addresses": [self.address], "socket_dir": str(self.folder)}
        action = pgbouncer_set.write(self.home, **place, **options)
        (self.folder / "1").mkdir(exist_ok=True)
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
        return action

    def start(self) -> None:
        account = pwd.getpwnam("postgres")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.program, str(self.home / "process-1.ini")],
                stdout=log,
                stderr=log,
                cwd="/",
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
            )
        until((self.folder / f"1/.s.PGSQL.{self.port}").exists)

    def connect(self, database: str, user: str, password: str) -> t.Any:
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=user, password=password, connect_timeout=20
        )
        connection.autocommit = True
        return connection

    def ask(self, database: str, user: str, password: str, sql: str) -> t.Any:
        with contextlib.closing(self.connect(database, user, password)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]

    def reload(self) -> None:
        """As the unit does."""
        assert self.process is not None
        load_probe().read_again(self.process.pid, self.home, "1")

    def console(self) -> Console:
        return Console(f"{self.folder}/1/.s.PGSQL.{self.port}")

    def end(self, drain: int, others: t.Sequence[str] = ()) -> None:
        """As the unit does, under the account that PgBouncer runs as."""
        assert self.process is not None
        for path in pgbouncer_set.PROGRAMS:
            shutil.copy(path, self.home)
        (self.home / "other-hosts").write_text("\n".join(others))
        process = self.process
        # Whoever has started it has to notice that it has ended.
        threading.Thread(target=process.wait).start()
        argv = [
            "/usr/bin/python3",
            str(self.home / "probe.py"),
            "stop",
            str(self.home),
            "1",
            str(process.pid),
            str(drain),
            "10",
        ]
        account = pwd.getpwnam("postgres")
        done = subprocess.run(
            argv,
            cwd="/",
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            capture_output=True,
            check=False,
            text=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        process.wait(10)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def started() -> t.Iterator[t.Callable[..., Pooler]]:
    """Starts a PgBouncer with options of the role."""
    with contextlib.ExitStack() as opened:

        def start(**options: t.Any) -> Pooler:
            folder = Path(tempfile.mkdtemp(dir=opened.enter_context(folder_of_postgres())))
            folder.parent.chmod(0o755)
            made = Pooler(folder, **options)
            opened.callback(made.stop)
            made.start()
            return made

        yield start


@as_root
def test_reads_of_the_replica_and_what_each_server_allows(
    postgres: Postgres, replica: int, started: t.Callable[..., Pooler]
) -> None:
    databases = [
        {"name": "app", "host": postgres.host, "port": postgres.port, "dbname": "postgres"},
        {
            # The first address of the list takes no connections.
            "name": "app_replica",
            "host": "127.0.0.2,127.0.0.1",
            "port": replica,
            "dbname": "postgres",
            "server": "replica",
            "max_connections": 5,
            "pool_size": 5,
        },
        {"name": "gone", "host": "127.0.0.1", "port": free_port(), "dbname": "postgres"},
    ]
    users = [{"name": "owner", "password": postgres.password}]
    pooler = started(databases=databases, users=users, pool_size=5)
    recovery = "SELECT pg_is_in_recovery()"
    found = [pooler.ask(name, "owner", postgres.password, recovery) for name in ("app", "app_replica")]
    assert found == [False, True]
    limits = server_limits(str(pooler.folder), pooler.port, "owner", postgres.password)
    allowed = {"max_connections": 50, "superuser_reserved_connections": 3, "reserved_connections": 0}
    assert (limits["app"], limits["app_replica"]) == (allowed, {**allowed, "max_connections": 100})
    assert "fault" in limits["gone"]
    wrong = server_limits(str(pooler.folder), pooler.port, "owner", "another one")
    assert "fault" in wrong["app"] and "another one" not in str(wrong)
    assert server_limits(str(pooler.folder), 1, "owner", "") == {}


#: What a client of a server that restarts may read: its transaction was cut, or a login was refused meanwhile.
CUT, REFUSED = "server closed the connection", "server login has been failing"


class Workers:
    """Threads that work until the block ends."""

    def __init__(self, count: int) -> None:
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _worker in range(count)]

    def __enter__(self) -> t.Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        raise NotImplementedError


class Load(Workers):
    """Clients that query all the while, and connect again when they were disconnected."""

    def __init__(self, pooler: Pooler, password: str, clients: int) -> None:
        super().__init__(clients)
        self.results: list[tuple[float, float, str]] = []
        self._pooler, self._password = pooler, password

    def _work(self) -> None:
        connection = None
        while not self._ended.is_set():
            begun = time.monotonic()
            try:
                connection = connection or self._pooler.connect("app", "owner", self._password)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.02)")
                error = ""
            except psycopg2.Error as caught:
                connection, error = None, str(caught)
            self.results.append((begun, time.monotonic(), error))
            time.sleep(0.2 if error else 0.02)


@as_root
def test_a_server_that_restarts_without_a_pause(started: t.Callable[..., Pooler]) -> None:
    """Its transactions fail and queries are refused while it is away; what waits goes on, soon after it is back."""
    with folder_of_postgres() as folder:
        folder.chmod(0o755)
        with running_postgres(folder) as server:
            pg_ctl = shutil.which("pg_ctl", path=str(next(Path("/usr/lib/postgresql").glob("*/bin"))))
            argv = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", str(pg_ctl)]
            argv += ["-D", str(folder / "data"), "-m", "fast", "-w", "-t", "30", "-l", str(folder / "log")]
            databases = [{"name": "app", "host": server.host, "port": server.port, "dbname": "postgres"}]
            pooler = started(databases=databases, users=[{"name": "owner", "password": server.password}], pool_size=5)
            settings = f"-p {server.port} -c fsync=off -c max_connections=50 -c listen_addresses=127.0.0.1"
            settings += f" -c unix_socket_directories={folder}"
            with Load(pooler, server.password, 10) as load:
                until(lambda: len(load.results) > 100)
                stopped = time.monotonic()
                subprocess.run([*argv, "stop"], cwd=folder, check=True, capture_output=True)
                down = time.monotonic()
                time.sleep(3)
                subprocess.run([*argv, "-o", settings, "start"], cwd=folder, check=True, capture_output=True)
                back = time.monotonic()
                until(lambda: any(not error and ended > back + 2.5 for _begun, ended, error in load.results))
    before = [error for _begun, ended, error in load.results if ended < stopped]
    assert before and not any(before)
    failed = [error for _begun, _ended, error in load.results if error]
    assert all(CUT in error or REFUSED in error for error in failed), failed
    # Who was waiting for a connection when the first attempt failed goes on, and so does everybody when it is back.
    waited = [ended - begun for begun, ended, error in load.results if not error and begun < back < ended]
    assert max(waited) > 1
    first = min(ended for _begun, ended, error in load.results if not error and ended > down)
    assert first - back < 2.5
    assert not [error for _begun, ended, error in load.results if error and ended > back + 2.5]


def answer(client: t.Any, sql: str = "SELECT 1") -> t.Any:
    with client.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


@as_root
@pytest.mark.parametrize(
    ("version", "change"),
    [
        # Before 1.24, a reload replaces the connections to a server that may use TLS, whatever has changed.
        pytest.param("1.18", {"query_wait_seconds": 31}, id="1.18"),
        pytest.param("1.24", {"settings": {"server_tls_ciphers": "HIGH"}}, id="1.24", marks=pytest.mark.long),
        pytest.param("1.26", {"settings": {"server_tls_ciphers": "HIGH"}}, id="1.26", marks=pytest.mark.long),
    ],
)
def test_a_reload_cuts_no_login_at_the_server(
    postgres: Postgres, started: t.Callable[..., Pooler], version: str, change: dict[str, t.Any]
) -> None:
    """PgBouncer would count it as a failed one, and refuse clients until one has succeeded."""
    given: dict[str, t.Any] = {
        "databases": [{"name": "app", "host": postgres.host, "port": postgres.port, "dbname": "postgres"}],
        "users": [{"name": "owner", "password": postgres.password}],
        "login_retry_seconds": 20,
    }
    pooler = started(version=version, **given)
    with contextlib.ExitStack() as opened:
        console = opened.enter_context(pooler.console())
        server = opened.enter_context(contextlib.closing(postgres.connect()))
        executor = opened.enter_context(concurrent.futures.ThreadPoolExecutor())
        clients = [pooler.connect("app", "owner", postgres.password) for _client in range(2)]
        for client in clients:
            opened.callback(client.close)
            assert answer(client) == 1

        def counted(*columns: str) -> int:
            pools = [row for row in console.ask("SHOW POOLS") if row["database"] == "app"]
            return sum(int(row[column] or 0) for row in pools for column in columns)

        answer(server, "ALTER SYSTEM SET pre_auth_delay = 2")
        answer(server, "SELECT pg_reload_conf()")
        try:
            console.ask("RECONNECT app")
            until(lambda: not counted("sv_idle", "sv_active", "sv_used"))
            first = executor.submit(answer, clients[0])
            until(lambda: counted("sv_login"))
            assert pooler.write(**given, **change) == "reload"
            pooler.reload()
            # No connection is left or is replaced, and this one does not wait for login_retry_seconds.
            assert answer(clients[1]) == first.result() == 1
        finally:
            answer(server, "ALTER SYSTEM RESET pre_auth_delay")
            answer(server, "SELECT pg_reload_conf()")


#: As in docs/passwords.md.
LOOKUP = """\
CREATE ROLE pooler LOGIN PASSWORD 'of the pooler';
CREATE SCHEMA pooler;
CREATE FUNCTION pooler.verifier(account text) RETURNS TABLE (name text, verifier text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT rolname::text, rolpassword FROM pg_authid
  WHERE rolname = account AND rolcanlogin AND NOT rolsuper AND NOT rolreplication
    AND (rolvaliduntil IS NULL OR rolvaliduntil > now())
$$;
REVOKE ALL ON FUNCTION pooler.verifier(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pooler TO pooler;
GRANT EXECUTE ON FUNCTION pooler.verifier(text) TO pooler;
"""


@as_root
def test_the_server_is_asked_for_verifiers(postgres: Postgres, database: str, started: t.Callable[..., Pooler]) -> None:
    """PgBouncer has the password of the account that asks, and nothing of all others."""
    documented = (pgbouncer_set.ROLE.parents[1] / "docs/passwords.md").read_text()
    assert all(line.strip() in documented for line in LOOKUP.splitlines() if "PASSWORD" not in line)
    postgres.rows(LOOKUP, database)
    try:
        postgres.rows("CREATE ROLE turn_c LOGIN PASSWORD 'of c'", database)
        pooler = started(
            databases=[{"name": database, "host": postgres.host, "port": postgres.port}],
            users=[{"name": "pooler", "password": "of the pooler", "databases": []}],
            settings={"auth_user": "pooler", "auth_query": "SELECT * FROM pooler.verifier($1)"},
            pool_size=5,
        )
        assert pooler.ask(database, "turn_c", "of c", "SELECT current_user::text") == "turn_c"
        assert "turn_c" not in (pooler.home / "userlist.txt").read_text()
        for account, password in (("turn_c", "wrong"), ("postgres", postgres.password), ("stranger", "x")):
            with pytest.raises(psycopg2.OperationalError):
                pooler.connect(database, account, password)
        # Another password at the server is the one here at once; nothing is kept.
        postgres.rows("ALTER ROLE turn_c PASSWORD 'another'", database)
        assert pooler.ask(database, "turn_c", "another", "SELECT 1") == 1
        postgres.rows("ALTER ROLE turn_c VALID UNTIL '2020-01-01'", database)
        with pytest.raises(psycopg2.OperationalError):
            pooler.connect(database, "turn_c", "another")
        with (
            contextlib.closing(
                psycopg2.connect(
                    host=postgres.host, port=postgres.port, dbname=database, user="owner", password=postgres.password
                )
            ) as other,
            other.cursor() as cursor,
            pytest.raises(psycopg2.errors.InsufficientPrivilege),
        ):
            cursor.execute("SELECT pooler.verifier('turn_c')")
    finally:
        pooler.stop()
        until(lambda: not postgres.rows("SELECT 1 FROM pg_stat_activity WHERE usename = 'turn_c'", database))
        for role in ("turn_c", "pooler"):
            postgres.rows(f"DROP OWNED BY {role}; DROP ROLE {role}", database)
