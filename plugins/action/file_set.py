# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of nexod.infra.file_set that runs on the controller: it renders all files, for one module execution."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import translated
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.arguments import OPTIONS, REQUIRED_IF
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, pack, refuse_bad_entries
from ansible_collections.nexod.infra.plugins.plugin_utils._roles.options import specified
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT, host_of
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.proven import unchanged_set

#: What the module gets as it is given.
ON_HOST = ("name", "root", "state", "check", "secrets", "keep_files", "keep_days", "plan")
#: By whether a file is secret, and whether it is executable.
DEFAULT_MODES = {(False, False): "0644", (False, True): "0755", (True, False): "0600", (True, True): "0700"}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Render templates and read files on the controller, hand the result to the module as one parameter."""

    _supports_check_mode = True
    _supports_async = False

    @classmethod
    @contextlib.contextmanager
    def get_finalize_task_args_context(cls) -> t.Iterator[dict[str, t.Any]]:
        """What the arguments of one task share: the engine that renders them."""
        yield {}

    @classmethod
    def finalize_task_arg(cls, name: str, value: t.Any, templar: t.Any, context: t.Any) -> t.Any:
        """Render the task's own arguments too with the role's options in their types: `content` above all."""
        if name not in ("files", "check"):
            return templar.template(value)
        if "engine" not in context:
            context["engine"] = templar
            # The engine is not Ansible's public interface: without this method, arguments are rendered as usual.
            if (overlay := specified(templar.available_variables)) and hasattr(templar, "extend"):
                context["engine"] = templar.extend()
                context["engine"].available_variables = {**templar.available_variables, **overlay}
        return context["engine"].template(value)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = self._validated()
        name, state = arguments["name"], arguments["state"]
        typed = {**variables, **specified(variables)} if state == "present" else variables
        rendered = {}
        entries: list[Entry] = []
        try:
            with translated("read the files of the set", f'"{name}"'):
                if state == "present":
                    entries = [e for row in arguments["files"] for e in self._entries(row, typed)]
                    refuse_bad_entries(name, entries)
                    rendered = {"_internal": {"rendered": pack(entries)}}
        except InfraError as error:
            return {**result, "failed": True, **error.report()}
        survey = KEPT.of(host_of(self._task.delegate_to, variables))
        if survey is not None and (same := unchanged_set(survey, name, arguments["root"], state, entries)) is not None:
            return {**result, **same}
        result.update(
            self._execute_module(
                module_name="nexod.infra.file_set",
                module_args={
                    **{option: arguments[option] for option in ON_HOST},
                    **rendered,
                },
                task_vars=variables,
            )
        )
        return result

    def _validated(self) -> dict[str, t.Any]:
        validation = ArgumentSpecValidator(OPTIONS, required_if=REQUIRED_IF).validate(self._task.args)
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
                return [self._copy(row, f"{base}/{p.relative_to(source).as_posix()}", p) for p in found]
            return [self._copy(row, row["path"], source)]
        if row["template"] is not None:
            return [self._entry(row, row["path"], self._render(row, variables).encode())]
        return [self._entry(row, row["path"], str(row["content"]).encode())]

    def _copy(self, row: dict[str, t.Any], path: str, source: pathlib.Path) -> Entry:
        executable = bool(source.stat().st_mode & stat.S_IXUSR)
        return self._entry(row, path, source.read_bytes(), executable=executable)

    def _entry(self, row: dict[str, t.Any], path: str, content: bytes, *, executable: bool = False) -> Entry:
        mode = row["mode"] or DEFAULT_MODES[bool(row["secret"]), executable]
        try:
            mode = f"{int(mode, 8):04o}"
        except ValueError as error:
            raise InfraError(
                "read the mode of", f'"{path}"', f'"{mode}" is not octal', 'Write it as text, such as "0640".'
            ) from error
        link = row["link"]
        further = (row["on_change"], link, bool(row["secret"]), bool(row["keep_previous"]))
        return Entry(path, content, mode, row["owner"], row["group"], *further)

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
