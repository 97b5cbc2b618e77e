# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon RDS for PostgreSQL: subnet groups and instances."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import (
    AwsKind,
    as_tags,
    final_snapshot,
    from_tags,
    minor_upgraded,
    waiting_for_window,
)
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    REPLACE,
    Facts,
    Property,
    Seen,
    Wanted,
    at_least,
    same_set,
)


def same_parameters(wanted: t.Any, seen: t.Any) -> bool:
    """AWS keeps every value as text."""
    return {name: str(value) for name, value in wanted.items()} == (seen or {})


class OfRds(AwsKind):
    """Tags are set by ARN."""

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("rds", "AddTagsToResource", ResourceName=seen.outputs["arn"], Tags=as_tags(tags))


class SubnetGroup(OfRds):
    """The subnets that instances are placed in, in at least two zones."""

    name, title = "rds_subnet_group", "DB subnet group"
    outputs = ("id", "arn")
    properties = {
        "description": Property(required=True, about="What it is for."),
        "subnets": Property("list", required=True, same=same_set, about="At least two, in different zones."),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        found = api.call(
            "rds", "DescribeDBSubnetGroups", ("DBSubnetGroupNotFoundFault",), DBSubnetGroupName=wanted.name
        )
        if not found or not found["DBSubnetGroups"]:
            return None
        row = found["DBSubnetGroups"][0]
        tags = api.call("rds", "ListTagsForResource", ResourceName=row["DBSubnetGroupArn"])["TagList"]
        properties = {
            "description": row["DBSubnetGroupDescription"],
            "subnets": [one["SubnetIdentifier"] for one in row["Subnets"]],
        }
        return Seen(properties, {"id": row["DBSubnetGroupName"], "arn": row["DBSubnetGroupArn"]}, from_tags(tags))

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call("rds", "CreateDBSubnetGroup", **self._arguments(wanted), Tags=as_tags(wanted.tags))

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        api.call("rds", "ModifyDBSubnetGroup", **self._arguments(wanted))

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("rds", "DeleteDBSubnetGroup", DBSubnetGroupName=wanted.name)

    @staticmethod
    def _arguments(wanted: Wanted) -> dict[str, t.Any]:
        return {
            "DBSubnetGroupName": wanted.name,
            "DBSubnetGroupDescription": wanted["description"],
            "SubnetIds": wanted["subnets"],
        }


class ParameterGroup(OfRds):
    """Parameters of instances that differ from the defaults of their engine."""

    name, title = "rds_parameter_group", "DB parameter group"
    outputs = ("id", "arn")
    properties = {
        "family": Property(required=True, change=FIXED, about="Such as postgres15."),
        "description": Property(required=True, change=FIXED, about="What it is for."),
        "parameters": Property(
            "dict",
            default={},
            same=same_parameters,
            about="Values by name. A static one is used after the next restart, which is not done here.",
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        missing = ("DBParameterGroupNotFound", "DBParameterGroupNotFoundFault")
        found = api.call("rds", "DescribeDBParameterGroups", missing, DBParameterGroupName=wanted.name)
        if not found or not found["DBParameterGroups"]:
            return None
        row = found["DBParameterGroups"][0]
        tags = api.call("rds", "ListTagsForResource", ResourceName=row["DBParameterGroupArn"])["TagList"]
        asked = {"DBParameterGroupName": wanted.name, "Source": "user"}
        parameters = api.call("rds", "DescribeDBParameters", **asked)["Parameters"]
        properties = {
            "family": row["DBParameterGroupFamily"],
            "description": row["Description"],
            "parameters": {one["ParameterName"]: one.get("ParameterValue") for one in parameters},
        }
        return Seen(properties, {"id": wanted.name, "arn": row["DBParameterGroupArn"]}, from_tags(tags))

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call(
            "rds",
            "CreateDBParameterGroup",
            DBParameterGroupName=wanted.name,
            DBParameterGroupFamily=wanted["family"],
            Description=wanted["description"],
            Tags=as_tags(wanted.tags),
        )
        self._set(api, wanted, {})

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._set(api, wanted, seen.properties["parameters"])

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("rds", "DeleteDBParameterGroup", DBParameterGroupName=wanted.name)

    @staticmethod
    def _set(api: Api, wanted: Wanted, there: Facts) -> None:
        """A static parameter is applied by the next restart, which this does not do: it would be an outage."""
        declared = {name: str(value) for name, value in wanted["parameters"].items()}
        rows = [
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
            for name, value in sorted(declared.items())
            if there.get(name) != value
        ]
        # At most 20 in a request.
        for first in range(0, len(rows), 20):
            part = rows[first : first + 20]
            api.call("rds", "ModifyDBParameterGroup", DBParameterGroupName=wanted.name, Parameters=part)
        surplus = [{"ParameterName": name, "ApplyMethod": "pending-reboot"} for name in there.keys() - declared.keys()]
        if surplus:
            api.call("rds", "ResetDBParameterGroup", DBParameterGroupName=wanted.name, Parameters=surplus)


#: Properties of an instance that a change sends, and how AWS calls them.
MODIFIED = {
    "instance_class": "DBInstanceClass",
    "multi_az": "MultiAZ",
    "storage_gb": "AllocatedStorage",
    "storage_max_gb": "MaxAllocatedStorage",
    "storage_type": "StorageType",
    "backup_days": "BackupRetentionPeriod",
    "public": "PubliclyAccessible",
    "deletion_protection": "DeletionProtection",
    "engine_version": "EngineVersion",
    "security_groups": "VpcSecurityGroupIds",
    "parameter_group": "DBParameterGroupName",
}
#: Changes that interrupt the database, as the table "Settings for DB instances" in the user guide says.
INTERRUPTING = frozenset({"instance_class", "engine_version", "storage_type"})
AT_ONCE = Property(
    "bool",
    default=False,
    same=lambda _wanted, _seen: True,
    about="Whether changes that interrupt it (instance_class, engine_version, storage_type, backups switched on or "
    "off) are applied at once, with all that wait already, instead of in its maintenance window.",
)
#: Those that AWS shows in another way than it takes them.
SHOWN_APART = ("security_groups", "parameter_group")


class OnInstance(OfRds):
    """What a primary and a read replica have in common: how AWS shows, changes and protects an instance."""

    #: Properties that are read and changed by MODIFIED.
    modified: t.ClassVar[tuple[str, ...]]

    def row(self, api: Api, wanted: Wanted) -> Facts | None:
        found = api.call("rds", "DescribeDBInstances", ("DBInstanceNotFound",), DBInstanceIdentifier=wanted.name)
        return t.cast("Facts", found["DBInstances"][0]) if found and found["DBInstances"] else None

    def seen(self, wanted: Wanted, row: Facts, properties: Facts, **outputs: t.Any) -> Seen:
        status = row["DBInstanceStatus"]
        pending = row.get("PendingModifiedValues") or {}
        # What AWS has accepted counts as done: to request it again would change nothing, unless it is not to wait.
        waits = status == "available" and wanted["apply_immediately"]
        values = {
            name: row.get(MODIFIED[name]) if waits else pending.get(MODIFIED[name], row.get(MODIFIED[name]))
            for name in self.modified
        }
        groups = [one["VpcSecurityGroupId"] for one in row.get("VpcSecurityGroups", ())]
        # A new group counts as used although its static parameters wait for a restart.
        used = [one["DBParameterGroupName"] for one in row.get("DBParameterGroups", ())]
        endpoint = row.get("Endpoint") or {}
        restart = [
            one["DBParameterGroupName"]
            for one in row.get("DBParameterGroups", ())
            if one.get("ParameterApplyStatus") == "pending-reboot"
        ]
        return Seen(
            {**values, "security_groups": groups, "parameter_group": used[0] if used else None, **properties},
            {
                "id": row["DBInstanceIdentifier"],
                "arn": row["DBInstanceArn"],
                "host": endpoint.get("Address"),
                "port": endpoint.get("Port"),
                "pending": {name: pending[sent] for name, sent in MODIFIED.items() if sent in pending},
                "restart_for": restart,
                "window": row.get("PreferredMaintenanceWindow") or "",
                **outputs,
            },
            from_tags(row.get("TagList")),
            waiting="" if status in ("available", "storage-optimization") else f"its status is {status}",
            leaving=status == "deleting",
        )

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        values = {MODIFIED[name]: wanted[name] for name in changed}
        # "At once" applies all that waits already, too.
        at_once = not self._deferred(wanted, seen, changed)
        api.call("rds", "ModifyDBInstance", DBInstanceIdentifier=wanted.name, ApplyImmediately=at_once, **values)

    @staticmethod
    def _deferred(wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> bool:
        """Whether a request has to leave the time to AWS."""
        if wanted["apply_immediately"]:
            return False
        backups = "backup_days" in changed and 0 in (wanted["backup_days"], seen.properties.get("backup_days"))
        return backups or bool(INTERRUPTING & {*changed, *seen.outputs["pending"]})

    def later(self, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> str:
        values = {} if seen.waiting or wanted["apply_immediately"] else dict(seen.outputs["pending"])
        if self._deferred(wanted, seen, changed):
            values |= {name: wanted[name] for name in changed if name in self.modified}
        found = [text] if (text := waiting_for_window(values, seen.outputs["window"])) else []
        if groups := seen.outputs["restart_for"]:
            found.append(f"static parameters of {', '.join(groups)} apply from the next restart, which is left to you")
        return "; ".join(found)

    def remove(self, api: Api, wanted: Wanted, seen: Seen, *, snapshot: bool) -> None:
        if seen.properties["deletion_protection"]:
            api.call("rds", "ModifyDBInstance", DBInstanceIdentifier=wanted.name, DeletionProtection=False)
        kept = {"FinalDBSnapshotIdentifier": final_snapshot(wanted.name), "DeleteAutomatedBackups": False}
        api.call(
            "rds",
            "DeleteDBInstance",
            DBInstanceIdentifier=wanted.name,
            SkipFinalSnapshot=not snapshot,
            **(kept if snapshot else {}),
        )


class Instance(OnInstance):
    """A PostgreSQL instance.

    Without `password`, AWS generates the administrator's and keeps it in Secrets Manager: nothing here knows it.
    """

    name, title, holds_data, patience = "rds_instance", "RDS instance", True, 3600.0
    outputs = ("id", "arn", "host", "port", "secret")
    properties = {
        "engine_version": Property(
            required=True,
            same=minor_upgraded,
            about="May be given in part, such as 15. AWS installs minor versions by itself, which are kept.",
        ),
        "instance_class": Property(required=True, about="Such as db.r6g.large."),
        "database": Property(required=True, change=REPLACE, about="Its first database."),
        "user": Property(
            required=True,
            change=REPLACE,
            about="Its administrator.",
        ),
        # AWS never shows it, so it is set when the instance is created, and never again.
        "password": Property(
            secret=True,
            same=lambda _wanted, _seen: True,
            about="Of the administrator, when it is created. Without one, AWS keeps its own in Secrets Manager.",
        ),
        "storage_gb": Property("int", required=True, same=at_least, about="It grows, and never shrinks.", least=20),
        "storage_max_gb": Property("int", about="To which the storage grows by itself."),
        "storage_type": Property(default="gp3", about="Of the storage."),
        "multi_az": Property("bool", default=False, about="Whether a standby waits in another zone."),
        "backup_days": Property(
            "int", default=7, about="For which backups are kept; replicas need at least 1.", least=0, most=35
        ),
        "encrypted": Property("bool", default=True, change=REPLACE, about="Whether the storage is encrypted."),
        "public": Property("bool", default=False, about="Whether it has a public address."),
        "deletion_protection": Property(
            "bool",
            default=True,
            about="Whether AWS refuses to remove it; a removal that is allowed by name ends it first.",
        ),
        "subnet_group": Property(required=True, change=FIXED, about="Where it is placed."),
        "security_groups": Property("list", required=True, same=same_set, about="Who reaches it."),
        "parameter_group": Property(about="Its parameters; static ones apply from its next restart."),
        "apply_immediately": AT_ONCE,
    }

    modified = tuple(name for name in MODIFIED if name not in SHOWN_APART)

    def faults(self, given: Facts) -> list[str]:
        least, most = given["storage_gb"], given.get("storage_max_gb")
        return [f"storage_max_gb is {most}, and storage_gb {least}"] if most is not None and most <= least else []

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.row(api, wanted)
        if row is None:
            return None
        properties = {
            "database": row.get("DBName"),
            "user": row.get("MasterUsername"),
            "encrypted": row.get("StorageEncrypted"),
            "subnet_group": (row.get("DBSubnetGroup") or {}).get("DBSubnetGroupName"),
        }
        return self.seen(wanted, row, properties, secret=(row.get("MasterUserSecret") or {}).get("SecretArn"))

    def create(self, api: Api, wanted: Wanted) -> None:
        values = {sent: wanted.properties[name] for name, sent in MODIFIED.items() if name in wanted.properties}
        password = wanted.properties.get("password")
        api.call(
            "rds",
            "CreateDBInstance",
            **values,
            DBInstanceIdentifier=wanted.name,
            Engine="postgres",
            DBName=wanted["database"],
            MasterUsername=wanted["user"],
            **({"MasterUserPassword": password} if password else {"ManageMasterUserPassword": True}),
            StorageEncrypted=wanted["encrypted"],
            DBSubnetGroupName=wanted["subnet_group"],
            AutoMinorVersionUpgrade=True,
            CopyTagsToSnapshot=True,
            Tags=as_tags(wanted.tags),
        )

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        self.remove(api, wanted, seen, snapshot=True)


class Replica(OnInstance):
    """A read replica of an instance in the same region. It has the storage and the version of its source."""

    # Once promoted it holds data that nothing else has, so it is treated alike from the beginning.
    name, title, holds_data, patience = "rds_replica", "RDS read replica", True, 3600.0
    outputs = ("id", "arn", "host", "port")
    properties = {
        "source": Property(required=True, change=REPLACE, about="The instance that it follows."),
        "instance_class": Property(required=True, about="Such as db.r6g.large."),
        "public": Property("bool", default=False, about="Whether it has a public address."),
        "deletion_protection": Property("bool", default=False, about="Whether AWS refuses to remove it."),
        "security_groups": Property("list", required=True, same=same_set, about="Who reaches it."),
        "parameter_group": Property(about="Its parameters; by default those of its source."),
        "apply_immediately": AT_ONCE,
    }

    modified = ("instance_class", "public", "deletion_protection")

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self.row(api, wanted)
        if row is None:
            return None
        # A promoted replica has no source.
        return self.seen(wanted, row, {"source": row.get("ReadReplicaSourceDBInstanceIdentifier")})

    def create(self, api: Api, wanted: Wanted) -> t.Collection[str]:
        api.call(
            "rds",
            "CreateDBInstanceReadReplica",
            DBInstanceIdentifier=wanted.name,
            SourceDBInstanceIdentifier=wanted["source"],
            DBInstanceClass=wanted["instance_class"],
            PubliclyAccessible=wanted["public"],
            DeletionProtection=wanted["deletion_protection"],
            VpcSecurityGroupIds=wanted["security_groups"],
            CopyTagsToSnapshot=True,
            Tags=as_tags(wanted.tags),
        )
        # With PostgreSQL it is created with the group of its source, whatever is asked for.
        return {"parameter_group"} & wanted.properties.keys()

    def refusal(self, seen: Seen, replaced: t.Collection[str]) -> tuple[str, str] | None:
        if seen.properties["source"]:
            return None
        return (
            "it was promoted: it follows no instance any more, and has data of its own",
            "If it is the primary now, declare it as rds_instance, and its replica under another name. If it is no "
            'longer needed, lose: ["{key}"] replaces it by a replica, and leaves a final snapshot. Nothing was done.',
        )

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        # AWS makes no final snapshot of a replica; a promoted one has data of its own.
        self.remove(api, wanted, seen, snapshot=not seen.properties["source"])
