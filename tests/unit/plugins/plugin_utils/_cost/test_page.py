# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the estimate: complete, well-formed, and without anything that is loaded."""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._cost.estimate import compared, estimate
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.page import page
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.savings import savings
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._cost.test_estimate import (
    ALL,
    NO_USE,
    REGION,
    asked,
    prices,
)


def facts(**more: t.Any) -> dict[str, t.Any]:
    found = estimate(ALL, NO_USE, prices(), REGION)
    return {
        **found,
        "environment": "production <script>",
        "budget_usd": 0,
        "over_budget": False,
        "comparison": compared(found["rows"], {"api": 800}),
        "savings": savings(ALL, NO_USE, prices()),
        **more,
    }


def test_every_row_has_a_figure_and_its_computation() -> None:
    found = facts()
    text = page(found)
    for row in found["rows"]:
        assert f'aria-label="{row["name"]}: ' in text
    assert text.count("<svg") == len(found["rows"])
    assert text.count(" USD per ") == sum(len(row["parts"]) for row in found["rows"])


def test_is_well_formed_and_loads_nothing() -> None:
    text = page(facts())
    assert "<script" not in text
    assert re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:)[a-z/]""", text) == []
    ET.fromstring(re.sub(r"<(meta|link|br)([^>]*)>", r"<\1\2/>", text).removeprefix("<!DOCTYPE html>"))


@pytest.mark.parametrize(("over", "word"), [(True, "over the budget"), (False, "within the budget")])
def test_the_budget(over: bool, word: str) -> None:
    assert word in page(facts(budget_usd=500, over_budget=over))
    assert "Budget" not in page(facts())


def test_is_the_same_whatever_the_last_estimate_was() -> None:
    assert page(facts(difference_usd=12.0)) == page(facts(difference_usd=None))


def test_an_environment_that_costs_nothing() -> None:
    found = estimate(asked(plans={"supabase": "free"}), NO_USE, prices(), REGION)
    assert "about 0.00 US$" in page({**facts(), **found, "comparison": [], "savings": []})


def test_the_bill() -> None:
    estimated = {"min": 50.0, "expected": 60.0, "max": 70.0}
    parts = [
        {"part": "RDS", "actual_usd": 80.0, "estimated": estimated, "result": "above"},
        {"part": "AWS Lambda", "actual_usd": 5.0, "estimated": None, "result": "not estimated"},
    ]
    bill = {"from": "2026-10-01", "to": "2026-11-01", "total_usd": 85.0, "parts": parts}
    text = page(facts(actual=bill))
    assert "AWS has charged 85.00 US$" in text
    assert "50.00 to 70.00" in text
    assert "Against the bill" not in page(facts())
