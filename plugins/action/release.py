# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of nexod.infra.release that runs on the controller: it reads the archive, and sends it where needed."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import translated
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.release import (
    ARGUMENTS,
    REQUIRED_IF,
    read_description,
    refuse_bad_names,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT, host_of
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.proven import unchanged_release


class ActionModule(ActionBase):  # type: ignore[misc]
    """One module execution with the archive's description; a second one with the archive where the host lacks it."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = self._validated()
        archive, sent, content = "", {}, ""
        try:
            refuse_bad_names(arguments["name"], arguments.get("version"), arguments["keep"])
            if arguments["state"] == "present":
                archive = self._archive(arguments["archive"])
                with translated("read", f'the archive "{archive}"', archive):
                    description, digest = read_description(archive, arguments["name"], arguments["version"])
                sent = {"description": description.text, "digest": digest}
                content = description.digest
        except InfraError as error:
            return {**result, "failed": True, **error.report()}
        survey = KEPT.of(host_of(self._task.delegate_to, task_vars or {}))
        if survey is not None and (same := unchanged_release(survey, arguments, content)) is not None:
            return {**result, **same}
        answer = self._module({**arguments, "_internal": sent}, task_vars)
        if answer.get("needs_archive"):
            sent["received"] = self._send(archive)
            answer = self._module({**arguments, "_internal": sent}, task_vars)
        return {**result, **answer}

    def _validated(self) -> dict[str, t.Any]:
        validation = ArgumentSpecValidator(ARGUMENTS, required_if=REQUIRED_IF).validate(self._task.args)
        if validation.error_messages:
            raise AnsibleActionFail("nexod.infra.release: " + "; ".join(validation.error_messages))
        return {name: value for name, value in validation.validated_parameters.items() if value is not None}

    def _archive(self, name: str) -> str:
        """Like `src` of ansible.builtin.copy; a path from where Ansible runs serves too."""
        here = os.path.abspath(os.path.expanduser(name))
        if os.path.isfile(here):
            return here
        try:
            return str(self._find_needle("files", name))
        except AnsibleError as error:
            cause = f"neither {here} nor the role's files/ has it"
            raise InfraError("find the archive", f'"{name}"', cause, "Build it first, or correct `archive`.") from error

    def _send(self, archive: str) -> str:
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        target = str(self._connection._shell.join_path(folder, os.path.basename(archive)))
        self._transfer_file(archive, target)
        self._fixup_perms2((folder, target))
        return target

    def _module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = self._execute_module(
            module_name="nexod.infra.release", module_args=arguments, task_vars=task_vars
        )
        return answer
