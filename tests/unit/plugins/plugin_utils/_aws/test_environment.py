# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an environment declares on AWS: the network, who may connect to what, sizes, and the endpoints."""

from __future__ import annotations

import ipaddress
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.alarms import by_name
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.endpoints import endpoints
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.environment import declaration
from ansible_collections.nexod.infra.plugins.plugin_utils._environment.endpoints import endpoint_faults
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import bring
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

ROOT = pathlib.Path(__file__).resolve().parents[5]
SECRETS = {"database": "database-canary", "cache": "cache-canary-0123456789", "api": "{}", "migrations": "{}"}


def options(**changes: t.Any) -> dict[str, t.Any]:
    """The role's defaults, with the values that production's inventory gives."""
    defaults = yaml.safe_load((ROOT / "roles/provider_aws/defaults/main.yml").read_text())
    found = {name.removeprefix("provider_aws_"): value for name, value in defaults.items()}
    return {
        **found,
        "prefix": "nexod-staging",
        "zones": ["us-east-1a", "us-east-1b"],
        "uploads_bucket": "nexod-staging-uploads",
        "repository": "nexod-staging-api",
        "cdn_bucket": "nexod-staging-static",
        "rds_engine_version": 15,
        "rds_instance_class": "db.r6g.large",
        "rds_storage_gb": 100,
        "rds_storage_type": "gp3",
        "rds_multi_az": True,
        "rds_backup_days": 7,
        "rds_replicas": 2,
        "cache_node_type": "cache.r6g.large",
        "cache_password": SECRETS["cache"],
        "pooler": "10.20.128.10",
        "latency_targets": [
            {"metric": "api", "quantile": 0.95, "target_seconds": 0.3, "alert_seconds": 0.5},
            {"metric": "api", "quantile": 0.999, "target_seconds": 0.6, "alert_seconds": 1},
            {"metric": "redis", "quantile": 0.95, "target_seconds": 0.005, "alert_seconds": 0.01},
        ],
        "error_alerts": [
            {"metric": "api", "count": 10, "severity": "warning"},
            {"metric": "api", "count": 100, "severity": "page"},
            {"metric": "api", "ratio": 0.05, "severity": "page"},
            {"metric": "edge", "count": 100, "severity": "page"},
        ],
        **changes,
    }


def by_key(rows: list[dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    return {f"{one['kind']}/{one['name']}": one["properties"] for one in rows}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="production"),
        pytest.param({"nat_gateways": 0, "rds_replicas": 0, "cache_replicas": 0, "pooler": ""}, id="the smallest"),
        pytest.param({"nat_gateways": 2, "certificate": "arn:aws:acm:us-east-1:1:certificate/x"}, id="two gateways"),
        pytest.param({"zones": ["us-east-1a", "us-east-1b", "us-east-1c"], "cidr": "10.0.0.0/20"}, id="three zones"),
        pytest.param({"rds_password": SECRETS["database"]}, id="a password of our own"),
        pytest.param({"migration_secrets": {"API_DATABASE_PASSWORD": "x"}}, id="migrations as a task"),
        pytest.param({"profiler_image": "example/profiler:1"}, id="a container that profiles"),
        pytest.param({"cdn": True}, id="a CDN"),
        pytest.param(
            {
                "cdn": True,
                "cdn_domains": ["static.example.com"],
                "cdn_certificate": "arn:aws:acm:us-east-1:1:certificate/x",
                "cdn_cors_origins": ["https://app.example.com"],
                "cdn_uploads_path": "/uploads/*",
            },
            id="a CDN with names of its own and uploads",
        ),
    ],
)
def test_the_engine_accepts_every_declaration(changes: dict[str, t.Any]) -> None:
    rows = declaration(options(**changes))
    assert len(declared(rows, KINDS, SECRETS)) == len(rows)


@pytest.mark.parametrize("image", ["", "example/profiler:1"])
def test_ecs_exec_is_allowed_only_with_a_container_that_profiles(image: str) -> None:
    rows = by_key(declaration(options(profiler_image=image)))
    assert ("ssmmessages:OpenDataChannel" in str(rows["iam_role/nexod-staging-api"])) is bool(image)
    assert "ssmmessages" not in str(rows["iam_role/nexod-staging-api-execution"])


def test_the_url_of_a_pager_is_not_in_the_declaration() -> None:
    urls = [f"https://events.pagerduty.com/integration/canary-{number}/enqueue" for number in (1, 2)]
    given = options(
        alarm_subscriptions=[
            {"protocol": "https", "endpoint": urls[0]},
            {"protocol": "email", "endpoint": "ops@example.com", "severity": "warning"},
            {"protocol": "https", "endpoint": urls[1]},
        ]
    )
    rows = declaration(given)
    assert "canary" not in str(rows)
    names = by_name(given)
    pages, warnings = (one for one in declared(rows, KINDS, {**SECRETS, **names}) if one.kind.name == "sns_topic")
    assert [row["endpoint"] for row in pages.properties["subscriptions"]] == urls
    assert [row["endpoint"] for row in warnings.properties["subscriptions"]] == ["ops@example.com"]
    # Without any, those that the topics have are left alone.
    topics = [row for row in declaration(options()) if row["kind"] == "sns_topic"]
    assert [topic["properties"]["subscriptions"] for topic in topics] == [None, None]


def test_subnets_lie_in_the_vpc_and_do_not_overlap() -> None:
    rows = by_key(declaration(options(zones=[f"us-east-1{letter}" for letter in "abcdef"])))
    blocks = [ipaddress.ip_network(given["cidr"]) for key, given in rows.items() if key.startswith("subnet/")]
    assert len(blocks) == 12
    assert all(one.subnet_of(ipaddress.ip_network("10.20.0.0/16")) for one in blocks)
    assert not any(one.overlaps(other) for one in blocks for other in blocks if one is not other)


@pytest.mark.parametrize(
    ("part", "port", "sources"),
    [
        ("database", 5432, ["@security_group/nexod-staging-hosts"]),
        ("cache", 6379, ["@security_group/nexod-staging-hosts", "@security_group/nexod-staging-api"]),
        ("hosts", 6432, ["@security_group/nexod-staging-api"]),
        ("api", 8000, ["@security_group/nexod-staging-edge", "10.20.128.0/24", "10.20.129.0/24"]),
        ("edge", 80, ["0.0.0.0/0"]),
    ],
)
def test_only_what_must_pass_may_connect(part: str, port: int, sources: list[str]) -> None:
    rules = by_key(declaration(options()))[f"security_group/nexod-staging-{part}"]["ingress"]
    assert [rule["from"] for rule in rules if rule["ports"] == port] == sources
    # Beside that, only hosts reach each other.
    assert [rule for rule in rules if rule["ports"] != port] == (
        [{"ports": "0-65535", "from": "self"}] if part == "hosts" else []
    )


def test_without_a_pooler_the_tasks_reach_the_database() -> None:
    rules = by_key(declaration(options(pooler="")))["security_group/nexod-staging-database"]["ingress"]
    assert "@security_group/nexod-staging-api" in [rule["from"] for rule in rules]


def test_a_task_that_migrates_reaches_the_database_with_a_secret_of_its_own() -> None:
    given = options(migration_secrets={"API_DATABASE_PASSWORD": "owner-canary"})
    rows = by_key(declaration(given))
    assert "@security_group/nexod-staging-migrations" in [
        rule["from"] for rule in rows["security_group/nexod-staging-database"]["ingress"]
    ]
    assert rows["security_group/nexod-staging-migrations"]["ingress"] == []
    # ECS reads it when the task starts; the API's tasks can't.
    statements = rows["iam_role/nexod-staging-api-execution"]["policies"]["tasks"]["Statement"]
    assert "@secret/nexod-staging-migrations.arn" in [one["Resource"] for one in statements]
    assert "canary" not in str(rows)
    found = endpoints({}, given)
    assert endpoint_faults(found) == []
    assert "secret/nexod-staging-migrations" in found["api"]["service"]["migration_environment_source"]


def test_a_declared_pooler_needs_no_address() -> None:
    """Whether it exists yet or not: the first run declares what the second one does."""
    given = options(pooler="", hosts=[{"name": "pooler-1", "groups": ["pooler"], "type": "t3.small"}])
    rules = by_key(declaration(given))["security_group/nexod-staging-database"]["ingress"]
    assert [rule["from"] for rule in rules] == ["@security_group/nexod-staging-hosts"]
    assert endpoints({}, given)["pooler"]["host"] == "ec2-instance.not-created-yet.invalid"
    found = endpoints({"ec2_instance/pooler-1": {"private_ip": "10.20.128.9"}}, given)
    assert found["pooler"] == {"host": "10.20.128.9", "port": 6432, "name": "app"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param({}, {"subnet": "@subnet/nexod-staging-private-a", "public_address": False}, id="private"),
        pytest.param(
            {"public": True}, {"subnet": "@subnet/nexod-staging-public-a", "public_address": True}, id="bastion"
        ),
        pytest.param({"zone": "us-east-1b"}, {"subnet": "@subnet/nexod-staging-private-b"}, id="zone"),
        pytest.param({"root_gb": 50}, {"root_gb": 50, "key": ""}, id="volume, and no key"),
    ],
)
def test_a_host_is_placed_as_declared(row: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    host = {"name": "ops", "groups": [], "type": "t3.micro", **row}
    found = by_key(declaration(options(hosts=[host], hosts_ssh_from=["198.51.100.0/24"])))
    assert expected.items() <= found["ec2_instance/ops"].items()
    assert {"ports": 22, "from": "198.51.100.0/24"} in found["security_group/nexod-staging-hosts"]["ingress"]


def test_only_the_host_of_prometheus_may_list_the_tasks() -> None:
    hosts = [{"name": one, "groups": [one], "type": "t3.small"} for one in ("monitoring", "pooler")]
    rows = by_key(declaration(options(hosts=hosts)))
    assert rows["ec2_instance/monitoring"]["instance_profile"] == "@instance_profile/nexod-staging-monitoring.name"
    assert rows["ec2_instance/pooler"]["instance_profile"] == "@instance_profile/nexod-staging-hosts.name"
    assert "ecs:ListTasks" in str(rows["iam_role/nexod-staging-monitoring"]["policies"])
    assert "policies" not in rows["iam_role/nexod-staging-hosts"]


def test_with_a_certificate_port_80_only_redirects() -> None:
    rows = by_key(declaration(options(certificate="arn:aws:acm:us-east-1:1:certificate/x")))
    assert rows["listener/nexod-staging-http"]["to_https"] is True
    assert rows["listener/nexod-staging-https"]["target_group"] == "@target_group/nexod-staging-api.arn"


def test_a_zone_without_a_gateway_of_its_own_uses_the_first() -> None:
    rows = by_key(declaration(options(nat_gateways=1)))
    routes = [rows[f"route_table/nexod-staging-private-{letter}"]["routes"][0]["via"] for letter in "ab"]
    assert routes == ["@nat_gateway/nexod-staging-a"] * 2


@pytest.mark.parametrize(
    ("alarm", "threshold", "more"),
    [
        ("api-p95", 0.5, {"quantile": "p95", "metric": "TargetResponseTime"}),
        ("api-p99.9", 1, {"quantile": "p99.9"}),
        ("api-errors-above-10", 10, {"metric": "HTTPCode_Target_5XX_Count", "period_seconds": 300, "periods": 1}),
        ("edge-errors-above-100", 100, {"metric": "HTTPCode_ELB_5XX_Count", "missing_data": "notBreaching"}),
        ("api-down", 1, {"metric": "HealthyHostCount", "comparison": "LessThanThreshold", "missing_data": "ignore"}),
        ("database-storage", 10 * 1024**3, {"comparison": "LessThanThreshold"}),
        ("database-connections", 90, {"metric": "DatabaseConnections"}),
        ("replica-2-lag", 30, {"dimensions": {"DBInstanceIdentifier": "nexod-staging-replica-2"}}),
        ("cache-2-memory", 80, {"dimensions": {"CacheClusterId": "nexod-staging-002"}}),
    ],
)
def test_alarms_follow_from_the_tables_and_the_sizes(alarm: str, threshold: float, more: t.Any) -> None:
    found = by_key(declaration(options()))[f"alarm/nexod-staging-{alarm}"]
    assert found["threshold"] == threshold
    assert {name: found[name] for name in more} == more


def test_who_is_notified_depends_on_the_severity() -> None:
    """As with Prometheus: what users notice is a page, a limit that comes near is none."""
    found = by_key(declaration(options(rds_replicas=1, cache_replicas=0)))
    topics = {key: given["actions"] for key, given in found.items() if key.startswith("alarm/")}
    pages = {key.removeprefix("alarm/nexod-staging-") for key, topic in topics.items() if "alarms.arn" in topic[0]}
    assert pages == {"api-p95", "api-p99.9", "api-errors-above-100", "edge-errors-above-100", "api-down"}
    assert {topic for (topic,) in topics.values()} == {
        "@sns_topic/nexod-staging-alarms.arn",
        "@sns_topic/nexod-staging-warnings.arn",
    }


def test_no_secret_is_in_the_declaration() -> None:
    text = str(declaration(options(rds_password=SECRETS["database"], api_secrets={"TOKEN": "api-canary"})))
    assert "canary" not in text


def test_endpoints_of_an_empty_account_say_when_they_are_known() -> None:
    found = endpoints({}, options())
    assert endpoint_faults(found) == []
    # A name that can be written into configurations, and that nothing can connect to.
    assert found["database"]["host"] == "rds-instance.not-created-yet.invalid"
    assert found["api"]["service"]["cluster"] == "nexod-staging"


def test_a_whole_environment_is_created_once_and_predicted_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the emulator moto, which loses where a cache is and who may connect to it: the lab has one (lab_aws)."""
    given = options(rds_replicas=1)
    cache = "cache_replication_group"
    rows = [(one["kind"], one["name"], one["properties"]) for one in declaration(given) if one["kind"] != cache]
    with emulated_aws(monkeypatch):
        predicted, api = bring(*rows, secrets=SECRETS, check=True)
        assert not [call for call in api.calls if call.changes]
        created, _api = bring(*rows, secrets=SECRETS)
        again, _api = bring(*rows, secrets=SECRETS)
    assert [f"{key}: {error}" for key, error in created.faults] == []
    assert [one.key for one in predicted.changes] == [one.key for one in created.changes]
    assert {one.key for one in created.changes} == {f"{kind}/{name}" for kind, name, _properties in rows}
    assert (again.changes, again.faults) == ([], [])
    found = endpoints({**created.outputs, f"{cache}/nexod-staging": {"host": "cache.example.com"}}, given)
    assert endpoint_faults(found) == []
    assert "(known when" not in str(found)
    assert "not-created-yet" not in str(found)
