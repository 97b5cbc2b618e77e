# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cost Explorer is asked for the environment alone, page by page, and nothing is written."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.action import cost_actual
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._cost.test_actual import RDS, page, row

ROWS = [row("RDS primary", 50, 60, 70)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, t.Any]]:
    """What a stand-in for the API is asked; no emulator answers with costs."""
    calls: list[dict[str, t.Any]] = []

    class StandIn:
        account = "123456789012"

        def __init__(self, region: str, **options: t.Any) -> None:
            assert (region, options["check"]) == ("us-east-1", True)

        def require_account(self, number: str) -> None:
            assert number == self.account

        def call(self, service: str, operation: str, **arguments: t.Any) -> dict[str, t.Any]:
            assert (service, operation) == ("ce", "GetCostAndUsage")
            calls.append(arguments)
            more = {} if "NextPageToken" in arguments else {"NextPageToken": "2"}
            return page({RDS: "30"}, **more)

    monkeypatch.setattr(cost_actual, "Api", StandIn)
    return calls


def test_all_pages_are_compared(action: t.Any, asked: list[dict[str, t.Any]]) -> None:
    arguments = {"environment": "production", "rows": ROWS, "account": "123456789012"}
    result, _modules = action("cost_actual", arguments)
    assert (result["changed"], result["total_usd"]) == (False, 60.0)
    assert [(part["part"], part["result"]) for part in result["parts"]] == [("RDS", "within")]
    assert [call.get("NextPageToken") for call in asked] == [None, "2"]
    assert asked[0]["Filter"] == {"Tags": {"Key": "nexod:environment", "Values": ["production"]}}
