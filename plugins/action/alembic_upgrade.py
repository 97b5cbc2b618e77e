# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of nexod.infra.alembic_upgrade: check mode gets the migrations of a release not there yet."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._alembic_archive import pack_tree
from ansible_collections.nexod.infra.plugins.module_utils._errors import InfraError


class ActionModule(ActionBase):  # type: ignore[misc]
    """One module execution, in check mode with the release's migrations beside it."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if self._task.check_mode and arguments.get("archive") and isinstance(arguments.get("config"), str):
            try:
                arguments["tree"] = pack_tree(Path(arguments["archive"]).expanduser(), arguments["config"])
            except InfraError as error:
                return {**result, "failed": True, **error.report()}
        answer = self._execute_module(
            module_name="nexod.infra.alembic_upgrade",
            module_args=arguments,
            task_vars=task_vars,
            wrap_async=self._task.async_val,
        )
        return {**result, **answer}
