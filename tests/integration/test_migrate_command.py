"""The command of the role migration_runner, as a person types it, on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import typing as t
from pathlib import Path

import pytest

from .alembic_project import FIRST, Project, wait_for
from .conftest import ROOT, program

COMMAND = ROOT / "roles/migration_runner/files/migrate.py"
BLOCKS = "    op.execute('CREATE INDEX ON things (name)')"


class Command:
    """The command in a home of its own, with an engine that is this checkout's."""

    def __init__(self, project: Project, home: Path) -> None:
        self.project, self.home = project, home
        self.home.mkdir()
        (home / "migrate").write_bytes(COMMAND.read_bytes())
        (home / "engine").symlink_to(ROOT / ".collections")
        self.settings(label="app 1.1.0")

    def settings(self, **changed: t.Any) -> None:
        kept = ("python", "config", "url_env", "transaction")
        given = {name: self.project.parameters[name] for name in kept}
        given["squawk"] = program("squawk", "squawk-cli (from PyPI)", ROOT / ".venv/bin")
        for name in ("metrics_file", "check_metrics_file"):
            given[name] = str(self.home / f"{name}.prom")
        (self.home / "settings.json").write_text(json.dumps({**given, **changed}))
        secret = self.home / "secrets.json"
        secret.write_text(json.dumps({"url": self.project.url(), "environment": {}}))
        secret.chmod(0o600)

    def __call__(self, *words: str, account: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        identity: dict[str, t.Any] = {}
        if account:
            entry = pwd.getpwnam(account)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        done = subprocess.run(
            ["/usr/bin/python3", "-I", str(self.home / "migrate"), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            env={"PATH": os.environ["PATH"], **environment},
            **identity,
        )
        assert self.project.postgres.password not in done.stdout + done.stderr
        return done

    def metrics(self, name: str) -> dict[str, float]:
        lines = [line for line in (self.home / f"{name}.prom").read_text().splitlines() if not line.startswith("#")]
        return {line.partition("{")[0].removeprefix("nexod_alembic_"): float(line.split()[-1]) for line in lines}


@pytest.fixture
def migrate(project: Project, tmp_path: Path) -> Command:
    return Command(project, tmp_path / "home")


def test_status_plan_up_and_nothing_more(migrate: Command, project: Project) -> None:
    project.revise(FIRST, "    op.execute('ALTER TABLE things ADD COLUMN age integer')")
    before = migrate("status")
    assert before.returncode == 0, before.stderr
    assert "no revision (empty database)" in before.stdout
    assert "0001 Step 1\n          0002 Step 2" in before.stdout
    assert "runner    none" in before.stdout

    plan = migrate("plan", "--sql")
    assert plan.returncode == 0, plan.stderr
    assert "ALTER TABLE things ADD COLUMN age integer" in plan.stdout
    assert project.rows("SELECT to_regclass('things'), to_regclass('alembic_version')") == [(None, None)]

    up = migrate("up")
    assert up.returncode == 0, up.stderr
    assert "0002 Step 2 (" in up.stdout
    assert project.recorded() == ["0002"]
    assert migrate.metrics("metrics_file")["last_run_revisions"] == 2

    again = migrate("up", "--json")
    assert json.loads(again.stdout)["migrations"] == []
    assert "nothing was pending" in migrate("up").stdout


def test_the_lint_stops_it_as_it_does_on_the_controller(migrate: Command, project: Project) -> None:
    project.revise(FIRST)
    assert migrate("up").returncode == 0
    project.rows("INSERT INTO things SELECT n, 'x' FROM generate_series(1, 20000) AS n")
    project.rows("ANALYZE things")
    project.revise(FIRST, BLOCKS)
    plan = migrate("plan")
    assert (plan.returncode, "STOPS" in plan.stdout) == (2, True), plan.stdout
    up = migrate("up")
    assert up.returncode == 2
    assert "require-concurrent-index-creation" in up.stdout
    assert project.recorded() == ["0001"]
    assert migrate("up", "--lint", "warn").returncode == 0
    assert project.recorded() == ["0002"]


def test_without_squawk_it_says_so_and_runs_nothing(migrate: Command, project: Project) -> None:
    project.revise(FIRST)
    migrate.settings(squawk="")
    done = migrate("up", PATH="/usr/bin:/bin")
    assert done.returncode == 1
    assert "squawk is not installed" in done.stderr
    assert migrate("up", "--lint", "off", PATH="/usr/bin:/bin").returncode == 0


def test_check_finds_drift_and_invalid_indexes(migrate: Command, project: Project) -> None:
    models = "from sqlalchemy import Column, Integer, MetaData, Table, Text\nmodels = MetaData()\n" + (
        "Table('people', models, Column('id', Integer, primary_key=True), Column('name', Text))\n"
    )
    text = (project.folder / "migrations/env.py").read_text()
    project.environment(models + text.replace("target_metadata=None", "target_metadata=models"))
    project.revise("    op.execute('CREATE TABLE people (id serial PRIMARY KEY, name text)')")

    pending = migrate("check")
    assert pending.returncode == 0, pending.stdout + pending.stderr
    seen = migrate.metrics("check_metrics_file")
    assert (seen["check_success"], seen["check_pending_revisions"]) == (1, 1)
    assert "check_drift_differences" not in seen  # before its upgrade the schema differs from the models

    assert migrate("up").returncode == 0
    well = migrate("check")
    assert (well.returncode, "none: the schema matches the models" in well.stdout) == (0, True), well.stdout
    project.rows("ALTER TABLE people ADD COLUMN by_hand text")
    project.rows("INSERT INTO people (name) VALUES ('twice'), ('twice')")
    with pytest.raises(Exception, match="could not create unique index"):
        project.rows("CREATE UNIQUE INDEX CONCURRENTLY broken ON people (name)")
    ill = migrate("check")
    assert ill.returncode == 1
    assert "by_hand" in ill.stdout
    assert "REINDEX INDEX CONCURRENTLY public.broken;" in ill.stdout
    seen = migrate.metrics("check_metrics_file")
    assert (seen["check_invalid_indexes"], seen["check_drift_differences"]) == (1, 2)
    assert seen["check_due_timestamp_seconds"] - seen["check_timestamp_seconds"] == 26 * 3600


def test_a_database_that_is_away_is_a_failed_check(migrate: Command, project: Project) -> None:
    project.revise(FIRST)
    (migrate.home / "secrets.json").write_text(json.dumps({"url": project.url(port=1)}))
    done = migrate("check")
    # Its unit tries again soon, which it does not after a finding.
    assert done.returncode == 75
    assert "Cannot inspect database" in done.stderr
    assert migrate.metrics("check_metrics_file")["check_success"] == 0
    assert migrate("plan").returncode == 1


def test_who_runs_since_when(migrate: Command, project: Project) -> None:
    project.revise(FIRST, "    op.execute('SELECT pg_sleep(6)')")
    with subprocess.Popen(
        ["/usr/bin/python3", "-I", str(migrate.home / "migrate"), "up", "--lint", "off"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        # Not this question, whose text holds the words too.
        sleeps = "query LIKE '%pg_sleep(6)%' AND state = 'active' AND pid <> pg_backend_pid()"
        wait_for(project, f"SELECT count(*) > 0 FROM pg_stat_activity WHERE {sleeps}")
        assert "alembic_upgrade app 1.1.0" in migrate("status").stdout
        assert running.stderr
        said = running.stderr.read()
    assert running.returncode == 0, said
    assert re.search(r"revision 2 of 2: 0002 Step 2, \d+ s", said), said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process away")
def test_others_are_told_to_ask_root(migrate: Command, project: Project) -> None:
    for path in (migrate.home, *migrate.home.parents):
        if str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | 0o055)
    done = migrate("status", account="nobody")
    assert done.returncode == 1
    assert "Run: sudo migrate" in done.stderr


CONTRACT = "    op.execute('ALTER TABLE things DROP COLUMN name')"


def test_a_contract_is_shown_by_the_plan_and_waits_for_consent(migrate: Command, project: Project) -> None:
    project.revise(FIRST)
    assert migrate("up").returncode == 0
    project.rows("INSERT INTO things VALUES (1, 'x')")
    project.revise(FIRST, CONTRACT)
    file = project.folder / "migrations/versions/0002.py"
    file.write_text(file.read_text().replace('"""Step 2"""', '"""Contract: drop things.name"""'))
    plan = migrate("plan", "--sql", "--lint", "warn")
    assert plan.returncode == 2, plan.stderr
    assert "0002 Contract: drop things.name  (contract)" in plan.stdout
    assert "DROP COLUMN name" in plan.stdout
    assert "STOPS  0002 removes what older code reads" in plan.stdout
    assert "migrate up --allow-contract" in plan.stdout
    assert json.loads(migrate("plan", "--json", "--lint", "warn").stdout)["contract"] == ["0002"]
    for policy in ("warn", "off"):
        refused = migrate("up", "--lint", policy)
        assert refused.returncode in (1, 2)
        assert "--allow-contract" in refused.stdout + refused.stderr
    assert project.recorded() == ["0001"]
    assert migrate("up", "--lint", "warn", "--allow-contract").returncode == 0
    assert project.recorded() == ["0002"]


def test_down_history_and_stamp(migrate: Command, project: Project) -> None:
    project.revise(FIRST, "    op.execute('CREATE TABLE others ()')")
    project.undo("0002", "    op.execute('DROP TABLE others')")
    missing = migrate("history")
    assert (missing.returncode, "Set migration_runner_audit_table" in missing.stderr) == (1, True)
    migrate.settings(label="app 1.1.0", audit_table="audit")
    assert migrate("history").stdout == "nothing is recorded yet\n"
    assert migrate("up", SUDO_USER="jane").returncode == 0

    plan = migrate("down", "0001")
    assert (plan.returncode, "DROP TABLE others" in plan.stdout) == (2, True), plan.stderr
    assert "add --confirm" in plan.stdout
    assert project.recorded() == ["0002"]
    done = migrate("down", "0001", "--confirm", SUDO_USER="joe")
    assert (done.returncode, project.recorded()) == (0, ["0001"]), done.stderr
    assert "reverted  0002 Step 2" in done.stdout
    assert migrate("down", "0001").returncode == 0

    lines = migrate("history").stdout.splitlines()
    assert [line.split()[1:5] for line in lines] == [
        ["downgrade", "0002", "applied", "joe"],
        ["upgrade", "0002", "applied", "jane"],
        ["upgrade", "0001", "applied", "jane"],
    ]
    assert all("app 1.1.0" in line and re.match(r"\d{4}-\d\d-\d\dT.*Z", line) for line in lines)
    assert json.loads(migrate("history", "--json").stdout)["audit"][0]["who"] == "joe"

    marked = migrate("stamp", "head")
    assert (marked.returncode, project.recorded()) == (0, ["0002"]), marked.stderr
    assert "was at    0001" in marked.stdout


def test_a_release_that_the_database_is_ahead_of(migrate: Command, project: Project) -> None:
    project.revise(FIRST)
    assert migrate("up").returncode == 0
    project.rows("UPDATE alembic_version SET version_num = '0009'")
    refused = migrate("plan")
    assert (refused.returncode, "a newer release has migrated it" in refused.stderr) == (1, True)
    migrate.settings(ahead="accept", check_drift=True)
    for word in ("plan", "up"):
        passed = migrate(word)
        assert passed.returncode == 0, passed.stderr
        assert "note: The database is at 0009" in passed.stdout
    assert migrate("check").returncode == 0
    assert project.recorded() == ["0009"]
