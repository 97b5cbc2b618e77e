# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of nexod.infra.file_set_info: lists sets from this run's survey of the host, where there is one."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT, host_of
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.proven import listed_sets


class ActionModule(ActionBase):  # type: ignore[misc]
    """Execute the module, unless all that it is asked for is known."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        survey = KEPT.of(host_of(self._task.delegate_to, task_vars or {}))
        if survey is not None and (known := listed_sets(survey, arguments)) is not None:
            return {**result, **known}
        found = self._execute_module(
            module_name="nexod.infra.file_set_info", module_args=arguments, task_vars=task_vars
        )
        return {**result, **found}
