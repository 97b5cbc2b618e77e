"""The metrics that alerts read are those that the exporters of each Debian release show: names differ by version."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
import typing as t
import urllib.request
from pathlib import Path

import pytest
import redis

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import rule_file
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts import monitoring
from ansible_collections.nexod.infra.tests.fixtures.debian_packages import unpacked

from .conftest import Postgres, folder_of_postgres, free_port, program

ROOT = Path(__file__).resolve().parents[2]
RELEASES = ("bookworm", "trixie", "forky")
EXPORTERS = ("postgres", "redis", "node", "pgbouncer")
# What is not there, and why.
MISSING = {
    "pg_replication_lag": RELEASES,  # the name of old versions, read beside the new one
    "pg_replication_lag_seconds": ("bookworm",),
    "pg_stat_user_tables_n_dead_tup": ("bookworm",),
    "pg_stat_user_tables_n_live_tup": ("bookworm",),
    "node_systemd_unit_state": RELEASES,  # behind a flag, and it needs D-Bus
}
#: As the role sets them.
FLAGS = {"postgres": [f"--extend.query-path={ROOT}/roles/exporters/files/postgres_queries.yml"]}


def read(exporter: str) -> set[str]:
    """The metrics of an exporter that alerts read."""
    prefix = {"postgres": "pg_"}.get(exporter, f"{exporter}_")
    words = {
        word
        for alerts in rule_file.BUILT_IN.values()
        for alert in alerts
        # A job may have the prefix, too.
        for word in rule_file.words(re.sub(r'job[!=~]+"[^"]*"', "", alert.expression))
        if word.startswith(prefix)
    }
    assert words, f"No alert reads a metric of {exporter}"
    return words


@contextlib.contextmanager
def process(argv: t.Sequence[str | Path], log: Path, **environment: str) -> t.Iterator[None]:
    with log.open("wb") as stream:
        running = subprocess.Popen(argv, stdout=stream, stderr=stream, env={**os.environ, **environment})
        try:
            yield
        finally:
            running.terminate()
            running.wait(timeout=20)


def lacking(port: int, metric: str, wanted: set[str], log: Path) -> tuple[set[str], set[str]]:
    """Which of the wanted names are missing once `metric` is 1, and all that there are.

    Some come only with a later scrape, or once all rules are loaded: they are waited for.
    """
    until = time.monotonic() + 30
    names: set[str] = set()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
                text = answer.read().decode()
        except OSError:
            text = ""
        if ready := bool(re.search(rf"^{metric}(\{{.*\}})? 1$", text, re.M)):
            names = set(re.findall(r"^([a-zA-Z_:][\w:]*)", text, re.M))
        if (ready and wanted <= names) or time.monotonic() > until:
            break
        time.sleep(0.2)
    assert names, f"{metric} is not 1: {log.read_text(errors='replace')[-1000:]}"
    return wanted - names, names


@contextlib.contextmanager
def pgbouncer(server: Postgres, folder: Path) -> t.Iterator[int]:
    """A PgBouncer that lets the exporter in."""
    port = free_port()
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\napp = host=127.0.0.1 port={server.port} dbname=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = any\nunix_socket_dir =\nignore_startup_parameters = extra_float_digits\n",
        encoding="utf-8",
    )
    account = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    with process([*account, program("pgbouncer", "pgbouncer"), str(config)], folder / "pgbouncer.log"):
        # The exporter ends if nobody answers when it starts.
        until = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < until, (folder / "pgbouncer.log").read_text(errors="replace")
            time.sleep(0.05)
        yield port


@contextlib.contextmanager
def unsaved_redis(port: int, folder: Path) -> t.Iterator[None]:
    """A Redis that could not save its data and refuses writes, as some metrics come only with the first error."""
    data = folder / "data"
    data.mkdir()
    argv = [program("redis-server", "redis-server"), "--port", str(port), "--save", "900 1", "--dir", str(data)]
    with process(argv, folder / "redis.log"), redis.Redis(port=port) as client:
        until = time.monotonic() + 20
        refused = False
        while not refused:
            assert time.monotonic() < until, (folder / "redis.log").read_text(errors="replace")
            try:
                client.ping()
                shutil.rmtree(data, ignore_errors=True)
                client.bgsave()
            except redis.exceptions.ResponseError as error:
                refused = str(error).startswith("MISCONF")
            except redis.exceptions.ConnectionError:
                pass
            time.sleep(0.1)
        try:
            yield
        finally:
            # By a signal, it would not end without saving.
            client.shutdown(nosave=True)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_exporter_shows_what_alerts_read(
    exporter: str, release: str, postgres: Postgres, replica: int, tmp_path: Path
) -> None:
    if (exporter, release) == ("pgbouncer", "bookworm"):
        pytest.skip("The exporter of Debian 12 does not run with its own PgBouncer; the role exporters refuses it")
    try:
        folder = unpacked(
            f"monitoring/{release}-exporters", release, tuple(f"prometheus-{one}-exporter" for one in EXPORTERS)
        )
    except AssertionError as error:
        pytest.skip(f"The packages of Debian {release} can't be downloaded: {str(error)[:200]}")
    port, log = free_port(), tmp_path / "log"
    dash = "-" if exporter == "redis" else "--"
    argv: list[str | Path] = [
        folder / f"usr/bin/prometheus-{exporter}-exporter",
        f"{dash}web.listen-address=127.0.0.1:{port}",
    ]
    argv += FLAGS.get(exporter, [])
    environment, up = {}, "up"
    with contextlib.ExitStack() as stack:
        if exporter == "postgres":
            up = "pg_up"
            with contextlib.closing(postgres.connect()) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT pg_create_physical_replication_slot(%s, true)", [f"names_{release}"])
                cursor.execute("CREATE TABLE IF NOT EXISTS names (id int)")
            environment = {
                "DATA_SOURCE_URI": f"127.0.0.1:{postgres.port}/postgres?sslmode=disable",
                "DATA_SOURCE_USER": "postgres",
                "DATA_SOURCE_PASS": postgres.password,
            }
        elif exporter == "redis":
            server, up = free_port(), "redis_up"
            stack.enter_context(unsaved_redis(server, tmp_path))
            argv.append(f"-redis.addr=redis://127.0.0.1:{server}")
        elif exporter == "pgbouncer":
            up = "pgbouncer_up"
            behind = stack.enter_context(pgbouncer(postgres, stack.enter_context(folder_of_postgres())))
            argv.append(f"--pgBouncer.connectionString=postgres://any@127.0.0.1:{behind}/pgbouncer?sslmode=disable")
        else:
            up = 'node_scrape_collector_success{collector="filesystem"}'
        stack.enter_context(process(argv, log, **environment))
        wanted = {name for name in read(exporter) if release not in MISSING.get(name, ())}
        missing, found = lacking(port, up.replace("{", r"\{").replace("}", r"\}"), wanted, log)
    assert missing == set()
    # A metric that has come is taken off the table.
    assert {name for name in read(exporter) & found if release in MISSING.get(name, ())} <= {"pg_replication_lag"}


@pytest.mark.parametrize("release", RELEASES)
def test_prometheus_shows_what_alerts_read(release: str, tmp_path: Path) -> None:
    try:
        folder = unpacked(f"monitoring/{release}-prometheus", release, ("prometheus",))
    except AssertionError as error:
        pytest.skip(f"The packages of Debian {release} can't be downloaded: {str(error)[:200]}")
    (tmp_path / "rules.yml").write_text(
        "groups: [{name: one, rules: [{record: one, expr: vector(1)}]}]", encoding="utf-8"
    )
    # Errors are counted for each Alertmanager.
    manager = "alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:9']}]}]}"
    config, port, log = tmp_path / "prometheus.yml", free_port(), tmp_path / "log"
    config.write_text(f"rule_files: [rules.yml]\n{manager}\n", encoding="utf-8")
    argv = [folder / "usr/bin/prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data"]
    with process([*argv, f"--web.listen-address=127.0.0.1:{port}"], log):
        asked = read("prometheus") | rule_file.words(monitoring.NO_ALERTMANAGER.expression)
        wanted = {name for name in asked if name.startswith("prometheus_")}
        missing = lacking(port, "prometheus_notifications_alertmanagers_discovered", wanted, log)[0]
    assert missing == set()


def test_haproxy_shows_what_alerts_read(tmp_path: Path) -> None:
    config, port, log = tmp_path / "haproxy.cfg", free_port(), tmp_path / "log"
    config.write_text(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n"
        f"backend api\n  server api-1 127.0.0.1:{port} check\n"
        f"frontend operators\n  bind 127.0.0.1:{port}\n  http-request use-service prometheus-exporter\n",
        encoding="utf-8",
    )
    with process([program("haproxy", "haproxy"), "-db", "-f", str(config)], log):
        missing = lacking(port, "haproxy_process_nbproc", read("haproxy"), log)[0]
    assert missing == set()
