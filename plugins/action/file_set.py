# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of nexod.infra.file_set: renders the whole set, so that the host needs one module execution."""

from __future__ import annotations

import os
import pathlib
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.arguments import ARGUMENTS, MUTUALLY_EXCLUSIVE
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, pack, refuse_bad_entries


class ActionModule(ActionBase):  # type: ignore[misc]
    """Render templates and read files where the playbook is, hand the result to the module as one parameter."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = self._validated()
        try:
            entries = [e for row in arguments["files"] or [] for e in self._entries(row, variables)]
            refuse_bad_entries(arguments["name"], entries)
        except InfraError as error:
            return {**result, "failed": True, **error.report()}
        result.update(
            self._execute_module(
                module_name="nexod.infra.file_set",
                module_args={
                    "name": arguments["name"],
                    "root": arguments["root"],
                    "state": arguments["state"],
                    "check": arguments["check"],
                    "rendered": pack(entries),
                },
                task_vars=variables,
            )
        )
        return result

    def _validated(self) -> dict[str, t.Any]:
        validation = ArgumentSpecValidator(ARGUMENTS, mutually_exclusive=MUTUALLY_EXCLUSIVE).validate(self._task.args)
        if validation.error_messages:
            raise AnsibleActionFail("nexod.infra.file_set: " + "; ".join(validation.error_messages))
        parameters: dict[str, t.Any] = validation.validated_parameters
        return parameters

    def _entries(self, row: dict[str, t.Any], variables: dict[str, t.Any]) -> list[Entry]:
        """The entries of one row: one, or as many as there are files where `src` is a folder."""
        sources = [name for name in ("template", "src", "content") if row[name] is not None]
        if len(sources) != 1:
            raise InfraError(
                "read the file",
                f'"{row["path"]}"',
                f"it has {len(sources)} sources",
                "Give exactly one of template, src and content.",
            )
        if row["src"] is not None:
            source = pathlib.Path(self._needle("files", row["src"]))
            if source.is_dir():
                base = row["path"].rstrip("/")
                # What Python leaves beside a program it has run is no part of the program.
                found = sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
                return [self._entry(row, f"{base}/{p.relative_to(source).as_posix()}", p.read_bytes()) for p in found]
            return [self._entry(row, row["path"], source.read_bytes())]
        if row["template"] is not None:
            return [self._entry(row, row["path"], self._render(row, variables).encode())]
        return [self._entry(row, row["path"], str(row["content"]).encode())]

    def _entry(self, row: dict[str, t.Any], path: str, content: bytes) -> Entry:
        mode = row["mode"] or ("0600" if row["secret"] else "0644")
        try:
            mode = f"{int(mode, 8):04o}"
        except ValueError as error:
            raise InfraError(
                "read the mode of", f'"{path}"', f'"{mode}" is not octal', 'Write it as text, such as "0640".'
            ) from error
        link = row["link"]
        return Entry(path, content, mode, row["owner"], row["group"], row["on_change"], link, bool(row["secret"]))

    def _needle(self, folder: str, name: str) -> str:
        try:
            return str(self._find_needle(folder, name))
        except AnsibleError as error:
            next_step = f"Put it into the role's {folder}/ or give its full path."
            raise InfraError("find", f'"{name}"', str(error), next_step) from error

    def _render(self, row: dict[str, t.Any], variables: dict[str, t.Any]) -> str:
        """A template with the lookup rules of ansible.builtin.template: includes work from the role's templates/."""
        source = self._needle("templates", row["template"])
        roots = [*variables.get("ansible_search_path", []), os.path.dirname(source)]
        searchpath = [path for root in roots for path in (os.path.join(root, "templates"), root)]
        available = {**variables, **(row["vars"] or {})}
        templar = self._templar.copy_with_new_env(searchpath=searchpath, available_variables=available)
        try:
            rendered = templar.template(
                trust_as_template(self._loader.get_text_file_contents(source)),
                escape_backslashes=False,
                overrides={"trim_blocks": True, "lstrip_blocks": True},
            )
        except AnsibleError as error:
            next_step = "Define what it names, or correct the template."
            raise InfraError("render the template", f'"{row["template"]}"', str(error), next_step) from error
        return "" if rendered is None else str(rendered)
