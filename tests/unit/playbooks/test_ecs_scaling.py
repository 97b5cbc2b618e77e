# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role ecs_service declares how a service is scaled: `lab_aws`, whose emulator has no autoscaling, never does.

What becomes of the declaration is tested with the kinds (module_utils/_aws/test_scaling.py), as moto gives a target no
tags.
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
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, play, tasks_of

REGION = "us-east-1"
ELB = f"arn:aws:elasticloadbalancing:{REGION}:123456789012"
GIVEN = {
    "ecs_service_image": "registry.example/api:1",
    "ecs_service_owner": "a",
    "ecs_service_count": 2,
    "ecs_service_most": 10,
}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[dict[str, str]]:
    with emulated_aws(monkeypatch):
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        address = "http://{}:{}".format(*server.get_host_and_port())
        balancer = {"load_balancer": f"{ELB}:loadbalancer/app/a/1", "target_group": f"{ELB}:targetgroup/a/2"}
        yield {"cluster": "nexod-a", "region": REGION, "endpoint_url": address, **balancer}
        server.stop()


@pytest.mark.parametrize(
    ("options", "resources"),
    [
        pytest.param({}, {"scaling_target/nexod-a-api": 10, "scaling_policy/nexod-a-api-cpu": 60}, id="by CPU"),
        pytest.param(
            {"ecs_service_most": 4, "ecs_service_cpu_percent": 70, "ecs_service_requests_per_minute": 600},
            {
                "scaling_target/nexod-a-api": 4,
                "scaling_policy/nexod-a-api-cpu": 70,
                "scaling_policy/nexod-a-api-requests": 600,
            },
            id="and by requests",
        ),
    ],
)
def test_a_service_is_scaled_by_its_load(
    place: dict[str, str], tmp_path: pathlib.Path, options: dict[str, t.Any], resources: dict[str, int]
) -> None:
    """Predicted in check mode, each resource with what it aims at."""
    role = {"name": "nexod.infra.ecs_service", "tasks_from": "scaling.yml"}
    book = tmp_path / "book.yml"
    tasks = [{"ansible.builtin.include_role": role}]
    book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    given = {**GIVEN, "ecs_service_place": place, "ansible_python_interpreter": sys.executable, **options}
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "HOME": str(tmp_path)}
    done = play("-i", "localhost,", "-c", "local", book, "--check", "-e", json.dumps(given), **keys, **AS_JSON)
    assert done.returncode == 0, done.stdout[-3000:]
    result = tasks_of(done)[-1]["hosts"]["localhost"]
    assert result["changed"]
    rows = result["invocation"]["module_args"]["resources"]
    aims = {
        f"{one['kind']}/{one['name']}": one["properties"].get("max", one["properties"].get("value")) for one in rows
    }
    assert {name: int(aim) for name, aim in aims.items()} == resources
