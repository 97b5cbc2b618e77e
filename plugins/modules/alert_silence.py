#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Silence alerts in Alertmanager while something is done on purpose."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_silence
short_description: Silence alerts in Alertmanager while something is done on purpose
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Silences the alerts that have the given labels, and ends the silence again. It ends by itself after O(seconds), so
    that a run that was killed leaves no alert silenced for long.
  - A silence is known by O(author) and O(matchers). One that lasts long enough is left as it is, another one is made to
    last longer.
  - An Alertmanager that is being changed itself, such as one that gets a password, is asked as O(installed) says.
  - In check mode, Alertmanager is asked, and nothing is changed.
extends_documentation_fragment: [nexod.infra.access]
options:
  url:
    description: Base URL of Alertmanager, as seen from the host that runs the module.
    type: str
    default: http://127.0.0.1:9093
  installed:
    description:
      - Folder on the host with the sets of files of an Alertmanager that the role P(nexod.infra.alertmanager#role) has
        installed, C(/etc/nexod/alertmanager). Their address, user, password and certificates are used in place of
        O(url), O(user) and the options next to them, those of its current set first, then those of the set that it was
        last verified to run with. For some seconds, an Alertmanager that is restarted is waited for.
      - If the folder has no current set, there is no Alertmanager on the host, and nothing to silence.
    type: path
  state:
    description: Whether the alerts are to be silent.
    type: str
    choices: [present, absent]
    default: present
  matchers:
    description:
      - Labels that a silenced alert has, each with its value or a list of values. All of them must match. At least one.
    type: dict
    required: true
  seconds:
    description: Seconds after which the silence ends by itself. From 1 to 86400.
    type: int
    default: 600
  after_seconds:
    description:
      - With O(state=absent), let the silence end after this time instead of at once, if it would last longer. An alert
        that fires until then, and no longer, is not sent. From 0 to 86400.
    type: int
    default: 0
  author:
    description: Who silences, as Alertmanager shows it.
    type: str
    default: nexod.infra
  comment:
    description: Why, as Alertmanager shows it.
    type: str
    default: A deploy changes this.
  required:
    description: Whether to fail if Alertmanager can't be asked. Otherwise that is a warning.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Silence the alerts of an instance while it is replaced
  nexod.infra.alert_silence:
    matchers: {instance: api-1, component: [api, monitoring]}
    seconds: 300
  delegate_to: monitoring-1

- name: Let them be heard again
  nexod.infra.alert_silence:
    matchers: {instance: api-1, component: [api, monitoring]}
    state: absent
  delegate_to: monitoring-1

- name: Silence what cannot be scraped while passwords change, Alertmanager's own among them
  nexod.infra.alert_silence:
    installed: /etc/nexod/alertmanager
    matchers: {instance: db-1, alertname: [HostDown, TargetDown]}
    seconds: 900
  delegate_to: monitoring-1
"""

RETURN = r"""
id:
  description: Id of the silence; empty if there is none.
  returned: success
  type: str
asked:
  description: >-
    Whether Alertmanager was asked; V(false) if it did not answer and O(required=false), or if O(installed) has none.
  returned: success
  type: bool
"""

import pathlib
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import access
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.installed import Door, doors
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.silence import Alertmanager, Silence, faults

LONGEST = 86400
#: Seconds for which an installed Alertmanager is waited for: longer than its restart takes.
PATIENCE = 15.0
ARGUMENTS = {
    **access.ARGUMENTS,
    "url": {"type": "str", "default": "http://127.0.0.1:9093"},
    "installed": {"type": "path"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "matchers": {"type": "dict", "required": True},
    "seconds": {"type": "int", "default": 600},
    "after_seconds": {"type": "int", "default": 0},
    "author": {"type": "str", "default": "nexod.infra"},
    "comment": {"type": "str", "default": "A deploy changes this."},
    "required": {"type": "bool", "default": True},
}


def declared(given: dict[str, t.Any], now: float) -> Silence:
    """The silence that the options ask for. Raises InfraError for what is none."""
    rows = {name: value if isinstance(value, list) else [value] for name, value in given["matchers"].items()}
    matchers = {str(name): [str(one) for one in values if one is not None] for name, values in rows.items()}
    wrong = faults(matchers)
    for name, least in (("seconds", 1), ("after_seconds", 0)):
        if not least <= given[name] <= LONGEST:
            wrong.append(f"{name} is {given[name]}, and must be from {least} to {LONGEST}")
    if wrong:
        raise InfraError(
            "silence alerts in Alertmanager at", given["url"], "; ".join(wrong), "Correct the options of the task."
        )
    seconds = given["seconds"] if given["state"] == "present" else given["after_seconds"]
    return Silence(matchers, given["author"], given["comment"], now, now + seconds)


def ways(given: dict[str, t.Any]) -> list[Door]:
    """Where Alertmanager may be asked; none if there is no Alertmanager."""
    if given["installed"]:
        return doors(pathlib.Path(given["installed"]), given["url"])
    return [Door(given["url"], access.access_of(given))]


def attempt(given: dict[str, t.Any], silence: Silence, *, check: bool) -> dict[str, t.Any]:
    """Ask in each way until one is answered, and again while what is installed may be restarting."""
    until = time.monotonic() + (PATIENCE if given["installed"] else 0)
    while True:
        failed = None
        for door in ways(given):
            try:
                return answer(Alertmanager(door.url, door.access), given, silence, check=check)
            except InfraError as error:
                failed = failed or error
        if failed is None:
            return {"changed": False, "id": "", "asked": False}
        if time.monotonic() >= until:
            raise failed
        time.sleep(1)


def answer(alertmanager: Alertmanager, given: dict[str, t.Any], silence: Silence, *, check: bool) -> dict[str, t.Any]:
    if given["state"] == "present":
        changed, number = alertmanager.keep(silence, check=check)
    else:
        changed, number = alertmanager.end(silence, later=bool(given["after_seconds"]), check=check), ""
    return {"changed": changed, "id": number, "asked": True}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    with edge(module, "silence alerts in Alertmanager at", given["url"]):
        silence = declared(given, time.time())
        try:
            found = attempt(given, silence, check=module.check_mode)
        except InfraError as error:
            if given["required"]:
                raise
            module.warn(error.report()["msg"])
            found = {"changed": False, "id": "", "asked": False}
        module.exit_json(**found)


if __name__ == "__main__":
    main()
