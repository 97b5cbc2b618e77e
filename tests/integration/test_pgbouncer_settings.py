"""Every setting that a reload applies is changed once while clients work, none of which may fail.

The files are those of the role. PgBouncer reads them as its unit makes it, and is asked what it uses as the role asks.
What only a restart applies, and processes that come and go, are tested under load by molecule's scenario pgbouncer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._pgbouncer.config import OWNED, REFUSED
from ansible_collections.nexod.infra.tests.fixtures.pgbouncer_probe import load_probe
from ansible_collections.nexod.infra.tests.fixtures.pgbouncer_programs import RELEASES

from .conftest import Postgres, folder_of_postgres, program, running_postgres, until
from .test_pgbouncer_servers import Pooler, as_root, started

__all__ = ["started"]

Change: t.TypeAlias = "tuple[str, dict[str, t.Any]]"

#: Options of the role with a setting of their own, without their prefix. Some need one another.
OPTIONS: list[dict[str, t.Any]] = [
    {"admin_users": ["owner"]},
    {"auth_type": "hba", "hba_rules": ["host all all 127.0.0.0/8 scram-sha-256", "local all all scram-sha-256"]},
    {"hba_rules": ["host all all 127.0.0.1/32 scram-sha-256", "local all all scram-sha-256"]},
    {"pool_size": 7},
    {"idle_transaction_seconds": 600},
    {"ignore_startup_parameters": ["extra_float_digits", "options", "search_path"]},
    {"log_connections": True},
    {"log_disconnections": True},
    {"login_retry_seconds": 2},
    {"max_client_connections": 900},
    {"max_server_connections": 30},
    {"pool_mode": "statement"},
    {"query_wait_seconds": 45},
    {"stats_users": ["owner"]},
    {"vanished_seconds": 60},
]
#: From 1.21 on.
PREPARED: dict[str, t.Any] = {"max_prepared_statements": 150}
#: Further settings. Versions have them or not.
SETTINGS: dict[str, t.Any] = {
    "application_name_add_host": True,
    "auth_dbname": "app",
    "auth_query": "SELECT usename, passwd FROM pg_shadow WHERE usename = $1",
    "auth_user": "owner",
    "autodb_idle_timeout": 1800,
    "cancel_wait_timeout": 20,
    "client_idle_timeout": 900,
    "client_login_timeout": 50,
    "client_tls13_ciphers": "TLS_AES_256_GCM_SHA384",
    "client_tls_ciphers": "HIGH",
    "client_tls_dheparams": "none",
    "client_tls_ecdhcurve": "none",
    "client_tls_protocols": "tlsv1.2",
    "dns_max_ttl": 20,
    "dns_nxdomain_ttl": 20,
    "dns_zone_check_period": 30,
    "log_pooler_errors": 0,
    "log_stats": False,
    "login_notify_message": "hello",
    "max_db_client_connections": 500,
    "max_packet_size": 1000000000,
    "max_user_client_connections": 500,
    "max_user_connections": 60,
    "min_pool_size": 2,
    "pool_idle_timeout": 600,
    "query_timeout": 100,
    "query_wait_notify": 9,
    "reserve_pool_size": 1,
    "reserve_pool_timeout": 4,
    "sbuf_loopcnt": 4,
    "scram_iterations": 5000,
    "server_check_delay": 20,
    "server_check_query": "select 2",
    "server_connect_timeout": 10,
    "server_fast_close": True,
    "server_idle_timeout": 500,
    "server_lifetime": 3000,
    "server_reset_query": "DISCARD TEMP",
    "server_reset_query_always": True,
    "server_round_robin": True,
    "server_tls13_ciphers": "TLS_AES_256_GCM_SHA384",
    "server_tls_ciphers": "HIGH",
    "server_tls_protocols": "tlsv1.2",
    "stats_period": 30,
    "suspend_timeout": 9,
    "syslog": True,
    "syslog_facility": "local0",
    "syslog_ident": "pooler",
    "tcp_defer_accept": 44,
    "tcp_socket_buffer": 65536,
    "transaction_timeout": 600,
    "verbose": 1,
}
#: Parameters of the database's line, and of the account's.
OF_DATABASE: list[dict[str, t.Any]] = [
    {"pool_size": 6},
    {"pool_mode": "transaction"},
    {"max_connections": 15},
    {"host": "127.0.0.2"},
    {"settings": {"connect_query": "SELECT 1"}},
    {"settings": {"connect_query": "SELECT 1", "min_pool_size": 1}},
]
OF_USER: list[dict[str, t.Any]] = [{"max_connections": 20}, {"pool_mode": "transaction"}]
#: Settings that nothing here changes, with the reason.
LEFT: t.Final = {
    "auth_file": "it is always the same one, whose content changes",
    "auth_ident_file": "it needs accounts of the system, over the Unix socket",
    "auth_ldap_options": "it needs a directory",
}
#: Clients that stay connected, and those that connect for each transaction.
CLIENTS, NEW_CLIENTS = 100, 4


@dataclasses.dataclass
class Load:
    """Clients that work all the while."""

    process: subprocess.Popen[bytes]
    output: Path

    def begun(self) -> bool:
        return bool(re.search(r"progress: .* [1-9]\d*\.\d tps", self.output.read_text()))

    def failed(self) -> bool:
        """Whether a client has failed, or all have."""
        return self.process.poll() is not None or "error" in self.output.read_text()

    def end(self) -> str:
        """As after the time that it was given, with a report."""
        self.process.send_signal(signal.SIGALRM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.process.kill()
        self.process.wait()
        return self.output.read_text()


@contextlib.contextmanager
def clients(
    folder: Path, port: int, password: str, count: int, *further: str, hosts: str = "127.0.0.1"
) -> t.Iterator[Load]:
    script, output = folder / f"{count}.sql", folder / f"{count}.log"
    script.write_text("SELECT 1;\n")
    argv = [program("pgbench", "postgresql-15"), "-n", "-f", str(script), "-c", str(count), "-T", "900", "-P", "1"]
    argv += [*further, "-h", hosts, "-p", str(port), "-U", "owner", "app"]
    with output.open("wb") as log:
        environment = {**os.environ, "PGPASSWORD": password}
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)
    try:
        yield Load(process, output)
    finally:
        process.kill()
        process.wait()


def pair(folder: Path, name: str) -> tuple[str, str]:
    """A self-signed certificate and its key, in PEM."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1,IP:127.0.0.2", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    if os.geteuid() == 0:
        for path in (key, certificate):
            shutil.chown(path, "postgres", "postgres")
    return certificate.read_text(), key.read_text()


def changes(given: dict[str, t.Any], folder: Path, known: t.Container[str]) -> t.Iterator[Change]:
    """What is changed, one after another, with the name of each. `given` is what the change before has left."""
    first, second = pair(folder, "first"), pair(folder, "second")
    server = (folder / "server.crt").read_text()
    tls = [
        {"client_sslmode": "allow", "tls_certificate": first[0], "tls_key": first[1]},
        {"tls_certificate": second[0], "tls_key": second[1]},
        {"tls_client_ca": first[0]},
        {"server_sslmode": "require"},
        {"server_ca": server},
        {"server_sslmode": "verify-full"},
        {"server_ca": server + first[0]},
    ]
    for change in [*OPTIONS, *tls, *([PREPARED] if "max_prepared_statements" in known else [])]:
        yield ", ".join(change), change
    for name, value in SETTINGS.items():
        if name in known:
            yield name, {"settings": {**given["settings"], name: value}}
    files = {f"server_tls_{kind}_file": str(folder / f"first.{end}") for kind, end in (("cert", "crt"), ("key", "key"))}
    yield ", ".join(files), {"settings": {**given["settings"], **files}}
    plain = given["databases"][0]
    for change in OF_DATABASE:
        yield f"databases: {', '.join(change)}", {"databases": [{**given["databases"][0], **change}]}
    one = given["databases"][0]
    yield "another database", {"databases": [one, {**one, "name": "other", "max_connections": 5, "pool_size": 5}]}
    # Where a database, its pools and an account all have a limit of their own, a reload may cut a login.
    yield "no other database, and no limits", {"databases": [plain]}
    for change in OF_USER:
        yield f"users: {', '.join(change)}", {"users": [{**given["users"][0], **change}]}
    yield "another account", {"users": [given["users"][0], {"name": "other", "password": "of another"}]}
    yield "no other account", {"users": given["users"][:1]}


@pytest.fixture(scope="module")
def encrypted() -> t.Iterator[tuple[Postgres, Path]]:
    """A server with TLS, and the folder with its certificate."""
    with folder_of_postgres() as folder:
        folder.chmod(0o755)
        pair(folder, "server")
        files = f"-c ssl_cert_file={folder}/server.crt -c ssl_key_file={folder}/server.key"
        with running_postgres(folder, further=f"-c ssl=on {files} -c listen_addresses=127.0.0.1,127.0.0.2") as server:
            yield server, folder


@as_root
@pytest.mark.long
@pytest.mark.parametrize("version", RELEASES)
def test_every_setting_changes_while_clients_work(
    encrypted: tuple[Postgres, Path], started: t.Callable[..., Pooler], tmp_path: Path, version: str
) -> None:
    (postgres, folder), probe = encrypted, load_probe()
    given: dict[str, t.Any] = {
        "databases": [{"name": "app", "host": postgres.host, "port": postgres.port, "dbname": "postgres"}],
        "users": [{"name": "owner", "password": postgres.password}],
        "pool_size": 5,
        "max_server_connections": 20,
        "settings": {},
    }
    pooler = started(version=version, **given)
    place = (str(pooler.folder / "1"), str(pooler.port))
    known = probe.show(*place).settings
    mode = "prepared" if "max_prepared_statements" in known else "extended"
    done: list[str] = []
    with (
        clients(tmp_path, pooler.port, postgres.password, CLIENTS, "-R", "300", "-j", "2", "-M", mode) as old,
        clients(tmp_path, pooler.port, postgres.password, NEW_CLIENTS, "-R", "20", "-C") as new,
    ):
        until(lambda: old.begun() and new.begun(), 60)
        for name, change in changes(given, folder, known):
            given |= change
            assert pooler.write(**given) == "reload", name
            pooler.reload()
            files, ends = probe.read_files(pooler.home), time.monotonic() + 20
            while (found := probe.differences(files, probe.show(*place))) and time.monotonic() < ends:
                time.sleep(0.05)
            assert not found, (name, found)
            failed = [load.output.read_text() for load in (old, new) if load.failed()]
            assert not failed, (name, done, failed, (pooler.folder / "log").read_text()[-6000:])
            done.append(f"{time.time():.1f} {name}")
        reports = [load.end() for load in (old, new)]
    for report in reports:
        assert re.search(r"number of failed transactions: 0 ", report) and "error" not in report, (done, report)
    assert {*known} - {*probe.read_files(pooler.home).settings} - {*probe.show(*place).fixed} - {
        *LEFT,
        *REFUSED,
    } == set()
    assert {*OWNED} & {*known} <= {*probe.read_files(pooler.home).settings}
