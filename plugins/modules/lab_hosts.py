#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_hosts
short_description: Boot a lab's hosts as systemd containers with ssh
description:
  - Creates a network and the listed hosts, all hosts in parallel. Each is a podman container that boots systemd and
    accepts ssh connections with a key created for the lab.
  - Starts stopped hosts. Restarts a host that does not accept ssh connections and, if that does not help, creates it
    again.
  - Creates hosts with an outdated image or another address again, and removes hosts that are no longer listed.
  - Detects what the machine supports (container runtime, cgroups, limits).
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
options:
  name:
    description: Name of the lab and prefix of its containers.
    type: str
    required: true
  hosts:
    description: The hosts of the lab.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The host's name.
        type: str
        required: true
      release:
        description: The Debian release to boot, a name in O(images).
        type: str
        required: true
      address:
        description: Address in O(subnet). By default, podman assigns one.
        type: str
      publish:
        description: Ports to publish on this machine, in the format of C(podman run --publish).
        type: list
        elements: str
        default: []
  images:
    description: The image of each release, as returned by M(nexod.infra.lab_image).
    type: dict
    default: {}
  network:
    description: Name of the podman network.
    type: str
    required: true
  subnet:
    description: The network's subnet.
    type: str
    required: true
  keys:
    description: Folder for the lab's ssh keys and known_hosts. Created if it does not exist.
    type: path
    required: true
  state:
    description: V(absent) removes the hosts, and the network if nothing else uses it.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Boot two hosts
  nexod.infra.lab_hosts:
    name: nexod-lab
    network: nexod-lab
    subnet: 10.213.77.0/24
    keys: .lab/ssh
    images: "{{ built.images }}"
    hosts:
      - {name: api-1, release: trixie, address: 10.213.77.51}
      - {name: api-2, release: trixie, address: 10.213.77.52}
"""

RETURN = r"""
addresses:
  description: Address of each host, by name.
  type: dict
  returned: always
steps:
  description: The steps taken, or planned in check mode, with the reason.
  type: list
  elements: str
  returned: always
"""

import pathlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._lab.plan import Host
from ansible_collections.nexod.infra.plugins.module_utils._lab.podman import Lab, bring_down, bring_up

HOST = {
    "name": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "address": {"type": "str"},
    "publish": {"type": "list", "elements": "str", "default": []},
}
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "hosts": {"type": "list", "elements": "dict", "options": HOST, "default": []},
    "images": {"type": "dict", "default": {}},
    "network": {"type": "str", "required": True},
    "subnet": {"type": "str", "required": True},
    "keys": {"type": "path", "required": True, "no_log": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    keys = pathlib.Path(asked["keys"]).absolute()
    lab = Lab(asked["name"], asked["network"], asked["subnet"], keys)
    images = asked["images"]
    hosts = [
        Host(row["name"], images.get(row["release"], row["release"]), row["address"], tuple(row["publish"]))
        for row in asked["hosts"]
    ]
    with edge(module, "boot" if asked["state"] == "present" else "remove", "the lab's hosts", str(keys)):
        if asked["state"] == "present":
            done = bring_up(lab, hosts, module.check_mode)
        else:
            done = bring_down(lab, module.check_mode)
    for warning in done.warnings:
        module.warn(warning)
    steps = [str(step) for step in done.steps]
    diff = {"before": "", "after": "".join(f"{step}\n" for step in steps)}
    module.exit_json(changed=done.changed, steps=steps, addresses=done.addresses, diff=diff)


if __name__ == "__main__":
    main()
