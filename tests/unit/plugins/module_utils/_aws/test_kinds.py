"""Each kind of resource on the emulator moto: made, seen as declared, changed property by property, removed.

Nothing here says anything about AWS itself.
"""

from __future__ import annotations

import typing as t

import boto3
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api, Call
from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import Seen, Wanted
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import (
    REGION,
    SUBNETS,
    VPC,
    actions,
    bring,
    changed,
    must_change,
    needed,
)
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

GROUP = ("security_group", "database", {"vpc": "@vpc/main", "description": "PostgreSQL"})
PLACE = ("rds_subnet_group", "main", {"description": "Private subnets", "subnets": ["@subnet/a", "@subnet/b"]})
INSTANCE = (
    "rds_instance",
    "main",
    {
        "engine_version": "15",
        "instance_class": "db.t4g.medium",
        "storage_gb": 20,
        "storage_max_gb": 100,
        "database": "app",
        "user": "postgres",
        "subnet_group": "@rds_subnet_group/main",
        "security_groups": ["@security_group/database"],
        "parameter_group": "@rds_parameter_group/main",
    },
)
ROUTING = [
    ("internet_gateway", "main", {"vpc": "@vpc/main"}),
    ("elastic_ip", "nat", {}),
    ("nat_gateway", "main", {"subnet": "@subnet/a", "address": "@elastic_ip/nat"}),
    (
        "route_table",
        "public",
        {
            "vpc": "@vpc/main",
            "routes": [{"to": "0.0.0.0/0", "via": "@internet_gateway/main"}],
            "subnets": ["@subnet/a"],
        },
    ),
    ("route_table", "private", {"vpc": "@vpc/main", "routes": [{"to": "0.0.0.0/0", "via": "@nat_gateway/main"}]}),
    ("gateway_endpoint", "s3", {"vpc": "@vpc/main", "route_tables": ["@route_table/private"]}),
]
STORAGE = [("s3_bucket", "nexod-uploads", {}), ("log_group", "/ecs/api", {}), ("ecr_repository", "api", {})]
DATABASE = [
    PLACE,
    (
        "rds_parameter_group",
        "main",
        {"family": "postgres15", "description": "Ours", "parameters": {"log_min_duration_statement": 100}},
    ),
    INSTANCE,
    (
        "rds_replica",
        "reader",
        {
            "source": "@rds_instance/main",
            "instance_class": "db.t4g.medium",
            "security_groups": ["@security_group/database"],
            "parameter_group": "@rds_parameter_group/main",
        },
    ),
    ("rds_parameter_group", "other", {"family": "postgres15", "description": "Another"}),
]
ALARM = {
    "namespace": "AWS/RDS",
    "metric": "CPUUtilization",
    "dimensions": {"DBInstanceIdentifier": "@rds_instance/main"},
    "statistic": "Average",
    "threshold": 80,
    "actions": ["@sns_topic/pages.arn"],
}
EARLY, LATE = ({"protocol": "email", "endpoint": f"{name}@example.com"} for name in ("early", "late"))
TOLD = [
    ("sns_topic", "pages", {"subscriptions": [EARLY]}),
    ("alarm", "database-cpu", ALARM),
    ("alarm", "slow", {**ALARM, "statistic": None, "quantile": "p95"}),
]
BALANCING = [
    ("load_balancer", "api", {"subnets": ["@subnet/a", "@subnet/b"], "security_groups": ["@security_group/database"]}),
    ("target_group", "api", {"vpc": "@vpc/main", "port": 8000, "health_path": "/ready"}),
    ("target_group", "other", {"vpc": "@vpc/main", "port": 8000}),
    (
        "listener",
        "http",
        {"load_balancer": "@load_balancer/api.arn", "port": 80, "target_group": "@target_group/api.arn"},
    ),
]
# What others are changed to.
OTHERS = [
    ("vpc", "other", {"cidr": "10.30.0.0/16"}),
    ("subnet", "c", {"vpc": "@vpc/main", "cidr": "10.20.2.0/24", "zone": "us-east-1c"}),
    ("security_group", "other", {"vpc": "@vpc/main", "description": "Other"}),
]
ALL = [VPC, *SUBNETS, GROUP, *OTHERS, *ROUTING, *BALANCING, *DATABASE, *STORAGE, *TOLD]
DATA = frozenset({"rds_instance/main", "rds_replica/reader", "s3_bucket/nexod-uploads", "ecr_repository/api"})


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    with emulated_aws(monkeypatch):
        yield


def test_from_an_empty_account_and_again_and_away() -> None:
    predicted, api = bring(*ALL, check=True)
    assert [call for call in api.calls if call.changes] == []
    made, _api = bring(*ALL)
    assert made.faults == []
    assert actions(made) == actions(predicted)
    assert sorted(actions(made)) == sorted((f"{kind}/{name}", "create") for kind, name, _properties in ALL)
    assert made.outputs["rds_instance/main"]["host"]
    again, api = bring(*ALL)
    assert (again.changes, [call for call in api.calls if call.changes]) == ([], [])
    kept, _api = bring(*ALL, gone=True)
    # The instance was not even tried: its replica is still there.
    assert {key for key, _error in kept.faults} == DATA - {"rds_instance/main"}
    away, _api = bring(*ALL, gone=True, lose=DATA)
    assert away.faults == []
    assert len({one.key for one in [*kept.changes, *away.changes]}) == len(ALL)
    snapshots = boto3.client("rds", REGION).describe_db_snapshots()["DBSnapshots"]
    assert any(one["DBSnapshotIdentifier"].startswith("main-final-") for one in snapshots)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("vpc/main", {"dns_names": False}, id="vpc dns_names"),
        pytest.param("subnet/a", {"public_addresses": True}, id="subnet public_addresses"),
        pytest.param(
            "security_group/database",
            {"ingress": [{"ports": 5432, "from": "10.20.0.0/16"}, {"protocol": "all", "from": "::/0"}]},
            id="security_group ingress",
        ),
        pytest.param("internet_gateway/main", {"vpc": "@vpc/other"}, id="internet_gateway vpc"),
        pytest.param("route_table/public", {"routes": []}, id="route_table routes"),
        pytest.param("route_table/public", {"subnets": ["@subnet/a", "@subnet/b"]}, id="route_table subnets"),
        pytest.param(
            "gateway_endpoint/s3",
            {"route_tables": ["@route_table/private", "@route_table/public"]},
            id="gateway_endpoint route_tables",
        ),
        pytest.param("s3_bucket/nexod-uploads", {"versioned": False}, id="s3_bucket versioned"),
        pytest.param("s3_bucket/nexod-uploads", {"old_versions_days": 0}, id="s3_bucket old_versions_days"),
        pytest.param("s3_bucket/nexod-uploads", {"intelligent_tiering": True}, id="s3_bucket intelligent_tiering"),
        pytest.param(
            "rds_parameter_group/main",
            {"parameters": {"log_min_duration_statement": 200}},
            id="rds_parameter_group parameters",
        ),
        pytest.param(
            "rds_instance/main", {"parameter_group": "@rds_parameter_group/other"}, id="rds_instance parameters"
        ),
        pytest.param(
            "rds_replica/reader", {"parameter_group": "@rds_parameter_group/other"}, id="rds_replica parameters"
        ),
        pytest.param("rds_replica/reader", {"instance_class": "db.r6g.large"}, id="rds_replica instance_class"),
        pytest.param("load_balancer/api", {"idle_seconds": 300}, id="load_balancer idle_seconds"),
        pytest.param("load_balancer/api", {"deletion_protection": True}, id="load_balancer deletion_protection"),
        pytest.param("target_group/api", {"health_path": "/health"}, id="target_group health_path"),
        pytest.param("load_balancer/api", {"subnets": ["@subnet/a", "@subnet/c"]}, id="load_balancer subnets"),
        pytest.param(
            "load_balancer/api", {"security_groups": ["@security_group/other"]}, id="load_balancer security_groups"
        ),
        pytest.param("target_group/api", {"health_seconds": 20}, id="target_group health_seconds"),
        pytest.param("target_group/api", {"healthy_after": 3}, id="target_group healthy_after"),
        pytest.param("target_group/api", {"unhealthy_after": 3}, id="target_group unhealthy_after"),
        pytest.param("target_group/api", {"drain_seconds": 90}, id="target_group drain_seconds"),
        pytest.param("listener/http", {"target_group": "@target_group/other.arn"}, id="listener target_group"),
        pytest.param("listener/http", {"to_https": True, "target_group": ""}, id="listener to_https"),
        pytest.param("sns_topic/pages", {"display_name": "Pages"}, id="sns_topic display_name"),
        pytest.param("sns_topic/pages", {"subscriptions": [LATE]}, id="sns_topic subscriptions"),
        pytest.param("alarm/database-cpu", {"threshold": 90.5}, id="alarm threshold"),
        pytest.param("alarm/database-cpu", {"actions": []}, id="alarm actions"),
        pytest.param("alarm/slow", {"quantile": "p99"}, id="alarm quantile"),
        *(
            pytest.param("alarm/database-cpu", {name: value}, id=f"alarm {name}")
            for name, value in {
                "description": "Busy",
                "namespace": "AWS/ECS",
                "metric": "MemoryUtilization",
                "dimensions": {"DBInstanceIdentifier": "other"},
                "statistic": "Maximum",
                "period_seconds": 300,
                "periods": 3,
                "comparison": "LessThanThreshold",
                "missing_data": "notBreaching",
                "ok_actions": ["@sns_topic/pages.arn"],
            }.items()
        ),
        pytest.param("log_group//ecs/api", {"retention_days": 7}, id="log_group retention_days"),
        pytest.param("ecr_repository/api", {"immutable": False}, id="ecr_repository immutable"),
        pytest.param("ecr_repository/api", {"scan_on_push": False}, id="ecr_repository scan_on_push"),
        pytest.param("rds_replica/reader", {"public": True}, id="rds_replica public"),
        pytest.param("rds_replica/reader", {"deletion_protection": True}, id="rds_replica deletion_protection"),
        pytest.param(
            "rds_replica/reader", {"security_groups": ["@security_group/other"]}, id="rds_replica security_groups"
        ),
        pytest.param("rds_instance/main", {"engine_version": "15.9"}, id="rds_instance engine_version"),
        pytest.param("rds_instance/main", {"storage_type": "io1"}, id="rds_instance storage_type"),
        pytest.param("rds_instance/main", {"public": True}, id="rds_instance public"),
        pytest.param(
            "rds_instance/main", {"security_groups": ["@security_group/other"]}, id="rds_instance security_groups"
        ),
        pytest.param("rds_subnet_group/main", {"description": "Other"}, id="rds_subnet_group description"),
        pytest.param("rds_subnet_group/main", {"subnets": ["@subnet/a", "@subnet/c"]}, id="rds_subnet_group subnets"),
        pytest.param("rds_instance/main", {"instance_class": "db.r6g.large"}, id="rds_instance instance_class"),
        pytest.param("rds_instance/main", {"storage_gb": 50}, id="rds_instance storage_gb"),
        pytest.param("rds_instance/main", {"storage_max_gb": 200}, id="rds_instance storage_max_gb"),
        pytest.param("rds_instance/main", {"multi_az": True}, id="rds_instance multi_az"),
        pytest.param("rds_instance/main", {"backup_days": 14}, id="rds_instance backup_days"),
        pytest.param("rds_instance/main", {"deletion_protection": False}, id="rds_instance deletion_protection"),
    ],
)
def test_each_property_is_changed_and_changed_back(key: str, value: dict[str, t.Any]) -> None:
    # Storage has grown, and never shrinks; nor is a minor version taken back.
    must_change(ALL, key, value, back=not {"storage_gb", "engine_version"} & value.keys())


def test_drift_is_found_and_fixed() -> None:
    bring(VPC, GROUP)
    ec2 = boto3.client("ec2", REGION)
    group = ec2.describe_security_groups(Filters=[{"Name": "tag:Name", "Values": ["database"]}])["SecurityGroups"][0]
    everyone = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=everyone)
    ec2.delete_tags(Resources=[group["GroupId"]], Tags=[{"Key": "team"}])
    done, _api = bring(VPC, GROUP)
    assert actions(done) == [("security_group/database", "update")]
    assert done.changes[0].before["ingress"] == ["tcp 22 0.0.0.0/0"]
    assert bring(VPC, GROUP)[0].changes == []


def test_what_can_not_be_changed_is_refused_before_anything_is_done_to_it() -> None:
    declared = needed(ALL, "rds_instance/main")
    bring(*declared)
    rows = changed(changed(declared, "vpc/main", cidr="10.30.0.0/16"), "rds_instance/main", database="other")
    done, api = bring(*rows)
    assert [call for call in api.calls if call.changes] == []
    assert "cidr is '10.20.0.0/16', and AWS can't change that" in str(done.faults[0][1])
    done, api = bring(*changed(declared, "rds_instance/main", database="other"))
    assert "it holds data that would be lost (database can't be changed in place)" in str(done.faults[0][1])
    assert [call for call in api.calls if call.changes] == []


def test_two_of_the_same_name_are_refused() -> None:
    bring(VPC)
    ec2 = boto3.client("ec2", REGION)
    tags = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["main"]}])["Vpcs"][0]["Tags"]
    ec2.create_vpc(CidrBlock="10.99.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}])
    assert "there are 2 with this name in the environment" in str(bring(VPC)[0].faults[0][1])


def test_a_group_of_somebody_else_is_refused() -> None:
    bring(VPC, *SUBNETS)
    subnets = [one["SubnetId"] for one in boto3.client("ec2", REGION).describe_subnets()["Subnets"]]
    boto3.client("rds", REGION).create_db_subnet_group(
        DBSubnetGroupName="main", DBSubnetGroupDescription="theirs", SubnetIds=subnets
    )
    assert "exists, and its tags don't say that it is ours" in str(bring(*ALL)[0].faults[0][1])


def test_check_mode_sends_no_change_whoever_asks() -> None:
    with pytest.raises(InfraError, match="this is check mode"):
        Api(REGION, check=True).call("ec2", "CreateVpc", CidrBlock="10.0.0.0/16")


def test_a_refusal_of_aws_names_the_action() -> None:
    with pytest.raises(InfraError, match=r"Cannot call ec2:DeleteVpc: InvalidVpcID\.NotFound"):
        Api(REGION).call("ec2", "DeleteVpc", VpcId="vpc-0")


@pytest.mark.parametrize(
    ("service", "operation", "rights"),
    [
        ("ec2", "DescribeVpcs", ("ec2:DescribeVpcs",)),
        ("s3", "HeadBucket", ("s3:ListBucket",)),
        ("cloudfront", "CreateDistributionWithTags", ("cloudfront:CreateDistribution", "cloudfront:TagResource")),
        ("elbv2", "CreateListener", ("elasticloadbalancing:CreateListener", "elasticloadbalancing:AddTags")),
        ("ec2", "RunInstances", ("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole")),
    ],
)
def test_the_rights_that_a_call_needs(service: str, operation: str, rights: tuple[str, ...]) -> None:
    assert Call(service, operation).rights == rights


def test_a_parameter_that_is_no_longer_declared_is_reset() -> None:
    """moto can't reset parameters, so the calls themselves are looked at."""
    kind, sent = KINDS["rds_parameter_group"], []

    class Calls:
        def call(self, _service: str, operation: str, **arguments: t.Any) -> None:
            sent.append((operation, [row["ParameterName"] for row in arguments["Parameters"]]))

    declared = {"family": "postgres15", "description": "Ours", "parameters": {"work_mem": 8192, "kept": 1}}
    seen = Seen({**declared, "parameters": {"old": "1", "kept": "1"}}, {"id": "main"})
    kind.update(t.cast("Api", Calls()), Wanted("main", declared, {}), seen, ["parameters"])
    assert sent == [("ModifyDBParameterGroup", ["work_mem"]), ("ResetDBParameterGroup", ["old"])]


@pytest.mark.parametrize("certificate", ["", "arn:aws:acm:us-east-1:123456789012:certificate/1"])
def test_a_listener_gets_its_certificate_and_loses_it(certificate: str) -> None:
    """moto takes only certificates that it has made itself, so the call is looked at."""
    sent: list[dict[str, t.Any]] = []

    class Calls:
        def call(self, _service: str, operation: str, **arguments: t.Any) -> None:
            sent.append({"operation": operation, **arguments})

    declared = {"port": 443, "certificate": certificate, "target_group": "arn", "to_https": False}
    wanted, seen = Wanted("https", declared, {}), Seen({}, {"arn": "listener"})
    KINDS["listener"].update(t.cast("Api", Calls()), wanted, seen, ["certificate"])
    assert (sent[0]["operation"], sent[0]["Protocol"]) == ("ModifyListener", "HTTPS" if certificate else "HTTP")
    assert sent[0].get("Certificates") == ([{"CertificateArn": certificate}] if certificate else None)


@pytest.mark.parametrize(("source", "snapshot"), [("main", False), (None, True)])
def test_a_replica_that_was_promoted_leaves_a_snapshot(source: str | None, snapshot: bool) -> None:
    """moto keeps the source of a promoted replica, so the call itself is looked at."""
    sent: list[dict[str, t.Any]] = []

    class Calls:
        def call(self, _service: str, operation: str, **arguments: t.Any) -> None:
            sent.append({"operation": operation, **arguments})

    seen = Seen({"source": source, "deletion_protection": False}, {"id": "reader"})
    KINDS["rds_replica"].delete(t.cast("Api", Calls()), Wanted("reader", {}, {}), seen)
    assert [one["operation"] for one in sent] == ["DeleteDBInstance"]
    assert (sent[0]["SkipFinalSnapshot"], "FinalDBSnapshotIdentifier" in sent[0]) == (not snapshot, snapshot)
