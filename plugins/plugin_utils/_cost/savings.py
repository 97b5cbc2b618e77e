# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What could be saved: only what applies to the declared environment, with what it risks."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._cost.amounts import Part, Row, priced
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.estimate import Declared, rows_of
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.prices import Prices
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.usage import Usage

#: Share of the uploads that are not read for a month, an assumption.
COLD: t.Final = 0.6
#: Share of the traffic of the load balancer that a cache could answer, an assumption.
CACHEABLE: t.Final = 0.3


class Replacement(t.NamedTuple):
    """A part of which there is a cheaper kind: the beginning of its SKU, what changes in that, and what it risks."""

    name: str
    prefix: str
    old: str
    new: str
    risk: str
    how: str


REPLACEMENTS: t.Final = (
    Replacement(
        "Graviton for the API's tasks",
        "fargate/",
        "fargate/",
        "fargate_arm/",
        "The image must be built for arm64; a package that has no build for it must be compiled.",
        "Build the image for linux/arm64, and set the architecture of the task definition.",
    ),
    Replacement(
        "Graviton for the hosts",
        "ec2/t3.",
        "/t3.",
        "/t4g.",
        "Hosts are replaced, as they need an image for arm64; what Prometheus has kept goes with its host.",
        "provider_aws_hosts with t4g types.",
    ),
    Replacement(
        "Valkey for ElastiCache",
        "elasticache/redis/",
        "/redis/",
        "/valkey/",
        "Another engine of the same protocol. There may be no way back: try it on staging, with sessions.",
        "provider_aws_cache_engine: valkey, with a version of it.",
    ),
)


def savings(declared: Declared, usage: Usage, prices: Prices) -> list[dict[str, t.Any]]:
    """Each saving with the expected US dollars a month, the largest first."""
    rows = rows_of(declared, usage)
    found = [
        *_spot(declared, rows, prices),
        *_replaced(rows, prices),
        *_reserved(rows, prices),
        *_tiering(declared, usage, prices),
        *_caching(rows, usage, prices),
    ]
    return sorted((one for one in found if one["usd"] > 0), key=lambda one: -one["usd"])


def _saving(name: str, usd: float, computation: str, risk: str, how: str) -> dict[str, t.Any]:
    return {"name": name, "usd": round(usd, 2), "computation": computation, "risk": risk, "how": how}


def _parts(rows: t.Iterable[Row], prefix: str) -> list[Part]:
    return [part for row in rows for part in row.parts if part.sku.startswith(prefix)]


def _usd(parts: t.Sequence[Part], prices: Prices) -> float:
    return priced(Row("", "", tuple(parts)), prices)[0].expected if parts else 0.0


def _instead(parts: t.Sequence[Part], old: str, new: str, prices: Prices) -> tuple[float, str]:
    """What is saved where the SKU with `new` in the place of `old` has a price."""
    known = [part for part in parts if part.sku.replace(old, new, 1) in prices]
    others = [part._replace(sku=part.sku.replace(old, new, 1)) for part in known]
    before, after = _usd(known, prices), _usd(others, prices)
    return before - after, f"{before:,.2f} - {after:,.2f} USD"


def _spot(declared: Declared, rows: t.Sequence[Row], prices: Prices) -> list[dict[str, t.Any]]:
    """Spot for what is not critical: tasks above the least number, or all where there is one and no standby."""
    tasks = declared.tasks
    parts = _parts(rows, "fargate/")
    if tasks is None or not parts:
        return []
    # A service of one task is no service that must not stop.
    hours = parts[0].quantity
    share = 1.0 if tasks.least == 1 else 1 - hours.least / (hours.expected or 1.0)
    usd = _usd(parts, prices) * share * prices.discount("fargate_spot").share
    return [
        _saving(
            "Fargate Spot for tasks that are not critical",
            usd,
            f"{_usd(parts, prices) * share:,.2f} USD x {prices.discount('fargate_spot').share:.0%}",
            "AWS ends such a task two minutes after a warning, and may have none at all: a call of 30 s ends in time, "
            "a WebSocket is cut.",
            "Tasks up to the least number stay on demand; the others get the capacity provider FARGATE_SPOT.",
        )
    ]


def _replaced(rows: t.Sequence[Row], prices: Prices) -> list[dict[str, t.Any]]:
    found = []
    for one in REPLACEMENTS:
        usd, computation = _instead(_parts(rows, one.prefix), one.old, one.new, prices)
        found.append(_saving(one.name, usd, computation, one.risk, one.how))
    return found


def _reserved(rows: t.Sequence[Row], prices: Prices) -> list[dict[str, t.Any]]:
    parts = [part for part in _parts(rows, "rds") if "/db." in part.sku]
    if not parts:
        return []
    share = prices.discount("rds_reserved_year").share
    usd = _usd(parts, prices)
    return [
        _saving(
            "RDS reserved for a year, nothing paid in advance",
            usd * share,
            f"{usd:,.2f} USD x {share:.0%}",
            "Paid for a year whatever happens, for one engine, family and region: buy it for a known size.",
            "aws rds purchase-reserved-db-instances-offering; nothing of the environment changes.",
        )
    ]


def _tiering(declared: Declared, usage: Usage, prices: Prices) -> list[dict[str, t.Any]]:
    buckets = [one for one in declared.resources if one["kind"] == "s3_bucket"]
    tiered = any((one.get("properties") or {}).get("intelligent_tiering") for one in buckets)
    if not buckets:
        return []
    each = prices.of("s3/standard").usd - prices.of("s3/infrequent").usd
    gross = usage.uploads_gb * COLD * each
    watch = 0.0 if tiered else usage.uploads_thousand_objects * prices.of("s3/monitoring").usd
    note = "It is on already, and the estimate does not count on it." if tiered else "It is off."
    return [
        _saving(
            "S3 Intelligent-Tiering",
            gross - watch,
            f"{usage.uploads_gb * COLD:g} GB not read for 30 days x {each:.4g} USD - {watch:.2f} USD",
            f"None for reads. Objects under 128 KB are never moved. {note}",
            "The bucket of uploads has it by declaration.",
        )
    ]


def _caching(rows: t.Sequence[Row], usage: Usage, prices: Prices) -> list[dict[str, t.Any]]:
    if not _parts(rows, "cloudfront/gb") or not _parts(rows, "transfer/internet_gb"):
        return []
    moved = usage.api_gb * CACHEABLE
    each = prices.of("transfer/internet_gb").usd - prices.of("cloudfront/gb").usd
    return [
        _saving(
            "CloudFront caching of answers of the API",
            moved * each,
            f"{moved:g} GB x {each:.4g} USD",
            "An answer that depends on the user must never be cached: only what says Cache-Control: public.",
            "A behaviour of the distribution with the load balancer as origin; it also takes load off the tasks.",
        )
    ]
