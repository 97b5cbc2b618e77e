#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: live_service
short_description: Run a systemd service with its current file set and prove it live
version_added: "1.0.0"
description:
  - Starts, reloads or restarts a unit as its file set asks, waits until the service itself proves that it is live with
    the new set, and only then marks that set as live.
  - When the proof does not come, the file set returns to the one that was last live, the service is restarted with it
    and proven, and the task fails with the service's last log lines.
  - Where a trial follows the proof, such as M(nexod.infra.api_trial), O(settle=false) leaves the set unmarked until
    V(settled) or V(returned) ends it; a run that is killed meanwhile is followed by one that does all of it again.
  - A service that is active but does not prove itself, with nothing to change, is restarted once.
  - In check mode only asks; a unit that is not there yet is predicted to be enabled and started.
options:
  name:
    description: Name of the systemd unit; C(.service) is implied.
    type: str
    required: true
  state:
    description:
      - V(started) runs and proves it, V(stopped) ends it, V(absent) ends and disables it, unit missing or not.
      - V(settled) marks the set that it was started with as live; nothing is done to the service.
      - V(returned) takes a set that is not marked live back, and starts and proves the service with the one that is.
    type: str
    choices: [started, stopped, absent, settled, returned]
    default: started
  settle:
    description: Whether a proven set counts as live at once. V(false) leaves that to a later O(state=settled).
    type: bool
    default: true
  enabled:
    description: Whether it starts at boot.
    type: bool
    default: true
  files:
    description:
      - What M(nexod.infra.file_set) returned for the service's set.
      - Only what is listed here is used; the rest of that result does not leave the controller.
    type: dict
    suboptions:
      name:
        description: Name of the set.
        type: str
        required: true
      root:
        description: Folder that holds the set.
        type: str
        default: /etc/nexod
      action:
        description: What the set asks of the service.
        type: str
        choices: [none, reload, restart]
        required: true
  proof:
    description: What must hold, all of it, before the set counts as live. Asked on the host.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: HTTP or HTTPS address to get; no proxy is used, redirects are followed.
        type: str
      status:
        description: HTTP status that O(proof[].url) must answer with.
        type: int
        default: 200
      command:
        description: Program and its arguments that must end with 0; no shell is involved.
        type: list
        elements: str
      matches:
        description: Regular expression to be found in the body or the output.
        type: str
      metrics:
        description:
          - Metrics of a Prometheus exposition at O(proof[].url) by name.
          - A value is a number, or V(since) for a Unix time in seconds that must not be before the action.
        type: dict
        default: {}
      after:
        description: Only ask this proof after these actions; always where empty.
        type: list
        elements: str
        choices: [start, reload, restart]
        default: []
  secrets:
    description:
      - Environment added for every O(proof[].command), such as a password that must not stand among its arguments.
      - An option of its own, as what is nested is not kept out of the host's journal reliably.
    type: dict
    default: {}
  timeout:
    description: Seconds that the proofs may take after an action, and systemctl itself as well.
    type: int
    default: 60
seealso:
  - module: nexod.infra.file_set
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Run Prometheus and prove it live
  nexod.infra.live_service:
    name: prometheus
    files: "{{ prometheus_files }}"
    proof:
      - url: http://127.0.0.1:9090/-/ready
      - url: http://127.0.0.1:9090/metrics
        metrics:
          prometheus_config_last_reload_successful: "1"
          prometheus_config_last_reload_success_timestamp_seconds: since
        after: [start, reload, restart]

- name: Take back what failed its trial
  nexod.infra.live_service:
    name: api
    state: returned
    files: "{{ api_files }}"
    proof:
      - url: http://127.0.0.1:8000/ready
"""

RETURN = r"""
name:
  description: The unit.
  returned: always
  type: str
  sample: prometheus
action:
  description: What was done, or in check mode would be, to the running service.
  returned: always
  type: str
  sample: reload
steps:
  description: The systemctl verbs, in order.
  returned: always
  type: list
  elements: str
  sample: [daemon-reload, reload]
seconds:
  description: Time from the action to the last proof.
  returned: always
  type: float
  sample: 0.41
live:
  description: Whether the current set is the one that is marked live; a first deploy has none to be returned to.
  returned: when O(files) is given and O(state) is V(settled) or V(returned)
  type: bool
says:
  description: What was found or done, in a sentence.
  returned: when O(state) is V(returned)
  type: str
  sample: It was returned to its previous set (0002-9c1185a5c5e9), which serves again
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files import live_service as service
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import FileSet

PROOF: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str"},
    "status": {"type": "int", "default": 200},
    "command": {"type": "list", "elements": "str"},
    "matches": {"type": "str"},
    "metrics": {"type": "dict", "default": {}},
    "after": {"type": "list", "elements": "str", "choices": ["start", "reload", "restart"], "default": []},
}

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "choices": ["started", "stopped", "absent", "settled", "returned"],
        "default": "started",
    },
    "settle": {"type": "bool", "default": True},
    "enabled": {"type": "bool", "default": True},
    "files": {
        "type": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "root": {"type": "str", "default": "/etc/nexod"},
            "action": {"type": "str", "choices": ["none", "reload", "restart"], "required": True},
        },
    },
    "proof": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": PROOF,
        "mutually_exclusive": [("url", "command")],
        "required_one_of": [("url", "command")],
    },
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "timeout": {"type": "int", "default": 60},
}


def as_proof(row: dict[str, t.Any], secrets: dict[str, t.Any]) -> service.Proof:
    return service.Proof(
        url=row["url"],
        status=row["status"],
        command=tuple(row["command"] or ()),
        environment={name: str(value) for name, value in secrets.items()},
        matches=row["matches"],
        metrics={name: str(value) for name, value in row["metrics"].items()},
        after=frozenset(row["after"]),
    )


def keep_live(module: AnsibleModule) -> dict[str, t.Any]:
    """Plan, act, prove; in check mode only plan."""
    options = module.params
    unit, state, timeout = options["name"], options["state"], options["timeout"]
    files = options["files"] or {}
    action = files.get("action", "none")
    proofs = [as_proof(row, options["secrets"]) for row in options["proof"]]
    status = service.status_of(unit)
    began = time.time()
    proven = True
    if state == "started" and status.active and action == "none":
        proven = service.wait_proven(unit, proofs, "none", began, service.AT_REST) is None
    steps = service.plan(state, options["enabled"], status, action, proven)
    act = service.taken(steps)
    if not module.check_mode:
        current = FileSet(files["name"], files["root"]) if files else None
        service.bring(unit, steps, proofs if state == "started" else [], current, timeout, settle=options["settle"])
    return {
        "name": unit,
        "changed": service.changes(steps),
        "action": act,
        "steps": steps,
        "seconds": round(time.time() - began, 3),
        "diff": [service.as_diff(unit, status, steps)] if service.changes(steps) else [],
    }


def end_trial(module: AnsibleModule) -> dict[str, t.Any]:
    """Mark the set that stood its trial, or take it back. In check mode there was none to end."""
    options = module.params
    files = FileSet(options["files"]["name"], options["files"]["root"])
    began, changed, says = time.time(), False, ""
    if options["state"] == "settled" and not module.check_mode:
        # Not a change of its own: what it marks was one when it was swapped in.
        files.mark_live()
    elif not module.check_mode:
        changed = files.generation("live") not in (None, files.generation("current"))
        proofs = [as_proof(row, options["secrets"]) for row in options["proof"]]
        says = service.take_back(options["name"], "restart", proofs, files, options["timeout"])
    return {
        "name": options["name"],
        "changed": changed,
        "action": "restart" if changed else "none",
        "steps": ["daemon-reload", "restart"] if changed else [],
        "seconds": round(time.time() - began, 3),
        "live": files.generation("live") is not None and files.generation("live") == files.generation("current"),
        "says": says,
    }


def main() -> None:
    ending = [("state", "settled", ["files"]), ("state", "returned", ["files"])]
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=ending, supports_check_mode=True)
    try:
        result = end_trial(module) if module.params["state"] in ("settled", "returned") else keep_live(module)
    except InfraError as error:
        module.fail_json(**error.report())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
