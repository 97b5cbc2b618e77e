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
  - In check mode, Alertmanager is asked, and nothing is changed.
extends_documentation_fragment: [nexod.infra.access]
options:
  url:
    description: Base URL of Alertmanager, as seen from the host that runs the module.
    type: str
    default: http://127.0.0.1:9093
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
"""

RETURN = r"""
id:
  description: Id of the silence; empty if there is none.
  returned: success
  type: str
asked:
  description: Whether Alertmanager was asked; V(false) if it did not answer and O(required=false).
  returned: success
  type: bool
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import access
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.silence import Alertmanager, Silence, faults

LONGEST = 86400
ARGUMENTS = {
    **access.ARGUMENTS,
    "url": {"type": "str", "default": "http://127.0.0.1:9093"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "matchers": {"type": "dict", "required": True},
    "seconds": {"type": "int", "default": 600},
    "author": {"type": "str", "default": "nexod.infra"},
    "comment": {"type": "str", "default": "A deploy changes this."},
    "required": {"type": "bool", "default": True},
}


def declared(given: dict[str, t.Any], now: float) -> Silence:
    """The silence that the options ask for. Raises InfraError for what is none."""
    rows = {name: value if isinstance(value, list) else [value] for name, value in given["matchers"].items()}
    matchers = {str(name): [str(one) for one in values if one is not None] for name, values in rows.items()}
    wrong = faults(matchers)
    if not 1 <= given["seconds"] <= LONGEST:
        wrong.append(f"seconds is {given['seconds']}, and must be from 1 to {LONGEST}")
    if wrong:
        raise InfraError(
            "silence alerts in Alertmanager at", given["url"], "; ".join(wrong), "Correct the options of the task."
        )
    return Silence(matchers, given["author"], given["comment"], now, now + given["seconds"])


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given, check = module.params, module.check_mode
    with edge(module, "silence alerts in Alertmanager at", given["url"]):
        silence = declared(given, time.time())
        alertmanager = Alertmanager(given["url"], access.access_of(given))
        try:
            if given["state"] == "present":
                changed, number = alertmanager.keep(silence, check=check)
            else:
                changed, number = alertmanager.end(silence, check=check), ""
        except InfraError as error:
            if given["required"]:
                raise
            module.warn(error.report()["msg"])
            module.exit_json(changed=False, id="", asked=False)
        module.exit_json(changed=changed, id=number, asked=True)


if __name__ == "__main__":
    main()
