"""`make deploy ENV=dev`: the whole playbook with the inventory dev, on stand-ins for the API and for the database."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import typing as t
import urllib.parse
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import supabase
from ansible_collections.nexod.infra.tests.fixtures.services.running import Services
from ansible_collections.nexod.infra.tests.playbook import BINARIES, Done, killed_at, play

from ..conftest import PASSWORD, ROOT
from ..supabase_database import SupabaseDatabase

VERSION = "1.0.0"
#: Between these a deploy is killed.
TASKS_OF_PREFLIGHT, TASKS_OF_A_DEPLOY = 20, 60


@pytest.fixture(scope="session")
def release() -> Path:
    """The example's release, as `make deploy ENV=dev` builds it; built once."""
    argv = [sys.executable, "examples/api/build.py", VERSION, "-o", "dist/"]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    return ROOT / f"dist/api-{VERSION}.tar"


class Engineer:
    """A machine from which dev is deployed, without IPv6."""

    def __init__(self, folder: Path, service: supabase.Supabase, database: SupabaseDatabase, release: Path) -> None:
        self.folder, self.service, self.database = folder, service, database
        #: Seconds that a run may take.
        self.patience = 180
        self.given: dict[str, t.Any] = {
            "backend_archive": str(release),
            "infra_report_dir": str(folder / "report"),
            "migration_runner_root": str(folder / "releases"),
            "provider_supabase_api_url": service.url,
            "provider_supabase_connect_seconds": 1,
            "provider_supabase_dump_folder": str(folder / "dumps"),
            "provider_supabase_env_file": str(folder / "private/env"),
            "provider_supabase_poll_seconds": 1,
            "provider_supabase_sslmode": "disable",
        }
        # A release is installed with the lowest priority. On a machine that other tests keep busy, that takes minutes.
        self.programs = folder / "programs"
        self.programs.mkdir()
        (self.programs / "nice").write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
        (self.programs / "nice").chmod(0o755)
        # Nothing listens at port 5432 there.
        service.state["projects"][supabase.REF]["database"]["host"] = "127.9.9.9"
        where = {"db_host": "127.0.0.1", "db_port": database.session, "pool_mode": "session"}
        service.state["pooler"][supabase.REF] = where

    def run(
        self, *flags: str, playbook: str = "deploy", environ: t.Mapping[str, str] | None = None, **given: t.Any
    ) -> Done:
        """Run a playbook; neither the token nor the password may be in its output, however much it says."""
        exported = {**self.exported, **(environ or {})}
        done = play(*self.command(playbook, *flags, **given), timeout=self.patience, **exported)
        quoted = urllib.parse.quote(PASSWORD, safe="")
        keys = (f"sb_publishable_{supabase.REF}", f"anon.{supabase.REF}")
        for secret in (exported["SUPABASE_ACCESS_TOKEN"], PASSWORD, json.dumps(PASSWORD)[1:-1], quoted, *keys):
            assert secret not in done.stdout + done.stderr
        return done

    @property
    def exported(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "PATH": f"{self.programs}:{BINARIES}:{os.environ['PATH']}",
            "SUPABASE_ACCESS_TOKEN": supabase.TOKEN,
            "SUPABASE_DB_PASSWORD": PASSWORD,
            "SUPABASE_PROJECT_REF": supabase.REF,
        }

    def command(self, playbook: str, *flags: str, **given: t.Any) -> tuple[str, ...]:
        values = json.dumps({**self.given, **given})
        return ("-i", "inventories/dev", f"playbooks/{playbook}.yml", "-vvv", *flags, "-e", values)

    def restores(self) -> list[int]:
        """The statuses of the restores that were asked for."""
        return [seen.status for seen in self.service.calls("restore_project")]

    def tables(self) -> list[str]:
        listed = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        return [name for (name,) in self.database.rows(listed)]


@pytest.fixture
def engineer(
    tmp_path: Path, services: Services, supabase_database: SupabaseDatabase, release: Path
) -> t.Iterator[Engineer]:
    try:
        yield Engineer(tmp_path, services.supabase, supabase_database, release)
    finally:
        supabase_database.as_it_was()
        shutil.rmtree(tmp_path, ignore_errors=True)


def test_day_one(engineer: Engineer) -> None:
    project = engineer.service.state["projects"][supabase.REF]
    project["status"] = "INACTIVE"
    seed = engineer.folder / "users.sql"
    seed.write_text("INSERT INTO users (email, full_name) VALUES ('one@example.com', 'One')")
    engineer.given["provider_supabase_seeds"] = [{"file": str(seed)}]

    plan = engineer.run("--check", "--diff")
    assert plan.returncode == 0, plan.stdout[-6000:]
    assert "paused, so its address is known only when it is restored" in plan.stdout
    assert project["status"] == "INACTIVE"
    assert not (engineer.folder / "releases").exists()
    assert engineer.tables() == []
    assert not (engineer.folder / "dumps").exists()
    assert not (engineer.folder / "private").exists()

    first = engineer.run()
    assert first.returncode == 0, first.stdout[-6000:]
    assert "session pooler, 127.0.0.1" in first.stdout
    assert "never against the live service" in first.stdout
    assert project["status"] == "ACTIVE_HEALTHY"
    assert len(list((engineer.folder / "dumps").glob("dev-*.dump"))) == 1
    assert {"alembic_version", "tasks", "users"} <= set(engineer.tables())
    assert engineer.database.rows("SELECT email FROM public.users") == [("one@example.com",)]

    written = engineer.folder / "private/env"
    assert str(written) in first.stdout.partition("PLAY RECAP")[2]
    assert written.stat().st_mode & 0o777 == 0o600
    variables = dict(line.split("=", 1) for line in written.read_text().splitlines()[1:])
    url = urllib.parse.urlsplit(variables["DATABASE_URL"])
    assert (url.scheme, url.username) == ("postgresql+psycopg", f"postgres.{supabase.REF}")
    assert (url.port, urllib.parse.unquote(url.password or "")) == (engineer.database.session, PASSWORD)
    assert variables["NEXT_PUBLIC_SUPABASE_URL"] == f"https://{supabase.REF}.supabase.co"

    asked = len(engineer.service.calls())
    second = engineer.run()
    assert second.returncode == 0, second.stdout[-6000:]
    assert "changed=0 " in second.stdout.partition("PLAY RECAP")[2]
    # The project, its health and its pooler; and its keys, for the environment file.
    assert len(engineer.service.calls()) - asked <= 4

    dump = next((engineer.folder / "dumps").glob("dev-*.dump"))
    refused = engineer.run(playbook="dev_restore", restore_dump=str(dump))
    assert "-e restore_dump=FILE -e restore_confirmed=dev" in refused.stdout
    assert refused.returncode != 0
    # It was made before the first migration, and what it does not have stays, but for the record of the seeds.
    restored = engineer.run(playbook="dev_restore", restore_dump=str(dump), restore_confirmed="dev")
    assert restored.returncode == 0, restored.stdout[-6000:]
    assert "users" in engineer.tables()
    assert engineer.database.rows("SELECT to_regclass('nexod_infra.seeds')") == [(None,)]


def test_a_table_that_anybody_could_read_is_refused(engineer: Engineer) -> None:
    """The example's migrations create tables in public. Without closed schemas, that is an error of the lint."""
    done = engineer.run(provider_supabase_closed_schemas=[])
    assert done.returncode != 0
    assert "table-without-row-level-security on public.users" in done.stdout
    assert engineer.tables() == []


@pytest.mark.parametrize(
    ("environ", "given", "says"),
    [
        pytest.param(
            {"SUPABASE_ACCESS_TOKEN": "sbp_of_nobody"},
            {},
            ("HTTP 401: Unauthorized", "Check SUPABASE_ACCESS_TOKEN"),
            id="a token that is wrong",
        ),
        pytest.param(
            {"SUPABASE_PROJECT_REF": "a" * 20},
            {},
            ("there is no such project", f"Set the ref of one that the token sees: {supabase.REF}"),
            id="a project that does not exist",
        ),
        pytest.param(
            {"SUPABASE_PROJECT_REF": supabase.REF_OF_ANOTHER}, {}, ("it is of another organization",), id="another's"
        ),
        pytest.param(
            {},
            {"provider_supabase_database_version": 14},
            ("it runs PostgreSQL 15, and 14 is declared",),
            id="another version",
        ),
    ],
)
def test_what_preflight_reports(
    engineer: Engineer, environ: dict[str, str], given: dict[str, t.Any], says: tuple[str, ...]
) -> None:
    """In the list of all problems, before anything is done."""
    done = engineer.run(playbook="preflight", environ=environ, **given)
    assert done.returncode != 0
    said = done.stdout.partition("Cannot deploy dev: 1 problem to fix first.")[2]
    assert [words for words in says if words not in said] == []
    assert engineer.service.writes() == []


def test_preflight_reports_programs_that_are_too_old_before_the_project_is_asked_about(engineer: Engineer) -> None:
    old = engineer.programs / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 13.9'\n")
    old.chmod(0o755)
    done = engineer.run(playbook="preflight")
    assert done.returncode != 0
    assert "pg_dump is version 13, and the database is PostgreSQL 15" in done.stdout
    assert engineer.service.calls() == []


def test_a_project_is_kept_awake_and_restored_only_if_asked(engineer: Engineer) -> None:
    awake = engineer.run(playbook="keep_awake")
    assert awake.returncode == 0, awake.stdout[-6000:]
    assert f"({supabase.REF}) is awake: its database answered a query, and has" in awake.stdout
    assert "changed=0 " in awake.stdout.partition("PLAY RECAP")[2]
    assert engineer.service.writes() == []

    project = engineer.service.state["projects"][supabase.REF]
    project["status"] = "INACTIVE"
    paused = engineer.run(playbook="keep_awake")
    assert paused.returncode != 0
    assert f"Cannot use project {supabase.REF}: it is paused" in paused.stdout
    assert engineer.service.writes() == []
    planned = engineer.run("--check", playbook="keep_awake", provider_supabase_keep_awake_restore=True)
    assert planned.returncode == 0, planned.stdout[-6000:]
    assert project["status"] == "INACTIVE"
    restored = engineer.run(playbook="keep_awake", provider_supabase_keep_awake_restore=True)
    assert restored.returncode == 0, restored.stdout[-6000:]
    assert "is awake" in restored.stdout
    assert project["status"] == "ACTIVE_HEALTHY"


PRODUCTION = {
    "infra_environment": "production",
    "infra_provider": "hosts",
    "infra_domain": "example.com",
    "backend_version": VERSION,
    "infra_database_owner_user": "postgres",
    "infra_database_owner_password": PASSWORD,
    "ansible_connection": "local",
}


def test_a_dump_of_production_has_its_marker_and_does_not_get_into_dev(engineer: Engineer) -> None:
    engineer.database.rows("CREATE TABLE public.facts AS SELECT 7 AS id")
    inventory, dumps = engineer.folder / "production", engineer.folder / "of production"
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "hosts.yml").write_text("all: {children: {migration_runner: {hosts: {runner: {}}}}}\n")
    (inventory / "nexod.yml").write_text("plugin: nexod.infra.environment\n")
    server = engineer.database.direct
    where = {"host": server.host, "port": server.port, "name": "postgres", "sslmode": "disable"}
    values = {
        **PRODUCTION,
        "ansible_python_interpreter": sys.executable,
        "infra_endpoints_declared": {"database": where},
    }
    (inventory / "group_vars/all.yml").write_text(json.dumps(values))

    def dumped(*arguments: str) -> Done:
        done = play("-i", inventory, "playbooks/dump.yml", *arguments)
        assert PASSWORD not in done.stdout + done.stderr
        return done

    assert "Name a folder on the migration runner for the dumps: -e dump_folder=/var/backups/nexod" in " ".join(
        dumped().stdout.split()
    )
    assert dumped("--check", "-e", json.dumps({"dump_folder": str(dumps)})).returncode == 0
    assert not dumps.exists()
    done = dumped("-vvv", "-e", json.dumps({"dump_folder": str(dumps)}))
    assert done.returncode == 0, done.stdout[-6000:]
    (dump,) = dumps.glob("production-*.dump")
    assert b'{"environment": "production", ' in dump.read_bytes()[-200:]

    engineer.database.rows("UPDATE public.facts SET id = 8")
    refused = engineer.run(playbook="dev_restore", restore_dump=str(dump), restore_confirmed="dev")
    assert refused.returncode != 0
    assert "it is a dump of production" in refused.stdout
    assert engineer.database.rows("SELECT id FROM public.facts") == [(8,)]


def test_a_supabase_that_is_lost_limits_and_is_down(engineer: Engineer) -> None:
    """Through the stage infrastructure: each run ends with an error that helps, or goes on where the last one ended."""
    project, service = engineer.service.state["projects"][supabase.REF], engineer.service
    project["status"] = "INACTIVE"
    service.order("restore_project", lost=True)
    lost = engineer.run(playbook="infrastructure")
    assert lost.returncode != 0
    assert "Whether it was done is unknown; the next run finds out." in lost.stdout

    service.order("get_project", status=429, after=1, times=2)
    service.order("get_health", status=503, times=2)
    done = engineer.run(playbook="infrastructure")
    assert done.returncode == 0, done.stdout[-6000:]
    assert (project["status"], engineer.restores()) == ("ACTIVE_HEALTHY", [200])
    assert service.ordered[1].times == service.ordered[2].times == 0

    asked = len(service.calls())
    service.order(status=503, times=1000)
    down = engineer.run(playbook="infrastructure")
    assert down.returncode != 0
    assert "HTTP 503: Failed to retrieve project, 5 times." in down.stdout
    assert f"Check that {service.url} can be reached, and the status page of Supabase" in down.stdout
    # Once by the stage, and never hammered.
    assert len(service.calls()) - asked <= 10

    service.ordered.clear()
    again = engineer.run(playbook="infrastructure")
    assert again.returncode == 0, again.stdout[-6000:]
    assert "changed=0 " in again.stdout.partition("PLAY RECAP")[2]
    assert engineer.restores() == [200]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_deploy_that_is_killed_anywhere_and_run_again(engineer: Engineer, seed: int) -> None:
    """Of a paused project, with a dump, migrations, a seed and an environment file: nothing is made twice."""
    chance, engineer.patience = random.Random(f"supabase {seed}"), 600
    engineer.service.state["projects"][supabase.REF]["status"] = "INACTIVE"
    users = engineer.folder / "users.sql"
    users.write_text("INSERT INTO users (email, full_name) VALUES ('one@example.com', 'One')")
    engineer.given["provider_supabase_seeds"] = [{"file": str(users)}]
    # After preflight, which changes nothing; a run has more tasks than the last of these.
    task, seconds = chance.randrange(TASKS_OF_PREFLIGHT, TASKS_OF_A_DEPLOY), chance.uniform(0, 2)
    came, said = killed_at("TASK [", task, seconds, *engineer.command("deploy"), **engineer.exported)
    assert came, f"it has fewer than {task} tasks: {said[-3000:]}"

    done = engineer.run()
    assert done.returncode == 0, done.stdout[-6000:]
    assert engineer.restores().count(200) == 1
    assert engineer.database.rows("SELECT email FROM public.users") == [("one@example.com",)]
    (version,) = engineer.database.rows("SELECT count(*) FROM public.alembic_version")[0]
    dumps = [one.name.partition(".")[2] for one in (engineer.folder / "dumps").iterdir()]
    assert (version, dumps) == (1, ["dump"])
    assert [one.name for one in (engineer.folder / "private").iterdir()] == ["env"]
    again = engineer.run()
    assert "changed=0 " in again.stdout.partition("PLAY RECAP")[2], again.stdout[-6000:] + again.stderr[-2000:]


def test_a_database_that_does_not_answer_is_an_error(engineer: Engineer) -> None:
    engineer.service.state["pooler"][supabase.REF]["db_port"] = 9
    done = engineer.run(playbook="keep_awake")
    assert done.returncode != 0
    assert "Connection refused" in done.stdout
