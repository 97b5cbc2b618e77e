# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS has charged for an environment, by Cost Explorer's answer, against the estimate. Pure."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.amounts import NOTHING, Span

Facts = t.Mapping[str, t.Any]

#: Parts of the bill as Cost Explorer can separate them: its services, and the rows of the estimate that they are.
PARTS: t.Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "ECS": (("Amazon Elastic Container Service",), ("ECS tasks",)),
    "RDS": (("Amazon Relational Database Service",), ("RDS primary", "RDS read replicas")),
    "ElastiCache": (("Amazon ElastiCache",), ("ElastiCache",)),
    "S3 and CloudFront": (("Amazon Simple Storage Service", "Amazon CloudFront"), ("S3 and CloudFront",)),
    # Addresses, volumes and traffic are billed apart from what has them.
    "Load balancer, gateways and hosts": (
        (
            "Amazon Elastic Load Balancing",
            "Amazon Elastic Compute Cloud - Compute",
            "Amazon Virtual Private Cloud",
            "AWS Data Transfer",
            "EC2 - Other",
        ),
        ("Load balancer", "NAT gateways", "Prometheus", "Grafana", "Other hosts"),
    ),
    "CloudWatch": (("AmazonCloudWatch",), ("CloudWatch",)),
    "Secrets and images": (
        ("AWS Secrets Manager", "Amazon EC2 Container Registry (ECR)"),
        ("Secrets, images, traffic between zones",),
    ),
}
#: Below half a cent, nothing is shown.
CENT: t.Final = 0.005


def last_month(today: datetime.date) -> tuple[str, str]:
    """The last whole month, its end excluded, as Cost Explorer takes it."""
    end = today.replace(day=1)
    start = (end - datetime.timedelta(days=1)).replace(day=1)
    return start.isoformat(), end.isoformat()


def charged(pages: t.Iterable[Facts], environment: str) -> dict[str, float]:
    """US dollars by service. No answer for the tag is an error: it does not mean that nothing was charged."""
    found: dict[str, float] = {}
    for page in pages:
        for period in page.get("ResultsByTime") or ():
            for group in period.get("Groups") or ():
                cost = group["Metrics"]["UnblendedCost"]
                if cost["Unit"] != "USD":
                    fix = "Compare the bill by hand: the estimate is in US dollars."
                    raise InfraError("compare the cost of", environment, f"the bill is in {cost['Unit']}", fix)
                name = str(group["Keys"][0])
                found[name] = found.get(name, 0.0) + float(cost["Amount"])
    if not found:
        raise InfraError(
            "compare the cost of",
            environment,
            "Cost Explorer has no cost with its tag nexod:environment",
            "Activate the tag as a cost allocation tag in the payer's account; AWS counts by it from the next day on.",
        )
    return found


def compared_with_bill(rows: t.Sequence[Facts], bill: t.Mapping[str, float]) -> list[dict[str, t.Any]]:
    """Each part of the bill beside its rows of the estimate; what the estimate lacks has a line of its own."""
    spans = {str(row["name"]): Span(*(row["usd"][name] for name in ("min", "expected", "max"))) for row in rows}
    lines = []
    for name, (services, ours) in PARTS.items():
        actual = sum(bill.get(service, 0.0) for service in services)
        known = [spans[row] for row in ours if row in spans]
        if not known and actual < CENT:
            continue
        total = NOTHING
        for span in known:
            total = total.plus(span)
        lines.append(_line(name, actual, total if known else None))
    counted = {service for services, _rows in PARTS.values() for service in services}
    others = {service: usd for service, usd in bill.items() if service not in counted and abs(usd) >= CENT}
    return [*lines, *(_line(service, usd, None) for service, usd in sorted(others.items()))]


def _line(name: str, actual: float, span: Span | None) -> dict[str, t.Any]:
    word = "not estimated"
    if span is not None:
        # The estimate is rounded.
        above, below = actual > span.most + CENT, actual < span.least - CENT
        word = "above" if above else "below" if below else "within"
    return {"part": name, "actual_usd": round(actual, 2), "estimated": span.rounded() if span else None, "result": word}
