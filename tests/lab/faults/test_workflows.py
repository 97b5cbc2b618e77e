"""The lab is deployed to by the workflow of a product, run by act: pull request, tests, build, plan, comment, deploy.

What is a stand-in is in tests/integration/test_workflows.py, whose product has no hosts.
"""

from __future__ import annotations

import os
import re
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.fixtures.product import Product, made_product
from ansible_collections.nexod.infra.tests.lab.support import ROOT, get

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="without root, the lab's hosts are in a network of their own"),
    pytest.mark.timeout(3600),
]
#: Of no archive that the lab has had from elsewhere.
VERSION = "1.1.7"
#: How quick the lab is depends on the machine. Trials are brief: what they find is tested elsewhere. Without Vercel:
#: the stage `frontend` would wait for its build of the commit, which nobody pushes to the stand-in of the lab.
BRIEF = """
services_vendors: [clerk, sentry]
verify_latency_targets: []
backend_trial_latency_targets: []
backend_trial_seconds: 3
backend_trial_requests: 60
backend_watch_seconds: 1
"""
#: How the lab's inventory names the checkout, which the repository of the product is not.
CHECKOUT = re.compile(
    r"""\{\{\ (?:hostvars\[[^]]*(?:\['all'\][^]]*)?\](?:\.|\[')inventory_dir(?:'\])?|inventory_dir)"""
    r"""(?:\ \}\}/\.\./\.\.|\ \|\ dirname\ \|\ dirname\ \}\})"""
)
IN_EXPRESSION = re.compile(r"""hostvars\[groups\['all'\] \| first\]\['inventory_dir'\] ~ '/\.\./\.\.""")


def as_the_lab(repo: Path) -> None:
    """The environment lab in the place of staging, and a release of a name and a version of its own."""
    folder = repo / "inventories/lab"
    # What environments share is a link there.
    shutil.copytree(ROOT / "inventories/lab", folder)
    for path in folder.rglob("*.yml"):
        text = CHECKOUT.sub(str(ROOT), path.read_text())
        path.write_text(IN_EXPRESSION.sub(f"'{ROOT}", text))
    (folder / "group_vars/all/zz-brief.yml").write_text(f"---{BRIEF}")
    for name, old, new in (
        (".github/workflows/delivery.yml", "environment: staging", "environment: lab"),
        ("api/pyproject.toml", 'name = "nexod-api"', 'name = "api"'),
        ("api/src/nexod_api/_version.py", '"1.1.0"', f'"{VERSION}"'),
    ):
        text = (repo / name).read_text()
        assert old in text, name
        (repo / name).write_text(text.replace(old, new))


@pytest.fixture
def product(tmp_path: Path) -> t.Iterator[Product]:
    # The lab's own secrets are files.
    with made_product(tmp_path, {}, {"NEXOD_NOTHING": "of-nothing"}, as_the_lab) as made:
        yield made


def test_from_the_pull_request_to_the_lab(standing: object, product: Product) -> None:
    github, head = product.github, product.commit
    pull = product.pull(7, "feature")
    rc, said = product.run("pull_request", 100, pull_request=pull, number=7)
    assert rc == 0, said[-8000:]
    (comment,) = github.comments[7]
    assert f"/opt/api/{VERSION}" in comment["body"]
    assert get("/health")["version"] == "1.0.0"

    github.pulls[head] = [{**pull, "merged_at": "2026-11-27T08:00:00Z", "merge_commit_sha": head}]
    push = {"ref": "refs/heads/develop", "after": head}
    rc, said = product.run("push", 101, **push)
    assert rc == 0, said[-8000:]
    assert get("/health")["version"] == VERSION
    assert get("/ready")["status"] == "ready"

    # It has been done: the same plan is not what a deploy would do now.
    rc, said = product.run("push", 102, **push)
    assert rc != 0
    assert "this deploy would do something else" in said
