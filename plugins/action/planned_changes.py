# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Publish what this run in check mode would change."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._action.on_controller import ControllerAction
from ansible_collections.nexod.infra.plugins.plugin_utils._report.planned import planned, refuse_changes


class ActionModule(ControllerAction):
    """Reads the changes that the callback has kept, and sets them as a statistic of the run."""

    ARGUMENTS = {
        "environment": {"type": "str", "required": True},
        "must_be_empty": {"type": "bool", "default": False},
    }

    def act(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:  # noqa: ARG002 - one signature
        if not self._task.check_mode:
            return {}
        plan = planned(self.arguments["environment"])
        if self.arguments["must_be_empty"]:
            refuse_changes(plan)
        stats = {"data": {"plan_approved": plan}, "per_host": False, "aggregate": False}
        return {"plan": plan, "ansible_stats": stats}
