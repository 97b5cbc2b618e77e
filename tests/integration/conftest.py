"""Real servers for the tests: a PostgreSQL cluster and a Redis of their own, on free ports, gone afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import psycopg2
import pytest
import redis

from ansible_collections.nexod.infra.tests.programs import load

from .alembic_project import Project

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "o'wner:p@ss%w/rd"  # all that a URL has to escape


def program(name: str, package: str, *folders: Path) -> str:
    """Path of the program `name`; its absence fails the test, it never skips it."""
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"], "/usr/sbin"]))
    if found is None:
        pytest.fail(f"{name} is not here: install it with `apt-get install {package}`", pytrace=False)
    return found


def free_port() -> int:
    """One with a free one 10000 above it, where a Redis cluster's nodes talk with one another."""
    while True:
        with socket.socket() as one, socket.socket() as bus:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + 10000))
                return port


@dataclasses.dataclass(frozen=True)
class Postgres:
    host: str
    port: int
    user: str = "owner"
    password: str = PASSWORD
    socket: str = ""  # the folder of its socket

    def connect(self, database: str = "postgres", user: str = "postgres") -> t.Any:
        connection = psycopg2.connect(
            host=self.host, port=self.port, dbname=database, user=user, password=self.password
        )
        connection.autocommit = True
        return connection

    def rows(self, sql: str, database: str) -> list[tuple[t.Any, ...]]:
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def folder_of_postgres() -> t.Iterator[Path]:
    """A folder of the account `postgres`; not one of pytest's, which every run of pytest closes to other accounts."""
    folder = Path(tempfile.mkdtemp(prefix="nexod-integration-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def running_postgres(
    folder: Path, version: str = "*", further: str = "", superuser: str = "postgres"
) -> t.Iterator[Postgres]:
    """A cluster of its own in `folder`, with `further` settings; a benchmark starts one too."""
    binaries = sorted(Path("/usr/lib/postgresql").glob(f"{version}/bin"))
    initdb, pg_ctl = (program(name, "postgresql-15", *binaries) for name in ("initdb", "pg_ctl"))
    as_account: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("postgres")
        as_account = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    data, port = folder / "data", free_port()

    def run(*argv: str) -> None:
        done = subprocess.run([*as_account, *argv], cwd=folder, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run(initdb, "-D", str(data), "-U", superuser, "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync")
    # Nothing writes but the tests: that something has written nothing is proven by the server's own counter.
    settings = f"-p {port} -c fsync=off -c autovacuum=off -c max_connections=50"
    settings += f" -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} {further}"
    run(pg_ctl, "-D", str(data), "-o", settings, "-l", str(folder / "log"), "-w", "start")
    try:
        server = Postgres("127.0.0.1", port, socket=str(folder))
        with contextlib.closing(server.connect(user=superuser)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE ROLE owner LOGIN PASSWORD %s", [PASSWORD])
        yield server
    finally:
        run(pg_ctl, "-D", str(data), "-m", "immediate", "stop")


@pytest.fixture(scope="session")
def account_folder() -> t.Iterator[Path]:
    with folder_of_postgres() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres(account_folder: Path) -> t.Iterator[Postgres]:
    with running_postgres(account_folder) as server:
        yield server


@pytest.fixture(scope="session")
def replica(postgres: Postgres, account_folder: Path) -> t.Iterator[int]:
    """The port of a hot standby of `postgres`."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    pg_basebackup, pg_ctl = (program(name, "postgresql-15", *binaries) for name in ("pg_basebackup", "pg_ctl"))
    folder, port = account_folder / "replica", free_port()
    account: list[str] = []
    if os.geteuid() == 0:
        who = pwd.getpwnam("postgres")
        account = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
    primary = ["-h", postgres.host, "-p", str(postgres.port), "-U", "postgres"]
    copy = [pg_basebackup, *primary, "-D", str(folder), "-R", "-X", "stream", "-c", "fast", "--no-sync"]
    settings = f"-p {port} -c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    start = [pg_ctl, "-D", str(folder), "-o", settings, "-l", str(account_folder / "replica.log"), "-w", "start"]
    for argv in (copy, start):
        environment = {**os.environ, "PGPASSWORD": postgres.password}
        subprocess.run([*account, *argv], cwd=account_folder, env=environment, check=True, capture_output=True)
    try:
        yield port
    finally:
        subprocess.run([*account, pg_ctl, "-D", str(folder), "-m", "immediate", "stop"], cwd=account_folder, check=True)


@pytest.fixture
def database(postgres: Postgres, request: pytest.FixtureRequest) -> t.Iterator[str]:
    """An empty database of this test's own."""
    name = "t" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    with contextlib.closing(postgres.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} OWNER owner")
        yield name
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


REQUIREMENTS = ROOT / "tests/integration/requirements.txt"


def made_environment(name: str, python: str, *wanted: str) -> Path:
    """A virtual environment of `python` in .cache with what pip installs for `wanted`; made once."""
    folder = ROOT / ".cache" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([python, "-m", "venv", str(folder)], check=True)
            subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", *wanted], check=True)
            (folder / "complete").touch()
    return folder


def made_application() -> str:
    """An interpreter with Alembic and the drivers, as an application's environment has them."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return str(made_environment(f"integration-{digest}", sys.executable, "-r", str(REQUIREMENTS)) / "bin/python")


@pytest.fixture(scope="session")
def application_python() -> str:
    return made_application()


@dataclasses.dataclass(frozen=True)
class RedisServer:
    host: str
    port: int
    password: str
    client: t.Any
    process: subprocess.Popen[bytes] | None = None


def until(holds: t.Callable[[], object], seconds: float = 30) -> None:
    """Wait until `holds`; what it cannot tell yet is not so yet."""
    ends = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.RedisError):
            if holds():
                return
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.05)


class Servers:
    """Starts Redis and Valkey servers on free ports of the loopback, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.engine: t.Callable[[str], list[str]] = load(ROOT / "tests/fixtures/cache_engines.py").engine

    def start(
        self,
        *settings: str,
        engine: str = "redis7",
        password: str = "",
        sentinel: bool = False,
        ready: bool = True,
        port: int = 0,
    ) -> RedisServer:
        port = port or free_port()
        folder = self.folder / str(port)
        folder.mkdir()
        lines = [f"port {port}", "bind 127.0.0.1", f"dir {folder}", f"logfile {folder}/log", *settings]
        lines += [] if sentinel else ['save ""', *([f"requirepass {password}"] if password else [])]
        configuration = folder / "server.conf"
        configuration.write_text("\n".join(lines) + "\n")
        argv = [*self.engine(engine), str(configuration), *(["--sentinel"] if sentinel else [])]
        # What it says before it has read where its log is.
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log)
        self.processes.append(process)
        client = redis.Redis(host="127.0.0.1", port=port, password=password or None)
        # One try at a time: a client of the tests' tries each call again by itself, for seconds.
        first = redis.Redis(host="127.0.0.1", port=port, password=password or None, retry=None)
        ends = time.monotonic() + 30
        while ready:
            with contextlib.suppress(redis.ConnectionError):
                first.ping()
                break
            if process.poll() is not None or time.monotonic() > ends:
                pytest.fail(f"{argv[0]} does not answer: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        first.close()
        return RedisServer("127.0.0.1", port, password, client, process)

    def cluster(self, engine: str = "redis7") -> list[RedisServer]:
        """Three primaries and then their three replicas."""
        nodes = [self.start("cluster-enabled yes", "cluster-node-timeout 1500", engine=engine) for _node in range(6)]
        for number, node in enumerate(nodes[:3]):
            first, last = number * 16384 // 3, (number + 1) * 16384 // 3 - 1
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
            node.client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            nodes[0].client.execute_command("CLUSTER MEET", "127.0.0.1", node.port)
        until(lambda: all(int(facts(node)["cluster_known_nodes"]) == 6 for node in nodes))
        for primary, replica in zip(nodes[:3], nodes[3:], strict=True):
            name = primary.client.execute_command("CLUSTER MYID").decode()
            until(lambda node=replica, name=name: node.client.execute_command("CLUSTER REPLICATE", name))
        until(lambda: all(facts(node)["cluster_state"] == "ok" for node in nodes))
        until(lambda: all(node.client.info("replication").get("master_link_status") == "up" for node in nodes[3:]))
        return nodes

    until = staticmethod(until)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def facts(node: RedisServer) -> dict[str, str]:
    found = node.client.execute_command("CLUSTER INFO")
    if isinstance(found, dict):
        return {str(name): str(value) for name, value in found.items()}
    return dict(line.split(":", 1) for line in found.decode().split())


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Servers]:
    started = Servers(tmp_path_factory.mktemp("servers"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def redis_server(servers: Servers) -> RedisServer:
    return servers.start(password="cache:p@ss")


@pytest.fixture
def cache(redis_server: RedisServer) -> RedisServer:
    """The Redis server, emptied."""
    redis_server.client.flushdb()
    return redis_server


@pytest.fixture
def project(tmp_path: Path, postgres: Postgres, database: str, application_python: str) -> Project:
    return Project(tmp_path, postgres, database, application_python)


@contextlib.contextmanager
def running_pgbouncer(folder: Path, database: str, users: t.Mapping[str, str], mode: str) -> t.Iterator[int]:
    """The port of a PgBouncer whose databases are all `database`; `folder` is the account's."""
    port, own = free_port(), Path(tempfile.mkdtemp(prefix="pgbouncer-", dir=folder))
    (own / "users").write_text("".join(f'"{name}" "{password}"\n' for name, password in users.items()))
    (own / "ini").write_text(
        f"[databases]\n* = {database}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = scram-sha-256\nauth_file = {own}/users\npool_mode = {mode}\n"
        f"unix_socket_dir =\nlogfile = {own}/log\n"
    )
    argv = [program("pgbouncer", "pgbouncer"), str(own / "ini")]
    if os.geteuid() == 0:
        shutil.chown(own, "postgres")
        argv += ["-u", "postgres"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _try in range(100):
            if (own / "log").exists() and re.search("listening on", (own / "log").read_text()):
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"pgbouncer did not come up: {(own / 'log').read_text()}")
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def pgbouncer(postgres: Postgres, account_folder: Path) -> t.Iterator[t.Callable[[str], int]]:
    database = f"host={postgres.host} port={postgres.port}"
    with contextlib.ExitStack() as running:
        yield lambda mode: running.enter_context(
            running_pgbouncer(account_folder, database, {"owner": postgres.password}, mode)
        )


@pytest.fixture(scope="module")
def aws() -> t.Iterator[str]:
    """The stand-in for Amazon's API that the lab has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/fixtures/aws_server.py"), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ends = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        assert time.monotonic() < ends, "the moto server does not answer"
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()
