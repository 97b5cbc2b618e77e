"""pgbouncer_admin and pgbouncer_info against real processes of PgBouncer, with clients that must not fail.

systemd-run and systemctl are stand-ins here, as this machine need not run systemd: a timer is a process that sleeps and
then runs the command. The real timer is tested by molecule's scenario pgbouncer.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.console import Console, sockets

from . import test_migration_runner_role as migrations
from .alembic_project import FIRST, Project
from .conftest import Postgres, folder_of_postgres, free_port, program, until

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD_RUN = """#!/bin/bash
for word in "$@"; do
  case $word in
    --on-active=*) seconds=${word#*=}; seconds=${seconds%s};;
    --unit=*) unit=${word#*=};;
  esac
done
while [ "$1" != -- ]; do shift; done; shift
setsid bash -c 'sleep "$0"; rm "$1"; exec "${@:2}"' "$seconds" "FOLDER/$unit.timer" "$@" \\
  </dev/null &>>FOLDER/timer.log &
echo $! >"FOLDER/$unit.timer"
"""
SYSTEMCTL = """#!/bin/bash
verb=$1; shift
for word in "$@"; do
  for path in FOLDER/$word; do
    case $verb in
      is-active) [ "$word" = --quiet ] || exec test -e "$path";;
      stop) [ -e "$path" ] && kill -- -"$(cat "$path")" && rm "$path";;
    esac
  done
done
true
"""


@dataclasses.dataclass
class Pooler:
    """Processes of PgBouncer in folders of their own, as the role runs them, and the modules beside them."""

    folder: Path
    postgres: Postgres
    account: list[str]
    port: int = dataclasses.field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = dataclasses.field(default_factory=list)

    def start(self, number: int) -> subprocess.Popen[bytes]:
        home = self.folder / str(number)
        home.mkdir(exist_ok=True)
        upstream = f"host={self.postgres.host} port={self.postgres.port}"
        (home / "users.txt").write_text(f'"owner" "{self.postgres.password}"\n')
        (home / "pgbouncer.ini").write_text(
            f"[databases]\napp = {upstream} dbname=postgres\nother = {upstream} dbname=postgres\n"
            f"session = {upstream} dbname=postgres pool_mode=session\n* = {upstream}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nso_reuseport = 1\n"
            f"unix_socket_dir = {home}\n"
            f"auth_type = plain\nauth_file = {home}/users.txt\npool_mode = transaction\nlogfile = {home}/log\n"
            f"default_pool_size = 5\nquery_wait_timeout = 45\nserver_login_retry = 1\n"
        )
        for path in (home, *home.iterdir()):
            if os.geteuid() == 0:
                shutil.chown(path, "postgres", "postgres")
        process = subprocess.Popen(
            [*self.account, program("pgbouncer", "pgbouncer"), "-q", str(home / "pgbouncer.ini")], cwd="/"
        )
        self.processes.append(process)
        until((home / f".s.PGSQL.{self.port}").exists)
        return process

    def stop(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        for path in self.folder.glob("*.timer"):
            with contextlib.suppress(OSError, ValueError):
                os.killpg(int(path.read_text()), signal.SIGKILL)

    def started(self, name: str, *, check: bool = False, **given: t.Any) -> subprocess.Popen[str]:
        arguments = {"socket_dir": str(self.folder), "port": self.port, **given, "_ansible_check_mode": check}
        code = (
            "import sys; from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer import admin, timer;"
            f"timer.Timer.__init__.__defaults__ = ({str(self.folder / 'run')!r},);"
            f"from ansible_collections.nexod.infra.plugins.modules import {name} as module; module.main()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / ".collections"),
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            },
        )
        assert process.stdin
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        process.stdin.close()
        process.stdin = None
        return process

    def __call__(self, name: str = "pgbouncer_admin", *, check: bool = False, **given: t.Any) -> dict[str, t.Any]:
        output, errors = self.started(name, check=check, **given).communicate(timeout=60)
        assert output.strip(), errors
        result: dict[str, t.Any] = json.loads(output.strip().splitlines()[-1])
        return result

    def paused(self, column: str = "paused") -> list[list[str]]:
        """For each process its databases that are paused."""
        found = self("pgbouncer_info", show=["databases"])["processes"]
        return [sorted(row["name"] for row in one["show"]["databases"] if row[column]) for one in found]

    def timers(self) -> list[Path]:
        return [*self.folder.glob("*.timer")]

    @contextlib.contextmanager
    def client(self, database: str, *statements: str) -> t.Iterator[subprocess.Popen[str]]:
        """A client that stays connected after the statements, and is in a transaction if they begin one."""
        process = subprocess.Popen(
            ["psql", "-qAt", "-h", "127.0.0.1", "-p", str(self.port), "-U", "owner", "-d", database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PGPASSWORD": self.postgres.password, "PGAPPNAME": "holder"},
        )
        assert process.stdin and process.stdout
        process.stdin.write("".join(f"{one};\n" for one in (*statements, "SELECT 'ready'")))
        process.stdin.flush()
        while (line := process.stdout.readline()) != "ready\n":
            assert line, process.wait()
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @contextlib.contextmanager
    def pgbench(self, clients: int = 20) -> t.Iterator[None]:
        """Clients that work all the while, none of which may fail."""
        script = self.folder / "script.sql"
        script.write_text("SELECT 1;\n")
        argv = ["pgbench", "-n", "-f", str(script), "-c", str(clients), "-T", "300", "-R", "300", "-P", "1"]
        argv += ["-h", "127.0.0.1", "-p", str(self.port), "-U", "owner", "app"]
        environment = {**os.environ, "PGPASSWORD": self.postgres.password}
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        try:
            time.sleep(1.5)
            yield
            time.sleep(1.5)
            assert process.poll() is None
            shown = self("pgbouncer_info", show=["clients"])["processes"]
            connected = [row for one in shown for row in one["show"]["clients"] if row["application_name"] == "pgbench"]
        finally:
            # Not SIGINT: what was started in the background of a script ignores it.
            process.terminate()
            output = process.communicate(timeout=30)[0]
        progress = re.findall(r"progress: .* ([\d.]+) tps, .* (\d+) failed", output)
        assert "error" not in output and len(connected) == clients, output
        assert float(progress[-1][0]) > 100 and {failed for _tps, failed in progress} == {"0"}, output


@pytest.fixture
def pooler(postgres: Postgres) -> t.Iterator[Pooler]:
    with folder_of_postgres() as folder:
        account = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        folder.chmod(0o755)
        (folder / "bin").mkdir()
        for name, text in (("systemd-run", SYSTEMD_RUN), ("systemctl", SYSTEMCTL)):
            (folder / "bin" / name).write_text(text.replace("FOLDER", str(folder)))
            (folder / "bin" / name).chmod(0o755)
        made = Pooler(folder, postgres, account)
        try:
            made.start(1)
            made.start(2)
            yield made
        finally:
            made.stop()


def test_pause_and_resume_while_clients_work(pooler: Pooler) -> None:
    predicted = pooler(state="paused", database="app", seconds=20, check=True)
    assert predicted["changed"] and pooler.paused() == [[], []] and not pooler.timers()
    with pooler.pgbench():
        done = pooler(state="paused", database="app", seconds=20)
        assert done["changed"], done
        assert done["diff"] == predicted["diff"] and "app paused" in done["diff"]["after"]
        assert pooler.paused() == [["app"], ["app"]] and len(pooler.timers()) == 1
        servers = pooler("pgbouncer_info", show=["servers"])["processes"]
        assert not [row for one in servers for row in one["show"]["servers"] if row["database"] == "app"]
        again = pooler(state="paused", database="app", seconds=20)
        assert not again["changed"] and len(pooler.timers()) == 1
        time.sleep(2)
        assert pooler(state="resumed", database="app", check=True)["changed"]
        resumed = pooler(state="resumed", database="app")
        assert resumed["changed"] and resumed["ended_early"] == [], resumed
        assert pooler.paused() == [[], []] and not pooler.timers() and not list((pooler.folder / "run").iterdir())
        assert not pooler(state="resumed", database="app")["changed"]
        time.sleep(1)


def test_a_login_at_the_server_is_not_cut(pooler: Pooler) -> None:
    """PgBouncer would count it as a failed one, and refuse clients until one has succeeded."""
    path = sockets(str(pooler.folder), pooler.port)[0]
    place = {"host": str(Path(path).parent), "port": pooler.port, "user": "owner", "dbname": "app"}

    def pools(console: Console) -> list[t.Any]:
        return [row for row in console.ask("SHOW POOLS") if row["database"] == "app"]

    with contextlib.ExitStack() as opened:
        console = opened.enter_context(Console(path))
        server = opened.enter_context(contextlib.closing(pooler.postgres.connect()))
        clients = []
        for _number in range(3):
            client = psycopg2.connect(password=pooler.postgres.password, **place)
            opened.callback(client.close)
            client.autocommit = True
            answer(client)
            clients.append(client)
        executor = opened.enter_context(concurrent.futures.ThreadPoolExecutor())
        answer(server, "ALTER SYSTEM SET pre_auth_delay = 3")
        answer(server, "SELECT pg_reload_conf()")
        try:
            for number, asked in ((1, [{"state": "paused", "seconds": 30}, {"state": "resumed"}]), (2, [RECONNECT])):
                console.ask("RECONNECT app")
                until(lambda: not any(row["sv_idle"] or row["sv_active"] or row["sv_used"] for row in pools(console)))
                first = executor.submit(answer, clients[0])
                until(lambda: any(row["sv_login"] for row in pools(console)))
                for one in asked:
                    done = pooler(database="app", **one)
                    assert done.get("changed"), done
                # Nothing is connected now, and this one logs in at the server.
                assert answer(clients[number]) == first.result() == 1
        finally:
            answer(server, "ALTER SYSTEM RESET pre_auth_delay")
            answer(server, "SELECT pg_reload_conf()")


RECONNECT = {"command": "reconnect"}


def answer(client: t.Any, sql: str = "SELECT 1") -> t.Any:
    with client.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


def test_a_killed_module_leaves_the_timer_to_resume(pooler: Pooler) -> None:
    with pooler.pgbench(), pooler.client("other", "BEGIN", "SELECT 1"):
        process = pooler.started("pgbouncer_admin", state="paused", seconds=6, wait_seconds=5)
        until(lambda: all("app" in one for one in pooler.paused()), 5)
        process.kill()
        process.communicate()
        assert all("app" in one for one in pooler.paused())
        until(lambda: pooler.paused() == [[], []], 10)
    resumed = pooler(state="resumed")
    assert not resumed["changed"]
    assert len(resumed["ended_early"]) == 6
    assert "had ended before" in str(resumed["warnings"])
    assert pooler(state="resumed")["ended_early"] == []


def test_a_transaction_that_does_not_end_cancels_the_pause(pooler: Pooler) -> None:
    with pooler.pgbench(), pooler.client("app", "BEGIN", "SELECT 1"):
        failed = pooler(state="paused", database="app", seconds=20, wait_seconds=1)
        assert failed["failed"]
        assert "transactions still run after 1 s; the databases were resumed" in failed["error"]["cause"]
        assert any(
            re.fullmatch(r"owner@127.0.0.1:\d+ in app \(holder, process \d+ of .*\)", row) for row in failed["clients"]
        )
        assert pooler.paused() == [[], []] and not pooler.timers()


def test_a_process_that_hangs_fails_the_pause_on_all(pooler: Pooler) -> None:
    pooler.processes[1].send_signal(signal.SIGSTOP)
    failed = pooler(state="paused", database="app", seconds=30)
    assert f"/2/.s.PGSQL.{pooler.port} does not answer" in failed["error"]["cause"]
    pooler.processes[1].send_signal(signal.SIGCONT)
    assert pooler.paused() == [[], []] and not pooler.timers()


def test_a_process_that_does_not_run_fails_the_pause_on_all(pooler: Pooler) -> None:
    pooler.processes[1].kill()
    pooler.processes[1].wait()
    failed = pooler(state="paused", database="app", seconds=30)
    assert f"/2/.s.PGSQL.{pooler.port} does not run" in failed["error"]["cause"]
    (pooler.folder / f"2/.s.PGSQL.{pooler.port}").unlink()
    assert pooler.paused() == [[]]


def test_a_process_that_hangs_is_left_to_the_timer(pooler: Pooler) -> None:
    assert pooler(state="paused", database="app", seconds=25)["changed"]
    pooler.processes[1].send_signal(signal.SIGSTOP)
    failed = pooler(state="resumed", database="app")
    assert f"/2/.s.PGSQL.{pooler.port} does not answer" in failed["error"]["cause"]
    assert len(pooler.timers()) == 1
    pooler.processes[1].send_signal(signal.SIGCONT)
    assert pooler.paused() == [[], ["app"]]
    until(lambda: pooler.paused() == [[], []], 30)


def test_a_restart_while_paused_is_reported(pooler: Pooler) -> None:
    assert pooler(state="paused", database="app", seconds=30)["changed"]
    pooler.processes[1].kill()
    pooler.processes[1].wait()
    (pooler.folder / f"2/.s.PGSQL.{pooler.port}").unlink()
    pooler.start(2)
    resumed = pooler(state="resumed", database="app")
    assert resumed["changed"]
    assert resumed["ended_early"] == [f"app at {pooler.folder}/2/.s.PGSQL.{pooler.port}"]


def test_a_restart_while_it_waits_resumes_all(pooler: Pooler) -> None:
    with pooler.client("app", "BEGIN", "SELECT 1"), pooler.client("app", "BEGIN", "SELECT 1"):
        process = pooler.started("pgbouncer_admin", state="paused", database="app", seconds=30)
        until(lambda: pooler.paused() == [["app"], ["app"]], 5)
        for one in pooler.processes:
            one.kill()
            one.wait()
        result = json.loads(process.communicate(timeout=60)[0])
    assert re.search(r"closed the connection|does not run", result["error"]["cause"]), result
    assert not pooler.timers()


def test_a_database_of_the_wildcard_keeps_no_state(pooler: Pooler) -> None:
    for state in ("paused", "disabled"):
        assert "shows a database" in str(pooler(state=state, database="postgres", seconds=30, check=True)["warnings"])
        failed = pooler(state=state, database="postgres", seconds=30)
        assert failed["error"]["cause"].startswith("PgBouncer does not show postgres at "), failed
    assert not pooler(command="reconnect", database="postgres")["changed"]
    assert not pooler(state="resumed", database="postgres")["changed"]


def test_the_timer_stays_for_the_databases_that_are_still_paused(pooler: Pooler) -> None:
    pooler(state="paused", database="app", seconds=30)
    pooler(state="paused", database="other", seconds=30)
    pooler(state="resumed", database="app")
    assert pooler.paused() == [["other"], ["other"]] and len(pooler.timers()) == 1
    pooler(state="resumed")
    assert pooler.paused() == [[], []] and not pooler.timers()


def test_a_pause_of_all_by_hand(pooler: Pooler) -> None:
    socket = [
        "psql",
        "-qAt",
        "-h",
        str(pooler.folder / "1"),
        "-p",
        str(pooler.port),
        "-U",
        "pgbouncer",
        "pgbouncer",
        "-c",
    ]
    subprocess.run([*pooler.account, *socket, "PAUSE"], check=True)
    failed = pooler(state="paused", database="app", seconds=30)
    assert (
        re.search("already (suspended/)?paused", failed["error"]["cause"])
        and "state: resumed" in failed["error"]["next_step"]
    )
    assert pooler.paused() == [[], []] and not pooler.timers()
    assert pooler(state="resumed")["changed"]
    assert not pooler(state="resumed")["changed"]
    assert pooler(state="paused", database="app", seconds=30)["changed"]


def test_disable_and_enable(pooler: Pooler) -> None:
    assert pooler(state="disabled", database="app", check=True)["changed"]
    assert [pooler(state="disabled", database="app")["changed"] for _time in range(2)] == [True, False]
    assert pooler.paused("disabled") == [["app"], ["app"]]
    assert [pooler(state="enabled")["changed"] for _time in range(2)] == [True, False]
    assert pooler.paused("disabled") == [[], []]


def test_kill_disconnects_and_leaves_nothing_paused(pooler: Pooler) -> None:
    with pooler.client("app", "SELECT 1"):
        done = pooler(command="kill", database="app")
        assert done["changed"], done
        clients = pooler("pgbouncer_info", show=["clients"])["processes"]
        assert not [row for one in clients for row in one["show"]["clients"] if row["database"] == "app"]
    assert pooler.paused() == [[], []]
    with pooler.client("app", "SELECT 1"):
        pass
    pooler(state="paused", database="app", seconds=30)
    pooler(command="kill", database="app")
    assert pooler.paused() == [["app"], ["app"]]


def test_reload_reconnect_and_wait(pooler: Pooler) -> None:
    with pooler.pgbench():
        for command in ("reload", "reconnect", "wait_close"):
            result = pooler(command=command)
            assert result.get("changed") is (command != "wait_close"), result
    with pooler.client("session", "SELECT 1"):
        pooler(command="reconnect", database="session")
        failed = pooler(command="wait_close", database="session", wait_seconds=1)
        assert "still in use after 1 s" in failed["error"]["cause"] and "in session" in failed["clients"][0]


def test_what_is_shown(pooler: Pooler) -> None:
    found = pooler("pgbouncer_info", show=["databases", "pools", "config", "stats", "users", "version"])["processes"]
    assert [one["socket"] for one in found] == [f"{pooler.folder}/{n}/.s.PGSQL.{pooler.port}" for n in (1, 2)]
    row = next(row for row in found[0]["show"]["databases"] if row["name"] == "app")
    assert row["pool_size"] == 5 and row["host"] == "127.0.0.1" and row["force_user"] is None
    refused = pooler("pgbouncer_info", show=["nonsense"])
    assert "has no SHOW NONSENSE" in refused["msg"] and "databases" in refused["error"]["next_step"]
    for name in ("fds", "help", "databases; SHUTDOWN", "DATABASES", ""):
        assert pooler("pgbouncer_info", show=[name])["error"]["action"] == "show"


def test_query_wait_timeout_is_warned_of(pooler: Pooler) -> None:
    assert "query_wait_timeout" in str(pooler(state="paused", database="app", seconds=60)["warnings"])
    pooler(state="resumed")


def test_no_timer_no_pause(pooler: Pooler) -> None:
    (pooler.folder / "bin/systemd-run").write_text("#!/bin/sh\necho no bus >&2; exit 1\n")
    failed = pooler(state="paused", database="app", seconds=30)
    assert "systemd-run" in failed["error"]["cause"] and "no bus" in failed["msg"]
    assert pooler.paused() == [[], []] and not list((pooler.folder / "run").iterdir())


SLOW = "    op.execute('SELECT pg_sleep(1.5)')"


@pytest.mark.parametrize(("seconds", "ends_early"), [(20, False), (2, True)])
def test_migrations_run_while_it_is_paused(
    pooler: Pooler, project: Project, monkeypatch: pytest.MonkeyPatch, seconds: int, ends_early: bool
) -> None:
    monkeypatch.setenv("PATH", f"{pooler.folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setitem(migrations.LOCAL, "pgbouncer_socket_dir", str(pooler.folder))
    monkeypatch.setitem(migrations.LOCAL, "pgbouncer_port", pooler.port)
    options = {
        "migration_runner_pause_seconds": seconds,
        "migration_runner_pooler_hosts": ["localhost"],
        "migration_runner_pooler_database": "app",
    }
    project.revise(FIRST, SLOW)
    with pooler.pgbench():
        done = migrations.upgrade(project, [], **options)
    assert done.returncode == 0, done.stdout
    assert project.recorded() == ["0002"]
    logs = [(pooler.folder / f"{number}/log").read_text() for number in (1, 2)]
    assert all("PAUSE 'app' command issued" in log and "RESUME 'app' command issued" in log for log in logs)
    assert [("RECONNECT 'app' command issued" in log) for log in logs] == [ends_early] * 2
    assert pooler.paused() == [[], []] and not pooler.timers()
    again = migrations.upgrade(project, [], **options)
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout
    assert [(pooler.folder / f"{number}/log").read_text().count("PAUSE") for number in (1, 2)] == [1, 1]
