# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report all problems that preflight has found in one list, and fail if there are any."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._action.on_controller import ControllerAction
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.aws import judge_aws, notes
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.hosts import judge_answer, notes_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import as_rows, cluster, from_rows, render
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.services import judge_services


class ActionModule(ControllerAction):
    """Collects the registered results of the probe and reports the problems."""

    ARGUMENTS = {
        "inputs": {"type": "dict", "required": True},
        "answer": {"type": "str", "required": True},
        "aws": {"type": "dict", "default": {}},
        "services": {"type": "dict", "default": {}},
        "project": {"type": "dict", "default": {}},
    }

    def act(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """The task's result: ok, or every problem."""
        inputs, hostvars = self.arguments["inputs"], variables["hostvars"]
        found = from_rows(inputs["faults"])
        answers = {host: hostvars.raw_get(host).get(self.arguments["answer"]) for host in inputs["asked"]}
        # No result: --limit has left the host out of the play that probes.
        asked = sorted(host for host, answer in answers.items() if answer is not None)
        for host in asked:
            found += judge_answer(host, inputs["asked"][host], answers[host])
        wants, aws = inputs.get("aws"), self.arguments["aws"]
        if wants and aws:
            found += judge_aws(wants, aws)
        found += judge_services(self.arguments["services"]) + judge_services(self.arguments["project"])
        known = notes(wants, aws) if wants and aws else []
        # Those of several poolers in front of the same servers are the same.
        known += dict.fromkeys(line for host in asked for line in notes_of(host, inputs["asked"][host], answers[host]))
        faults = cluster(found)
        result = {"faults": as_rows(faults), "asked": asked, "notes": known}
        if not faults:
            return {**result, "msg": "\n".join([f"{len(asked)} hosts probed, no problems found.", *known])}
        error = {
            "action": "deploy",
            "object": inputs["environment"],
            "cause": f"{len(faults)} problem{'s' * (len(faults) != 1)} in inputs and hosts",
            "next_step": "Fix the problems in the list.",
        }
        note = "" if inputs["asked"] else "No host was probed: none has an address, or a vault is locked."
        text = render(inputs["environment"], faults, inputs["hosts"], note)
        return {**result, "failed": True, "error": error, "msg": text}
