# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of when the budget refuses, and what the last estimate may look like."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.budget import Known, before_of, judged


def found(expected: float, **rows: float) -> dict[str, t.Any]:
    shown = [{"name": name, "usd": {"expected": usd}} for name, usd in (rows or {"API": expected}).items()]
    return {"total": {"expected": expected}, "rows": shown}


# expected, before, budget, approved: the difference, and whether it is refused
TABLE = [
    (500, None, 0, 0, None, False),
    (500, 400, 0, 0, 100.0, False),
    (500, 400, 500, 0, 100.0, False),
    (501, 400, 500, 0, 101.0, True),
    (501, None, 500, 0, None, True),
    (501, 400, 500, 500, 101.0, True),
    (501, 400, 500, 501, 101.0, False),
    # Over the budget already, and not higher.
    (501, 501, 500, 0, 0.0, False),
    (501, 600, 500, 0, -99.0, False),
    (501, 500.5, 500, 0, 0.5, True),
]


@pytest.mark.parametrize(("expected", "before", "budget", "approved", "difference", "refused"), TABLE)
def test_the_budget(
    expected: float, before: float | None, budget: float, approved: float, difference: float | None, refused: bool
) -> None:
    there = None if before is None else Known(before)
    if not refused:
        made = judged("production", found(expected), there, budget, approved, than="what runs")
        assert made == {"difference_usd": difference, "over_budget": 0 < budget < expected}
        return
    with pytest.raises(InfraError, match=r"cost_approved_usd=502") as failed:
        judged("production", found(expected), there, budget, approved, than="what runs")
    assert ("against what runs" in failed.value.cause) == (before is not None)
    assert failed.value.facts == {"difference_usd": difference, "expected_usd": float(expected)}


def test_what_is_approved_is_enough() -> None:
    with pytest.raises(InfraError) as failed:
        judged("production", found(501.5), None, 500, 0, than="what runs")
    approved = float(failed.value.next_step.rpartition("=")[2])
    assert judged("production", found(501.5), None, 500, approved, than="what runs")["over_budget"]


def test_there_is_no_last_estimate(tmp_path: pathlib.Path) -> None:
    assert before_of("") is None
    assert before_of(str(tmp_path / "cost.json")) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"total": 1}', '{"total": {"expected": "much"}}'])
def test_a_damaged_last_estimate_is_named(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "cost.json").write_text(text)
    with pytest.raises(InfraError, match=r"cost\.json"):
        before_of(str(tmp_path / "cost.json"))


def test_the_last_estimate(tmp_path: pathlib.Path) -> None:
    (tmp_path / "cost.json").write_text('{"total": {"expected": 12.5}}')
    assert before_of(str(tmp_path / "cost.json")) == Known(12.5)
    rows = '[{"name": "API", "usd": {"expected": 12.5}}]'
    (tmp_path / "cost.json").write_text(f'{{"total": {{"expected": 12.5}}, "rows": {rows}}}')
    assert before_of(str(tmp_path / "cost.json")) == Known(12.5, {"API": 12.5})


SAVED = [
    {"name": name, "usd": usd, "how": f"Do {name}."} for name, usd in (("most", 90.0), ("more", 5.5), ("least", 1.0))
]
MOST = ["What would save the most:", "- 90.00 a month: most. Do most.", "- 5.50 a month: more. Do more."]

# What is declared, what was before, what would save, and what the refusal names.
LEVERS = [
    pytest.param(
        {"API": 300.0, "RDS": 250.0, "NAT": 50.0},
        {"API": 300.0, "RDS": 100.0, "S3": 80.0},
        SAVED,
        ["What rose against what runs: RDS +150.00, NAT +50.00", *MOST],
        id="the rows that rose, and not those that fell",
    ),
    pytest.param(
        {"a": 1.0, "b": 400.0, "c": 50.0, "d": 100.0},
        None,
        SAVED[:1],
        ["Its largest rows: b 400.00, d 100.00, c 50.00", *MOST[:2]],
        id="nothing to compare with",
    ),
    pytest.param({"a": 600.0}, {}, [], ["What rose against what runs: a +600.00"], id="an empty account"),
]


@pytest.mark.parametrize(("rows", "before", "savings", "lines"), LEVERS)
def test_a_refusal_names_the_levers(
    rows: dict[str, float], before: dict[str, float] | None, savings: list[dict[str, t.Any]], lines: list[str]
) -> None:
    there = None if before is None else Known(sum(before.values()), before)
    with pytest.raises(InfraError, match=r"the budget is 500\.00 \(cost_budget_usd\)") as failed:
        judged("production", found(sum(rows.values()), **rows), there, 500, 0, than="what runs", savings=savings)
    assert failed.value.detail.splitlines() == lines
