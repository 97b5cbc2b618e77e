# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon ElastiCache for Redis and Valkey: subnet groups and replication groups."""

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
    OWNER,
    REPLACE,
    Facts,
    Property,
    Seen,
    Wanted,
    same_set,
)

#: The tag that says which version of its token a group has: AWS never shows the token itself.
VERSION = "nexod:auth-token-version"
#: Its value while a token is being set: the version, and when AWS has last set one before.
SETTING = " after "


class OfElastiCache(AwsKind):
    """Tags are read and set by ARN."""

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("elasticache", "AddTagsToResource", ResourceName=seen.outputs["arn"], Tags=as_tags(tags))

    @staticmethod
    def tags_of(api: Api, arn: str) -> dict[str, str]:
        return from_tags(api.call("elasticache", "ListTagsForResource", ResourceName=arn)["TagList"])


class CacheSubnetGroup(OfElastiCache):
    """The subnets that the nodes are placed in."""

    name, title = "cache_subnet_group", "cache subnet group"
    outputs = ("id", "arn")
    properties = {
        "description": Property(required=True, about="What it is for."),
        "subnets": Property("list", required=True, same=same_set, about="Where nodes are placed."),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        missing = ("CacheSubnetGroupNotFoundFault",)
        found = api.call("elasticache", "DescribeCacheSubnetGroups", missing, CacheSubnetGroupName=wanted.name)
        if not found or not found["CacheSubnetGroups"]:
            return None
        row = found["CacheSubnetGroups"][0]
        properties = {
            "description": row["CacheSubnetGroupDescription"],
            "subnets": [one["SubnetIdentifier"] for one in row["Subnets"]],
        }
        outputs = {"id": row["CacheSubnetGroupName"], "arn": row["ARN"]}
        return Seen(properties, outputs, self.tags_of(api, row["ARN"]))

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call("elasticache", "CreateCacheSubnetGroup", **self._arguments(wanted), Tags=as_tags(wanted.tags))

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        api.call("elasticache", "ModifyCacheSubnetGroup", **self._arguments(wanted))

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("elasticache", "DeleteCacheSubnetGroup", CacheSubnetGroupName=wanted.name)

    @staticmethod
    def _arguments(wanted: Wanted) -> dict[str, t.Any]:
        return {
            "CacheSubnetGroupName": wanted.name,
            "CacheSubnetGroupDescription": wanted["description"],
            "SubnetIds": wanted["subnets"],
        }


#: Properties that one request can change together, and how AWS calls them.
MODIFIED = {
    "engine": "Engine",
    "engine_version": "EngineVersion",
    "node_type": "CacheNodeType",
    "automatic_failover": "AutomaticFailoverEnabled",
    "multi_az": "MultiAZEnabled",
    "parameter_group": "CacheParameterGroupName",
    "security_groups": "SecurityGroupIds",
    "snapshot_days": "SnapshotRetentionLimit",
}
#: Changes that interrupt connections, and how AWS calls them while they wait.
INTERRUPTING = {"engine_version": "EngineVersion", "node_type": "CacheNodeType"}
#: Those that are only given when a group is made.
MADE = {
    "port": "Port",
    "subnet_group": "CacheSubnetGroupName",
    "tls": "TransitEncryptionEnabled",
    "encrypted": "AtRestEncryptionEnabled",
}


def token_version(tags: t.Mapping[str, str], token_set: str) -> int | None:
    """Which version of its token a group has; 0 where one was to be set and AWS has not set it since."""
    if VERSION not in tags:
        return None
    version, _after, before = tags[VERSION].partition(SETTING.rstrip())
    pending = bool(_after) and before.strip() == token_set
    return 0 if pending else int(version)


def when_shown(wanted: t.Any, seen: t.Any) -> bool:
    """A value that AWS does not show where it does not apply."""
    return seen is None or bool(wanted == seen)


class ReplicationGroup(OfElastiCache):
    """A primary and its replicas, with cluster mode disabled."""

    name, title, holds_data, patience = "cache_replication_group", "ElastiCache replication group", True, 3600.0
    outputs = ("id", "arn", "host", "port", "reader_host")
    properties = {
        "engine": Property(
            default="redis", choices=("redis", "valkey"), about="Redis becomes Valkey in place, and never back."
        ),
        "engine_version": Property(
            required=True,
            same=minor_upgraded,
            about="May be given in part, such as 7.1. AWS installs minor versions by itself, which are kept.",
        ),
        "node_type": Property(required=True, about="Such as cache.m6g.large."),
        "replicas": Property("int", default=1, about="How many follow the primary.", least=0, most=5),
        "automatic_failover": Property("bool", default=True, about="Whether a replica takes over; needs at least one."),
        "multi_az": Property(
            "bool", default=True, about="Whether they are in different zones; needs automatic_failover."
        ),
        "port": Property("int", default=6379, change=REPLACE, about="Where it answers.", least=1, most=65535),
        "parameter_group": Property(about="Name of its parameters; by default those of AWS."),
        "subnet_group": Property(required=True, change=REPLACE, about="Where it is placed."),
        "security_groups": Property("list", required=True, same=same_set, about="Who reaches it."),
        "tls": Property("bool", default=True, change=REPLACE, about="Whether connections are encrypted."),
        "tls_mode": Property(
            default="required",
            choices=("required", "preferred"),
            same=when_shown,
            about="Whether connections without TLS are let in beside. AWS wants preferred before required.",
        ),
        "encrypted": Property("bool", default=True, change=REPLACE, about="Whether its storage is encrypted."),
        "auth_token": Property(
            secret=True,
            same=lambda _wanted, seen: bool(seen),
            about="What clients log in with. AWS does not show it, so only whether there is one is compared.",
        ),
        "auth_token_version": Property(
            "int",
            default=1,
            same=when_shown,
            about="Raise it to set another token; the tag nexod:auth-token-version keeps it.",
        ),
        "auth_token_strategy": Property(
            default="ROTATE",
            choices=("ROTATE", "SET"),
            same=lambda _wanted, _seen: True,
            about="How a token is set. ROTATE lets clients use the former one too, or none if there was none; SET, "
            "after ROTATE, ends that.",
        ),
        "snapshot_days": Property("int", default=7, about="For which daily snapshots are kept.", least=0, most=35),
        "apply_immediately": Property(
            "bool",
            default=False,
            same=lambda _wanted, _seen: True,
            about="Whether changes that interrupt connections (node_type, engine_version) are applied at once instead "
            "of in its maintenance window. AWS applies what waits with another engine, token or mode of TLS, too.",
        ),
    }

    finishes = frozenset({"auth_token", "auth_token_version"})

    def faults(self, given: Facts) -> list[str]:
        found = []
        if given["automatic_failover"] and given["replicas"] < 1:
            found.append("automatic_failover needs at least one replica: set replicas, or automatic_failover: false")
        if given["multi_az"] and not given["automatic_failover"]:
            found.append("multi_az needs automatic_failover: set it, or multi_az: false")
        if "auth_token" in given and not given["tls"]:
            found.append("auth_token needs tls: without it the token would be readable on the network")
        return found

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        missing = ("ReplicationGroupNotFoundFault",)
        found = api.call("elasticache", "DescribeReplicationGroups", missing, ReplicationGroupId=wanted.name)
        if not found or not found["ReplicationGroups"]:
            return None
        row, node = found["ReplicationGroups"][0], t.cast("Facts", {})
        if members := row.get("MemberClusters"):
            # Some properties are shown with the nodes only.
            answer = api.call(
                "elasticache", "DescribeCacheClusters", ("CacheClusterNotFound",), CacheClusterId=members[0]
            )
            node = answer["CacheClusters"][0] if answer else {}
        # While a group is being changed, AWS refuses to show its tags, and to change them.
        shown = api.call(
            "elasticache", "ListTagsForResource", ("InvalidReplicationGroupState",), ResourceName=row["ARN"]
        )
        tags = from_tags(shown["TagList"]) if shown else {}
        group = (row.get("NodeGroups") or [{}])[0]
        primary, reader = group.get("PrimaryEndpoint") or {}, group.get("ReaderEndpoint") or {}
        outputs = {
            "id": row["ReplicationGroupId"],
            "arn": row["ARN"],
            "host": primary.get("Address"),
            "port": primary.get("Port"),
            "reader_host": reader.get("Address"),
            "token_set": str(row.get("AuthTokenLastModifiedDate") or ""),
            "pending": node.get("PendingModifiedValues") or {},
            "window": node.get("PreferredMaintenanceWindow") or "",
        }
        waiting = "" if row["Status"] == "available" else f"its status is {row['Status']}"
        if not shown:
            waiting = waiting or "AWS does not show its tags yet"
        # What AWS has accepted counts as done: to request it again would change nothing, unless it is not to wait.
        asked = wanted["apply_immediately"] and row["Status"] == "available"
        properties = {
            **self._of_group(row),
            **self._of_node({**node, "PendingModifiedValues": {}} if asked else node),
            "port": primary.get("Port"),
            "auth_token_version": token_version(tags, outputs["token_set"]),
        }
        return Seen(properties, outputs, tags, waiting, row["Status"] == "deleting", tags_known=bool(shown))

    @staticmethod
    def _of_group(row: Facts) -> dict[str, t.Any]:
        """A change that AWS has accepted but not finished counts as done."""
        pending = row.get("PendingModifiedValues") or {}
        failover = pending.get("AutomaticFailoverStatus", row.get("AutomaticFailover"))
        return {
            "engine": row.get("Engine"),
            "node_type": row.get("CacheNodeType"),
            "replicas": len(row.get("MemberClusters") or [""]) - 1,
            "automatic_failover": failover in ("enabled", "enabling"),
            "multi_az": row.get("MultiAZ") == "enabled",
            "tls": bool(row.get("TransitEncryptionEnabled")),
            "tls_mode": pending.get("TransitEncryptionMode", row.get("TransitEncryptionMode")),
            "encrypted": bool(row.get("AtRestEncryptionEnabled")),
            "auth_token": bool(row.get("AuthTokenEnabled")) or "AuthTokenStatus" in pending,
            "snapshot_days": row.get("SnapshotRetentionLimit", 0),
        }

    @staticmethod
    def _of_node(node: Facts) -> dict[str, t.Any]:
        pending = node.get("PendingModifiedValues") or {}
        return {
            "engine_version": pending.get("EngineVersion", node.get("EngineVersion")),
            # Otherwise that of the group.
            **({"node_type": pending["CacheNodeType"]} if "CacheNodeType" in pending else {}),
            "parameter_group": (node.get("CacheParameterGroup") or {}).get("CacheParameterGroupName"),
            "subnet_group": node.get("CacheSubnetGroupName"),
            "security_groups": [one["SecurityGroupId"] for one in node.get("SecurityGroups", ())],
        }

    def create(self, api: Api, wanted: Wanted) -> None:
        sent = {**MODIFIED, **MADE, "auth_token": "AuthToken"}
        values = {name: wanted.properties[given] for given, name in sent.items() if given in wanted.properties}
        # Required TLS and a single node are what AWS makes by default, and are not accepted as values.
        if wanted["tls"] and wanted["tls_mode"] == "preferred":
            values.update(self._tls(wanted))
        if wanted["replicas"]:
            values["NumCacheClusters"] = 1 + wanted["replicas"]
        api.call(
            "elasticache",
            "CreateReplicationGroup",
            **values,
            ReplicationGroupId=wanted.name,
            ReplicationGroupDescription=f"Cache of the environment {wanted.tags[OWNER]}",
            AutoMinorVersionUpgrade=True,
            Tags=as_tags({**wanted.tags, VERSION: wanted["auth_token_version"]}),
        )

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> t.Collection[str]:
        """One change after the other: replicas first where failover will need them, last where it has needed them."""
        more = wanted["replicas"] > seen.properties["replicas"]
        steps: list[tuple[set[str], t.Callable[[], None]]] = [
            ({"replicas"} if more else set(), lambda: self._set_replicas(api, wanted, more=more)),
            (set(MODIFIED), lambda: self._set_modified(api, wanted, seen, changed)),
            ({"tls_mode"}, lambda: self._modify(api, wanted, **self._tls(wanted))),
            ({"auth_token", "auth_token_version"}, lambda: self._set_token(api, wanted, seen)),
            ({"replicas"}, lambda: self._set_replicas(api, wanted, more=more)),
        ]
        names, step = next((names, step) for names, step in steps if names & set(changed))
        step()
        return sorted(set(changed) - names)

    def _set_modified(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        deferred = self._deferred(wanted, seen, changed)
        self._modify(api, wanted, at_once=not deferred, **self._modified(wanted, changed))

    @staticmethod
    def _deferred(wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> bool:
        """Whether a request has to leave the time to AWS. Another engine is not shown while it waits."""
        if wanted["apply_immediately"] or "engine" in changed:
            return False
        waiting = {name for name, shown in INTERRUPTING.items() if shown in seen.outputs["pending"]}
        return bool(waiting | (INTERRUPTING.keys() & set(changed)))

    def later(self, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> str:
        pending = seen.outputs["pending"]
        known = {name: pending[shown] for name, shown in INTERRUPTING.items() if shown in pending}
        values = {} if seen.waiting or wanted["apply_immediately"] else known
        if changed and self._deferred(wanted, seen, changed):
            values |= {name: wanted[name] for name in changed if name in INTERRUPTING}
        return waiting_for_window(values, seen.outputs["window"])

    @staticmethod
    def _modify(api: Api, wanted: Wanted, *, at_once: bool = True, **values: t.Any) -> None:
        named = {"ReplicationGroupId": wanted.name, "ApplyImmediately": at_once}
        api.call("elasticache", "ModifyReplicationGroup", **named, **values)

    @staticmethod
    def _modified(wanted: Wanted, changed: t.Collection[str]) -> dict[str, t.Any]:
        values = {sent: wanted[name] for name, sent in MODIFIED.items() if name in changed}
        return {**values, "EngineVersion": wanted["engine_version"]} if "engine" in changed else values

    @staticmethod
    def _tls(wanted: Wanted) -> dict[str, t.Any]:
        return {"TransitEncryptionEnabled": True, "TransitEncryptionMode": wanted["tls_mode"]}

    def _set_token(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        """Noted before: a run that was killed must not set it again, as the second ROTATE ends the former token."""
        if "auth_token" in wanted.properties:
            noted = f"{wanted['auth_token_version']}{SETTING}{seen.outputs['token_set']}".strip()
            if seen.tags.get(VERSION) != noted:
                self.tag(api, seen, {VERSION: noted})
            token = {"AuthToken": wanted["auth_token"], "AuthTokenUpdateStrategy": wanted["auth_token_strategy"]}
            self._modify(api, wanted, **token)

    def finish(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        self.tag(api, seen, {VERSION: wanted["auth_token_version"]})

    @staticmethod
    def _set_replicas(api: Api, wanted: Wanted, *, more: bool) -> None:
        operation = "IncreaseReplicaCount" if more else "DecreaseReplicaCount"
        count = {"NewReplicaCount": wanted["replicas"], "ApplyImmediately": True}
        api.call("elasticache", operation, ReplicationGroupId=wanted.name, **count)

    def retire(self, api: Api, wanted: Wanted, seen: Seen) -> bool:
        # AWS refuses to delete a group that is being changed; one that could not be made never becomes available.
        return seen.waiting != "its status is create-failed"

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        kept = {} if "create-failed" in seen.waiting else {"FinalSnapshotIdentifier": final_snapshot(wanted.name)}
        api.call("elasticache", "DeleteReplicationGroup", ReplicationGroupId=wanted.name, **kept)
