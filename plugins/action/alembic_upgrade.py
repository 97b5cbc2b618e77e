# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of nexod.infra.alembic_upgrade: the lint, and in check mode the migrations of a release not there.

The lint runs here, for hosts have no package index to get it from. So where revisions are pending the module runs
twice: it plans, what it would run is looked at here, and then it runs what was looked at and nothing else.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._alembic.archive import pack_tree
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import look, squawk_program
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import progress, read_events, with_sql
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.caller import with_audit
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.watch import watched

Answer = dict[str, t.Any]


class ActionModule(ActionBase):  # type: ignore[misc]
    """A plan that is looked at, and the run of it."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Answer:
        result: Answer = super().run(tmp, task_vars)
        arguments = with_audit(dict(self._task.args), task_vars or {})
        for name in ("linted", "progress_file"):
            arguments.pop(name, None)
        # YAML reads `off` as false.
        policy = {"False": "off", "None": "error"}.get(str(arguments.get("lint")), str(arguments.get("lint")))
        check, host = self._task.check_mode, (task_vars or {}).get("inventory_hostname")

        def execute(more: dict[str, t.Any], *, migrate: bool) -> Answer:
            background = self._task.async_val if migrate else 0
            with watched(self, "alembic", how_far, host=host, show=migrate and not background) as file:
                answer: Answer = self._execute_module(
                    module_name="nexod.infra.alembic_upgrade",
                    module_args={**arguments, **more, **({"progress_file": file} if file else {})},
                    task_vars=task_vars,
                    wrap_async=background,
                )
            return answer

        try:
            if check and arguments.get("archive") and isinstance(arguments.get("config"), str):
                arguments["tree"] = pack_tree(Path(arguments["archive"]).expanduser(), arguments["config"])
            if policy == "off" and not check:
                return {**result, **execute({}, migrate=True)}
            plan = execute({}, migrate=False)
            pending = plan.pop("pending", None)
            facts = {
                "tables": plan.pop("tables", {}),
                "server": plan.pop("server", None) or 0,
                "sql": plan.get("sql") or {},
            }
            if plan.get("failed") or (pending is None and policy == "off"):
                return {**result, **plan}
            looked_at = look(arguments, policy, pending or [], facts, squawk_program())
        except InfraError as error:
            return {**result, "failed": True, **error.report()}
        # What the plan shows of each revision: its SQL, and what the lint says.
        shown: Answer = {**looked_at, **{name: plan[name] for name in ("sql", "not_rendered") if name in plan}}
        if looked_at.get("failed"):
            known: Answer = {name: plan.get(name) for name in ("before", "revision_before", "diff")}
            return {**result, **known, **shown, "pending": pending, "migrations": []}
        if check or not pending:
            if check:
                plan["pending"] = pending or []
            return {**result, **plan, **added(plan, shown)}
        done = execute({"linted": [step["revision"] for step in pending]}, migrate=True)
        if "diff" in done:
            done["diff"] = with_sql(done["diff"], shown)
        return {**result, **done, **added(done, shown)}


def how_far(text: str) -> str:
    return progress(read_events(text))


def added(answer: Answer, shown: Answer) -> Answer:
    """`shown`, its warnings beside those of the module."""
    warnings = [*(answer.get("warnings") or []), *(shown.get("warnings") or [])]
    return {**shown, **({"warnings": warnings} if warnings else {})}
