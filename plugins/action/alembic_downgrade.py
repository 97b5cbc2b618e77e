# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of alembic_downgrade: adds to the audit who runs it."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.caller import with_audit


class ActionModule(ActionBase):  # type: ignore[misc]
    """One module execution."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        answer: dict[str, t.Any] = self._execute_module(
            module_name="nexod.infra.alembic_downgrade",
            module_args=with_audit(dict(self._task.args), task_vars or {}),
            task_vars=task_vars,
            wrap_async=self._task.async_val,
        )
        return {**result, **answer}
