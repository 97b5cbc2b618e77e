# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a run becomes an artifact, and a drift check refuses one that is not empty."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.approved_plan import read_plan
from ansible_collections.nexod.infra.plugins.plugin_utils._report import planned
from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import Change

CHANGES = [Change("backend", f"api-{number}", "run", "service", "restart api") for number in range(25)]


def test_a_plan_is_one_that_can_be_approved() -> None:
    planned.begin().extend(CHANGES)
    assert sorted(read_plan(planned.planned("lab"), "lab")) == sorted(CHANGES)


def test_drift_is_named() -> None:
    changes = planned.begin()
    planned.refuse_changes(planned.planned("lab"))
    changes += CHANGES
    with pytest.raises(InfraError, match="a deploy would make 25 changes") as caught:
        planned.refuse_changes(planned.planned("lab"))
    assert "and 5 more" in caught.value.detail


def test_nobody_has_kept_the_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned, "_runs", [])
    with pytest.raises(InfraError, match="summary is not enabled"):
        planned.planned("lab")
