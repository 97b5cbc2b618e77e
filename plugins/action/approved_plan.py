# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a plan of the run that is under way, and compare it with the one that was approved."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import tempfile
import typing as t

from ansible import context

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import translated
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run as run_process
from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import RUN_VARIABLE, run_name
from ansible_collections.nexod.infra.plugins.plugin_utils._action.on_controller import ControllerAction
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.approved_plan import (
    ACTION,
    INNER_VARIABLE,
    compare,
    name_of,
    read_plan,
    refuse_prompts,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import Change, from_rows


class ActionModule(ControllerAction):
    """Executes the command of the run once more, with --check."""

    ARGUMENTS = {"plan": {"type": "raw", "required": True}, "timeout": {"type": "int", "default": 1800}}

    def act(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        if self._task.check_mode or os.environ.get(INNER_VARIABLE):
            return {}
        plan = self.arguments["plan"]
        environment = str(self._templar.template(variables.get("infra_environment") or ""))
        refuse_prompts(context.CLIARGS)
        name = name_of(plan)
        with translated(ACTION, f'"{name}"', tempfile.gettempdir()):
            approved = read_plan(plan, environment)
            compare(name, approved, self._new_plan(self.arguments["timeout"]))
        return {"changes": len(approved)}

    @staticmethod
    def _new_plan(timeout: int) -> list[Change]:
        """What the command that is running now would change."""
        with tempfile.TemporaryDirectory(prefix="nexod-plan-") as folder:
            environment = {
                INNER_VARIABLE: "1",
                RUN_VARIABLE: os.environ.get(RUN_VARIABLE) or run_name(os.getppid()),
                "NEXOD_REPORT_DIR": folder,
                "ANSIBLE_CALLBACKS_ENABLED": "nexod.infra.summary",
            }
            if os.environ.get("ANSIBLE_STDOUT_CALLBACK", "").startswith("awx_"):
                # That of AWX writes down what happens in this run, and must not mix it with that of the other one.
                environment["ANSIBLE_STDOUT_CALLBACK"] = "nexod.infra.progress"
            done = run_process([sys.executable, *sys.argv, "--check"], environment=environment, timeout=timeout)
            name = pathlib.Path(str((context.CLIARGS.get("args") or ["deploy.yml"])[0]).rpartition(".infra.")[2]).stem
            report = next(pathlib.Path(folder).rglob(f"{name}-plan.json"), None)
            if done.rc or report is None:
                raise InfraError(
                    ACTION,
                    "by a new one",
                    f"the new plan ended with rc {done.rc}",
                    "Fix what its last words say; `--check` shows the whole of it.",
                    detail="\n".join(done.output.splitlines()[-20:]),
                )
            return from_rows(json.loads(report.read_text(encoding="utf-8"))["changes"])
