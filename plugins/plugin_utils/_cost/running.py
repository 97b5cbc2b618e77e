# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs, from what is declared and what a deploy would change of it: priced as the declaration is. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.budget import Known, known
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.estimate import Declaration, Declared, estimate
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.prices import Prices
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.usage import Tasks, Usage

Facts = t.Mapping[str, t.Any]
#: What the estimate of a plan is compared with.
WHAT_RUNS, LAST_ESTIMATE = "what runs", "the last estimate"


def running(declared: Declared, changes: t.Iterable[Facts], tasks: Tasks | None) -> Declared:
    """What runs before a deploy. `changes`: of M(aws_resources) in check mode, which has compared with AWS.

    `tasks`: the size of the API's service; None if it is not known, and taken as declared.
    """
    by_key = {str(one["key"]): one for one in changes}
    rows = [_before(row, by_key.get(f"{row['kind']}/{row['name']}")) for row in declared.resources]
    return declared._replace(
        resources=[row for row in rows if row is not None],
        tasks=declared.tasks if tasks is None else tasks,
    )


def _before(row: Declaration, change: Facts | None) -> Declaration | None:
    if change is None:
        return row
    if change["action"] == "create":
        return None
    return {**row, "properties": {**(row.get("properties") or {}), **(change.get("before") or {})}}


def cost_of_running(declared: Declared, usage: Usage, prices: Prices, region: str) -> tuple[Known | None, str]:
    """What runs is expected to cost, or None and the reason why that is not known."""
    if not (declared.resources or declared.fixed or any(declared.plans.values())):
        return Known(0.0, {}), ""
    try:
        return known(estimate(declared, usage, prices, region)), ""
    except InfraError as error:
        # Somebody may have made by hand what has no price here; the plan is there to undo that.
        return None, error.cause
