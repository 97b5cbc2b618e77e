# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of nexod.infra.latency_verdict: it knows when this run last changed something."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT


class ActionModule(ActionBase):  # type: ignore[misc]
    """Execute the module with `unchanged_seconds` set, unless the task sets it."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = {"unchanged_seconds": KEPT.unchanged_seconds(), **self._task.args}
        found = self._execute_module(
            module_name="nexod.infra.latency_verdict", module_args=arguments, task_vars=task_vars
        )
        return {**result, **found}
