# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prices are asked of the AWS Price List API, and nothing is written."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.action import cost_prices
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._cost.test_refresh import FILE, product


def test_the_action_asks_and_writes_nothing(action: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the API: no emulator has it."""
    calls: list[dict[str, t.Any]] = []

    class StandIn:
        def __init__(self, region: str, **options: t.Any) -> None:
            assert (region, options["check"]) == ("us-east-1", True)

        def call(self, service: str, operation: str, **arguments: t.Any) -> dict[str, t.Any]:
            assert (service, operation) == ("pricing", "GetProducts")
            calls.append(arguments)
            return {"PriceList": [product(("0", "0.5"))]}

    monkeypatch.setattr(cost_prices, "Api", StandIn)
    result, _modules = action("cost_prices", {"prices": str(FILE)})
    assert (result["changed"], result["document"]["prices"]["ec2/t3.small"]["usd"]) == (False, 0.5)
    assert all({"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"} in one["Filters"] for one in calls)
    assert len(calls) == len(result["refreshed"])
