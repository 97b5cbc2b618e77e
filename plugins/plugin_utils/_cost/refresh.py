# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prices as the AWS Price List API answers them. Pure: the answers come from the caller."""

from __future__ import annotations

import json
import typing as t

#: Service code and filters of a question; the caller adds the region.
Question = tuple[str, dict[str, str]]

#: What is billed under names of its own, which have a prefix in every other region.
US_EAST_1: t.Final[dict[str, Question]] = {
    "fargate/vcpu": ("AmazonECS", {"usagetype": "USE1-Fargate-vCPU-Hours:perCPU"}),
    "fargate/gb": ("AmazonECS", {"usagetype": "USE1-Fargate-GB-Hours"}),
    "fargate_arm/vcpu": ("AmazonECS", {"usagetype": "USE1-Fargate-ARM-vCPU-Hours:perCPU"}),
    "fargate_arm/gb": ("AmazonECS", {"usagetype": "USE1-Fargate-ARM-GB-Hours"}),
    "alb/hour": ("AWSELB", {"usagetype": "LoadBalancerUsage", "productFamily": "Load Balancer-Application"}),
    "alb/lcu": ("AWSELB", {"usagetype": "LCUUsage", "productFamily": "Load Balancer-Application"}),
    "nat/hour": ("AmazonEC2", {"usagetype": "NatGateway-Hours"}),
    "nat/gb": ("AmazonEC2", {"usagetype": "NatGateway-Bytes"}),
}
LINUX: t.Final = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
RDS_STORAGE: t.Final = {"volumeType": "General Purpose-GP3", "productFamily": "Database Storage"}
EVERYWHERE: t.Final[dict[str, Question]] = {
    "ebs/gp3": ("AmazonEC2", {"volumeApiName": "gp3", "productFamily": "Storage"})
}
ZONES: t.Final = {"rds": "Single-AZ", "rds_multi_az": "Multi-AZ"}


def question_of(sku: str, region: str) -> Question | None:
    """How to ask for the price; None for what the API is not asked about."""
    if region == "us-east-1" and sku in US_EAST_1:
        return US_EAST_1[sku]
    kind, _slash, name = sku.partition("/")
    if kind in ZONES and (name.startswith("db.") or name == "storage_gp3"):
        what = {"instanceType": name} if name.startswith("db.") else RDS_STORAGE
        return "AmazonRDS", {**what, "databaseEngine": "PostgreSQL", "deploymentOption": ZONES[kind]}
    if kind == "elasticache":
        engine, _slash, node = name.partition("/")
        return "AmazonElastiCache", {"instanceType": node, "cacheEngine": engine.capitalize()}
    if kind == "ec2":
        return "AmazonEC2", {"instanceType": name, **LINUX}
    return EVERYWHERE.get(sku)


def answer_of(products: t.Iterable[t.Any]) -> tuple[float | None, str]:
    """The price for the first unit, or why there is none: several prices are none, as one of them would be a guess."""
    found: set[float] = set()
    many = 0
    for item in products:
        many += 1
        try:
            product = json.loads(item) if isinstance(item, str) else item
            terms = (product["terms"].get("OnDemand") or {}).values()
            rows = [row for term in terms for row in term["priceDimensions"].values()]
            first = [row for row in rows if float(row.get("beginRange") or 0) == 0]
            found |= {float(row["pricePerUnit"]["USD"]) for row in first}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return None, f"the answer has another form than expected ({error!r})"
    if len(found) == 1 and (price := found.pop()) > 0:
        return price, ""
    return None, f"{many} products with the prices {sorted(found)}" if many else "no product"


def refreshed(
    document: t.Mapping[str, t.Any], today: str, ask: t.Callable[[str, dict[str, str]], t.Iterable[t.Any]]
) -> tuple[dict[str, t.Any], list[dict[str, t.Any]], list[dict[str, str]]]:
    """The document with the answers, what changed, and what was kept with the reason.

    The file's own date stays: it is of the prices that are kept, which a person has to look up.
    """
    region = str(document.get("region") or "")
    prices, changed, kept = {}, [], []
    for sku, row in (document.get("prices") or {}).items():
        question = question_of(sku, region)
        price, reason = (None, "the API is not asked for it") if question is None else answer_of(ask(*question))
        if price is None:
            prices[sku] = row
            kept.append({"sku": sku, "reason": reason})
            continue
        prices[sku] = {**row, "usd": price, "source": "aws_price_list", "verified": True, "dated": today}
        changed.append({"sku": sku, "before_usd": row.get("usd"), "usd": price})
    sources = {**(document.get("sources") or {}), "aws_price_list": "https://api.pricing.us-east-1.amazonaws.com"}
    return {**document, "sources": sources, "prices": prices}, changed, kept
