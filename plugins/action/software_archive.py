# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of nexod.infra.software_archive that runs on the controller: the pins, and files that are sent."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import translated
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.archive import (
    ARGUMENTS,
    REQUIRED_IF,
    filled_in,
    refuse_wrong_sum,
)
from ansible_collections.nexod.infra.plugins.module_utils._files.release import file_digest, refuse_bad_names
from ansible_collections.nexod.infra.plugins.plugin_utils._software.lock import resolved
from ansible_collections.nexod.infra.plugins.plugin_utils._software.options import locks_of
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT, host_of
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.proven import unchanged_archive

Result = dict[str, t.Any]


class ActionModule(ActionBase):  # type: ignore[misc]
    """One module execution with the pins; a second one with the archive where only the controller has it."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        arguments = self._validated()
        try:
            refuse_bad_names(arguments["name"], arguments.get("version"), arguments["keep"])
            if arguments["state"] == "present":
                software = arguments.get("software") or arguments["name"]
                pin = resolved(software, arguments["version"], arguments, locks_of(arguments))
                arguments |= {"url": pin.url, "checksums": pin.checksums}
            survey = KEPT.of(host_of(self._task.delegate_to, task_vars or {}))
            if survey is not None and (same := unchanged_archive(survey, arguments)) is not None:
                return {**result, **same}
            answer = self._module(arguments, "", task_vars)
            if arch := answer.pop("needs_archive", ""):
                answer = self._with_file(arguments, arch, answer, task_vars)
        except InfraError as error:
            return {**result, "failed": True, **error.report()}
        return {**result, **answer}

    def _validated(self) -> Result:
        validation = ArgumentSpecValidator(ARGUMENTS, required_if=REQUIRED_IF).validate(self._task.args)
        if validation.error_messages:
            raise AnsibleActionFail("nexod.infra.software_archive: " + "; ".join(validation.error_messages))
        return {name: value for name, value in validation.validated_parameters.items() if value is not None}

    def _with_file(self, arguments: Result, arch: str, planned: Result, task_vars: Result | None) -> Result:
        """Send the host its archive, after it was compared with the pin; in check mode it is only compared."""
        what = f"{arguments['name']} {arguments['version']}"
        path = self._file(filled_in(arguments["file"], arguments["version"], arch), what)
        with translated("read the archive of", what, path):
            refuse_wrong_sum(file_digest(path), arguments["checksums"][arch], path, what)
        if self._task.check_mode:
            return planned
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        target = str(self._connection._shell.join_path(folder, os.path.basename(path)))
        self._transfer_file(path, target)
        self._fixup_perms2((folder, target))
        return self._module(arguments, target, task_vars)

    def _file(self, name: str, what: str) -> str:
        """Like `src` of ansible.builtin.copy; a path from where Ansible runs serves too."""
        here = os.path.abspath(os.path.expanduser(name))
        if os.path.isfile(here):
            return here
        try:
            return str(self._find_needle("files", name))
        except AnsibleError as error:
            cause = f"{here} is not a file on the controller"
            raise InfraError("find the archive of", what, cause, "Download it to there, or correct `file`.") from error

    def _module(self, arguments: Result, received: str, task_vars: Result | None) -> Result:
        answer: Result = self._execute_module(
            module_name="nexod.infra.software_archive",
            module_args={**arguments, "_internal": {"received": received}},
            task_vars=task_vars,
        )
        return answer
