"""Every call of a whole environment is allowed by the shipped policies, with the names and tags that it has.

The environment is predicted, created, changed, tagged and removed, on moto and on the stand-ins for what moto lacks. A
call is allowed if a statement grants its action on each resource that the call names; where the statement has tags as a
condition of a request, the call must send them. test_grants.py covers the calls that no emulator knows.
"""

from __future__ import annotations

import fnmatch
import json
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api, Call
from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._aws.grants import MADE_OURS, Grant, grants_of
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.environment import declaration
from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import REGION, Row, bring, said
from ansible_collections.nexod.infra.tests.fixtures.aws_stand_ins import CloudFront, ElastiCache, Scaling
from ansible_collections.nexod.infra.tests.fixtures.ecs_stand_in import Ecs
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws.ecs import test_deploy, test_run
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws.test_hosts import IMAGES, PUBLIC
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._aws.test_environment import SECRETS, options

NAME, ACCOUNT = "nexod-staging", "123456789012"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
FILLED = {
    "{{ provider_aws_account }}": ACCOUNT,
    "{{ provider_aws_region }}": REGION,
    "{{ provider_aws_prefix }}": NAME,
    "{{ provider_aws_environment }}": "staging",
}
#: ARNs by the parameters that contain names.
NAMED = {
    ("cloudwatch", "AlarmName"): f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{{}}",
    ("ecr", "repositoryName"): f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{{}}",
    ("ecs", "cluster"): f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{{}}",
    ("ecs", "clusterName"): f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{{}}",
    ("elasticache", "CacheSubnetGroupName"): f"arn:aws:elasticache:{REGION}:{ACCOUNT}:subnetgroup:{{}}",
    ("elasticache", "FinalSnapshotIdentifier"): f"arn:aws:elasticache:{REGION}:{ACCOUNT}:snapshot:{{}}",
    ("elasticache", "ReplicationGroupId"): f"arn:aws:elasticache:{REGION}:{ACCOUNT}:replicationgroup:{{}}",
    ("iam", "OpenIDConnectProviderArn"): "{}",
    ("iam", "InstanceProfileName"): f"arn:aws:iam::{ACCOUNT}:instance-profile/{{}}",
    ("iam", "RoleName"): f"arn:aws:iam::{ACCOUNT}:role/{{}}",
    ("logs", "logGroupName"): f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}",
    ("rds", "DBInstanceIdentifier"): f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{{}}",
    ("rds", "DBParameterGroupName"): f"arn:aws:rds:{REGION}:{ACCOUNT}:pg:{{}}",
    ("rds", "DBSubnetGroupName"): f"arn:aws:rds:{REGION}:{ACCOUNT}:subgrp:{{}}",
    ("s3", "Bucket"): "arn:aws:s3:::{}",
    ("secretsmanager", "SecretId"): f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{{}}-a1B2c3",
    ("sns", "TopicArn"): "{}",
    ("elasticache", "ResourceName"): "{}",
    ("rds", "ResourceName"): "{}",
    ("elbv2", "LoadBalancerArn"): "{}",
    ("elbv2", "ListenerArn"): "{}",
    ("elbv2", "TargetGroupArn"): "{}",
}
#: These are of another type than the action's where a call refers to something else.
REFERS = {
    ("iam", "AddRoleToInstanceProfile", "RoleName"),
    ("iam", "RemoveRoleFromInstanceProfile", "RoleName"),
}
#: What the provider does not declare yet, named as it would name them.
MORE: list[Row] = [
    ("scaling_target", "api", {"cluster": NAME, "service": "api", "min": 2, "max": 10}),
    (
        "scaling_policy",
        "cpu",
        {"target": "@scaling_target/api", "metric": "ECSServiceAverageCPUUtilization", "value": 60},
    ),
    ("iam_role", f"{NAME}-hosts", {"service": "ec2.amazonaws.com", "permissions_boundary": BOUNDARY}),
    ("instance_profile", f"{NAME}-hosts", {"role": f"@iam_role/{NAME}-hosts"}),
    ("key_pair", NAME, {"public_key": PUBLIC}),
    (
        "ec2_instance",
        f"{NAME}-prometheus",
        {
            "image": IMAGES[0],
            "type": "t3.small",
            "subnet": f"@subnet/{NAME}-private-a",
            "security_groups": [f"@security_group/{NAME}-hosts"],
            "instance_profile": f"@instance_profile/{NAME}-hosts",
            "key": f"@key_pair/{NAME}",
        },
    ),
]
#: One property of each kind that can change.
CHANGES: dict[str, dict[str, t.Any]] = {
    "vpc": {"dns_names": False},
    "subnet": {"public_addresses": True},
    "security_group": {"ingress": [{"ports": 22, "from": "10.0.0.0/8"}]},
    "rds_instance": {"backup_days": 14},
    # Another value of each, as moto can't reset one.
    "rds_parameter_group": {"parameters": {**options()["rds_parameters"], "log_lock_waits": "0"}},
    "rds_replica": {"instance_class": "db.r6g.xlarge"},
    "cache_replication_group": {"snapshot_days": 1},
    "load_balancer": {"idle_seconds": 60},
    "target_group": {"health_path": "/health", "drain_seconds": 90},
    "secret": {"description": "Other"},
    "ecs_cluster": {"container_insights": "disabled"},
    "s3_bucket": {"versioned": False, "old_versions_days": 1},
    "ecr_repository": {"immutable": False, "scan_on_push": False},
    "log_group": {"retention_days": 7},
    "sns_topic": {"display_name": "Pages", "subscriptions": [{"protocol": "email", "endpoint": "b@example.com"}]},
    "alarm": {"periods": 7},
    "cloudfront_distribution": {"compress": False},
    "cache_policy": {"max_seconds": 172800},
    "response_headers_policy": {"hsts_seconds": 0},
    "origin_access_control": {"signing": "never"},
    "scaling_target": {"max": 12},
    "scaling_policy": {"value": 70},
    "iam_role": {"permissions_boundary": f"arn:aws:iam::{ACCOUNT}:policy/other"},
    "ec2_instance": {"running": False},
}
SUBSCRIBED = [{"protocol": "email", "endpoint": "a@example.com"}]
Recorded = tuple[Call, dict[str, t.Any]]


def environment() -> list[Row]:
    rows: list[Row] = [
        (one["kind"], one["name"], one["properties"])
        for one in declaration(
            options(
                github_repository="shop/shop",
                rds_deletion_protection=False,
                cdn=True,
                alarm_subscriptions=SUBSCRIBED,
                permissions_boundary=BOUNDARY,
            )
        )
    ]
    there = {f"{kind}/{name}" for kind, name, _properties in rows}
    kinds = {kind for kind, _name, _properties in rows}
    return [*rows, *(row for row in MORE if f"{row[0]}/{row[1]}" not in there and row[0] not in kinds - {"iam_role"})]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[list[Recorded]]:
    found: list[Recorded] = []
    lock, call = threading.Lock(), Api.call

    def recording(self: Api, service: str, operation: str, *missing: t.Any, **given: t.Any) -> t.Any:
        with lock:
            found.append((Call(service, operation), given))
        return call(self, service, operation, *missing, **given)

    monkeypatch.setattr(Api, "call", recording)
    stand_ins = {"elasticache": ElastiCache(), "cloudfront": CloudFront(), "application-autoscaling": Scaling()}
    monkeypatch.setattr(aws_resources, "CLIENTS", {**aws_resources.CLIENTS, **stand_ins})
    with emulated_aws(monkeypatch):
        yield found


def filled(text: str) -> str:
    for name, value in FILLED.items():
        text = text.replace(name, value)
    return text


def resources_of(call: Call, given: dict[str, t.Any]) -> list[str]:
    """The ARNs of what a call names."""
    found = []
    for name, value in given.items():
        if (call.service, call.operation, name) in REFERS or (call.service, name) not in NAMED:
            continue
        if call.service == "secretsmanager" and str(value).startswith("arn:"):
            continue
        found.append(NAMED[call.service, name].format(value))
    return found


def tagged(value: t.Any) -> bool:
    """Whether the tag of the environment is sent."""
    return '"nexod:environment"' in json.dumps(value, default=str) and '"staging"' in json.dumps(value, default=str)


def allows(grant: Grant, resource: str, given: dict[str, t.Any]) -> bool:
    named = any(fnmatch.fnmatchcase(resource, filled(one)) for one in grant.resources)
    return named and (grant.conditions is not MADE_OURS or tagged(given))


def refusals(calls: t.Iterable[Recorded]) -> list[str]:
    found = []
    for call, given in calls:
        grants = grants_of(call.right)
        if not grants:
            found.append(f"{call.right} is not granted: grant it in plugins/module_utils/_aws/grants.py")
        if grants and all(one.conditions is MADE_OURS for one in grants) and not tagged(given):
            found.append(f"{call.right} is granted for what is tagged, and this call sends no tag: {given}")
        found += [
            f"{call.right} is not granted on {resource}: name it in plugins/module_utils/_aws/grants.py"
            for resource in resources_of(call, given)
            if grants and not any(allows(one, resource, given) for one in grants)
        ]
    return sorted(set(found))


def test_a_whole_environment(recorded: list[Recorded]) -> None:
    rows = environment()
    everything = frozenset(f"{kind}/{name}" for kind, name, _properties in rows)
    there = [(kind, name, {**properties, **CHANGES.get(kind, {})}) for kind, name, properties in rows]
    assert said(bring(*rows, check=True, secrets=SECRETS)[0]) == []
    assert said(bring(*rows, secrets=SECRETS)[0]) == []
    assert said(bring(*there, secrets=SECRETS)[0]) == []
    away = bring(*there, gone=True, lose=everything, secrets=SECRETS)[0]
    assert said(away) == []
    removed = {KINDS[one.key.partition("/")[0]].name for one in away.changes}
    assert {kind for kind, _name, _given in rows} - removed == {"oidc_provider"}
    assert refusals(recorded) == []
    called = {call for call, _given in recorded}
    bounds = {given.get("PermissionsBoundary") for call, given in recorded if call.operation == "CreateRole"}
    assert bounds == {BOUNDARY}
    # Far more than the reads, so that this can't pass by looking at nothing.
    assert len([call for call in called if call.changes]) > 90


def test_deploys_and_tasks() -> None:
    """On the stand-in for ECS: its calls have no names of an environment, so only the actions are compared."""
    cloud = Ecs()
    first, second = test_deploy.declared(), test_deploy.declared("good", "2", keep=2)
    calls: list[Call] = []
    for step in (
        lambda: test_deploy.deploy(cloud, first),
        lambda: test_deploy.deploy(cloud, second),
        lambda: test_deploy.deploy(cloud, second, "previous"),
        lambda: test_deploy.failure(cloud, test_deploy.declared("bad")),
        lambda: test_deploy.deploy(cloud, second, "absent"),
        lambda: test_run.run(cloud, test_run.wanted()),
    ):
        step()
        calls += cloud.calls
    made = {call.operation for call in calls if call.changes}
    assert {"CreateService", "UpdateService", "DeleteService", "RunTask", "RegisterTaskDefinition"} <= made
    assert refusals((call, {}) for call in calls) == []


@pytest.mark.parametrize(
    ("service", "operation", "given", "says"),
    [
        ("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "nexod-staging"}, ""),
        ("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "nexod-staging2"}, "is not granted on"),
        ("iam", "PutRolePolicy", {"RoleName": "administrator"}, "is not granted on"),
        ("ec2", "CreateVpc", {"Tags": [{"Key": "nexod:environment", "Value": "staging"}]}, ""),
        ("ec2", "ImportKeyPair", {}, "sends no tag"),
        ("ec2", "DeleteSnapshot", {}, "is not granted: grant it"),
    ],
)
def test_what_is_refused(service: str, operation: str, given: dict[str, t.Any], says: str) -> None:
    found = "\n".join(refusals([(Call(service, operation), given)]))
    assert says in found if says else not found
