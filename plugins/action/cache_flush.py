# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of cache_flush: prints the progress while the flush runs."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._cache.progress import how_far
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.watch import watched


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs the module, and prints its progress unless it runs in the background."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        background = self._task.async_val
        host = (task_vars or {}).get("inventory_hostname")
        with watched(self, "cache_flush", how_far, host=host, show=not background) as file:
            answer = self._execute_module(
                module_name="nexod.infra.cache_flush",
                module_args={**self._task.args, "_internal": {"progress_file": file}},
                task_vars=task_vars,
                wrap_async=background,
            )
        return {**result, **answer}
