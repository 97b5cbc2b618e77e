"""The workflows for a product, run by act: test, build, plan and comment for a pull request, the deploy, the rollback.

What is real: the workflow files, the tool, pip, Ansible, a PostgreSQL that the deploy migrates. What is a stand-in: the
actions of others (tests/fixtures/workflow_actions), GitHub's API, Vercel's, and act in the place of GitHub's runners,
without environments, approvals, concurrency and OIDC.
"""

from __future__ import annotations

import contextlib
import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.fixtures.product import Product, made_product
from ansible_collections.nexod.infra.tests.fixtures.services import running, vercel
from ansible_collections.nexod.infra.tests.fixtures.services.client import ask

from .conftest import PASSWORD, Postgres

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


@pytest.fixture
def product(tmp_path: Path, postgres: Postgres, database: str) -> t.Iterator[Product]:
    place = {"root": tmp_path / "runner", "host": postgres.host, "port": postgres.port, "name": database}
    files = {
        "inventories/staging/hosts.yml": HOSTS,
        "inventories/staging/nexod.yml": "plugin: nexod.infra.environment\n",
        "inventories/staging/group_vars/all.yml": VALUES % place,
    }
    variables = {
        "NEXOD_DATABASE_OWNER_PASSWORD": PASSWORD,
        **{f"NEXOD_{name}_PASSWORD": "of-nothing" for name in ("DATABASE_APP", "DATABASE_MONITOR", "CACHE")},
        "VERCEL_TOKEN": vercel.TOKEN,
    }
    with made_product(tmp_path, files, variables) as made:
        yield made


def tables(postgres: Postgres, database: str) -> set[str]:
    with contextlib.closing(postgres.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row[0] for row in cursor.fetchall()}


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_from_the_pull_request_to_the_deploy(product: Product, postgres: Postgres, database: str) -> None:
    github, head = product.github, product.commit
    pull = product.pull(7, "feature")
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
    github.pulls[head] = [{**merged, "head": {**pull["head"], "sha": "f" * 40}}]
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
        product.git("commit", "--quiet", "--all", "--message", "The front end")

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

        # A pull request is closed: what was built of its branch goes, and nothing else.
        for branch in ("feature/faster", "other"):
            server.add_deployment("shop", "3" * 40, branch=branch)
        pull = product.pull(8, "feature/faster")
        closed = {"action": "closed", "number": 8, "pull_request": pull}
        rc, said = product.run("pull_request", 203, "previews", **closed)
        assert rc == 0, said
        left = {row["meta"]["githubCommitRef"] for row in server.state["deployments"].values()}
        assert left == {"main", "other"}
        assert server.live(shop) == before
        # Of a fork, nothing is executed.
        pull["head"] |= {"repo": {"full_name": "somebody/shop"}, "ref": "other"}
        rc, said = product.run("pull_request", 204, "previews", **closed)
        assert (rc, len(server.state["deployments"])) == (0, 3), said
