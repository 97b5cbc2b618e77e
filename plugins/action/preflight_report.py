# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say all that preflight has found in one list, and fail if there is anything in it."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._preflight import as_rows, cluster, from_rows, render
from ansible_collections.nexod.infra.plugins.module_utils._preflight_hosts import judge_answer


class ActionModule(ActionBase):
    """Reads the hosts' answers, which the play before has registered, and passes judgement on."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The task's result: nothing but "ok", or every fault."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "inputs": {"type": "dict", "required": True},
                "answer": {"type": "str", "required": True},
            }
        )
        inputs, hostvars = arguments["inputs"], (task_vars or {})["hostvars"]
        found = from_rows(inputs["faults"])
        for host, wants in inputs["asked"].items():
            answer = hostvars.raw_get(host).get(arguments["answer"]) or {}
            found += judge_answer(host, wants, answer, inputs["provider"])
        faults = cluster(found)
        result = {"changed": False, "faults": as_rows(faults), "asked": sorted(inputs["asked"])}
        if not faults:
            return {**result, "msg": f"{len(inputs['asked'])} hosts asked, nothing to mend."}
        unasked = len(set(inputs["hosts"]) - set(inputs["asked"]))
        note = f"{unasked} hosts were not asked yet: that waits for what is missing above." if unasked else ""
        return {**result, "failed": True, "msg": render(inputs["environment"], faults, inputs["hosts"], note)}
