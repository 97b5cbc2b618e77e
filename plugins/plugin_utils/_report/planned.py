# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes of the run that is under way, in the memory of its process, for a task at the end of the run.

The callback nexod.infra.summary adds to them; the workers, which are forks of that process, read them.
"""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import Change, as_rows, settled

#: Changes that an error lists.
SHOWN = 20
_runs: list[list[Change]] = []


def begin() -> list[Change]:
    """A run begins: its changes are what is added to this list."""
    _runs[:] = [[]]
    return _runs[0]


def planned(environment: str) -> dict[str, t.Any]:
    """The plan, as nexod.infra.approved_plan takes it. Raises InfraError where nobody has kept the changes."""
    if not _runs:
        raise InfraError(
            "publish",
            "the plan",
            "the callback nexod.infra.summary is not enabled, so nobody knows it",
            "Set callbacks_enabled = nexod.infra.summary in ansible.cfg.",
        )
    return {"environment": environment, "check_mode": True, "outcome": "ok", "changes": as_rows(settled(_runs[0]))}


def refuse_changes(plan: t.Mapping[str, t.Any]) -> None:
    """For a drift check: a deploy must have nothing to do."""
    rows = plan["changes"]
    if not rows:
        return
    lines = [f"- {row['stage']}, {row['host']}: {row['action']} {row['kind']} {row['object']}" for row in rows[:SHOWN]]
    left = [f"- and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    raise InfraError(
        "accept",
        f"the state of {plan['environment']}",
        f"it differs from what is declared: a deploy would make {len(rows)} change{'s' if len(rows) > 1 else ''}",
        "Deploy, or declare what was changed. Nothing was changed.",
        detail="\n".join([*lines, *left]),
    )
