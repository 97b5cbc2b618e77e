# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of when the budget refuses, and what the last estimate may look like."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.budget import before_of, judged

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
    if not refused:
        found = judged("production", expected, before, budget, approved, than="what runs")
        assert found == {"difference_usd": difference, "over_budget": 0 < budget < expected}
        return
    with pytest.raises(InfraError, match=r"cost_approved_usd=502") as failed:
        judged("production", expected, before, budget, approved, than="what runs")
    assert ("against what runs" in failed.value.cause) == (before is not None)
    assert failed.value.facts == {"difference_usd": difference, "expected_usd": float(expected)}


def test_what_is_approved_is_enough() -> None:
    with pytest.raises(InfraError) as failed:
        judged("production", 501.5, None, 500, 0, than="what runs")
    approved = float(failed.value.next_step.rpartition("=")[2])
    assert judged("production", 501.5, None, 500, approved, than="what runs")["over_budget"]


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
    assert before_of(str(tmp_path / "cost.json")) == 12.5
