# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of nexod.infra.deploy_lock that runs on the controller: it names the run, and knows whether others live."""

from __future__ import annotations

import os
import socket
import time
import typing as t
from pathlib import Path

from ansible import context
from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import (
    RUN_VARIABLE,
    Holder,
    has_ended,
    machine,
    run_name,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.caller import awx_job, user


class ActionModule(ActionBase):  # type: ignore[misc]
    """One module execution, and a second one if the first met the lock of a run that has ended."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        # This plugin runs in a worker: the run is the process that has started it.
        pid = os.getppid()
        holder = {
            "run": os.environ.get(RUN_VARIABLE) or run_name(pid),
            "machine": machine(),
            "pid": pid,
            "user": user(variables),
            "host": str(socket.gethostname()),
        }
        if job := awx_job(variables, os.environ):
            holder["host"] = job
        playbooks = ", ".join(Path(str(name)).stem for name in context.CLIARGS.get("args") or ())
        arguments = {"what": playbooks or "a run", **self._task.args, "_internal": {"holder": holder}}
        answer = self._ask(arguments, variables)
        held = answer.get("held_by")
        refused = answer.get("failed") or answer.get("became") == "refuse"
        if held and refused and has_ended(Holder(**held), time.time()):
            answer = self._ask({**arguments, "_internal": {"holder": holder, "dead": held["run"]}}, variables)
        if answer.get("became") == "take over":
            self._display.warning(
                f"Took over the environment's lock: {held['user']} on {held['host']} left it behind "
                f"(process {held['pid']}, {held['what']}), which has ended or did not renew it in time."
                if held
                else "Took over the environment's lock."
            )
        # For the record of the deploy: the lock is acquired before its first change.
        answer["since"] = time.time()
        # What the callback summary needs to renew and release it.
        answer["lock"] = {
            "run": holder["run"],
            "environment": arguments.get("environment"),
            "host": self._task.delegate_to or variables.get("inventory_hostname"),
            "lease_seconds": int(arguments.get("lease_seconds") or 7200),
            **({"folder": arguments["folder"]} if arguments.get("folder") else {}),
        }
        return {**result, **answer}

    def _ask(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = self._execute_module(
            module_name="nexod.infra.deploy_lock", module_args=arguments, task_vars=variables
        )
        return answer
