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
  - Starts, reloads or restarts a unit as its file set requires, waits until the service itself proves that it runs with
    the new set, and only then marks that set as live.
  - If a proof does not hold in time, the file set is rolled back to the one that was last live, the service is
    restarted with it and proven, and the task fails with the service's last log lines.
  - If a trial follows the proof, such as M(nexod.infra.api_trial), O(settle=false) leaves the set unmarked until
    V(settled) or V(returned) ends the trial. A run that is killed meanwhile is followed by one that repeats all of it.
  - A service that is active but does not pass its proofs, although nothing changed, is restarted once.
  - A service that was started with its first set and does not pass its proofs is stopped and disabled again.
  - A service whose program was replaced on disk since it started, such as by an upgrade of its package, is restarted
    too.
  - In check mode the unit is only looked at; one that does not exist yet is predicted to be enabled and started.
extends_documentation_fragment: [nexod.infra.durations]
options:
  name:
    description: Name of the systemd unit; C(.service) is implied.
    type: str
    required: true
  instances:
    description:
      - Instances of a template unit, if the service consists of several processes, such as V(["1", "2"]) of
        C(pgbouncer@.service); O(name) is the template without C(@).
      - They are changed one after another, each once the one before it is proven. Other instances of the template are
        stopped and disabled in the end; with an empty list, all. If one fails, those before it are returned to the
        previous set as well.
      - A unit with the name of the template, which ran the service as one process before, is stopped first.
      - C({instance}) in O(proof[].url) and O(proof[].command) stands for the instance.
    type: list
    elements: str
  spare:
    description:
      - An instance that runs only while the one of O(instances) restarts, so that clients are served meanwhile.
      - Not used if there are several.
    type: str
  state:
    description:
      - V(started) starts and proves the service.
      - V(stopped) stops it.
      - V(absent) stops and disables it; a unit that does not exist is not an error.
      - V(settled) marks the current set as live; the service is not touched.
      - V(returned) rolls back from a set that is not marked live to the one that is, and restarts and proves the
        service.
    type: str
    choices: [started, stopped, absent, settled, returned]
    default: started
  settle:
    description: Whether a proven set is marked live at once. V(false) leaves that to a later O(state=settled).
    type: bool
    default: true
  enabled:
    description: Whether the service starts at boot.
    type: bool
    default: true
  files:
    description:
      - The registered result of the M(nexod.infra.file_set) task for the service's set.
      - Only the keys listed here are used; the rest of that result does not leave the controller.
    type: dict
    suboptions:
      name:
        description: Name of the set.
        type: str
        required: true
      root:
        description: Folder that the set lies in.
        type: str
        default: /etc/nexod
      action:
        description: What the set requires of the service.
        type: str
        choices: [none, reload, restart]
        required: true
  proof:
    description: Conditions that must all hold before the set is marked live. They are checked on the host.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: HTTP or HTTPS URL to get. No proxy is used, redirects are followed.
        type: str
      status:
        description: Expected HTTP status of O(proof[].url).
        type: int
        default: 200
      command:
        description:
          - Program and arguments that must return 0. No shell is involved.
          - If it returns 78 (C(EX_CONFIG)), waiting would not change what it found, and the proof has failed at once.
          - In check mode, its environment has C(NEXOD_CHECK_MODE). Then it must not write anything.
          - In a survey of the host, its environment has C(NEXOD_SURVEY). Then it may check more than what the service
            is restarted for.
        type: list
        elements: str
      matches:
        description: Regular expression that must match somewhere in the body or the output.
        type: str
      refused:
        description:
          - Regular expression for an error that waiting does not change, such as one in a file that the service reads.
          - If the proof does not hold and the reason matches for three seconds, the file set is rolled back.
        type: str
      metrics:
        description:
          - Metrics of a Prometheus exposition at O(proof[].url) by name.
          - A value is a number, or V(since) for a Unix time in seconds that must not be before the action.
        type: dict
        default: {}
      access:
        description:
          - How O(proof[].url) is asked where the service is protected. Secrets are given as files on the host, so that
            later runs can ask again.
        type: dict
        suboptions:
          user:
            description: Name for basic authentication.
            type: str
            default: ""
          password_file:
            description: File with the password of O(proof[].access.user).
            type: path
            default: ""
          ca_file:
            description:
              - File with the certificate that the service must present, or with that of a CA that issued it. Names are
                not compared, as a service is usually asked at the loopback address.
              - Without it, a certificate must be issued by a CA that the host trusts.
            type: path
            default: ""
          certificate_file:
            description: File with the client certificate to present.
            type: path
            default: ""
          key_file:
            description: File with the key of O(proof[].access.certificate_file).
            type: path
            default: ""
      secrets:
        description:
          - Whether O(proof[].command) gets O(secrets).
          - The survey of a host can only prove a service again if no proof without O(proof[].after) gets them.
        type: bool
        default: true
      after:
        description: Check this proof only after these actions; always if empty.
        type: list
        elements: str
        choices: [start, reload, restart]
        default: []
  secrets:
    description:
      - Environment variables for every O(proof[].command) with O(proof[].secrets), such as a password that must not
        appear in its arguments.
      - An option of its own, as nested values are not reliably kept out of the host's journal.
    type: dict
    default: {}
  effects:
    description:
      - What users of the service notice of an action, by action (V(start), V(reload), V(restart), V(stop)), for example
        C(every client is disconnected). The diff and RV(effect) show it, in check mode too.
    type: dict
    default: {}
  refuted:
    description:
      - Whether the survey of this run has found that a proof fails and that waiting does not change it. The action
        plugin sets it. The proofs are not run again before the service is restarted, as a refused login may count.
    type: bool
    default: false
  timeout:
    description: How long systemctl may take, as a duration.
    type: str
    default: "60"
  proof_timeout:
    description:
      - How long it may take after that until all proofs hold, as a duration.
      - O(timeout) if not given. A set that is returned to has O(timeout) in any case, as nothing else is left.
    type: str
seealso:
  - module: nexod.infra.file_set
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
# The two modules belong together: file_set writes the files and reports what the service must do to apply them,
# live_service does it, and returns to the previous files if the service does not prove that it runs with the new ones.
- name: Write the files of Prometheus
  nexod.infra.file_set:
    name: prometheus
    files:
      - path: prometheus.yml
        template: prometheus.yml.j2
        on_change: reload
      - path: prometheus.service
        template: prometheus.service.j2
        link: /etc/systemd/system/prometheus.service
    check:
      - [promtool, check, config, "{staged}/prometheus.yml"]
  register: prometheus_files

- name: Run Prometheus with its files and verify that it loaded them
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

- name: Roll back a set that failed its trial
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
  description: What was done to the running service, or in check mode would be.
  returned: always
  type: str
  sample: reload
steps:
  description: The systemctl verbs, in order; those of O(instances) with their unit.
  returned: always
  type: list
  elements: str
  sample: [daemon-reload, reload]
effect:
  description: What users notice of RV(action), as O(effects) says.
  returned: if O(effects) has the action
  type: str
  sample: every client is disconnected
seconds:
  description: Time from the action to the last proof.
  returned: always
  type: float
  sample: 0.41
live:
  description: Whether the current set is the one that is marked live; a first deploy has none to return to.
  returned: when O(files) is given and O(state) is V(settled) or V(returned)
  type: bool
says:
  description: The outcome, in a sentence.
  returned: when O(state) is V(returned)
  type: str
  sample: It was returned to its previous set (0002-9c1185a5c5e9), which serves again
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.durations import seconds
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._files import live_service as service
from ansible_collections.nexod.infra.plugins.module_utils._files import proofs
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import FileSet

PROOF: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str"},
    "status": {"type": "int", "default": 200},
    "command": {"type": "list", "elements": "str"},
    "matches": {"type": "str"},
    "refused": {"type": "str"},
    "metrics": {"type": "dict", "default": {}},
    "access": {
        "type": "dict",
        "options": {
            "user": {"type": "str", "default": ""},
            "password_file": {"type": "path", "default": "", "no_log": False},
            "ca_file": {"type": "path", "default": ""},
            "certificate_file": {"type": "path", "default": ""},
            "key_file": {"type": "path", "default": "", "no_log": False},
        },
    },
    "secrets": {"type": "bool", "default": True, "no_log": False},
    "after": {"type": "list", "elements": "str", "choices": ["start", "reload", "restart"], "default": []},
}

#: A unit that systemd does not know.
NONE = service.as_status({})

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "instances": {"type": "list", "elements": "str"},
    "spare": {"type": "str"},
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
    "effects": {"type": "dict", "default": {}},
    "refuted": {"type": "bool", "default": False},
    "timeout": {"type": "str", "default": "60"},
    "proof_timeout": {"type": "str"},
}


def as_proof(row: dict[str, t.Any], secrets: dict[str, t.Any], *, check_mode: bool = False) -> service.Proof:
    given = {name: str(value) for name, value in secrets.items()} if row.get("secrets", True) else {}
    proof = service.Proof(
        url=row["url"],
        status=row["status"],
        command=tuple(row["command"] or ()),
        environment=proofs.environment(check_mode) | given,
        matches=row["matches"],
        metrics={name: str(value) for name, value in row["metrics"].items()},
        after=frozenset(row["after"]),
        access=proofs.access(row),
        refused=row["refused"],
    )
    service.refuse_bad_proof(proof)
    return proof


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Plan, act, prove; in check mode only plan."""
    options = module.params
    name, running, timeout = options["name"], options["state"] == "started", seconds(options["timeout"], "timeout")
    began = time.time()
    units = service.units_of(name, options["instances"])
    surplus = service.surplus(name, options["instances"])
    states = {unit: service.status_of(unit) for unit in [name, *units, *surplus]}
    rollouts = planned(options, states, units, surplus, check_mode=module.check_mode)
    act = service.most(service.taken(one.steps) for one in rollouts)
    effect = str((options.get("effects") or {}).get(act, ""))
    if not module.check_mode:
        current = file_set(options)
        within = options["proof_timeout"] and seconds(options["proof_timeout"], "proof_timeout")
        service.roll_out(rollouts, current, timeout, running=running, settle=options["settle"], proof_timeout=within)
        if current and running:
            note_proof(current, options, list(states))
    changed = [one for one in rollouts if service.changes(one.steps)]
    return {
        "name": name,
        "changed": bool(changed),
        "action": act,
        "steps": steps_of(rollouts, several=options["instances"] is not None),
        "seconds": round(time.time() - began, 3),
        "diff": [service.as_diff(one.unit, states.get(one.unit, NONE), one.steps, effect) for one in changed],
        **({"effect": effect} if effect else {}),
    }


def file_set(options: dict[str, t.Any]) -> FileSet | None:
    files = options["files"]
    return FileSet(files["name"], files["root"]) if files else None


def proofs_of(options: dict[str, t.Any], unit: str, *, check_mode: bool = False) -> list[service.Proof]:
    rows = proofs.for_instance(options["proof"], unit.partition("@")[2])
    return [as_proof(row, options["secrets"], check_mode=check_mode) for row in rows]


def planned(
    options: dict[str, t.Any],
    states: dict[str, service.Status],
    units: list[str],
    surplus: list[str],
    *,
    check_mode: bool,
) -> list[service.Rollout]:
    """What each unit needs, in the order in which it is done."""
    rollouts = []
    for unit in units:
        status, asked = states[unit], proofs_of(options, unit, check_mode=check_mode)
        action, proven = (options["files"] or {}).get("action", "none"), True
        if options["state"] == "started" and status.active and action == "none":
            # What the survey was refused for good is not asked again: it may count, as refused logins do.
            proven = (
                not options["refuted"]
                and service.wait_proven(unit, asked, "none", time.time(), service.AT_REST) is None
            )
        steps = service.plan(options["state"], options["enabled"], status, action, proven)
        added = options["instances"] is not None and not status.active and not status.enabled
        rollouts.append(service.Rollout(unit, steps, asked, added))
    # Those that are new serve while the others restart.
    rollouts.sort(key=lambda one: not one.added)
    if options["spare"] and options["spare"] not in (options["instances"] or []):
        unit = f"{options['name']}@{options['spare']}"
        # One that a killed run left may have another set.
        begin = "restart" if unit in surplus and states[unit].active else "start"
        spare = service.Rollout(unit, ["daemon-reload", begin], proofs_of(options, unit), added=True)
        rollouts = service.with_spare(rollouts, spare)
    if options["instances"] is not None and states[options["name"]].active:
        # The service as one process, from before it had instances. It has their port, and is not one of them.
        rollouts.insert(0, service.Rollout(options["name"], ["stop"], []))
    # With its last step, a spare instance that a killed run left is stopped already.
    left = [unit for unit in surplus if unit not in {one.unit for one in rollouts}]
    return rollouts + [service.Rollout(unit, service.plan("absent", False, states[unit], "none"), []) for unit in left]


def steps_of(rollouts: list[service.Rollout], *, several: bool) -> list[str]:
    """The systemctl verbs; of several units each with its unit."""
    if not several:
        return list(rollouts[0].steps)
    verbs = [(verb, one.unit) for one in rollouts for verb in one.steps]
    return list(dict.fromkeys(verb if verb == "daemon-reload" else f"{verb} {unit}" for verb, unit in verbs))


def note_proof(files: FileSet, options: dict[str, t.Any], units: list[str]) -> None:
    """Record what has just proved the live set, for the survey of the next run (module_utils/_files/survey.py)."""
    live = files.generation("live")
    secret = bool(options["secrets"]) and proofs.get_secrets(options["proof"])
    known = not secret and live is not None and live == files.generation("current")
    wanted = service.units_of(options["name"], options["instances"])
    for unit in units:
        if known and unit in wanted:
            rows = proofs.for_instance(options["proof"], unit.partition("@")[2])
            proofs.record(files.home, unit, str(live), rows)
        else:
            proofs.drop(files.home, unit)


def end_trial(module: AnsibleModule) -> dict[str, t.Any]:
    """Mark the set that passed its trial, or roll it back. In check mode there was none to end."""
    options = module.params
    files = FileSet(options["files"]["name"], options["files"]["root"])
    began, changed, says = time.time(), False, ""
    if options["state"] == "settled" and not module.check_mode:
        # No change of its own: switching to the set was one.
        files.mark_live()
    elif not module.check_mode:
        changed = files.generation("live") not in (None, files.generation("current"))
        units = service.units_of(options["name"], options["instances"])
        touched = [service.Rollout(unit, ["restart"], proofs_of(options, unit)) for unit in units]
        says = service.take_back(touched, files, seconds(options["timeout"], "timeout"))
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
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=ending,
        required_by={"spare": "instances"},
        supports_check_mode=True,
    )
    files = module.params["files"]
    home = f"{files['root']}/{files['name']}" if files else ""
    with edge(module, "change", f'the service "{module.params["name"]}"', home):
        act = end_trial if module.params["state"] in ("settled", "returned") else run
        module.exit_json(**act(module))


if __name__ == "__main__":
    main()
