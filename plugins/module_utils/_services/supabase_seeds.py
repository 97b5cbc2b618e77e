# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed data of a development database: files of SQL, each run once, in one transaction with the record of it.

Two guards keep it out of every other environment: the name that the inventory gives, and the marker that each deploy
leaves in its database (the comment of a schema of ours, which no API serves).
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import literal

#: The only environment that is seeded.
ENVIRONMENT = "dev"
SCHEMA = "nexod_infra"
TABLE = "nexod_infra.seeds"
#: The marker is what follows it.
MARKED = "Environment of nexod.infra: "
CREATE = (
    "CREATE SCHEMA IF NOT EXISTS nexod_infra",
    "CREATE TABLE IF NOT EXISTS nexod_infra.seeds "
    "(name text PRIMARY KEY, sha256 text NOT NULL, run_at timestamptz NOT NULL)",
)
#: In SQL: the marker, or null.
MARKER = "(SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'nexod_infra')"
STATE = f"SELECT json_build_object('marker', {MARKER}, 'recorded', to_regclass('nexod_infra.seeds') IS NOT NULL);"
RECORDED = "SELECT coalesce(json_object_agg(name, sha256), '{}') FROM nexod_infra.seeds;"
RECORD = """INSERT INTO nexod_infra.seeds (name, sha256, run_at) VALUES ({name}, {sha256}, now())
ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, run_at = excluded.run_at"""

RUN, RUN_AGAIN, DONE, CHANGED = "run", "run again", "done", "changed"


@dataclasses.dataclass(frozen=True)
class Seed:
    """One file. `again`: whether it is run again when its content has changed."""

    path: str
    again: bool
    sql: str

    @property
    def name(self) -> str:
        """What it is recorded by: each engineer's checkout is somewhere else."""
        return pathlib.Path(self.path).name

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def environment_of(marker: str | None) -> str:
    """The environment that a marker names; empty for none, or for a comment that is no marker."""
    return marker.removeprefix(MARKED) if marker and marker.startswith(MARKED) else ""


def marking(environment: str) -> list[str]:
    """What leaves the marker."""
    return [CREATE[0], f"COMMENT ON SCHEMA {SCHEMA} IS {literal(MARKED + environment)}"]


def refuse_another(marker: str | None, environment: str, action: str, database: str) -> None:
    """Raise InfraError if the database is marked as another environment's."""
    found = environment_of(marker)
    if found and found != environment:
        raise InfraError(
            action,
            f'database "{database}"',
            f"it is the one of the environment {found}, and this is a deploy of {environment}",
            "Check which project SUPABASE_PROJECT_REF names. If it has really changed its environment: "
            f"DROP SCHEMA {SCHEMA} CASCADE; then run again.",
        )


def refuse_environment(environment: str) -> None:
    if environment != ENVIRONMENT:
        raise InfraError(
            "run seeds in",
            f"the environment {environment}",
            f"only {ENVIRONMENT} is seeded",
            f"Declare provider_supabase_seeds in the inventory of {ENVIRONMENT} only.",
        )


def read(rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[Seed]:
    """The files, all of them before the first one is run."""
    seeds: list[Seed] = []
    for row in rows:
        try:
            sql = pathlib.Path(row["file"]).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            sql = "\0"
        seed = Seed(row["file"], bool(row["again"]), sql)
        if "\0" in sql:
            raise InfraError("run", f"the seed {seed.path}", "it is not UTF-8 text", "Save it as UTF-8.")
        if seed.name in {one.name for one in seeds}:
            cause = "another one has the same name, by which it is recorded"
            raise InfraError("run", f"the seed {seed.path}", cause, "Rename one of them.")
        seeds.append(seed)
    return seeds


def step_of(seed: Seed, recorded: t.Mapping[str, str]) -> str:
    """What follows for one file from the digests that are recorded, by name."""
    if seed.name not in recorded:
        return RUN
    if recorded[seed.name] == seed.sha256:
        return DONE
    return RUN_AGAIN if seed.again else CHANGED


def plan(seeds: t.Iterable[Seed], recorded: t.Mapping[str, str]) -> tuple[list[Seed], list[Seed]]:
    """The files to run, in order, and those that have changed and are not run again."""
    steps = [(seed, step_of(seed, recorded)) for seed in seeds]
    return (
        [seed for seed, step in steps if step in (RUN, RUN_AGAIN)],
        [seed for seed, step in steps if step == CHANGED],
    )


def statements(seed: Seed) -> list[str]:
    """One transaction with the file and its record.

    As text of EXECUTE, the file can't end the transaction: the server refuses COMMIT and the like there.
    """
    block = f"BEGIN EXECUTE {literal(seed.sql)}; END"
    return [
        "SET client_encoding = 'UTF8'",
        # Otherwise the first line of an error is that the schema exists.
        "SET client_min_messages = 'warning'",
        "BEGIN",
        *CREATE,
        f"DO {literal(block)}",
        RECORD.format(name=literal(seed.name), sha256=literal(seed.sha256)),
        "COMMIT",
    ]


class Server(t.Protocol):
    """What is needed of `RemotePsql`."""

    def ask(self, query: str, database: str = ...) -> t.Any: ...

    def execute(self, statements: t.Sequence[str], database: str) -> None: ...


def recorded(server: Server, database: str, environment: str) -> dict[str, str]:
    """The digests by name. Raises InfraError if the database is not this environment's."""
    found = server.ask(STATE, database)
    refuse_another(found["marker"], environment, "seed", database)
    return dict(server.ask(RECORDED, database)) if found["recorded"] else {}


def run(server: Server, database: str, seed: Seed) -> None:
    try:
        server.execute(statements(seed), database)
    except InfraError as error:
        raise InfraError(
            "run",
            f"the seed {seed.path}",
            error.cause,
            "Fix the error that is reported, then run again: it is one transaction, so nothing of it was kept. Seeds "
            "are plain SQL, without psql's commands, COPY FROM STDIN, and BEGIN or COMMIT.",
        ) from error
