# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables: what each declaration and each assumption costs, and that what is unknown is never free."""

from __future__ import annotations

import copy
import datetime
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.modules import cost_estimate
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.estimate import (
    FREE,
    PRICED,
    Declared,
    compared,
    estimate,
    lines_of,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.prices import Prices, prices_of
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.usage import Tasks, Usage
from ansible_collections.nexod.infra.tests.playbook import ROOT

FILE = ROOT / "roles/cost/files/prices.yml"
DOCUMENT = yaml.safe_load(FILE.read_text())
DATED = DOCUMENT["dated"]
REGION = "us-east-1"
NO_USE = Usage(**dict.fromkeys(Usage._fields, 0.0))._replace(task_hours=730)
NO_TASKS = Tasks(0, 0, 0, 0)


def prices(days: int = 0, **changes: t.Any) -> Prices:
    return prices_of("prices.yml", {**copy.deepcopy(DOCUMENT), **changes}, DATED + datetime.timedelta(days=days), 90)


def one(kind: str, name: str = "x", **properties: t.Any) -> dict[str, t.Any]:
    return {"kind": kind, "name": name, "properties": properties}


def database(**more: t.Any) -> dict[str, t.Any]:
    own = {
        "instance_class": "db.r6g.large",
        "storage_gb": 100,
        "storage_max_gb": 500,
        "storage_type": "gp3",
        "multi_az": True,
        "password": "database",
    }
    return one("rds_instance", "db", **{**own, **more})


def replica(number: int) -> dict[str, t.Any]:
    return one("rds_replica", f"db-replica-{number}", source="@rds_instance/db", instance_class="db.r6g.large")


def cache(engine: str = "redis", node: str = "cache.r6g.large", replicas: int = 0) -> dict[str, t.Any]:
    return one("cache_replication_group", engine=engine, node_type=node, replicas=replicas)


def host(group: str, kind: str, gb: int, **more: t.Any) -> dict[str, t.Any]:
    return one("ec2_instance", f"{group}-1", type=kind, root_gb=gb, groups=[group], **more)


def asked(*resources: dict[str, t.Any], tasks: Tasks | None = None, **more: t.Any) -> Declared:
    return Declared(list(resources), tasks, more.pop("plans", {}), **more)


def rows(declared: Declared, usage: Usage = NO_USE) -> dict[str, tuple[float, float, float]]:
    found = estimate(declared, usage, prices(), REGION)
    return {row["name"]: tuple(row["usd"][name] for name in ("min", "expected", "max")) for row in found["rows"]}


PRODUCTION_TASKS = Tasks(2, 10, 2048, 4096)

# Each row of what was stated, and each that the stated figures lack.
TABLE = [
    # 10 tasks of 2 vCPU and 4 GB are 721 a month: the stated 800 is the ceiling.
    ("ECS tasks", asked(one("ecs_cluster"), tasks=PRODUCTION_TASKS), (144.16, 144.16, 720.8)),
    ("ECS tasks", asked(one("ecs_cluster"), tasks=Tasks(1, 0, 2048, 4096)), (72.08, 72.08, 72.08)),
    # 16.43 and two public addresses.
    ("Load balancer", asked(one("load_balancer", subnets=["a", "b"])), (23.73, 23.73, 23.73)),
    # The stated 350 is the primary alone: 328.50 and 23.00.
    ("RDS primary", asked(database()), (351.5, 351.5, 443.5)),
    ("RDS primary", asked(database(multi_az=False, instance_class="db.t4g.medium")), (58.95, 58.95, 104.95)),
    # 175.75 for each replica.
    ("RDS read replicas", asked(database(), replica(1)), (175.75, 175.75, 221.75)),
    ("RDS read replicas", asked(database(), replica(1), replica(2)), (351.5, 351.5, 443.5)),
    ("ElastiCache", asked(cache()), (150.38, 150.38, 150.38)),
    ("ElastiCache", asked(cache(replicas=1)), (300.76, 300.76, 300.76)),
    ("ElastiCache", asked(cache("valkey")), (120.3, 120.3, 120.3)),
    ("NAT gateways", asked(*[one("nat_gateway")] * 2, *[one("elastic_ip")] * 2), (73.0, 73.0, 73.0)),
    ("Prometheus", asked(host("monitoring", "t3.small", 50)), (19.18, 19.18, 19.18)),
    ("Grafana", asked(host("grafana", "t3.micro", 20)), (9.19, 9.19, 9.19)),
    ("Other hosts", asked(host("pooler", "t3.small", 20, public_address=True)), (20.43, 20.43, 20.43)),
    ("CloudWatch", asked(one("log_group"), *[one("alarm")] * 20), (2.0, 2.0, 2.0)),
    # The second one is the password that RDS generates.
    ("Secrets, images, traffic between zones", asked(one("secret"), database(password="")), (0.8, 0.8, 0.8)),
    ("Vercel", asked(plans={"vercel": "pro"}, vercel_seats=2), (40.0, 40.0, 40.0)),
    ("Sentry", asked(plans={"sentry": "team"}), (26.0, 26.0, 26.0)),
    ("Supabase", asked(plans={"supabase": "free"}), (0.0, 0.0, 0.0)),
    ("rack", asked(fixed=[{"name": "rack", "usd": 99}]), (99.0, 99.0, 99.0)),
]


@pytest.mark.parametrize(("name", "declared", "usd"), TABLE)
def test_a_row(name: str, declared: Declared, usd: tuple[float, float, float]) -> None:
    assert rows(declared)[name] == pytest.approx(usd, abs=0.011)


ALL = asked(
    one("ecs_cluster"),
    one("load_balancer", subnets=["a", "b"]),
    database(),
    replica(1),
    one("s3_bucket", intelligent_tiering=True),
    one("cloudfront_distribution"),
    one("nat_gateway"),
    one("ecr_repository"),
    one("log_group", retention_days=30),
    tasks=PRODUCTION_TASKS,
)
# Each assumption, the row that it changes, and by how many dollars where use is as expected.
USES = [
    ("tasks", 4, "ECS tasks", 144.16),
    ("lcus", 1, "Load balancer", 5.84),
    ("api_gb", 100, "Load balancer", 9.0),
    ("nat_gb", 100, "NAT gateways", 4.5),
    ("zone_gb", 100, "Secrets, images, traffic between zones", 2.0),
    ("cdn_gb", 100, "S3 and CloudFront", 8.5),
    ("cdn_million_requests", 10, "S3 and CloudFront", 10.0),
    ("uploads_gb", 100, "S3 and CloudFront", 2.3),
    ("uploads_thousand_objects", 1000, "S3 and CloudFront", 2.5),
    ("s3_thousand_puts", 1000, "S3 and CloudFront", 5.0),
    ("s3_thousand_gets", 1000, "S3 and CloudFront", 0.4),
    ("snapshots_gb", 100, "RDS primary", 9.5),
    ("logs_gb", 10, "CloudWatch", 5.3),
    ("images_gb", 10, "Secrets, images, traffic between zones", 1.0),
]


@pytest.mark.parametrize(("option", "value", "row", "usd"), USES)
def test_an_assumption_changes_one_row(option: str, value: float, row: str, usd: float) -> None:
    before, after = rows(ALL), rows(ALL, NO_USE._replace(**{option: value}))
    changed = {name: after[name][1] - before[name][1] for name in after if after[name] != before[name]}
    assert changed == {row: pytest.approx(usd, abs=0.011)}


def test_growth_ends_where_autoscaling_does() -> None:
    grown = rows(ALL, NO_USE._replace(database_growth_gb=10, months_ahead=6))["RDS primary"][1]
    full = rows(ALL, NO_USE._replace(database_growth_gb=100, months_ahead=60))["RDS primary"][1]
    base = rows(ALL)["RDS primary"][1]
    assert (grown - base, full - base) == (pytest.approx(60 * 0.23), pytest.approx(400 * 0.23))


def test_fewer_hours_cost_less() -> None:
    assert rows(ALL, NO_USE._replace(task_hours=365))["ECS tasks"][1] == pytest.approx(72.08, abs=0.011)


def test_spread_widens_only_what_depends_on_use() -> None:
    wide = rows(ALL, NO_USE._replace(nat_gb=100, spread=0.5))
    assert wide["NAT gateways"] == pytest.approx((35.1, 37.35, 39.6))
    assert rows(ALL, NO_USE._replace(spread=0.5)) == rows(ALL)


def test_every_assumption_is_tested() -> None:
    others = {"task_hours", "database_growth_gb", "months_ahead", "spread"}
    assert {option for option, *_rest in USES} | others == set(Usage._fields)


def test_role_and_module_have_the_same_defaults() -> None:
    specs = yaml.safe_load((ROOT / "roles/cost/meta/argument_specs.yml").read_text())["argument_specs"]
    role = specs["main"]["options"]["cost_usage"]["options"]
    module = yaml.safe_load(cost_estimate.DOCUMENTATION)["options"]["usage"]["suboptions"]
    ours = {name: float(value) for name, value in Usage()._asdict().items()}
    assert {name: float(spec["default"]) for name, spec in role.items()} == ours
    assert {name: float(spec["default"]) for name, spec in module.items()} == ours


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_priced_or_known_to_be_free(kind: str) -> None:
    assert (kind in PRICED) != (kind in FREE)


UNKNOWN = [
    (asked(database(instance_class="db.r9g.large")), "rds_multi_az/db.r9g.large"),
    (asked(database(storage_type="io2")), "rds_multi_az/storage_io2"),
    (asked(cache(node="cache.x.large")), "elasticache/redis/cache.x.large"),
    (asked(host("pooler", "m9.large", 20)), "ec2/m9.large"),
    (asked(plans={"vercel": "platinum"}), "vercel/platinum"),
    (asked(one("quantum_computer")), "quantum_computer"),
    (asked(replica(1)), "not declared"),
    (asked(), "nothing in it has a price"),
]


@pytest.mark.parametrize(("declared", "named"), UNKNOWN)
def test_what_is_unknown_fails(declared: Declared, named: str) -> None:
    with pytest.raises(InfraError) as failed:
        estimate(declared, NO_USE, prices(), REGION)
    assert named in str(failed.value)


def test_prices_of_another_region_fail() -> None:
    with pytest.raises(InfraError, match="eu-west-1"):
        estimate(ALL, NO_USE, prices(), "eu-west-1")


BAD: list[tuple[dict[str, t.Any], int, str]] = [
    ({}, 91, "91 days ago"),
    ({}, -1, "yet to come"),
    ({"dated": "soon"}, 0, "its date is 'soon'"),
    ({"dated": None}, 0, "its date is None"),
]


@pytest.mark.parametrize(("changes", "days", "cause"), BAD)
def test_a_bad_date_fails_and_names_the_file(changes: dict[str, t.Any], days: int, cause: str) -> None:
    with pytest.raises(InfraError) as failed:
        prices(days, **changes)
    assert cause in str(failed.value)
    assert '"prices.yml"' in str(failed.value)


def test_ninety_days_are_good() -> None:
    assert prices(90).dated == DATED


@pytest.mark.parametrize(
    ("dated", "days", "good"),
    [
        (DATED, 90, True),
        ((DATED - datetime.timedelta(days=1)).isoformat(), 89, True),
        # The file is good, and the price is not.
        (DATED - datetime.timedelta(days=1), 90, False),
        ("soon", 0, False),
        (None, 0, False),
    ],
)
def test_a_price_with_a_day_of_its_own(dated: t.Any, days: int, good: bool) -> None:
    row = {"usd": 1, "unit": "hour", "source": "aws_cloudfront", "verified": True}
    found = prices(days, prices={"alb/hour": {**row, "dated": dated}, "alb/lcu": row})
    assert found.of("alb/lcu").usd == 1
    if good:
        assert found.of("alb/hour").usd == 1
    else:
        with pytest.raises(InfraError, match=f"alb/hour is dated {dated}, and prices are good from"):
            found.of("alb/hour")


def test_which_prices_of_the_collection_are_in_doubt() -> None:
    doubted = [sku for sku, row in DOCUMENT["prices"].items() if row.get("verified") is not True]
    assert doubted == ["rds_multi_az/db.t4g.medium"]


def test_a_price_that_no_source_states_widens_the_estimate() -> None:
    doubted = {**DOCUMENT["prices"], "sentry/team": {**DOCUMENT["prices"]["sentry/team"], "verified": False}}
    found = estimate(asked(plans={"sentry": "team"}), NO_USE, prices(prices=doubted), REGION)
    assert (found["total"], found["unverified"]) == ({"min": 23.4, "expected": 26.0, "max": 28.6}, ["sentry/team"])


@pytest.mark.parametrize("usd", [None, -1, "cheap", True, float("nan"), float("inf")])
def test_a_price_that_is_none_fails(usd: t.Any) -> None:
    row = {"usd": usd, "unit": "hour", "source": "aws_cloudfront", "verified": True}
    with pytest.raises(InfraError, match="the price of alb/hour"):
        prices(prices={"alb/hour": row}).of("alb/hour")


def test_every_price_of_the_file_has_a_source() -> None:
    found = prices()
    assert all(found.of(sku).source.startswith("https://") for sku in DOCUMENT["prices"])
    assert all(0 < found.discount(name).share < 1 for name in DOCUMENT["discounts"])
    assert {row["source"] for row in [*DOCUMENT["prices"].values(), *DOCUMENT["discounts"].values()]} == set(
        DOCUMENT["sources"]
    )


def test_a_source_that_is_not_listed_fails() -> None:
    row = {"usd": 1, "unit": "hour", "source": "hearsay", "verified": True}
    with pytest.raises(InfraError, match="hearsay"):
        prices(prices={"alb/hour": row}).of("alb/hour")


def test_each_part_shows_its_computation() -> None:
    found = estimate(asked(one("nat_gateway")), NO_USE, prices(), REGION)
    part = found["rows"][0]["parts"][0]
    assert (part["computation"], part["verified"]) == ("730 x 0.045 USD per hour", True)
    assert part["source"].startswith("https://")
    assert (
        lines_of("x", found, 1.5)[0]
        == "x: about 32.85 US$ a month, from 32.85 to 32.85, +1.50 against the last estimate"
    )


def test_compared_with_what_was_stated() -> None:
    rows_found = [{"group": "api", "usd": {"expected": 300.0}}, {"group": "network", "usd": {"expected": 70.0}}]
    assert compared(rows_found, {"api": 800, "sentry": 26}) == [
        {"group": "api", "stated_usd": 800.0, "estimated_usd": 300.0, "difference_usd": -500.0},
        {"group": "sentry", "stated_usd": 26.0, "estimated_usd": None, "difference_usd": None},
        {"group": "network", "stated_usd": None, "estimated_usd": 70.0, "difference_usd": None},
    ]
