# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What actions have in common whose module writes lines while it runs."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._core.lines import NewLines
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.watch import watched


class ActionWithLines(ActionBase):  # type: ignore[misc]
    """Runs the module, and prints each of its lines once, unless it runs in the background."""

    _supports_check_mode = True
    _supports_async = True
    #: Its name without the collection's.
    MODULE: t.ClassVar[str]

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        background = self._task.async_val
        host = (task_vars or {}).get("inventory_hostname")
        with watched(self, self.MODULE, NewLines(), host=host, show=not background) as file:
            answer = self._execute_module(
                module_name=f"nexod.infra.{self.MODULE}",
                module_args={**self._task.args, "_internal": {"progress_file": file}},
                task_vars=task_vars,
                wrap_async=background,
            )
        return {**result, **answer}
