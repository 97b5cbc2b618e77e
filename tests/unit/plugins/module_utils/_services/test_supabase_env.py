# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment file: which variables and keys it has, how they are written, and whose file is not replaced."""

from __future__ import annotations

import os
import pathlib
import shlex
import subprocess
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_env import (
    HEADER,
    EnvFile,
    diff,
    keys_of,
    text_of,
    variables,
)

REF = "abcdefghijklmnopqrst"
URL = "postgresql+psycopg://postgres:x%25y@db.test:5432/postgres?sslmode=require"
ANON = {"name": "anon", "api_key": "eyJ.anon", "type": "legacy"}
SERVICE = {"name": "service_role", "api_key": "eyJ.service", "type": "legacy"}
PUBLISHABLE = {"name": "default", "api_key": "sb_publishable_x", "type": "publishable"}
SECRET = {"name": "default", "api_key": "sb_secret_x", "type": "secret"}


@pytest.mark.parametrize(
    ("rows", "keys"),
    [
        ([], {}),
        (
            [SERVICE, PUBLISHABLE, SECRET, ANON],
            {
                "anon": "eyJ.anon",
                "publishable": "sb_publishable_x",
                "secret": "sb_secret_x",
                "service_role": "eyJ.service",
            },
        ),
        # Of a project from before there were types.
        ([{**ANON, "type": None}, {"name": "service_role", "api_key": "s"}], {"anon": "eyJ.anon", "service_role": "s"}),
        ([{**PUBLISHABLE, "name": "anon", "api_key": "web"}], {"publishable": "web"}),
        ([{**PUBLISHABLE, "name": "a", "api_key": "web"}, PUBLISHABLE], {"publishable": "sb_publishable_x"}),
        ([{**PUBLISHABLE, "name": name, "api_key": name} for name in "ba"], {"publishable": "a"}),
        # Not revealed, in all ways.
        ([{**SECRET, "api_key": key} for key in (None, "", "sb_secret_abc...", "sb_secret_abc···")], {}),
    ],
)
def test_which_keys_are_used(rows: list[dict[str, t.Any]], keys: dict[str, str]) -> None:
    assert keys_of(rows) == keys


BOTH = ["SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY"]


@pytest.mark.parametrize(
    ("rows", "given", "names"),
    [
        ([PUBLISHABLE, ANON], {}, ["DATABASE_URL", *BOTH, *(f"NEXT_PUBLIC_{name}" for name in BOTH)]),
        (
            [ANON, SERVICE, SECRET],
            {"ca_file": "/ca.pem"},
            ["DATABASE_URL", "PGSSLROOTCERT", *BOTH[::2], *(f"NEXT_PUBLIC_{name}" for name in BOTH[::2])],
        ),
        (
            [PUBLISHABLE, SERVICE, SECRET],
            {"secret_key": True},
            [
                *("DATABASE_URL", *BOTH[:2], *(f"NEXT_PUBLIC_{name}" for name in BOTH[:2])),
                *("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
            ],
        ),
    ],
)
def test_which_variables_it_has(rows: list[dict[str, t.Any]], given: dict[str, t.Any], names: list[str]) -> None:
    found = variables(REF, rows, URL, **given)
    assert list(found) == names
    assert found["NEXT_PUBLIC_SUPABASE_URL"] == found["SUPABASE_URL"] == f"https://{REF}.supabase.co"


@pytest.mark.parametrize(
    ("rows", "secret", "says"),
    [
        ([SECRET, SERVICE], False, "Supabase shows no publishable key of it"),
        ([PUBLISHABLE], True, "Supabase shows no secret key of it"),
        ([PUBLISHABLE, {**SECRET, "api_key": "sb_secret_abc..."}], True, "Supabase shows no secret key of it"),
    ],
)
def test_a_key_that_is_not_there(rows: list[dict[str, t.Any]], secret: bool, says: str) -> None:
    with pytest.raises(InfraError, match=f"{says}.\\nCreate one in the dashboard .*{REF}/settings/api-keys"):
        variables(REF, rows, URL, secret_key=secret)


def test_a_shell_reads_what_was_written() -> None:
    given = {"DATABASE_URL": URL, "PGSSLROOTCERT": '/a b/$HOME/"`x`\\.pem', "EMPTY": "", "TWO": "a=b&c;d"}
    text = text_of(given)
    assert f"DATABASE_URL={URL}\n" in text
    script = f"set -a\n{text}\nset +a\nenv"
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert {f"{name}={value}" for name, value in given.items()} <= set(lines), done.stderr
    assert shlex.split(text, comments=True)[0] == f"DATABASE_URL={URL}"


def test_a_value_with_a_line_break_is_no_further_variable() -> None:
    with pytest.raises(InfraError, match="Cannot write DATABASE_URL"):
        text_of({"DATABASE_URL": "x\nPATH=y"})


def test_a_diff_names_variables_and_has_no_value() -> None:
    before = text_of({"GONE": "canary-1", "SAME": "canary-2", "CHANGED": "canary-3"})
    after = text_of({"SAME": "canary-2", "CHANGED": "canary-4", "NEW": "canary-5"})
    found = diff(before, after)
    assert found == {
        "before": "GONE=********\nSAME=********\nCHANGED=********\n",
        "after": "SAME=********\nCHANGED=******** (changed)\nNEW=********\n",
    }


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@test"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (folder / ".gitignore").write_text("/.dev/\n.env*\n")
    (folder / ".env.committed").write_text(f"{HEADER}\n")
    subprocess.run([*git, "add", "--force", "."], check=True)
    (tmp_path / "link").symlink_to(folder)
    return folder


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("checkout/.env", False),
        ("checkout/.dev/deep/env", False),
        ("checkout/env", True),
        ("checkout/new/env", True),
        # .gitignore says nothing about what is in the repository.
        ("checkout/.env.committed", True),
        ("link/.env", False),
        ("link/env", True),
        ("elsewhere/env", False),
    ],
)
def test_what_git_would_commit_is_not_written(
    tmp_path: pathlib.Path, checkout: pathlib.Path, path: str, refused: bool
) -> None:
    file = EnvFile(str(tmp_path / path))
    if not refused:
        assert file.content() == ""
        return
    with pytest.raises(InfraError, match=r"git does not ignore it\.\nAdd it to .gitignore"):
        file.content()
    assert checkout.is_dir()


def test_without_git_it_is_not_asked(tmp_path: pathlib.Path, checkout: pathlib.Path, monkeypatch: t.Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert EnvFile(str(checkout / "env")).content() == ""


@pytest.mark.parametrize("content", [b"MINE=1\n", b"\xff\xfe"])
def test_a_file_of_somebody_else_is_not_replaced(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "env"
    path.write_bytes(content)
    with pytest.raises(InfraError, match="one that no deploy has written"):
        EnvFile(str(path)).content()
    path.write_bytes(b"")
    assert EnvFile(str(path)).content() == ""


def test_it_is_private_from_its_first_moment_and_a_link_stays_one(tmp_path: pathlib.Path) -> None:
    target, link = tmp_path / "real" / "env", tmp_path / "env"
    target.parent.mkdir()
    target.touch(0o644)
    target.chmod(0o644)
    link.symlink_to(target)
    file = EnvFile(str(link))
    assert not file.is_private()
    file.write(text_of({"A": "b"}))
    assert file.is_private()
    assert link.is_symlink()
    assert [path.name for path in target.parent.iterdir()] == ["env"]
    assert file.content() == f"{HEADER}\nA=b\n"
