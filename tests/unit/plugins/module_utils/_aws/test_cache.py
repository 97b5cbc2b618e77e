"""ElastiCache on a stand-in: moto neither changes security groups nor shows nodes of a replication group."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import bring, changed, must_change, must_live, writes
from ansible_collections.nexod.infra.tests.fixtures.aws_stand_ins import ElastiCache

SECRETS = {"redis": "canary-0123456789abcdef"}
GROUP = {
    "engine_version": "7.1",
    "node_type": "cache.t4g.medium",
    "subnet_group": "@cache_subnet_group/main",
    "security_groups": ["sg-1"],
    "auth_token": "redis",
    "parameter_group": "default.redis7",
}
ROWS: list[aws_resources.Row] = [
    ("cache_subnet_group", "main", {"description": "Private subnets", "subnets": ["subnet-a", "subnet-b"]}),
    ("cache_replication_group", "main", GROUP),
]
KEY = "cache_replication_group/main"
ALONE = {"replicas": 0, "automatic_failover": False, "multi_az": False}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> ElastiCache:
    made = ElastiCache()
    monkeypatch.setattr(aws_resources, "CLIENTS", {"elasticache": made})
    return made


def test_from_nothing_and_away(cache: ElastiCache) -> None:
    must_live(ROWS, {KEY}, secrets=SECRETS)
    assert cache.snapshots[0].startswith("main-final-")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("cache_subnet_group/main", {"description": "Other"}, id="subnet group description"),
        pytest.param("cache_subnet_group/main", {"subnets": ["subnet-a", "subnet-c"]}, id="subnet group subnets"),
        pytest.param(KEY, {"engine_version": "7.2"}, id="engine_version"),
        pytest.param(KEY, {"node_type": "cache.m6g.large"}, id="node_type"),
        pytest.param(KEY, {"replicas": 2}, id="replicas"),
        pytest.param(KEY, {"multi_az": False}, id="multi_az"),
        pytest.param(KEY, {"automatic_failover": False, "multi_az": False}, id="automatic_failover"),
        pytest.param(KEY, ALONE, id="one change after the other"),
        pytest.param(KEY, {"parameter_group": "main"}, id="parameter_group"),
        pytest.param(KEY, {"security_groups": ["sg-1", "sg-2"]}, id="security_groups"),
        pytest.param(KEY, {"tls_mode": "preferred"}, id="tls_mode"),
        pytest.param(KEY, {"snapshot_days": 1}, id="snapshot_days"),
        pytest.param(KEY, {"auth_token_version": 2}, id="auth_token_version"),
    ],
)
def test_each_property_is_changed_and_changed_back(key: str, value: dict[str, t.Any]) -> None:
    # A minor version is never taken back, nor is Valkey.
    must_change(ROWS, key, value, secrets=SECRETS, back="engine_version" not in value)


@pytest.mark.parametrize("value", [{"port": 6380}, {"tls": False, "auth_token": None}, {"encrypted": False}])
def test_what_can_not_be_changed_in_place_is_refused(value: dict[str, t.Any]) -> None:
    bring(*ROWS, secrets=SECRETS)
    done, api = bring(*changed(ROWS, KEY, **value), secrets=SECRETS)
    assert f"it holds data that would be lost ({next(iter(value))} can't be changed in place)" in str(done.faults[0][1])
    assert [call for call in api.calls if call.changes] == []


def test_what_interrupts_waits_for_the_window_unless_it_is_to_be_applied_at_once(cache: ElastiCache) -> None:
    bring(*ROWS, secrets=SECRETS)
    larger = changed(ROWS, KEY, node_type="cache.m6g.large")
    predicted, api = bring(*larger, check=True, secrets=SECRETS)
    assert writes(api) == []
    done, _api = bring(*larger, secrets=SECRETS)
    again, api = bring(*larger, secrets=SECRETS)
    assert (again.changes, writes(api), cache.groups["main"]["CacheNodeType"]) == ([], [], "cache.t4g.medium")
    for outcome in (predicted, done, again):
        text = "node_type cache.m6g.large waits for the maintenance window sun:03:00-sun:04:00 (UTC)"
        assert text in outcome.later[KEY]
    at_once, _api = bring(*changed(larger, KEY, apply_immediately=True), secrets=SECRETS)
    assert (len(at_once.changes), at_once.later) == (1, {})
    assert cache.groups["main"]["CacheNodeType"] == "cache.m6g.large"
    bring(*changed(larger, KEY, engine_version="7.2"), secrets=SECRETS)
    cache.window("main")
    after, _api = bring(*changed(larger, KEY, engine_version="7.2"), secrets=SECRETS)
    assert (after.changes, after.later) == ([], {})


def test_redis_becomes_valkey(cache: ElastiCache) -> None:
    bring(*ROWS, secrets=SECRETS)
    rows = changed(ROWS, KEY, engine="valkey", engine_version="8.0", parameter_group="default.valkey8")
    done, _api = bring(*rows, secrets=SECRETS)
    assert (done.faults, set(done.changes[0].after)) == ([], {"engine", "engine_version", "parameter_group"})
    assert bring(*rows, secrets=SECRETS)[0].changes == []


def test_a_group_without_replicas(cache: ElastiCache) -> None:
    rows = changed(ROWS, KEY, **ALONE, tls_mode="preferred")
    assert bring(*rows, secrets=SECRETS)[0].faults == []
    assert bring(*rows, secrets=SECRETS)[0].changes == []
    assert cache.groups["main"]["NumCacheClusters"] == 1


def test_the_token_is_set_added_and_made_the_only_one(cache: ElastiCache) -> None:
    first, _api = bring(*changed(ROWS, KEY, auth_token=None))
    added, _api = bring(*ROWS, secrets=SECRETS)
    assert cache.tokens == [("ROTATE", SECRETS["redis"])]
    only, _api = bring(*changed(ROWS, KEY, auth_token_version=2, auth_token_strategy="SET"), secrets=SECRETS)
    assert cache.tokens[1:] == [("SET", SECRETS["redis"])]
    for outcome in (first, added, only):
        assert outcome.faults == []
        assert "canary" not in str(outcome)
    assert cache.tags[cache.groups["main"]["ARN"]]["nexod:auth-token-version"] == "2"


def test_a_group_that_is_being_changed_is_deleted_when_that_has_ended(cache: ElastiCache) -> None:
    bring(*ROWS, secrets=SECRETS)
    cache.modify_replication_group(ReplicationGroupId="main", SnapshotRetentionLimit=3, ApplyImmediately=True)
    assert bring(*ROWS, gone=True, lose=frozenset({KEY}), secrets=SECRETS)[0].faults == []
    assert cache.groups == {}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("owner", ["staging", "production"])
def test_whose_a_group_is_is_looked_at_when_its_tags_are_shown(cache: ElastiCache, owner: str, check: bool) -> None:
    """A run was killed while the group was created: AWS shows no tags until it is available."""
    bring(*ROWS, secrets=SECRETS)
    cache.tags[cache.groups["main"]["ARN"]]["nexod:environment"] = owner
    cache.groups["main"].update(status="creating", looks=5)
    done, api = bring(*ROWS, secrets=SECRETS, check=check)
    assert (writes(api), len(done.faults)) == ([], int(owner != "staging"))


def test_tags_and_properties_are_changed_one_after_the_other(cache: ElastiCache) -> None:
    bring(*ROWS, secrets=SECRETS)
    tags = cache.tags[cache.groups["main"]["ARN"]]
    del tags["team"]
    rows = changed(ROWS, KEY, snapshot_days=1, auth_token_version=2)
    done, _api = bring(*rows, secrets=SECRETS)
    assert done.faults == []
    assert (tags["team"], tags["nexod:auth-token-version"]) == ("infra", "2")
    assert bring(*rows, secrets=SECRETS)[0].changes == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param({"replicas": 0}, "automatic_failover needs at least one replica", id="failover to nothing"),
        pytest.param({"automatic_failover": False}, "multi_az needs automatic_failover", id="zones without failover"),
        pytest.param({"tls": False}, "auth_token needs tls", id="a readable token"),
        pytest.param({"auth_token": "other"}, "auth_token names other, and secrets has no such entry", id="no secret"),
    ],
)
def test_what_is_wrong_together(value: dict[str, t.Any], words: str) -> None:
    rows = [{"kind": kind, "name": name, "properties": given} for kind, name, given in changed(ROWS, KEY, **value)]
    with pytest.raises(InfraError, match=words):
        declared(rows, KINDS, SECRETS)
