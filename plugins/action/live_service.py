# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of nexod.infra.live_service: of a file set's result only what the host needs crosses to it."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT, host_of
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.proven import is_refuted, unchanged_service

#: The rest, the diff above all, would stand in every host's journal, where modules log their arguments.
NEEDED = ("name", "root", "action")


class ActionModule(ActionBase):  # type: ignore[misc]
    """Hand the task's arguments on, with `files` cut to what says which set is meant and what it asks for."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        files = arguments.get("files")
        if files is not None:
            if not isinstance(files, dict) or not {"name", "action"} <= files.keys():
                raise AnsibleActionFail(
                    "nexod.infra.live_service: files is not the result of a file set. "
                    "Register the task of nexod.infra.file_set and give that; a skipped or failed one has no result."
                )
            arguments["files"] = {key: files[key] for key in NEEDED if key in files}
        host = host_of(self._task.delegate_to, task_vars or {})
        survey = KEPT.of(host, services=True)
        if survey is not None and (proven := unchanged_service(survey, arguments)) is not None:
            return {**result, **proven}
        if survey is not None and is_refuted(survey, arguments):
            arguments["refuted"] = True
        result.update(
            self._execute_module(module_name="nexod.infra.live_service", module_args=arguments, task_vars=task_vars)
        )
        return result
