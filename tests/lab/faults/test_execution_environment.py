"""The lab is upgraded from an execution environment, as AWX does: in a container, with the approved plan.

The image has the collection, Ansible and ssh, and nothing of this checkout. What the lab's inventory names by its own
folder, which in a job is another one, is mounted there: keys and secrets (.lab), and the example's static files.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.archive.support import BIN, ROOT, ansible
from ansible_collections.nexod.infra.tests.fixtures.as_awx import Job, imported
from ansible_collections.nexod.infra.tests.fixtures.execution_environment import built, ran
from ansible_collections.nexod.infra.tests.lab.support import get

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="builds images by mmdebstrap, as root only"),
    pytest.mark.timeout(3600),
]
RELEASE = ROOT / "dist" / "api-1.1.0.tar"
#: In the folder of a job, from which the inventory's paths begin.
VOLUMES = (f"{ROOT}/.lab:/.lab", f"{ROOT}/examples:/examples:ro")
#: How quick the lab is depends on the machine. Trials are brief: what they find is tested elsewhere.
GIVEN: dict[str, t.Any] = {
    "backend_version": "1.1.0",
    "verify_latency_targets": [],
    "backend_trial_latency_targets": [],
    "backend_trial_seconds": 3,
    "backend_trial_requests": 60,
    "backend_watch_seconds": 1,
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    folder = tmp_path_factory.mktemp("image")
    done = ansible(BIN / "ansible-galaxy", "collection", "build", "--output-path", folder / "archive", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = (folder / "archive").glob("*.tar.gz")
    with built(archive, folder) as name:
        yield name


def test_the_lab_is_upgraded_from_it(standing: object, image: str, tmp_path: Path) -> None:
    inventory = imported(ROOT / "inventories/lab")

    def job(name: str, *options: str, **variables: t.Any) -> Job:
        folder = tmp_path / name
        folder.mkdir()
        given = {**GIVEN, **variables}
        # The keys of the lab are their owner's alone.
        found = ran(folder, image, inventory, {}, *options, releases=[RELEASE], volumes=VOLUMES, user=0, **given)
        assert found.status == "successful", found.said[-6000:]
        return found

    plan = job("plan", "--check").artifacts["plan_approved"]
    assert plan["environment"] == "lab"
    # Not the release itself: tests before may have left it installed beside the one that serves.
    assert {"migration", "service"} <= {one["kind"] for one in plan["changes"]}
    assert get("/health")["version"] == "1.0.0"

    job("deploy", plan_approved=plan)
    assert get("/health")["version"] == "1.1.0"
    assert get("/ready")["status"] == "ready"

    # There is nothing left to do, as the nightly check of a drift has it.
    job("again", "--check", plan_must_be_empty=True)
