# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of alembic_upgrade: lints migrations and, in check mode, supplies those of a release not installed.

The lint runs here because hosts have no package index to install squawk from. So if revisions are pending the module
runs twice: it plans, the plan is linted here, and then the module runs the revisions of that plan and no others.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._alembic.answers import progress, read_events, with_sql
from ansible_collections.nexod.infra.plugins.module_utils._alembic.archive import pack_tree
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import facts_for_lint, lint, squawk_program
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.caller import with_audit
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.watch import watched

Answer = dict[str, t.Any]


class ActionModule(ActionBase):  # type: ignore[misc]
    """Plan, lint, run."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Answer:
        result: Answer = super().run(tmp, task_vars)
        arguments = with_audit(dict(self._task.args), task_vars or {})
        # YAML reads `off` as false.
        policy = {"False": "off", "None": "error"}.get(str(arguments.get("lint")), str(arguments.get("lint")))
        check = self._task.check_mode
        internal: Answer = {}
        try:
            if check and arguments.get("archive") and isinstance(arguments.get("config"), str):
                internal["tree"] = pack_tree(Path(arguments["archive"]).expanduser(), arguments["config"])
            if policy == "off" and not check:
                return {**result, **self._execute(arguments, internal, task_vars, migrate=True)}
            plan = self._execute(arguments, internal, task_vars, migrate=False)
            pending = plan.pop("pending", None)
            facts = facts_for_lint(plan)
            plan.pop("tables", None)
            plan.pop("server", None)
            if plan.get("failed") or (pending is None and policy == "off"):
                return {**result, **plan}
            findings = lint(arguments, policy, pending or [], facts, squawk_program())
        except InfraError as error:
            return {**result, "failed": True, **error.report()}
        # What the plan shows of each revision: its SQL, and the lint's findings.
        shown: Answer = {**findings, **{name: plan[name] for name in ("sql", "not_rendered") if name in plan}}
        if findings.get("failed"):
            known: Answer = {name: plan.get(name) for name in ("before", "revision_before", "diff")}
            return {**result, **known, **shown, "pending": pending, "migrations": []}
        if check or not pending:
            if check:
                plan["pending"] = pending or []
            return {**result, **plan, **with_warnings(plan, shown)}
        internal["linted"] = [step["revision"] for step in pending]
        done = self._execute(arguments, internal, task_vars, migrate=True)
        if "diff" in done:
            done["diff"] = with_sql(done["diff"], shown)
        return {**result, **done, **with_warnings(done, shown)}

    def _execute(
        self, arguments: Answer, internal: Answer, task_vars: dict[str, t.Any] | None, *, migrate: bool
    ) -> Answer:
        """Run the module on the host; `migrate`: to run revisions, in the background if the task asks for that."""
        background = self._task.async_val if migrate else 0
        host = (task_vars or {}).get("inventory_hostname")
        with watched(self, "alembic", how_far, host=host, show=migrate and not background) as file:
            answer: Answer = self._execute_module(
                module_name="nexod.infra.alembic_upgrade",
                module_args={**arguments, "_internal": {**internal, "progress_file": file}},
                task_vars=task_vars,
                wrap_async=background,
            )
        return answer


def how_far(text: str) -> str:
    return progress(read_events(text))


def with_warnings(answer: Answer, shown: Answer) -> Answer:
    """`shown`, with the module's warnings before its own."""
    warnings = [*(answer.get("warnings") or []), *(shown.get("warnings") or [])]
    return {**shown, **({"warnings": warnings} if warnings else {})}
