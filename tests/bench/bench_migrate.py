"""What nexod.infra.alembic_upgrade costs beside the bare alembic command, in one run, both on the same database.

    bench_migrate.py [--rounds 5] [--revisions 500]

A PostgreSQL of its own, a tree and an env.py as `alembic init` writes them, and revisions that each make a table or
change one. The ways take turns, and medians are compared. Told are the seconds that one waits and, for a machine that
has other work too, the processor's seconds (user and system; the server's are not in it, they are alike). "Engine" is
what the module does on the host: its plan and the helper with the application's interpreter. "Task" is all of it, one
task of ansible-playbook. .report/bench-migrate.json keeps every round. Ends with 1 where an aim is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / ".collections")]

from integration.alembic_project import of  # noqa: E402
from integration.conftest import Postgres, folder_of_postgres, made_application, running_postgres  # noqa: E402

from ansible_collections.nexod.infra.plugins.module_utils._alembic.answers import Outcome  # noqa: E402
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import facts_for_lint, lint, squawk_program  # noqa: E402
from ansible_collections.nexod.infra.plugins.module_utils._alembic.operations import upgrade  # noqa: E402
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import database_url  # noqa: E402
from ansible_collections.nexod.infra.plugins.modules import alembic_upgrade  # noqa: E402

REPORT = ROOT / ".report" / "bench-migrate.json"
BIN = ROOT / ".venv" / "bin"
DATABASE = "bench"
REVISION = '''"""Step {number}

Revision ID: {number:04}
"""
import sqlalchemy as sa
from alembic import op

revision = "{number:04}"
down_revision = {down}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {body}


def downgrade() -> None:
    pass
'''
TABLE = (
    'op.create_table("t{table}", sa.Column("id", sa.BigInteger, primary_key=True), '
    'sa.Column("name", sa.Text, nullable=False))'
)
COLUMN = 'op.add_column("t{table}", sa.Column("c{number}", sa.Text))'


@dataclasses.dataclass(frozen=True)
class Took:
    """Seconds of the clock, and of the processor."""

    wall: float
    cpu: float


@dataclasses.dataclass(frozen=True)
class Aim:
    """`way` against `peer`, or, without one, in seconds."""

    says: str
    way: str
    peer: str | None
    most: float
    unit: str = "wall"


UNITS = {"wall": "waited", "cpu": "cpu"}
AIMS = (
    Aim("nothing pending, engine against bare", "nothing: engine", "nothing: bare", 1.3),
    Aim("all pending, engine against bare", "all: engine", "all: bare", 1.15),
    Aim(
        "all pending, planned and linted, against bare",
        "all: engine, planned and linted first",
        "all: bare",
        1.3,
        "cpu",
    ),
    Aim("plan with SQL and lint, seconds", "plan: engine", None, 5.0),
)


def processor() -> float:
    """What this process and its ended children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Bench:
    """The tree, its database, and each way to bring the one to the other."""

    def __init__(self, folder: Path, postgres: Postgres, revisions: int) -> None:
        self.folder = folder
        self.postgres = postgres
        self.head = f"{revisions:04}"
        self.python = made_application()
        self.alembic = str(Path(self.python).with_name("alembic"))
        given = {"host": postgres.host, "port": postgres.port, "user": postgres.user, "password": postgres.password}
        self.url = database_url({**given, "name": DATABASE}, "psycopg")
        self.run(self.alembic, "init", "migrations")
        ini = folder / "alembic.ini"
        lines = [line for line in ini.read_text().splitlines() if not line.startswith("sqlalchemy.url")]
        lines.insert(lines.index("[alembic]") + 1, f"sqlalchemy.url = {self.url.replace('%', '%%')}")
        ini.write_text("\n".join(lines) + "\n")
        for number in range(1, revisions + 1):
            body = (TABLE if number % 10 == 1 else COLUMN).format(table=(number - 1) // 10, number=number)
            down = f'"{number - 1:04}"' if number > 1 else None
            text = REVISION.format(number=number, down=down, body=body)
            (folder / f"migrations/versions/{number:04}_step.py").write_text(text)
        self.options = {"chdir": str(folder), "python": self.python, "url": self.url, "timeout": "10min"}
        self.parameters = {**of(alembic_upgrade), **self.options}

    def run(self, *argv: str, **environment: str) -> str:
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{argv[0]} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def sql(self, *statements: str, database: str = "postgres") -> list[tuple[t.Any, ...]]:
        with contextlib.closing(self.postgres.connect(database)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        # Its checkpoint would otherwise fall into somebody's turn.
        self.sql(
            f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)",
            f"CREATE DATABASE {DATABASE} OWNER {self.postgres.user}",
            "CHECKPOINT",
        )

    def prove(self, head: str | None) -> None:
        """What ran has done what it says."""
        there = self.sql("SELECT to_regclass('alembic_version') IS NOT NULL", database=DATABASE) == [(True,)]
        found = self.sql("SELECT version_num FROM alembic_version", database=DATABASE) if there else []
        if found != ([(head,)] if head else []):
            sys.exit(f"the database is at {found}, not at {head}")

    # The ways

    def bare(self) -> None:
        self.run(self.alembic, "upgrade", "head")

    def bare_sql(self) -> None:
        self.run(self.alembic, "upgrade", "head", "--sql")

    def engine(self) -> None:
        upgrade({**self.parameters, "lint": "off"}, check=False)

    def engine_by_default(self) -> None:
        """As the command `migrate` does it: plan, lint, and the run of what was linted, with one engine."""
        upgrade(self.parameters, check=False, approve=self.linted)

    def plan(self) -> None:
        self.linted(upgrade(self.parameters, check=True))

    def linted(self, plan: Outcome) -> bool:
        facts = plan.facts
        said = lint(self.parameters, "error", facts["pending"], facts_for_lint(facts), squawk_program())
        if said.get("failed"):
            sys.exit(str(said["msg"]))
        return True

    def task(self, module: str, arguments: t.Any, *flags: str) -> None:
        play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [{module: arguments}]}]
        (self.folder / "play.yml").write_text(json.dumps(play))
        settings = {
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        }
        self.run(str(BIN / "ansible-playbook"), *flags, "play.yml", PATH=f"{BIN}:{os.environ['PATH']}", **settings)

    def task_bare(self) -> None:
        self.task("ansible.builtin.command", {"argv": [self.alembic, "upgrade", "head"], "chdir": str(self.folder)})

    def task_ours(self, *flags: str) -> None:
        self.task("nexod.infra.alembic_upgrade", self.options, *flags)

    def ways(self) -> dict[str, tuple[bool, bool, t.Callable[[], t.Any]]]:
        """Name -> whether it begins with an empty database, whether all is there at the end, what it does."""
        return {
            "all: bare": (True, True, self.bare),
            "all: engine": (True, True, self.engine),
            "all: engine, planned and linted first": (True, True, self.engine_by_default),
            "all: task of command: alembic": (True, True, self.task_bare),
            "all: task of alembic_upgrade": (True, True, self.task_ours),
            "nothing: bare": (False, True, self.bare),
            "nothing: engine": (False, True, self.engine_by_default),
            "nothing: task of command: alembic": (False, True, self.task_bare),
            "nothing: task of alembic_upgrade": (False, True, self.task_ours),
            "plan: bare --sql, no lint": (True, False, self.bare_sql),
            "plan: engine": (True, False, self.plan),
            "plan: task of alembic_upgrade --check": (True, False, lambda: self.task_ours("--check")),
        }

    def measured(self, name: str) -> Took:
        fresh, done, way = self.ways()[name]
        if fresh:
            self.empty()
        used, began = processor(), time.perf_counter()
        way()
        took = Took(time.perf_counter() - began, processor() - used)
        self.prove(self.head if done else None)
        return took


def middle(rounds: list[dict[str, Took]], name: str) -> Took:
    return Took(*(statistics.median(getattr(one[name], unit) for one in rounds) for unit in ("wall", "cpu")))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--revisions", type=int, default=500)
    parser.add_argument("--only", default="", metavar="PATTERN", help="the ways whose name holds it, for a closer look")
    given = parser.parse_args()
    before = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, {given.revisions} revisions, load before: {before:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name, folder_of_postgres() as home, running_postgres(home) as postgres:
        bench = Bench(Path(name), postgres, given.revisions)
        names = [way for way in bench.ways() if re.search(given.only, way)]
        for way in dict.fromkeys(("all: bare", *names)):
            bench.measured(way)  # nobody pays for what is compiled or read from the disk for the first time
        rounds = []
        for number in range(1, given.rounds + 1):
            rounds.append({way: bench.measured(way) for way in names})
            print(f"round {number} of {given.rounds} done", flush=True)
    rows = {way: middle(rounds, way) for way in names}
    print(f"\n{'medians in seconds':<44}{'waited':>9}{'cpu':>9}")
    for way, took in rows.items():
        print(f"{way:<44}{took.wall:9.2f}{took.cpu:9.2f}")
    verdicts = []
    for aim in AIMS:
        if aim.way not in rows or (aim.peer and aim.peer not in rows):
            continue
        took, peer = rows[aim.way], rows[aim.peer] if aim.peer else Took(1, 1)
        found = Took(took.wall / peer.wall, took.cpu / peer.cpu)
        met = getattr(found, aim.unit) <= aim.most
        verdicts.append({"aim": aim.says, "waited": found.wall, "cpu": found.cpu, "most": aim.most, "met": met})
        word = "met" if met else "missed"
        print(f"{aim.says:<44}{found.wall:9.2f}{found.cpu:9.2f}  (aim: at most {aim.most} {UNITS[aim.unit]}, {word})")
    REPORT.parent.mkdir(exist_ok=True)
    kept = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "revisions": given.revisions,
        "load": {"before": before, "after": os.getloadavg()[0]},
        "rounds": [{way: dataclasses.asdict(took) for way, took in one.items()} for one in rounds],
        "medians": {way: dataclasses.asdict(took) for way, took in rows.items()},
        "aims": verdicts,
    }
    REPORT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(f"all rounds: {REPORT.relative_to(ROOT)}")
    return 0 if all(one["met"] for one in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
