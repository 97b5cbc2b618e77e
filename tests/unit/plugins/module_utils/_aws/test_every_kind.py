"""What holds for every kind and every property: a property that no test changes fails here, and so does a new kind."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.plugins.module_utils._resources.engine import Engine, Policy
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import FIXED, UPDATE, Seen, Wanted
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.exporter import configuration
from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import (
    REGION,
    Instantly,
    actions,
    bring,
    changed,
    needed,
    said,
    writes,
)
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws import test_hosts, test_identity
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws.every_kind import (
    MODULES,
    SECRETS,
    changes_of,
    empty_account,
    everything,
)
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._aws.test_environment import options

#: By namespace, the kinds by whose tags the exporter for CloudWatch finds what it exports. AWS gives nodes of a cache
#: the tags of their group. A service of ECS is no kind, and also has to have them: ecs/test_deploy.py.
EXPORTED = {
    "AWS/ApplicationELB": ("load_balancer", "target_group"),
    "AWS/ECS": ("ecs_cluster",),
    "AWS/ElastiCache": ("cache_replication_group",),
    "AWS/RDS": ("rds_instance", "rds_replica"),
}
#: Properties that no row changes and changes back, and why.
NOT_CHANGED = {
    ("listener", "certificate"): "moto has none: test_a_listener_gets_its_certificate_and_loses_it",
    ("rds_instance", "apply_immediately"): "says when, not what: test_rds_later",
    ("rds_replica", "apply_immediately"): "the same",
    ("cache_replication_group", "apply_immediately"): "the same: test_cache",
    ("rds_instance", "password"): "AWS never shows it, so it is set once",
    ("cache_replication_group", "engine"): "there is no way back: test_redis_becomes_valkey",
    ("cache_replication_group", "auth_token"): "never shown: test_the_token_is_set_added_and_made_the_only_one",
    ("cache_replication_group", "auth_token_strategy"): "how a token is set: the same test",
    ("secret", "recovery_days"): "of a removal",
    ("ec2_instance", "user_data"): "of the first start",
    ("ec2_instance", "metadata_tokens"): "has one value: test_what_was_weakened_or_stopped_behind_our_back",
    ("s3_bucket", "private"): "has one value: DRIFT",
    ("oidc_provider", "audiences"): "there is no way back: test_an_audience_is_added_and_none_is_taken_away",
}
#: Another value of what can't be changed in place, by resource.
IN_PLACE_NEVER: dict[str, dict[str, t.Any]] = {
    "vpc/main": {"cidr": "10.40.0.0/16"},
    "subnet/a": {"vpc": "@vpc/other", "cidr": "10.20.9.0/24", "zone": "us-east-1c"},
    "security_group/database": {"vpc": "@vpc/other", "description": "Other"},
    "nat_gateway/main": {"subnet": "@subnet/b", "address": "eipalloc-0"},
    "route_table/public": {"vpc": "@vpc/other"},
    "gateway_endpoint/s3": {"vpc": "@vpc/other", "service": "dynamodb"},
    "load_balancer/api": {"internal": True},
    "target_group/api": {"vpc": "@vpc/other", "port": 8001},
    "rds_parameter_group/main": {"family": "postgres16", "description": "Other"},
    "rds_instance/main": {"database": "other", "user": "other", "encrypted": False, "subnet_group": "other"},
    "rds_replica/reader": {"source": "other"},
    "cache_replication_group/main": {"port": 6380, "subnet_group": "other", "encrypted": False, "tls": False},
    "secret/staging/api": {"kms_key": "alias/other"},
    "ec2_instance/prometheus": {
        "image": test_hosts.IMAGES[1],
        "subnet": "@subnet/b",
        "key": "other",
        "encrypted": False,
        "public_address": True,
    },
}
#: What a resource without a name is found by: with another value another one is meant.
FOUND_BY = {
    ("listener", "load_balancer"),
    ("listener", "port"),
    ("scaling_target", "cluster"),
    ("scaling_target", "service"),
    ("scaling_policy", "target"),
    ("bucket_policy", "bucket"),
}
#: Without tags: theirs are those of what they belong to, or a comment, for which test_delivery has a test.
TAGGED_BY_OTHERS = {
    "oidc_provider",
    "bucket_policy",
    "scaling_policy",
    "origin_access_control",
    "cache_policy",
    "response_headers_policy",
}
#: Replaced without asking, as it holds nothing: test_another_public_key_makes_another_pair.
REPLACED = {("key_pair", "public_key")}


@pytest.fixture(scope="module", autouse=True)
def account() -> t.Iterator[None]:
    """One account with everything in it, which each test leaves as it was."""
    with empty_account():
        assert said(bring(*everything(), secrets=SECRETS)[0]) == []
        yield


def test_every_property_is_changed_by_a_test() -> None:
    covered = {
        (key.partition("/")[0], name) for module in MODULES for key, value in changes_of(module) for name in value
    }
    covered |= {(key.partition("/")[0], name) for key, value in IN_PLACE_NEVER.items() for name in value}
    every = {(kind.name, name) for kind in KINDS.values() for name in kind.properties}
    excepted = NOT_CHANGED.keys() | FOUND_BY | REPLACED
    assert sorted(every - covered - excepted) == []
    assert sorted(excepted - every) == []
    assert sorted(NOT_CHANGED.keys() & covered) == []


@pytest.mark.parametrize(
    ("key", "name"),
    [pytest.param(key, name, id=f"{key} {name}") for key, value in IN_PLACE_NEVER.items() for name in value],
)
def test_what_can_not_be_changed_in_place_is_refused(key: str, name: str) -> None:
    value = {name: IN_PLACE_NEVER[key][name], **({"auth_token": None} if name == "tls" else {})}
    rows = needed(changed(everything(), key, **value), key)
    outcome, api = bring(*rows, secrets=SECRETS)
    (fault,) = [
        text for found, text in zip([k for k, _e in outcome.faults], said(outcome), strict=True) if found == key
    ]
    way = KINDS[key.partition("/")[0]].properties[name].change
    assert way != UPDATE
    assert (f"{name} is " if way == FIXED else f"({name} can't be changed in place)") in fault
    assert writes(api) == []


def leaf(kind: str) -> str:
    """One resource of a kind, by its key."""
    return next(f"{one}/{name}" for one, name, _properties in everything() if one == kind)


def look(key: str) -> tuple[Api, Wanted, Seen]:
    """A resource as the engine would read it."""
    rows = needed(everything(), key)
    given = [{"kind": kind, "name": name, "properties": properties} for kind, name, properties in rows]
    api = Api(REGION)
    api._clients = aws_resources.CLIENTS
    looking = Engine(api, Policy("staging", {"team": "infra"}), clock=Instantly())
    ordered = declared(given, KINDS, SECRETS)
    for one in ordered:
        looking._look(one)
    (one,) = [one for one in ordered if one.key == key]
    wanted = looking._wanted(one)
    seen = one.kind.read(api, wanted)
    assert seen
    return api, wanted, seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_tag_that_was_changed_behind_our_back(kind: str) -> None:
    if kind in TAGGED_BY_OTHERS:
        pytest.skip("AWS gives it no tags")
    key = leaf(kind)
    api, _wanted, seen = look(key)
    KINDS[kind].tag(api, seen, {**seen.tags, "team": "theirs", "cost-center": "kept"})
    rows = needed(everything(), key)
    predicted, _api = bring(*rows, secrets=SECRETS, check=True)
    done, _api = bring(*rows, secrets=SECRETS)
    assert (said(done), actions(done), actions(predicted)) == ([], [(key, "update")], [(key, "update")])
    assert done.changes[0].before["tags"]["team"] == "theirs"
    _api, _wanted, seen = look(key)
    assert (seen.tags["team"], seen.tags["cost-center"]) == ("infra", "kept")
    assert bring(*rows, secrets=SECRETS)[0].changes == []


def test_the_exporter_for_cloudwatch_finds_what_it_exports_by_the_tags_of_each_kind() -> None:
    jobs = configuration(options(environment="staging"))["discovery"]["jobs"]
    assert {job["type"] for job in jobs} == EXPORTED.keys()
    for job in jobs:
        for kind in EXPORTED[job["type"]]:
            _api, _wanted, seen = look(leaf(kind))
            for tag in job["searchTags"]:
                assert re.search(tag["value"], seen.tags[tag["key"]]), (kind, seen.tags)


#: One call behind our back for each kind that has properties which AWS changes: `$NAME` is an output.
DRIFT: list[tuple[str, str, str, dict[str, t.Any], set[str]]] = [
    ("vpc/main", "ec2", "ModifyVpcAttribute", {"VpcId": "$id", "EnableDnsHostnames": {"Value": False}}, {"dns_names"}),
    (
        "subnet/a",
        "ec2",
        "ModifySubnetAttribute",
        {"SubnetId": "$id", "MapPublicIpOnLaunch": {"Value": True}},
        {"public_addresses"},
    ),
    (
        "security_group/database",
        "ec2",
        "AuthorizeSecurityGroupIngress",
        {"GroupId": "$id", "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]},
        {"ingress"},
    ),
    (
        "route_table/public",
        "ec2",
        "DeleteRoute",
        {"RouteTableId": "$id", "DestinationCidrBlock": "0.0.0.0/0"},
        {"routes"},
    ),
    (
        "load_balancer/api",
        "elbv2",
        "ModifyLoadBalancerAttributes",
        {"LoadBalancerArn": "$arn", "Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "20"}]},
        {"idle_seconds"},
    ),
    (
        "target_group/api",
        "elbv2",
        "ModifyTargetGroup",
        {"TargetGroupArn": "$arn", "HealthCheckPath": "/", "UnhealthyThresholdCount": 10},
        {"health_path", "unhealthy_after"},
    ),
    (
        "listener/http",
        "elbv2",
        "ModifyListener",
        {
            "ListenerArn": "$arn",
            "DefaultActions": [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Host": "evil"}}],
        },
        {"target_group", "to_https"},
    ),
    (
        "rds_subnet_group/main",
        "rds",
        "ModifyDBSubnetGroup",
        {"DBSubnetGroupName": "$id", "DBSubnetGroupDescription": "theirs", "SubnetIds": ["@subnet/a", "@subnet/c"]},
        {"description", "subnets"},
    ),
    (
        "rds_parameter_group/main",
        "rds",
        "ModifyDBParameterGroup",
        {
            "DBParameterGroupName": "$id",
            "Parameters": [
                {"ParameterName": "log_min_duration_statement", "ParameterValue": "-1", "ApplyMethod": "immediate"}
            ],
        },
        {"parameters"},
    ),
    (
        "rds_instance/main",
        "rds",
        "ModifyDBInstance",
        {
            "DBInstanceIdentifier": "$id",
            "DeletionProtection": False,
            "BackupRetentionPeriod": 1,
            "ApplyImmediately": True,
        },
        {"deletion_protection", "backup_days"},
    ),
    (
        "rds_replica/reader",
        "rds",
        "ModifyDBInstance",
        {"DBInstanceIdentifier": "$id", "PubliclyAccessible": True, "ApplyImmediately": True},
        {"public"},
    ),
    (
        "cache_subnet_group/main",
        "elasticache",
        "ModifyCacheSubnetGroup",
        {"CacheSubnetGroupName": "$id", "SubnetIds": ["subnet-c"]},
        {"subnets"},
    ),
    (
        "cache_replication_group/main",
        "elasticache",
        "ModifyReplicationGroup",
        {"ReplicationGroupId": "$id", "SnapshotRetentionLimit": 0, "ApplyImmediately": True},
        {"snapshot_days"},
    ),
    (
        "instance_profile/hosts",
        "iam",
        "RemoveRoleFromInstanceProfile",
        {"InstanceProfileName": "$name", "RoleName": "hosts"},
        {"role"},
    ),
    (
        "iam_role/tasks",
        "iam",
        "PutRolePolicy",
        {
            "RoleName": "$name",
            "PolicyName": "theirs",
            "PolicyDocument": json.dumps(
                {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
            ),
        },
        {"policies"},
    ),
    (
        "secret/staging/api",
        "secretsmanager",
        "PutSecretValue",
        {"SecretId": "$name", "SecretString": "theirs"},
        {"value"},
    ),
    (
        "ecs_cluster/staging",
        "ecs",
        "UpdateCluster",
        {"cluster": "$name", "settings": [{"name": "containerInsights", "value": "disabled"}]},
        {"container_insights"},
    ),
    (
        "scaling_target/api",
        "application-autoscaling",
        "RegisterScalableTarget",
        {
            "ServiceNamespace": "ecs",
            "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": "$id",
            "MinCapacity": 0,
            "MaxCapacity": 1,
        },
        {"min", "max"},
    ),
    (
        "ec2_instance/prometheus",
        "ec2",
        "StopInstances",
        {"InstanceIds": ["$id"]},
        {"running"},
    ),
    ("s3_bucket/nexod-uploads", "s3", "DeletePublicAccessBlock", {"Bucket": "$id"}, {"private"}),
    ("bucket_policy/site", "s3", "DeleteBucketPolicy", {"Bucket": "$id"}, set()),
    ("log_group//ecs/api", "logs", "DeleteRetentionPolicy", {"logGroupName": "$id"}, {"retention_days"}),
    (
        "ecr_repository/api",
        "ecr",
        "PutImageTagMutability",
        {"repositoryName": "$id", "imageTagMutability": "MUTABLE"},
        {"immutable"},
    ),
    (
        "sns_topic/pages",
        "sns",
        "SetTopicAttributes",
        {"TopicArn": "$arn", "AttributeName": "DisplayName", "AttributeValue": "theirs"},
        {"display_name"},
    ),
    ("alarm/database-cpu", "cloudwatch", "DeleteAlarms", {"AlarmNames": ["$id"]}, set()),
    (
        "scaling_policy/cpu",
        "application-autoscaling",
        "DeleteScalingPolicy",
        {
            "ServiceNamespace": "ecs",
            "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": "service/staging/api",
            "PolicyName": "$id",
        },
        set(),
    ),
    (
        "internet_gateway/main",
        "ec2",
        "DetachInternetGateway",
        {"InternetGatewayId": "$id", "VpcId": "@vpc/main"},
        {"vpc"},
    ),
    (
        "gateway_endpoint/s3",
        "ec2",
        "ModifyVpcEndpoint",
        {"VpcEndpointId": "$id", "AddRouteTableIds": ["@route_table/public"]},
        {"route_tables"},
    ),
    ("key_pair/ops", "ec2", "DeleteKeyPair", {"KeyName": "$name"}, set()),
    (
        f"oidc_provider/{test_identity.GITHUB}",
        "iam",
        "DeleteOpenIDConnectProvider",
        {"OpenIDConnectProviderArn": "$arn"},
        set(),
    ),
]
#: CloudFront changes a whole configuration at once, and test_delivery changes each property there and back; an address
#: and a NAT gateway have nothing that could be changed.
NO_DRIFT = {
    "nat_gateway",
    "elastic_ip",
    "origin_access_control",
    "cache_policy",
    "response_headers_policy",
    "cloudfront_distribution",
}


def filled(value: t.Any, outputs: t.Mapping[str, t.Any]) -> t.Any:
    if isinstance(value, str) and value.startswith("$"):
        return outputs[value[1:]]
    if isinstance(value, str) and value.startswith("@"):
        return look(value[1:])[2].outputs["id"]
    if isinstance(value, dict):
        return {name: filled(one, outputs) for name, one in value.items()}
    return [filled(one, outputs) for one in value] if isinstance(value, list) else value


def test_each_kind_has_drift() -> None:
    assert {row[0].partition("/")[0] for row in DRIFT} | NO_DRIFT == set(KINDS)


@pytest.mark.parametrize(
    ("key", "service", "operation", "arguments", "names"),
    [pytest.param(*row, id=f"{row[0]} {row[2]}") for row in DRIFT],
)
def test_drift_is_found_and_fixed(
    key: str, service: str, operation: str, arguments: dict[str, t.Any], names: set[str]
) -> None:
    """Changed by somebody else; or removed, where `names` is empty."""
    api, _wanted, seen = look(key)
    api.call(service, operation, **filled(arguments, seen.outputs))
    rows = needed(everything(), key)
    predicted, check = bring(*rows, secrets=SECRETS, check=True)
    done, _api = bring(*rows, secrets=SECRETS)
    action = "update" if names else "create"
    assert (said(predicted), actions(predicted), writes(check)) == ([], [(key, action)], [])
    assert (said(done), actions(done)) == ([], [(key, action)])
    assert not names or set(done.changes[0].before) == names
    assert bring(*rows, secrets=SECRETS)[0].changes == []
