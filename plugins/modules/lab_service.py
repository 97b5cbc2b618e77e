#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_service
short_description: Run servers of a lab on this machine
description:
  - Starts servers in the background and waits until they listen. Their output is written to a file.
  - Restarts a server if its arguments have changed.
  - Needs no init system, so that any user can run a lab.
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
options:
  services:
    description: The servers.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the server, and of its files in O(folder).
        type: str
        required: true
      argv:
        description: Program and arguments.
        type: list
        elements: str
        required: true
      port:
        description: TCP port on 127.0.0.1 that it listens on.
        type: int
        required: true
  folder:
    description: Folder for the servers' process numbers and output.
    type: path
    required: true
  timeout:
    description: Seconds to wait until a server listens.
    type: int
    default: 120
  state:
    description: V(stopped) stops them.
    type: str
    choices: [started, stopped]
    default: started
"""

EXAMPLES = r"""
- name: Run the webhook receiver
  nexod.infra.lab_service:
    folder: .lab/services
    services:
      - name: webhook-receiver
        argv: [python3, tests/fixtures/webhook_receiver.py, --file=.lab/webhooks.jsonl]
        port: 5556
"""

RETURN = r"""
steps:
  description: The steps taken, or planned in check mode.
  type: list
  elements: str
  returned: always
"""

import pathlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._lab.plan import Server
from ansible_collections.nexod.infra.plugins.module_utils._lab.services import apply_services

SERVICE = {
    "name": {"type": "str", "required": True},
    "argv": {"type": "list", "elements": "str", "required": True},
    "port": {"type": "int", "required": True},
}
ARGUMENTS = {
    "services": {"type": "list", "elements": "dict", "options": SERVICE, "required": True},
    "folder": {"type": "path", "required": True},
    "timeout": {"type": "int", "default": 120},
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    servers = [Server(row["name"], tuple(row["argv"]), row["port"]) for row in asked["services"]]
    folder = pathlib.Path(asked["folder"]).absolute()
    with edge(module, "run", "the lab's servers", str(folder)):
        done = apply_services(servers, asked["state"] == "started", folder, asked["timeout"], module.check_mode)
    steps = [str(step) for step in done]
    diff = {"before": "", "after": "".join(f"{step}\n" for step in steps)}
    module.exit_json(changed=bool(steps), steps=steps, diff=diff)


if __name__ == "__main__":
    main()
