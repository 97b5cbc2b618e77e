"""The execution environment of the example: built here, and a plan made in it as AWX does.

A plan and a deploy of the lab in it are in tests/lab/faults/test_execution_environment.py.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from ansible_collections.nexod.infra.tests.archive.support import ROOT
from ansible_collections.nexod.infra.tests.fixtures.as_awx import imported
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.fixtures.execution_environment import built, ran
from ansible_collections.nexod.infra.tests.unit.playbooks.test_aws_plan import GIVEN

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="builds images by mmdebstrap, as root only"),
    pytest.mark.timeout(2400),
]


@pytest.fixture(scope="module")
def image(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    with built(archive, tmp_path_factory.mktemp("image")) as name:
        yield name


def test_a_plan_is_made_in_it(image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    release = tmp_path / "api-1.0.0.tar"
    release.write_bytes(b"")
    with emulated_aws(monkeypatch):
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        environment = {**GIVEN, "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port())}
        # AWX reads it with the credential of its source.
        keys = {name: value for name, value in environment.items() if name.startswith("AWS_")}
        inventory = imported(ROOT / "inventories/staging", **keys)
        # moto knows no policies of CloudFront.
        given = {"backend_version": "1.0.0", "provider_aws_cdn": False, "services_vendors": []}
        job = ran(tmp_path, image, inventory, environment, "--check", releases=[release], **given)
        server.stop()
    assert job.status == "successful", job.said[-6000:]
    plan = job.artifacts["plan_approved"]
    assert plan["environment"] == "staging"
    assert {"vpc/nexod-staging", "rds_instance/nexod-staging"} <= {one["object"] for one in plan["changes"]}
    assert "staging: deploy done" in job.said
    assert list((job.reports / "staging").glob("*-deploy-plan/deploy-plan.html"))
    assert [value for value in GIVEN.values() if "canary" in value and value in job.shown] == []
