# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's programs on the controller: which of them are needed, and which are missing or too old."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._postgresql.programs import version_here
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import CONTROLLER, Inputs
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.programs import check_programs, needed_programs
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.rules import (
    RULES,
    check_private_files,
    check_seeds,
    seeds_are_for_dev,
)


def inputs(
    dumped: t.Any = True,
    runner: str = CONTROLLER,
    provider: str = "supabase",
    version: t.Any = 15,
    seeds: t.Any = None,
) -> Inputs:
    values: dict[tuple[str, str], t.Any] = {
        (CONTROLLER, "infra_snapshot_before_migrations"): dumped,
        (CONTROLLER, "provider_supabase_database_version"): version,
        (CONTROLLER, "provider_supabase_seeds"): seeds,
    }
    return Inputs("dev", provider, {}, {"migration_runner": [runner] if runner else []}, {}, values)


@pytest.mark.parametrize(
    ("given", "tags", "programs"),
    [
        pytest.param({}, ("all",), ["psql", "pg_dump"], id="dev"),
        pytest.param({}, ("verify", "migrate"), ["psql", "pg_dump"], id="the stage alone"),
        pytest.param({}, ("infrastructure",), [], id="another stage"),
        pytest.param({"dumped": False}, ("all",), ["psql"], id="no dump"),
        pytest.param({"dumped": "no"}, ("all",), ["psql"], id="no dump, as the command line gives it"),
        pytest.param({"dumped": "true"}, ("all",), ["psql", "pg_dump"], id="a dump, as the command line gives it"),
        pytest.param({"dumped": False, "runner": "runner-1"}, ("all",), [], id="migrations run elsewhere"),
        pytest.param(
            {"dumped": False, "runner": "runner-1", "seeds": [{"file": "/a.sql"}]}, ("all",), ["psql"], id="seeds"
        ),
        pytest.param({"runner": "runner-1"}, ("all",), ["psql", "pg_dump"], id="the dump is made here all the same"),
        pytest.param({"runner": "", "dumped": None}, ("all",), [], id="no runner, which is reported by itself"),
        pytest.param({"provider": "aws"}, ("all",), [], id="another provider"),
    ],
)
def test_which_are_needed(given: dict[str, t.Any], tags: tuple[str, ...], programs: list[str]) -> None:
    assert needed_programs(inputs(**given), tags) == programs


@pytest.mark.parametrize(
    ("installed", "least", "problems"),
    [
        pytest.param({"psql": 15, "pg_dump": 15}, 15, [], id="as old as the server"),
        pytest.param({"psql": 17, "pg_dump": 18}, "15", [], id="newer"),
        pytest.param({}, 15, ["psql is not installed here", "pg_dump is not installed here"], id="none"),
        pytest.param(
            {"psql": 15, "pg_dump": 13},
            15,
            ["pg_dump is version 13, and the database is PostgreSQL 15"],
            id="older than the server",
        ),
        pytest.param(
            {"psql": 0, "pg_dump": 15},
            15,
            ["psql does not report its version, and the database is PostgreSQL 15"],
            id="something else of that name",
        ),
        pytest.param({"psql": 9, "pg_dump": 9}, None, [], id="a version that is not declared is reported by itself"),
    ],
)
def test_what_is_reported(installed: dict[str, int], least: t.Any, problems: list[str]) -> None:
    found = check_programs(inputs(version=least), ("all",), installed.get)
    assert [f"{one.subject} {one.cause}" for one in found] == problems
    assert all("postgresql-client" in one.next_step and f"{least or 15}" in one.next_step for one in found)


@pytest.mark.parametrize(
    ("prints", "version"),
    [
        ("psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", 15),
        ("pg_dump (PostgreSQL) 18beta1", 18),
        ("psql of something else", 0),
    ],
)
def test_the_version_of_a_program(tmp_path: pathlib.Path, prints: str, version: int) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho '{prints}'\n")
    program.chmod(0o755)
    assert version_here(str(program)) == version
    assert version_here(str(tmp_path / "missing")) is None


@pytest.mark.parametrize(
    ("provider", "path", "exposed", "causes"),
    [
        ("supabase", "", True, []),
        ("supabase", "/checkout/.dev/env", False, []),
        ("supabase", "/checkout/inventories/../env", True, ["is /checkout/env, which git does not ignore"]),
        ("aws", "/checkout/env", True, []),
    ],
)
def test_an_environment_file_that_git_would_commit(provider: str, path: str, exposed: bool, causes: list[str]) -> None:
    given = Inputs("dev", provider, {}, {}, {}, {(CONTROLLER, "provider_supabase_env_file"): path})
    assert [one.cause for one in check_private_files(given, lambda _path: exposed)] == causes


@pytest.mark.parametrize(
    ("environment", "seeds", "problems"),
    [
        ("production", None, []),
        ("production", [], []),
        ("dev", [{"file": "/seeds/a.sql"}, {"file": "/seeds/b.sql", "again": True}], []),
        ("dev", "of the wrong type, which is reported by itself", []),
        ("dev", ["/seeds/a.sql"], []),
        (
            "staging",
            [{"file": "/seeds/a.sql"}],
            ["provider_supabase_seeds is declared for staging, and only dev is seeded"],
        ),
        (
            "dev",
            [{"file": "/seeds/a.sql"}, {"file": "/more/a.sql"}],
            [
                "provider_supabase_seeds has 2 files of the name a.sql",
                "provider_supabase_seeds[1].file is /more/a.sql, which does not exist",
            ],
        ),
    ],
)
def test_seeds_that_are_refused(environment: str, seeds: t.Any, problems: list[str]) -> None:
    given = Inputs(environment, "supabase", {}, {}, {}, {(CONTROLLER, "provider_supabase_seeds"): seeds})
    found = [*seeds_are_for_dev(given), *check_seeds(given, lambda path: path.startswith("/seeds/"))]
    assert [f"{one.subject} {one.cause}" for one in found] == problems
    assert seeds_are_for_dev in RULES
