# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds: which files are run, what is run of each, and in which database."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services import supabase_database, supabase_seeds
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_seeds import (
    CHANGED,
    DONE,
    MARKED,
    RUN,
    RUN_AGAIN,
    Seed,
)

SEED = Seed("/a/users.sql", False, "SELECT 1")


@pytest.mark.parametrize(
    ("recorded", "again", "step"),
    [
        ({}, False, RUN),
        ({}, True, RUN),
        ({"facts.sql": SEED.sha256}, False, RUN),
        ({"users.sql": SEED.sha256}, False, DONE),
        ({"users.sql": SEED.sha256}, True, DONE),
        ({"users.sql": "0" * 64}, False, CHANGED),
        ({"users.sql": "0" * 64}, True, RUN_AGAIN),
    ],
)
def test_what_follows_for_a_file(recorded: dict[str, str], again: bool, step: str) -> None:
    seed = Seed(SEED.path, again, SEED.sql)
    assert supabase_seeds.step_of(seed, recorded) == step
    to_run, changed = supabase_seeds.plan([seed], recorded)
    assert (to_run, changed) == ([seed] * (step in (RUN, RUN_AGAIN)), [seed] * (step == CHANGED))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a/users.sql": b"SELECT 1", "b/facts.sql": "\ufeffSELECT 'ä'".encode()}, ""),
        ({"a/users.sql": b"SELECT 1", "b/users.sql": b"SELECT 2"}, "another one has the same name"),
        ({"a/users.sql": b"\xff"}, "it is not UTF-8 text"),
        ({"a/users.sql": b"SELECT \0"}, "it is not UTF-8 text"),
    ],
)
def test_files_are_read_before_one_is_run(tmp_path: pathlib.Path, files: dict[str, bytes], says: str) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    rows = [{"file": str(tmp_path / name), "again": False} for name in files]
    if says:
        with pytest.raises(InfraError, match=says):
            supabase_seeds.read(rows)
        return
    assert [seed.sql for seed in supabase_seeds.read(rows)] == ["SELECT 1", "SELECT 'ä'"]


@pytest.mark.parametrize(
    ("marker", "environment", "exposed", "statements", "says"),
    [
        (None, "", ["public"], 0, ""),
        (None, "dev", ["public"], 2, ""),
        ("of somebody else", "dev", ["public"], 2, ""),
        (f"{MARKED}dev", "dev", ["public"], 0, ""),
        (f"{MARKED}production", "dev", ["public"], 0, "it is the one of the environment production"),
        (f"{MARKED}production", "", ["public"], 0, ""),
        (None, "dev", ["public", "nexod_infra"], 0, "the REST API serves the schema nexod_infra"),
    ],
)
def test_the_marker_of_a_database(
    marker: str | None, environment: str, exposed: list[str], statements: int, says: str
) -> None:
    wanted = supabase_database.Wanted("postgres", tuple(exposed), environment=environment)
    if says:
        with pytest.raises(InfraError, match=says):
            supabase_database.marked({"marker": marker}, wanted)
        return
    assert len(supabase_database.marked({"marker": marker}, wanted)) == statements


@pytest.mark.parametrize("environment", ["production", "staging", "Dev", "dev2", ""])
def test_only_dev_is_seeded(environment: str) -> None:
    with pytest.raises(InfraError, match="only dev is seeded"):
        supabase_seeds.refuse_environment(environment)


class Refusing:
    """A server that refuses what it is asked to run."""

    def ask(self, query: str, database: str = "") -> t.Any:
        return {"marker": None, "recorded": False}

    def execute(self, statements: t.Sequence[str], database: str) -> None:
        raise InfraError("change", database, "ERROR: relation x does not exist", "Completed statements are kept.")


def test_a_seed_that_fails() -> None:
    with pytest.raises(InfraError) as found:
        supabase_seeds.run(Refusing(), "postgres", SEED)
    assert str(found.value).startswith("Cannot run the seed /a/users.sql: ERROR: relation x does not exist.")
    assert "nothing of it was kept" in found.value.next_step
