# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The budget of an environment: a change that raises the estimate beyond it needs the word of a person."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import translated
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


def before_of(path: str) -> float | None:
    """The expected dollars of the last estimate; None if there is none yet."""
    record = Path(path)
    if not path or not record.exists():
        return None
    with translated("read the last estimate", f'"{path}"', path):
        text = record.read_text(encoding="utf-8")
    try:
        return float(json.loads(text)["total"]["expected"])
    except (ValueError, KeyError, TypeError) as error:
        fix = "Remove the file. The next run of playbooks/cost.yml writes it again."
        raise InfraError("read the last estimate", f'"{path}"', f"it is damaged ({error})", fix) from error


def judged(
    environment: str, expected: float, before: float | None, budget: float, approved: float, *, than: str
) -> dict[str, t.Any]:
    """The change against `than`, which costs `before`; an error if it goes over the budget without approval.

    What was over the budget already and does not rise is no reason to refuse a deploy.
    """
    difference = None if before is None else round(expected - before, 2)
    raised = before is None or round(expected, 2) > round(before, 2)
    over = budget > 0 and expected > budget
    if over and raised and expected > approved:
        change = "" if difference is None else f", {difference:+,.2f} against {than}"
        amount = int(expected) + 1
        raise InfraError(
            "go on with",
            environment,
            f"it would cost about {expected:,.2f} US$ a month{change}, and the budget is {budget:,.2f}",
            f"Declare less, raise cost_budget_usd, or approve it for this run: -e cost_approved_usd={amount}",
            difference_usd=difference,
            expected_usd=round(expected, 2),
        )
    return {"difference_usd": difference, "over_budget": over}
