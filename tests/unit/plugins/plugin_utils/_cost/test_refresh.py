# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers in the form of the AWS Price List API: a price, or the reason why there is none."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.plugin_utils._cost.refresh import answer_of, question_of, refreshed
from ansible_collections.nexod.infra.tests.playbook import ROOT

FILE = ROOT / "roles/cost/files/prices.yml"
DOCUMENT = yaml.safe_load(FILE.read_text())


def product(*prices: tuple[str, str], text: bool = True) -> t.Any:
    """A product with a price for each beginning of a range, as GetProducts answers it: JSON in a string."""
    rows = {
        f"SKU.JRTCKXETXF.{number}": {
            "unit": "Hrs",
            "beginRange": begin,
            "endRange": "Inf",
            "description": "$0.225 per RDS db.r6g.large Single-AZ instance hour (or partial hour) running PostgreSQL",
            "appliesTo": [],
            "rateCode": f"SKU.JRTCKXETXF.{number}",
            "pricePerUnit": {"USD": usd},
        }
        for number, (begin, usd) in enumerate(prices)
    }
    found = {
        "product": {"productFamily": "Database Instance", "sku": "SKU", "attributes": {"regionCode": "us-east-1"}},
        "serviceCode": "AmazonRDS",
        "terms": {
            "OnDemand": {"SKU.JRTCKXETXF": {"sku": "SKU", "priceDimensions": rows}},
            "Reserved": {"SKU.X": {"priceDimensions": {"y": {"pricePerUnit": {"USD": "0.1"}}}}},
        },
        "version": "20261120000000",
    }
    return json.dumps(found) if text else found


ANSWERS = [
    ([product(("0", "0.2250000000"))], 0.225, ""),
    ([product(("0", "0.2250000000"), text=False)], 0.225, ""),
    # The first step of several: what the next ones cost is for more than an environment uses.
    ([product(("0", "0.0850000000"), ("10240", "0.0800000000"))], 0.085, ""),
    ([product(("0", "0.1")), product(("0", "0.1"))], 0.1, ""),
    ([product(("0", "0.1")), product(("0", "0.2"))], None, "2 products with the prices [0.1, 0.2]"),
    ([product(("0", "0.0000000000"))], None, "1 products with the prices []"),
    ([], None, "no product"),
    (["no json"], None, "another form"),
    ([{"terms": {"OnDemand": {"x": {}}}}], None, "another form"),
]


@pytest.mark.parametrize(("products", "price", "reason"), ANSWERS)
def test_an_answer(products: list[t.Any], price: float | None, reason: str) -> None:
    found, why = answer_of(products)
    assert found == price
    assert reason in why


QUESTIONS = [
    ("rds/db.r6g.large", "AmazonRDS", {"instanceType": "db.r6g.large", "deploymentOption": "Single-AZ"}),
    ("rds_multi_az/db.r6g.large", "AmazonRDS", {"instanceType": "db.r6g.large", "deploymentOption": "Multi-AZ"}),
    ("rds/storage_gp3", "AmazonRDS", {"volumeType": "General Purpose-GP3", "deploymentOption": "Single-AZ"}),
    ("elasticache/valkey/cache.t4g.medium", "AmazonElastiCache", {"cacheEngine": "Valkey"}),
    ("ec2/t3.small", "AmazonEC2", {"instanceType": "t3.small", "operatingSystem": "Linux"}),
    ("ebs/gp3", "AmazonEC2", {"volumeApiName": "gp3"}),
    ("fargate/vcpu", "AmazonECS", {"usagetype": "USE1-Fargate-vCPU-Hours:perCPU"}),
    ("nat/hour", "AmazonEC2", {"usagetype": "NatGateway-Hours"}),
]


@pytest.mark.parametrize(("sku", "service", "filters"), QUESTIONS)
def test_a_question(sku: str, service: str, filters: dict[str, str]) -> None:
    asked = question_of(sku, "us-east-1")
    assert asked is not None
    assert asked[0] == service
    assert filters.items() <= asked[1].items()


@pytest.mark.parametrize(
    ("sku", "region"), [("vercel/pro", "us-east-1"), ("rds/backup", "us-east-1"), ("nat/hour", "eu-west-1")]
)
def test_what_the_api_is_not_asked_for(sku: str, region: str) -> None:
    assert question_of(sku, region) is None


def test_a_refreshed_file() -> None:
    def ask(service: str, filters: dict[str, str]) -> list[t.Any]:
        return [product(("0", "0.5"))] if service == "AmazonRDS" and filters.get("instanceType") else []

    new, changed, kept = refreshed(DOCUMENT, "2027-01-01", ask)
    assert {row["sku"] for row in changed} == {sku for sku in DOCUMENT["prices"] if "/db." in sku}
    assert new["prices"]["rds/db.r6g.large"] == {
        "usd": 0.5,
        "unit": "hour",
        "source": "aws_price_list",
        "verified": True,
        "dated": "2027-01-01",
    }
    # What is kept is as old as before, and so is the file.
    assert new["dated"] == DOCUMENT["dated"]
    assert new["prices"]["vercel/pro"] == DOCUMENT["prices"]["vercel/pro"]
    assert len(changed) + len(kept) == len(DOCUMENT["prices"])
    assert {"sku": "vercel/pro", "reason": "the API is not asked for it"} in kept
