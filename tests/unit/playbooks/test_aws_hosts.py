# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared hosts become instances of EC2, and the inventories find them: with moto as AWS, in this process."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import re
import sys
import typing as t

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.environment import declaration
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import REGION, Row, bring, needed, said
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, Done, play, tasks_of
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws.test_hosts import IMAGES, PUBLIC
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._aws.test_environment import options

if importlib.util.find_spec("ansible_collections.amazon.aws") is None:
    pytest.skip("the collection amazon.aws is not installed", allow_module_level=True)

ENVIRONMENTS = ("staging", "production")
#: What the provider's role gives every environment.
HOSTS = yaml.safe_load((ROOT / "roles/provider_aws/meta/environment.yml").read_text())["variables"][
    "provider_aws_hosts"
]
GROUPS = {"pooler": ["pooler-1"], "migration_runner": ["runner-1"], "monitoring": ["monitoring-1"]}
GROUPS |= {"grafana": ["grafana-1"]}
of_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)


@pytest.fixture(scope="module")
def aws() -> t.Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        # AWS' own policies, which moto has only then.
        patch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
        with emulated_aws(patch):
            yield from served()


def served() -> t.Iterator[str]:
    """The same account for other processes."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def rows(environment: str) -> list[Row]:
    given = options(
        prefix=f"nexod-{environment}", hosts=HOSTS, hosts_image=IMAGES[0], hosts_public_key=PUBLIC, pooler=""
    )
    every = [(one["kind"], one["name"], one["properties"]) for one in declaration(given)]
    return needed(every, *(f"ec2_instance/{host['name']}" for host in HOSTS))


def inventory(environment: str, *arguments: str, endpoint: str = "", **more: str) -> t.Any:
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_ENDPOINT_URL": endpoint}
    given = {**(keys if endpoint else {}), **more}
    return play("-i", f"inventories/{environment}", *arguments, program="ansible-inventory", **given)


@of_every_environment
def test_the_inventory_finds_what_was_declared(aws: str, environment: str) -> None:
    predicted, _api = bring(*rows(environment), check=True, environment=environment)
    assert {f"ec2_instance/{host['name']}" for host in HOSTS} <= {one.key for one in predicted.changes}
    made, _api = bring(*rows(environment), environment=environment)
    assert said(made) == []
    assert bring(*rows(environment), environment=environment)[0].changes == []
    # Hosts of the other environment have the same names.
    done = inventory(environment, "--list", endpoint=aws)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {group: found[group]["hosts"] for group in GROUPS} == GROUPS
    for host in HOSTS:
        variables = plain(found["_meta"]["hostvars"][host["name"]])
        outputs = made.outputs[f"ec2_instance/{host['name']}"]
        assert (variables["ansible_host"], variables["ec2_instance_id"]) == (outputs["private_ip"], outputs["id"])
        assert "ec2_public_ip_address" not in variables
        assert variables["ec2_metadata_options"]["http_tokens"] == "required"


#: What a run on an empty account finds: the role's tasks, with no more resources than the hosts need.
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: nexod.infra.provider_aws, tasks_from: resources.yml}
- hosts: pooler:monitoring
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: "reached {{ inventory_hostname }}"}
"""


def deploy(tmp_path: pathlib.Path, endpoint: str, *arguments: str, inventory: t.Sequence[str] = ()) -> Done:
    folder = ROOT / "inventories/staging"
    if inventory:
        folder = tmp_path / "inventory"
        folder.mkdir()
        for name in inventory:
            (folder / name).symlink_to(ROOT / "inventories/staging" / name)
    (tmp_path / "play.yml").write_text(PLAY)
    declared = [{"kind": kind, "name": name, "properties": given} for kind, name, given in rows("staging")]
    given = {"__provider_aws_resources": declared, "__provider_aws_secrets": {}, "ansible_connection": "local"}
    return play(
        *("-i", folder, tmp_path / "play.yml", "-e", json.dumps(given), *arguments),
        AWS_ACCESS_KEY_ID="any",
        AWS_SECRET_ACCESS_KEY="any",
        AWS_ENDPOINT_URL=endpoint,
        HOME=str(tmp_path),
        NEXOD_REPORT_DIR=str(tmp_path),
        ANSIBLE_PYTHON_INTERPRETER=sys.executable,
    )


@pytest.fixture
def empty(aws: str) -> str:
    every = boto3.client("ec2", REGION)
    found = [one["InstanceId"] for row in every.describe_instances()["Reservations"] for one in row["Instances"]]
    if found:
        every.terminate_instances(InstanceIds=found)
    return aws


def test_one_run_creates_the_hosts_and_goes_on_with_them(empty: str, tmp_path: pathlib.Path) -> None:
    planned = deploy(tmp_path, empty, "--check")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "would be created or started: grafana-1, monitoring-1, pooler-1, runner-1" in " ".join(
        planned.stdout.split()
    )
    assert "reached" not in planned.stdout
    done = deploy(tmp_path, empty)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {f"reached {host}" for host in ("pooler-1", "monitoring-1")} <= set(
        re.findall(r"reached [a-z0-9-]+", done.stdout)
    )
    again = deploy(tmp_path, empty)
    assert re.findall(r"localhost +: .*changed=(\d+)", again.stdout) == ["0"], again.stdout


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_hosts_that_the_inventory_does_not_find_are_no_success(
    empty: str, tmp_path: pathlib.Path, arguments: tuple[str, ...]
) -> None:
    """As with an inventory of another region: the stages would have no hosts."""
    assert said(bring(*rows("staging"))[0]) == []
    done = deploy(tmp_path, empty, *arguments, inventory=("hosts.yml", "nexod.yml", "group_vars"))
    assert done.returncode != 0
    assert "Cannot find grafana-1, monitoring-1, pooler-1, runner-1 in the inventory" in " ".join(done.stdout.split())


def preflight(tmp_path: pathlib.Path, *arguments: str, **environment: str) -> dict[str, t.Any]:
    stage = ("-i", "inventories/staging", "playbooks/stages/preflight.yml", *arguments)
    done = play(*stage, **AS_JSON, HOME=str(tmp_path), AWS_EC2_METADATA_DISABLED="true", **environment)
    return dict(tasks_of(done)[-1]["hosts"]["localhost"])


def test_preflight_of_an_empty_account_checks_the_hosts_to_come(empty: str, tmp_path: pathlib.Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_ENDPOINT_URL": empty}
    found = preflight(tmp_path, **keys)
    subjects = {fault["subject"] for fault in found["faults"]}
    assert found["asked"] == []
    # Options of roles on hosts that do not exist yet; that they do not is no fault.
    assert {"Grafana's package", "alerts"} <= subjects
    assert not [one for one in subjects if one.startswith(("group ", "host", "AWS"))]


def test_preflight_without_an_answer_of_ec2_says_so(tmp_path: pathlib.Path) -> None:
    subjects = {fault["subject"] for fault in preflight(tmp_path)["faults"]}
    assert {"hosts of EC2", "AWS credentials"} <= subjects


def plain(value: t.Any) -> t.Any:
    """Values without the mark of what came from outside."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if "__ansible_unsafe" in value else {k: plain(v) for k, v in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def test_a_stage_alone_is_refused_before_the_hosts_exist(empty: str, tmp_path: pathlib.Path) -> None:
    done = play(
        *("-i", "inventories/staging", "playbooks/pooler.yml", "-e", "ansible_connection=local"),
        **AS_JSON,
        AWS_ACCESS_KEY_ID="any",
        AWS_SECRET_ACCESS_KEY="any",
        AWS_ENDPOINT_URL=empty,
        HOME=str(tmp_path),
    )
    assert done.returncode != 0
    assert "the inventory has no grafana-1, monitoring-1, pooler-1, runner-1, which staging declares" in done.stdout
