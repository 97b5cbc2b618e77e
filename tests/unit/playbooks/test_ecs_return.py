# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the stage backend verifies tasks of ECS, and what it reports if a bad release can't be returned.

That a bad release is returned is tested on `lab_aws` (tests/lab_aws/faults).
"""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest
import yaml
from moto.server import ThreadedMotoServer

from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.playbook import ROOT, Done, play

OLD, NEW = "arn:aws:ecs:us-east-1:123456789012:task-definition/a-api:1", "a-api:2"
BAD = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def endpoint() -> t.Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, emulated_aws(patch):
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        yield "http://{}:{}".format(*server.get_host_and_port())
        server.stop()


def after(rollout: dict[str, str], endpoint: str, tmp_path: pathlib.Path, *arguments: str) -> Done:
    """What the stage does after this result of the rollout, of a release that does not answer."""
    plays = yaml.safe_load((ROOT / "playbooks/stages/backend.yml").read_text())
    (stage,) = [one for one in plays if "Amazon ECS" in one["name"]]
    book = tmp_path / "book.yml"
    book.write_text(yaml.safe_dump([{**stage, "tasks": stage["tasks"][-1:]}]))
    given = {
        "ecs_service_rollout": rollout,
        "ecs_service_place": {"cluster": "a", "region": "us-east-1", "endpoint_url": endpoint},
        "ecs_service_image": "registry.example/api:2",
        "verify_urls": [BAD],
        "verify_wait_seconds": 0,
        "ansible_python_interpreter": sys.executable,
    }
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "HOME": str(tmp_path)}
    return play("-i", "localhost,", "-c", "local", book, *arguments, "-e", json.dumps(given), **keys)


@pytest.mark.parametrize(
    ("rollout", "arguments", "verified"),
    [
        pytest.param({}, (), False, id="hosts serve"),
        pytest.param({"action": "none", "task_definition": OLD}, (), False, id="nothing was rolled out"),
        pytest.param({"action": "create", "task_definition": NEW}, (), False, id="there is nothing to return to"),
        pytest.param(
            {"action": "update", "task_definition": OLD, "previous_task_definition": OLD},
            (),
            False,
            id="only its number",
        ),
        pytest.param(
            {"action": "update", "task_definition": NEW, "previous_task_definition": OLD}, (), True, id="a release"
        ),
        pytest.param(
            {"action": "follow", "task_definition": NEW, "previous_task_definition": NEW},
            (),
            True,
            id="of a killed run",
        ),
        pytest.param(
            {"action": "update", "task_definition": NEW, "previous_task_definition": OLD},
            ("--check",),
            False,
            id="check mode",
        ),
    ],
)
def test_new_tasks_are_verified(
    endpoint: str, tmp_path: pathlib.Path, rollout: dict[str, str], arguments: tuple[str, ...], verified: bool
) -> None:
    done = after(rollout, endpoint, tmp_path, *arguments)
    said = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode == 0) is not verified, said
    if verified:
        # The reason first, then what became of the return.
        reason, returned = said.find(f"{BAD}/health"), said.rfind("could not be returned, and still runs this release")
        assert 0 <= reason < returned, said
        assert "it does not exist" in said[returned:]
