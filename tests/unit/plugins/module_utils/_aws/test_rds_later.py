"""Changes of an instance of RDS that wait for its maintenance window or a restart, and a replica that was promoted.

On a stand-in: moto applies each change at once, and keeps the source of a promoted replica.
"""

# ruff: noqa: N802, N803 - Amazon's names
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import OWNER
from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import Row, actions, bring, changed, said, writes
from ansible_collections.nexod.infra.tests.fixtures.aws_stand_ins import LOOKS, Facts, StandIn

PLACE = {"instance_class": "db.t4g.medium", "security_groups": ["sg-1"], "deletion_protection": True}
INSTANCE: list[Row] = [
    (
        "rds_instance",
        "main",
        {
            **PLACE,
            "engine_version": "15",
            "storage_gb": 20,
            "database": "app",
            "user": "postgres",
            "subnet_group": "main",
            "parameter_group": "main",
        },
    )
]
REPLICA: list[Row] = [("rds_replica", "main", {**PLACE, "source": "primary"})]
KEY, OF_REPLICA = "rds_instance/main", "rds_replica/main"
WINDOW = "sun:03:00-sun:03:30"


class Rds(StandIn):
    """One instance. What interrupts it waits, unless it is to be applied at once, which takes some looks."""

    service = "rds"

    def __init__(self) -> None:
        super().__init__()
        self.row: Facts = {
            "DBInstanceIdentifier": "main",
            "DBInstanceArn": "arn:aws:rds:us-east-1:123456789012:db:main",
            "DBInstanceClass": "db.t4g.medium",
            "EngineVersion": "15.8",
            "AllocatedStorage": 20,
            "StorageType": "gp3",
            "StorageEncrypted": True,
            "MultiAZ": False,
            "BackupRetentionPeriod": 7,
            "PubliclyAccessible": False,
            "DeletionProtection": True,
            "DBName": "app",
            "MasterUsername": "postgres",
            "DBSubnetGroup": {"DBSubnetGroupName": "main"},
            "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1"}],
            "DBParameterGroups": [{"DBParameterGroupName": "main", "ParameterApplyStatus": "in-sync"}],
            "PreferredMaintenanceWindow": WINDOW,
            "TagList": [{"Key": OWNER, "Value": "staging"}, {"Key": "team", "Value": "infra"}],
        }
        self.pending: Facts = {}
        self.looks = 0
        self.asked: list[Facts] = []

    def DescribeDBInstances(self, DBInstanceIdentifier: str) -> Facts:
        assert DBInstanceIdentifier == "main"
        self.looks = max(0, self.looks - 1)
        if not self.looks and self.asked and self.asked[-1]["ApplyImmediately"]:
            self.window()
        status = "modifying" if self.looks else "available"
        return {"DBInstances": [{**self.row, "DBInstanceStatus": status, "PendingModifiedValues": self.pending}]}

    def ModifyDBInstance(self, DBInstanceIdentifier: str, **given: t.Any) -> None:
        self.asked.append(dict(given))
        at_once = given.pop("ApplyImmediately")
        self.pending |= given
        self.looks = LOOKS if at_once else 0

    def window(self) -> None:
        """The maintenance window comes."""
        self.row |= self.pending
        self.pending = {}

    def DeleteDBInstance(self, **given: t.Any) -> None:
        raise AssertionError("it is not to be deleted")


@pytest.fixture(autouse=True)
def rds(monkeypatch: pytest.MonkeyPatch) -> Rds:
    made = Rds()
    monkeypatch.setattr(aws_resources, "CLIENTS", {"rds": made})
    return made


def test_what_interrupts_waits_for_the_window_is_requested_once_and_reported_until_then(rds: Rds) -> None:
    larger = changed(INSTANCE, KEY, instance_class="db.r6g.large")
    text = f"instance_class db.r6g.large waits for the maintenance window {WINDOW} (UTC)"
    predicted, api = bring(*larger, check=True)
    assert (actions(predicted), writes(api)) == ([(KEY, "update")], [])
    done, _api = bring(*larger)
    assert (said(done), actions(done)) == ([], [(KEY, "update")])
    assert rds.asked == [{"DBInstanceClass": "db.r6g.large", "ApplyImmediately": False}]
    again, api = bring(*larger)
    assert (again.changes, writes(api)) == ([], [])
    for outcome in (predicted, done, again):
        assert text in outcome.later[KEY]
        assert "apply_immediately: true" in outcome.later[KEY]
    rds.window()
    after, _api = bring(*larger)
    assert (after.changes, after.later) == ([], {})


def test_what_waits_is_applied_at_once_when_that_is_declared(rds: Rds) -> None:
    bring(*changed(INSTANCE, KEY, instance_class="db.r6g.large"))
    at_once = changed(INSTANCE, KEY, instance_class="db.r6g.large", apply_immediately=True)
    assert actions(bring(*at_once, check=True)[0]) == [(KEY, "update")]
    done, _api = bring(*at_once)
    assert (said(done), actions(done), done.later) == ([], [(KEY, "update")], {})
    assert rds.asked[-1] == {"DBInstanceClass": "db.r6g.large", "ApplyImmediately": True}
    assert rds.row["DBInstanceClass"] == "db.r6g.large"
    again, api = bring(*at_once)
    assert (again.changes, writes(api), again.later) == ([], [], {})


@pytest.mark.parametrize(
    ("pending", "change", "at_once"),
    [
        pytest.param({}, {"storage_gb": 50}, True, id="what does not interrupt"),
        pytest.param({}, {"multi_az": True}, True, id="a standby"),
        pytest.param({}, {"backup_days": 14}, True, id="another number of days"),
        pytest.param({}, {"backup_days": 0}, False, id="backups off"),
        pytest.param({}, {"engine_version": "16.3"}, False, id="a version"),
        pytest.param({}, {"storage_type": "io2"}, False, id="another type of storage"),
        pytest.param({"DBInstanceClass": "db.r6g.large"}, {"storage_gb": 50}, False, id="beside what waits"),
        pytest.param({"StorageThroughput": 500}, {"storage_gb": 50}, True, id="beside what is not ours"),
    ],
)
def test_what_is_applied_at_once(rds: Rds, pending: Facts, change: Facts, at_once: bool) -> None:
    rds.pending = dict(pending)
    kept = {"instance_class": "db.r6g.large"} if "DBInstanceClass" in pending else {}
    done, _api = bring(*changed(INSTANCE, KEY, **kept, **change))
    assert said(done) == []
    assert [one["ApplyImmediately"] for one in rds.asked] == [at_once]
    assert bool(done.later) is not at_once


def test_a_change_that_is_in_progress_is_waited_for_and_not_requested_again(rds: Rds) -> None:
    rds.pending, rds.looks = {"DBInstanceClass": "db.r6g.large"}, 5
    rds.asked = [{"ApplyImmediately": True}]
    done, _api = bring(*changed(INSTANCE, KEY, instance_class="db.r6g.large", apply_immediately=True))
    assert (said(done), done.changes, len(rds.asked)) == ([], [], 1)
    assert rds.row["DBInstanceClass"] == "db.r6g.large"


def test_static_parameters_that_wait_for_a_restart_are_reported(rds: Rds) -> None:
    rds.row["DBParameterGroups"] = [{"DBParameterGroupName": "main", "ParameterApplyStatus": "pending-reboot"}]
    done, api = bring(*INSTANCE)
    assert (done.changes, writes(api)) == ([], [])
    assert done.later[KEY] == "static parameters of main apply from the next restart, which is left to you"


@pytest.mark.parametrize("check", [False, True])
def test_a_promoted_replica_is_refused_with_what_to_do(rds: Rds, check: bool) -> None:
    done, api = bring(*REPLICA, check=check)
    assert (actions(done), writes(api)) == ([], [])
    (text,) = said(done)
    assert "Cannot replace rds_replica/main: it was promoted: it follows no instance any more" in text
    assert "declare it as rds_instance" in text
    assert 'lose: ["rds_replica/main"]' in text


def test_a_replica_of_another_instance_is_no_promoted_one(rds: Rds) -> None:
    rds.row["ReadReplicaSourceDBInstanceIdentifier"] = "other"
    (text,) = said(bring(*REPLICA)[0])
    assert "it holds data that would be lost (source can't be changed in place)" in text
    rds.row["ReadReplicaSourceDBInstanceIdentifier"] = "primary"
    assert bring(*REPLICA)[0].changes == []
