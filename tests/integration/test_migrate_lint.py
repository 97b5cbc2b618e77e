"""`migrate lint`: a tree is linted without any database, as the pipeline of a pull request does."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from .alembic_project import FIRST, REVISION
from .conftest import ROOT

COMMAND = ROOT / ".collections/ansible_collections/nexod/infra/roles/migration_runner/files/migrate.py"
BLOCKS = "    op.execute('CREATE INDEX ON things (name)')"
ADDS = "    op.execute('ALTER TABLE things ADD COLUMN age integer')"
READS = "    op.execute(f\"UPDATE things SET id = {op.get_bind().execute('SELECT 1').scalar()}\")"


class Tree:
    """A migration tree in a git repository, whose env.py must not be run."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.python = folder, python
        self.versions = folder / "migrations/versions"
        self.versions.mkdir(parents=True)
        (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
        (folder / "migrations/env.py").write_text("raise RuntimeError('it was run')\n")
        self.git("init", "-q")

    def git(self, *words: str) -> None:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(self.folder), *identity, *words], check=True, capture_output=True)

    def add(self, name: str, down: str | tuple[str, ...] | None, body: str) -> None:
        text = REVISION.format(doc=f"Step {name}", name=name, down=repr(down), body=body)
        (self.versions / f"{name}.py").write_text(text)

    def lint(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / ".venv/bin/python"), str(COMMAND), "lint", "--python", self.python, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **environment},
        )

    def found(self, *words: str) -> dict[str, t.Any]:
        done = self.lint("--json", *words)
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture
def tree(tmp_path: Path, application_python: str) -> Tree:
    made = Tree(tmp_path / "repository", application_python)
    made.add("0001", None, FIRST)
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "release")
    made.git("tag", "v1")
    return made


def levels(result: dict[str, t.Any]) -> list[tuple[str, str, str]]:
    return [(one["revision"], one["rule"], one["level"]) for one in result["lint"]]


INDEX = "require-concurrent-index-creation"


def test_a_table_that_existed_before_counts_as_large(tree: Tree) -> None:
    tree.add("0002", "0001", BLOCKS)
    for since in (("--since", "0001"), ("--since-git", "v1")):
        done = tree.lint(*since)
        assert done.returncode == 2, done.stderr
        assert f"STOPS  0002: {INDEX} on things" in done.stdout
        assert "0001" not in done.stdout
    assert tree.lint("--since", "0001", "--lint", "warn").returncode == 0
    # From base, the plan creates the table itself.
    everything = tree.lint()
    assert everything.returncode == 0, everything.stdout + everything.stderr


@pytest.mark.parametrize(
    ("statistics", "rc"),
    [
        ({"things": 100}, 0),
        ({"public.things": 100}, 0),
        ({"things": 3000000}, 2),
        ({"things": None}, 2),
        ({"a.things": 100, "b.things": 3000000}, 2),
        ({"other": 100}, 2),
    ],
)
def test_the_statistics_weigh(tree: Tree, statistics: dict[str, int | None], rc: int) -> None:
    tree.add("0002", "0001", BLOCKS)
    (tree.folder / "sizes.json").write_text(json.dumps(statistics))
    assert tree.lint("--since", "0001", "--statistics", "sizes.json").returncode == rc


def test_what_could_not_be_rendered_is_a_level_of_its_own(tree: Tree) -> None:
    tree.add("0002", "0001", READS)
    assert levels(tree.found("--since", "0001")) == [("0002", "not-rendered", "unknown")]
    assert tree.lint("--since", "0001").returncode == 0
    assert tree.lint("--since", "0001", "--unknown", "error").returncode == 2


def test_branches_and_a_merge(tree: Tree) -> None:
    tree.add("0002a", "0001", ADDS)
    tree.git("add", "-A")
    tree.git("commit", "-q", "-m", "one branch")
    tree.add("0002b", "0001", BLOCKS)
    both = tree.found("--since-git", "HEAD")
    assert levels(both) == [("0002b", INDEX, "error")]
    tree.add("0003", ("0002a", "0002b"), "    pass")
    merged = tree.found("--since-git", "HEAD")
    assert [one["revision"] for one in merged["revisions"]] == ["0002b", "0003"]
    assert [one["revision"] for one in tree.found("--since", "0002a", "--since", "0002b")["revisions"]] == ["0003"]


def test_annotations_name_the_file(tree: Tree) -> None:
    tree.add("0002", "0001", BLOCKS)
    done = tree.lint("--since", "0001", "--format", "github")
    assert done.stdout.startswith(f"::error file=migrations/versions/0002.py,title={INDEX}::0002: {INDEX}")


def test_a_waiver_is_a_file_too(tree: Tree) -> None:
    tree.add("0002", "0001", BLOCKS)
    (tree.folder / "waivers.json").write_text(json.dumps([{"rule": INDEX, "revision": "0002", "reason": "at night"}]))
    assert tree.lint("--since", "0001", "--waivers", "waivers.json").returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "nothing"), "nothing"),
        (("--since-git", "v9"), "fetch-depth: 0"),
        (("--since-git", "--output=x"), "expected one argument"),
        (("--statistics", "missing.json"), "Write it as"),
        (("--config", "missing.ini"), "missing.ini"),
    ],
)
def test_faults_say_what_to_do(tree: Tree, words: tuple[str, ...], says: str) -> None:
    done = tree.lint(*words)
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
