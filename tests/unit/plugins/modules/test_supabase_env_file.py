# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that writes the environment file, as Ansible runs it, against the stand-in for Supabase."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import running, supabase

Run = t.Callable[..., dict[str, t.Any]]
URL = "postgresql+psycopg://postgres:canary-password@db.test:5432/postgres?sslmode=require"


@pytest.fixture
def service() -> t.Iterator[supabase.Supabase]:
    with running.services() as services:
        yield services.supabase


@pytest.fixture
def given(tmp_path: pathlib.Path, service: supabase.Supabase) -> dict[str, t.Any]:
    account = {"ref": supabase.REF, "token": supabase.TOKEN, "url": service.url}
    return {**account, "path": str(tmp_path / "folder/env"), "database_url": URL}


def test_predicted_written_and_left_alone(given: dict[str, t.Any], service: supabase.Supabase, run_module: Run) -> None:
    path = pathlib.Path(given["path"])
    planned = run_module("supabase_env_file", given, check_mode=True)
    assert not path.parent.exists()
    done = run_module("supabase_env_file", given)
    assert {**done, **planned} == done
    assert done["changed"]
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert f"DATABASE_URL={URL}\n" in text
    assert f"NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY=sb_publishable_{supabase.REF}\n" in text
    assert not any(word in text for word in ("sb_secret", "service_role"))
    assert not run_module("supabase_env_file", given)["changed"]
    # Its mode is part of it.
    path.chmod(0o644)
    assert run_module("supabase_env_file", given, check_mode=True)["changed"]
    assert run_module("supabase_env_file", given)["changed"]
    assert path.stat().st_mode & 0o777 == 0o600
    # A key that was rotated.
    secret = run_module("supabase_env_file", {**given, "secret_key": True})
    assert secret["changed"]
    assert f"\nSUPABASE_SECRET_KEY=sb_secret_{supabase.REF}\n" in path.read_text()
    shown = json.dumps([planned, done, secret])
    assert not any(word in shown for word in ("canary", "sb_publishable_a", "sb_secret_a", f"anon.{supabase.REF}"))
    assert service.writes() == []


@pytest.mark.parametrize("exists", [False, True])
def test_an_address_that_is_not_known_yet(
    given: dict[str, t.Any], service: supabase.Supabase, run_module: Run, exists: bool
) -> None:
    """Of a project that is paused, in check mode."""
    if exists:
        run_module("supabase_env_file", given)
    asked = len(service.calls())
    found = run_module("supabase_env_file", {**given, "database_url": ""}, check_mode=True)
    assert (found["changed"], found["variables"]) == (not exists, [])
    assert run_module("supabase_env_file", {**given, "database_url": ""})["error"]["cause"] == "database_url is empty"
    assert len(service.calls()) == asked


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"token": "sbp_canary"}, "Check SUPABASE_ACCESS_TOKEN"),
        ({"ref": supabase.REF_OF_ANOTHER}, "HTTP 403"),
    ],
)
def test_what_supabase_refuses(given: dict[str, t.Any], run_module: Run, changes: dict[str, str], says: str) -> None:
    found = run_module("supabase_env_file", {**given, **changes})
    assert says in found["msg"]
    assert "canary" not in json.dumps(found)
    assert not pathlib.Path(given["path"]).exists()
