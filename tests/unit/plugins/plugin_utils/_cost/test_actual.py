# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers in the form of Cost Explorer, and what they say of the estimate."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.actual import charged, compared_with_bill, last_month
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.estimate import Declared, estimate
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._cost.test_estimate import (
    ALL,
    NO_USE,
    REGION,
    prices,
)


def page(groups: dict[str, str], unit: str = "USD", **more: t.Any) -> dict[str, t.Any]:
    rows = [
        {"Keys": [name], "Metrics": {"UnblendedCost": {"Amount": usd, "Unit": unit}}} for name, usd in groups.items()
    ]
    period = {"Start": "2026-10-01", "End": "2026-11-01"}
    return {
        "GroupDefinitions": [{"Type": "DIMENSION", "Key": "SERVICE"}],
        "ResultsByTime": [{"TimePeriod": period, "Total": {}, "Groups": rows, "Estimated": False}],
        **more,
    }


def row(name: str, least: float, expected: float, most: float) -> dict[str, t.Any]:
    return {"name": name, "usd": {"min": least, "expected": expected, "max": most}}


RDS = "Amazon Relational Database Service"


@pytest.mark.parametrize(
    ("day", "month"),
    [
        ("2026-11-27", ("2026-10-01", "2026-11-01")),
        ("2026-11-01", ("2026-10-01", "2026-11-01")),
        ("2027-01-31", ("2026-12-01", "2027-01-01")),
    ],
)
def test_the_last_whole_month(day: str, month: tuple[str, str]) -> None:
    assert last_month(datetime.date.fromisoformat(day)) == month


def test_pages_are_added_up() -> None:
    assert charged([page({RDS: "10.5", "EC2 - Other": "1"}), page({RDS: "0.5"})], "x") == {
        RDS: 11.0,
        "EC2 - Other": 1.0,
    }


@pytest.mark.parametrize(
    ("pages", "cause"),
    [([page({})], "no cost with its tag"), ([], "no cost with its tag"), ([page({RDS: "1"}, "EUR")], "in EUR")],
)
def test_what_can_not_be_compared_fails(pages: list[dict[str, t.Any]], cause: str) -> None:
    with pytest.raises(InfraError, match=cause):
        charged(pages, "production")


TABLE = [
    ({RDS: 100.0}, [row("RDS primary", 50, 60, 70), row("RDS read replicas", 30, 30, 30)], "RDS", "within"),
    ({RDS: 100.01}, [row("RDS primary", 50, 60, 70), row("RDS read replicas", 30, 30, 30)], "RDS", "above"),
    ({RDS: 79.0}, [row("RDS primary", 50, 60, 70), row("RDS read replicas", 30, 30, 30)], "RDS", "below"),
    ({}, [row("RDS primary", 50, 60, 70)], "RDS", "below"),
    ({RDS: 5.0}, [], "RDS", "not estimated"),
    ({"AWS Lambda": 5.0}, [], "AWS Lambda", "not estimated"),
    (
        {"Amazon Virtual Private Cloud": 3.0, "EC2 - Other": 4.0},
        [row("NAT gateways", 5, 6, 7)],
        "Load balancer, gateways and hosts",
        "within",
    ),
]


@pytest.mark.parametrize(("bill", "rows", "part", "result"), TABLE)
def test_a_part(bill: dict[str, float], rows: list[dict[str, t.Any]], part: str, result: str) -> None:
    # Every part of the bill has one line, and no other part has one.
    assert {line["part"]: line["result"] for line in compared_with_bill(rows, bill)} == {part: result}


def test_every_row_of_aws_has_its_part() -> None:
    """A row that no part has would never be compared."""
    vendors = {"Vercel", "Sentry", "Supabase"}
    declared: Declared = ALL
    rows = estimate(declared, NO_USE, prices(), REGION)["rows"]
    lines = compared_with_bill(rows, {})
    estimated = sum(line["estimated"]["expected"] for line in lines)
    assert estimated == pytest.approx(
        sum(one["usd"]["expected"] for one in rows if one["name"] not in vendors), abs=0.05
    )
