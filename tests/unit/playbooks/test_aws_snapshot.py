# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshot before the migrations of a release: once for each release, on moto as AWS."""

from __future__ import annotations

import importlib.util
import pathlib
import typing as t

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ansible_collections.nexod.infra.tests.fixtures.aws_resources import REGION
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, play, tasks_of

if importlib.util.find_spec("ansible_collections.amazon.aws") is None:
    pytest.skip("the collection amazon.aws is not installed", allow_module_level=True)

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: nexod.infra.provider_aws, tasks_from: snapshot.yml}
"""
KEEP = "snapshot | Keep a snapshot of the database"
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[str]:
    with emulated_aws(monkeypatch):
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


def snapshots() -> dict[str, str]:
    found = boto3.client("rds", region_name=REGION).describe_db_snapshots()["DBSnapshots"]
    # Without those that RDS takes by itself.
    return {one["DBSnapshotIdentifier"]: one["Status"] for one in found if one["SnapshotType"] == "manual"}


def kept(folder: pathlib.Path, endpoint: str, label: str, *arguments: str) -> dict[str, t.Any]:
    """What the task of the role has returned."""
    path = folder / "play.yml"
    path.write_text(PLAY)
    given = {
        "provider_aws_environment": "staging",
        "provider_aws_endpoint_url": endpoint,
        "provider_aws_snapshot_label": label,
        "provider_aws_rds_engine_version": 15,
        "provider_aws_rds_instance_class": "db.t4g.medium",
        "provider_aws_rds_storage_gb": 20,
        "provider_aws_rds_storage_type": "gp3",
        "provider_aws_rds_multi_az": False,
        "provider_aws_rds_backup_days": 7,
        "provider_aws_rds_replicas": 0,
        "provider_aws_cache_node_type": "cache.t4g.medium",
    }
    more = [part for name, value in given.items() for part in ("-e", f"{name}={value}")]
    done = play(str(path), *more, *arguments, **AS_JSON, **KEYS)
    tasks = {task["task"]["name"].rpartition(" : ")[2]: task["hosts"]["localhost"] for task in tasks_of(done)}
    assert KEEP in tasks, done.stdout[-2000:] + done.stderr[-2000:]
    return t.cast("dict[str, t.Any]", tasks[KEEP])


def test_a_release_has_one_snapshot(aws: str, tmp_path: pathlib.Path) -> None:
    boto3.client("rds", region_name=REGION).create_db_instance(
        DBInstanceIdentifier="nexod-staging", DBInstanceClass="db.t4g.medium", Engine="postgres", AllocatedStorage=20
    )
    assert kept(tmp_path, aws, "before-1.4.0", "--check")["changed"]
    assert snapshots() == {}
    assert kept(tmp_path, aws, "before-1.4.0")["changed"]
    assert snapshots() == {"nexod-staging-before-1-4-0": "available"}
    assert not kept(tmp_path, aws, "before-1.4.0")["changed"]
    assert kept(tmp_path, aws, "before-1.5.0")["changed"]
    assert len(snapshots()) == 2


def test_without_a_snapshot_there_is_no_migration(aws: str, tmp_path: pathlib.Path) -> None:
    """The database that is to be kept is not there: whatever the reason, the run ends."""
    assert kept(tmp_path, aws, "before-1.4.0")["failed"]
