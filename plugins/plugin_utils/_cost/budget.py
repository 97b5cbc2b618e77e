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

#: How many rows and savings a refusal names.
ROWS, SAVINGS = 3, 2


class Known(t.NamedTuple):
    """The expected dollars of another estimate, and those of its rows; None if it did not keep them."""

    usd: float
    rows: t.Mapping[str, float] | None = None


def known(found: t.Mapping[str, t.Any]) -> Known:
    """Of an estimate, or of the record of one."""
    rows = by_name(found["rows"]) if "rows" in found else None
    return Known(float(found["total"]["expected"]), rows)


def by_name(rows: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, float]:
    """What each row is expected to cost. A fixed sum may have the name of another row."""
    found: dict[str, float] = {}
    for row in rows:
        found[str(row["name"])] = found.get(str(row["name"]), 0.0) + float(row["usd"]["expected"])
    return found


def before_of(path: str) -> Known | None:
    """The last estimate; None if there is none yet."""
    record = Path(path)
    if not path or not record.exists():
        return None
    with translated("read the last estimate", f'"{path}"', path):
        text = record.read_text(encoding="utf-8")
    try:
        return known(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        fix = "Remove the file. The next run of playbooks/cost.yml writes it again."
        raise InfraError("read the last estimate", f'"{path}"', f"it is damaged ({error})", fix) from error


def judged(
    environment: str,
    found: t.Mapping[str, t.Any],
    before: Known | None,
    budget: float,
    approved: float,
    *,
    than: str,
    savings: t.Sequence[t.Mapping[str, t.Any]] = (),
) -> dict[str, t.Any]:
    """The change of the estimate `found` against `than`; an error if it goes over the budget without approval.

    What was over the budget already and does not rise is no reason to refuse a deploy.
    """
    expected = float(found["total"]["expected"])
    difference = None if before is None else round(expected - before.usd, 2)
    raised = before is None or round(expected, 2) > round(before.usd, 2)
    over = budget > 0 and expected > budget
    if over and raised and expected > approved:
        change = "" if difference is None else f", {difference:+,.2f} against {than}"
        amount = int(expected) + 1
        raise InfraError(
            "go on with",
            environment,
            f"it would cost about {expected:,.2f} US$ a month{change}, "
            f"and the budget is {budget:,.2f} (cost_budget_usd)",
            "Declare less, raise cost_budget_usd in the inventory, or approve it for this run: "
            f"-e cost_approved_usd={amount}",
            "\n".join(levers(found, before, savings, than)),
            difference_usd=difference,
            expected_usd=round(expected, 2),
        )
    return {"difference_usd": difference, "over_budget": over}


def levers(
    found: t.Mapping[str, t.Any], before: Known | None, savings: t.Sequence[t.Mapping[str, t.Any]], than: str
) -> list[str]:
    """Where to declare less: the rows that rose, or else the largest ones, and what would save the most."""
    rows = by_name(found["rows"])
    lines = []
    if before is None or before.rows is None:
        largest = sorted(rows.items(), key=lambda row: -row[1])[:ROWS]
        lines.append("Its largest rows: " + ", ".join(f"{name} {usd:,.2f}" for name, usd in largest))
    else:
        known_rows = before.rows
        rises = {name: round(usd - known_rows.get(name, 0.0), 2) for name, usd in rows.items()}
        rose = sorted((row for row in rises.items() if row[1] > 0), key=lambda row: -row[1])[:ROWS]
        lines.append(f"What rose against {than}: " + ", ".join(f"{name} {usd:+,.2f}" for name, usd in rose))
    if savings:
        lines.append("What would save the most:")
        lines += [f"- {one['usd']:,.2f} a month: {one['name']}. {one['how']}" for one in savings[:SAVINGS]]
    return lines
