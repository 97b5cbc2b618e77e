#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the facts of a host that preflight checks, without changing anything."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_probe
short_description: Collect the facts of a host that preflight checks
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Reads C(/proc), C(/etc/os-release) and the sizes of the file systems. Starts no program and changes nothing.
  - With O(survey) it also reports the file sets, services, releases and packages of the host, asks systemd about their
    units, and runs the proof that was recorded for each service when its set was marked live.
  - With O(pooler) it also asks the database servers behind this host's PgBouncer how many connections they allow.
  - One execution returns everything that the stage C(preflight) checks on the controller.
options:
  reference_time:
    description: >-
      The controller's time in seconds since the epoch, which the host's clock is compared with.
      The difference includes the time it takes to reach the host.
    type: float
  survey:
    description:
      - Whether to add the survey, with which P(nexod.infra.survey#callback) spares later tasks their execution.
      - A host whose survey fails is a host without one; nothing else depends on it.
    type: bool
    default: false
  pooler:
    description:
      - PgBouncer of this host, whose database servers are asked, through its pools.
      - A PgBouncer or a server that does not answer is no failure; RV(pooler_servers) contains the reason.
    type: dict
    suboptions:
      socket_dir:
        description: Directory of its Unix sockets, each in a directory named by the number of the process.
        type: path
        default: /run/pgbouncer
      port:
        description: Port, with which the names of the sockets end.
        type: int
        default: 6432
      user:
        description: Account to log in as.
        type: str
        required: true
      password:
        description: Password of the account.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Probe the host
  nexod.infra.host_probe:
    reference_time: "{{ now().timestamp() }}"
  register: __probe
"""

RETURN = r"""
probe:
  description: The facts of the host.
  returned: success
  type: dict
  contains:
    clock_offset_seconds:
      description: Seconds by which the host's clock is ahead of O(reference_time); null without it.
      type: float
    disk_free_mb:
      description: Free mebibytes by path.
      type: dict
    init:
      description: Name of process 1.
      type: str
    listeners:
      description: Each listening TCP port, with the program and the systemd unit.
      type: list
      elements: dict
    memory_mb:
      description: Mebibytes of memory.
      type: int
    os:
      description: Identity, code name, full name and version of the operating system.
      type: dict
    python:
      description: Version of the Python that ran the module.
      type: str
    superuser:
      description: Whether the module ran as root.
      type: bool
    systemd:
      description: Whether systemd manages the host.
      type: bool
  sample:
    clock_offset_seconds: 0.3
    disk_free_mb: {"/": 20480, "/var": 20480}
    init: systemd
    listeners: [{port: 22, program: sshd, unit: ssh.service}]
    memory_mb: 4096
    os: {id: debian, codename: trixie, name: Debian GNU/Linux 13 (trixie), version: "13"}
    python: 3.13.5
    superuser: true
    systemd: true
pooler_servers:
  description: >-
    By database of PgBouncer, the server's settings C(max_connections), C(superuser_reserved_connections) and
    C(reserved_connections), or C(fault), why they are not known.
  returned: with O(pooler)
  type: dict
  sample:
    app: {max_connections: 120, superuser_reserved_connections: 3, reserved_connections: 0}
ansible_facts:
  description: Debian's and Ubuntu's C(distribution), C(distribution_major_version) and C(distribution_release).
  returned: success
  type: dict
survey:
  description: All that this collection keeps on the host, packed. Its form may change at any time.
  returned: with O(survey), where it succeeded
  type: str
survey_fault:
  description: Why there is no survey.
  returned: with O(survey), where it failed
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._files.survey import try_survey
from ansible_collections.nexod.infra.plugins.module_utils._host.probe import as_facts, probe
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.limits import server_limits


def main() -> None:
    pooler = {
        "socket_dir": {"type": "path", "default": "/run/pgbouncer"},
        "port": {"type": "int", "default": 6432},
        "user": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
    }
    arguments = {
        "reference_time": {"type": "float"},
        "survey": {"type": "bool", "default": False},
        "pooler": {"type": "dict", "options": pooler},
    }
    module = AnsibleModule(arguments, supports_check_mode=True)
    more: dict[str, t.Any] = {}
    with edge(module, "read the state of", "the host", "/proc"):
        found = probe(module.params["reference_time"])
        if module.params["survey"]:
            packed, why = try_survey(check_mode=module.check_mode)
            more = {"survey": packed} if packed else {"survey_fault": why}
        if module.params["pooler"]:
            more["pooler_servers"] = server_limits(**module.params["pooler"])
        module.exit_json(changed=False, probe=found, ansible_facts=as_facts(found["os"]), **more)


if __name__ == "__main__":
    main()
