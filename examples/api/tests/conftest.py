"""A real PostgreSQL, a real Redis and the release as a host has it: the tests ask the running process from outside."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

API = Path(__file__).resolve().parents[1]
VENVS = API.parents[1] / ".cache" / "example-api" / "venvs"
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port} after {seconds:g} s")


@contextlib.contextmanager
def running_postgres() -> Iterator[int]:
    """Port of a server with role and database `app`; trust on loopback. A benchmark starts one too."""
    if not POSTGRES:
        pytest.fail("PostgreSQL is missing; install it with: apt-get install postgresql-15")
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    # The server refuses to run as root, and pytest's own folders are closed to all others.
    folder = Path(tempfile.mkdtemp(prefix="example-api-postgres-"))
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    as_owner: dict[str, Any] = {"user": owner.pw_uid, "group": owner.pw_gid} if owner else {}
    tools = POSTGRES[-1]
    initdb = [tools / "initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", folder / "data"]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/", **as_owner)
    port = free_port()
    settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [tools / "postgres", "-D", folder / "data", *options], cwd="/", stderr=log, stdout=log, **as_owner
        )
    try:
        wait_for_port(port, server)
        psql = ["psql", f"postgresql://postgres@127.0.0.1:{port}/postgres", "-qc"]
        for _attempt in range(50):
            if subprocess.run([*psql, "SELECT 1"], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        for statement in ("CREATE ROLE app LOGIN", "CREATE DATABASE app OWNER app"):
            subprocess.run([*psql, statement], check=True)
        yield port
    finally:
        # Fast shutdown: not waiting for clients.
        server.send_signal(signal.SIGINT)
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[int]:
    with running_postgres() as port:
        yield port


@dataclasses.dataclass(frozen=True)
class Redis:
    port: int
    password: str

    def ask(self, *command: str) -> str:
        argv = ["redis-cli", "-p", str(self.port), *command]
        environment = {**os.environ, "REDISCLI_AUTH": self.password}
        return subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[Redis]:
    """A server that keeps nothing, with its configuration in `folder`."""
    if not shutil.which("redis-server"):
        pytest.fail("Redis is missing; install it with: apt-get install redis-server")
    server = Redis(free_port(), "a secret of redis")
    configuration = folder / "redis.conf"
    lines = [f"port {server.port}", "bind 127.0.0.1", f'requirepass "{server.password}"', 'save ""', f"dir {folder}"]
    configuration.write_text("\n".join(lines))
    process = subprocess.Popen(["redis-server", configuration], stdout=subprocess.DEVNULL)
    try:
        wait_for_port(server.port, process)
        yield server
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@dataclasses.dataclass(frozen=True)
class Release:
    version: str
    archive: Path
    venv: Path


def installed(version: str) -> Release:
    """The release built and installed as the module does it: from its archive alone, without an index."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    build = [sys.executable, API / "build.py", version, "-o", API.parents[1] / "dist"]
    subprocess.run([*build, "--python=3.11", "--python=3.13"], check=True, stdout=subprocess.DEVNULL)
    archive = API.parents[1] / "dist" / f"api-{version}.tar"
    venv = VENVS / hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    if not (venv / "complete").is_file():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        with tarfile.open(archive) as tar:
            tar.extractall(venv / "unpacked", filter="data")
        release = json.loads((venv / "unpacked" / "release.json").read_text())
        wheels = [venv / "unpacked" / path for path in release["pythons"][python]]
        pip = next(wheel for wheel in wheels if wheel.name.startswith("pip-"))
        argv = [venv / "bin" / "python", pip / "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
        subprocess.run([*argv, *(wheel for wheel in wheels if wheel != pip)], check=True)
        (venv / "complete").touch()
    return Release(version, archive, venv)


@pytest.fixture(scope="session")
def old() -> Release:
    return installed("1.0.0")


@pytest.fixture(scope="session")
def new() -> Release:
    return installed("1.1.0")


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass(frozen=True)
class Server:
    """A running API process."""

    port: int
    process: subprocess.Popen[str]

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        timeout: float = 30,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            kind = {"Content-Type": "text/plain" if isinstance(body, bytes) else "application/json"}
            connection.request(method, path, content, {**(kind if content else {}), **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def metric(self, series: str) -> float | None:
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        found = [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == series]
        return float(found[0]) if found else None


@dataclasses.dataclass(frozen=True)
class Bench:
    """Where a release is run: database and Redis, and the credentials as systemd hands them over."""

    database_port: int
    redis: Redis
    credentials: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "API_DATABASE_HOST": "127.0.0.1",
            "API_DATABASE_PORT": str(self.database_port),
            "API_DATABASE_NAME": "app",
            "API_DATABASE_USER": "app",
            "API_DATABASE_SSLMODE": "prefer",
            "API_REDIS_HOST": "127.0.0.1",
            "API_REDIS_PORT": str(self.redis.port),
            "API_NOTICE_SECONDS": "0.5",
            "CREDENTIALS_DIRECTORY": str(self.credentials),
            **more,
        }

    def migrate(self, release: Release, *what: str) -> str:
        python = release.venv / "bin" / "python"
        where = subprocess.run([python, "-m", "nexod_api.migrations"], check=True, capture_output=True, text=True)
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": self.database_url}
        argv = [release.venv / "bin" / "alembic", "-c", where.stdout.strip(), *what]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def database_url(self) -> str:
        return f"postgresql+psycopg://app:any%20password@127.0.0.1:{self.database_port}/app"

    def sql(self, statement: str) -> str:
        argv = ["psql", f"postgresql://app@127.0.0.1:{self.database_port}/app", "-qAtc", statement]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    @contextlib.contextmanager
    def serve(self, release: Release, **more: str) -> Iterator[Server]:
        port = free_port()
        argv = [release.venv / "bin" / "nexod-api", "serve", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(argv, env=self.environment(**more), text=True, stderr=subprocess.PIPE)
        try:
            wait_for_port(port, process)
            yield Server(port, process)
        finally:
            process.kill()
            process.communicate()


def made_bench(postgres: int, redis: Redis, credentials: Path) -> Bench:
    """Database and Redis with their passwords in the folder `credentials`."""
    (credentials / "database-password").write_text("any password\n")
    (credentials / "redis-password").write_text(f"{redis.password}\n")
    return Bench(postgres, redis, credentials)


@pytest.fixture(scope="session")
def bench(postgres: int, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return made_bench(postgres, redis, tmp_path_factory.mktemp("credentials"))


@pytest.fixture(scope="session")
def migrated(bench: Bench, old: Release, new: Release) -> Bench:
    """The schema of 1.1.0, brought there through 1.0.0's."""
    bench.migrate(old, "upgrade", "head")
    # As a task of ECS does, which tells by its log what it has run.
    argv = [new.venv / "bin" / "nexod-api", "migrate"]
    done = subprocess.run(argv, env=bench.environment(), capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert "Running upgrade" in done.stderr
    return bench


@pytest.fixture(scope="session")
def server(migrated: Bench, new: Release) -> Iterator[Server]:
    with migrated.serve(new) as running:
        yield running
