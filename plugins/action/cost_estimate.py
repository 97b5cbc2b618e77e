# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimate what an environment costs a month."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges
from ansible_collections.nexod.infra.plugins.plugin_utils._action.on_controller import ControllerAction
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.budget import before_of, judged
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.estimate import Declared, compared, estimate, lines_of
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.files import document_of
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.prices import Prices, prices_of
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.running import (
    LAST_ESTIMATE,
    WHAT_RUNS,
    cost_of_running,
    running,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.savings import savings
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.usage import Tasks, Usage

USAGE: t.Final = {name: {"type": "float", "default": value} for name, value in Usage._field_defaults.items()}
TASKS: t.Final = {name: {"type": "int", "required": True} for name in Tasks._fields}
#: Without any: there is no service.
RUNNING_TASKS: t.Final = {name: {"type": "int", "default": 0} for name in Tasks._fields}
FIXED: t.Final = {
    "name": {"type": "str", "required": True},
    "usd": {"type": "float", "required": True},
    "source": {"type": "str"},
}


class ActionModule(ControllerAction):
    """Reads the file of prices, and hands the rest to pure functions. It changes nothing."""

    ARGUMENTS = {
        "environment": {"type": "str", "required": True},
        "region": {"type": "str", "default": "us-east-1"},
        "resources": {"type": "list", "elements": "dict", "default": []},
        "tasks": {"type": "dict", "options": TASKS},
        "plans": {"type": "dict", "default": {}},
        "vercel_seats": {"type": "int", "default": 1},
        "fixed": {"type": "list", "elements": "dict", "default": [], "options": FIXED},
        "usage": {"type": "dict", "default": {}, "options": USAGE},
        "stated": {"type": "dict", "default": {}},
        "prices": {"type": "path", "required": True},
        "max_age_days": {"type": "int", "default": 90},
        "budget_usd": {"type": "float", "default": 0},
        "approved_usd": {"type": "float", "default": 0},
        "before": {"type": "path"},
        "changes": {"type": "list", "elements": "dict"},
        "running_tasks": {"type": "dict", "options": RUNNING_TASKS},
    }

    def act(self, _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self.arguments
        usage = Usage(**{name: value for name, value in given["usage"].items() if value is not None})
        check_ranges(usage._asdict(), {**dict.fromkeys(Usage._fields, (0, None)), "spread": (0, 1)})
        amounts = ("vercel_seats", "max_age_days", "budget_usd", "approved_usd")
        check_ranges(given, dict.fromkeys(amounts, (0, None)))
        tasks = Tasks(**given["tasks"]) if given["tasks"] else None
        now = None if given["running_tasks"] is None else Tasks(**given["running_tasks"])
        for one in (tasks, now):
            check_ranges(one._asdict() if one else {}, dict.fromkeys(Tasks._fields, (0, None)))
        for row in given["fixed"]:
            check_ranges(row, {"usd": (0, None)})
        plans = {vendor: plan for vendor, plan in given["plans"].items() if plan}
        declared = Declared(given["resources"], tasks, plans, given["vercel_seats"], given["fixed"])
        prices = read_prices(given["prices"], given["max_age_days"])
        found = estimate(declared, usage, prices, given["region"])
        if given["changes"] is None:
            than, before, unknown = LAST_ESTIMATE, before_of(given["before"] or ""), ""
        else:
            there = running(declared, given["changes"], now)
            than, (before, unknown) = WHAT_RUNS, cost_of_running(there, usage, prices, given["region"])
        less = savings(declared, usage, prices)
        budget = judged(
            given["environment"],
            found,
            before,
            given["budget_usd"],
            given["approved_usd"],
            than=than,
            savings=less,
        )
        notes = notes_of(found, unknown, assumed=given["changes"] is not None and now is None and bool(tasks))
        return {
            **found,
            **budget,
            "before_usd": None if before is None else before.usd,
            "compared_with": than,
            "notes": notes,
            "environment": given["environment"],
            "budget_usd": given["budget_usd"],
            "comparison": compared(found["rows"], given["stated"]),
            "savings": less,
            "lines": [*lines_of(given["environment"], found, budget["difference_usd"], than), *notes],
        }


def notes_of(found: t.Mapping[str, t.Any], unknown: str, *, assumed: bool) -> list[str]:
    """What has to be known to read the sum."""
    unverified = found["unverified"]
    verb = "is" if len(unverified) == 1 else "are"
    return [
        *([f"what runs can't be priced: {unknown}"] if unknown else []),
        *(["the tasks that run are not known, and taken as declared"] if assumed else []),
        *([f"{len(unverified)} of its {found['prices']} prices {verb} not verified"] if unverified else []),
    ]


def read_prices(path: str, max_age_days: int) -> Prices:
    """The prices in a file on the controller."""
    return prices_of(path, document_of(path), datetime.datetime.now(datetime.UTC).date(), max_age_days)
