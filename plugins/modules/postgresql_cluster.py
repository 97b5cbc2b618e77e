#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create a PostgreSQL cluster on Debian, as a primary or as a replica."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_cluster
short_description: Create a PostgreSQL cluster on Debian, as a primary or as a streaming replica
version_added: "1.0.0"
description:
  - Creates the data directory of C(postgresql@VERSION-NAME.service).
    A primary is created by C(initdb) with UTF-8 and checksums,
    a replica by C(pg_basebackup) with a replication slot that is created on the primary.
  - Replaces a data directory that no server has ever run on, because it was created when the package was installed and
    is empty.
  - Copies a replica again if it has lost its slot, because it was disconnected for too long.
    Reports a replica that has diverged, or that is a copy of another primary, and leaves it unchanged unless
    O(rebuild) is true.
  - Does not start the server. Writes only the configuration that C(pg_createcluster) writes.
author: The nexod.infra maintainers (@nexod)
options:
  version:
    description: Major version of PostgreSQL. Its package must be installed.
    type: int
    required: true
  name:
    description: Name of the cluster.
    type: str
    default: main
  state:
    description: V(absent) stops the cluster and deletes its data.
    type: str
    choices: [present, absent]
    default: present
  upstream:
    description: The primary to copy and follow. Without it, the cluster is a primary.
    type: dict
    suboptions:
      host:
        description: Address of the primary.
        type: str
        required: true
      port:
        description: Port of the primary.
        type: int
        default: 5432
      user:
        description: Role with the attribute REPLICATION.
        type: str
        required: true
      slot:
        description: Name of this replica's replication slot on the primary. Lower-case letters, digits and underscores.
        type: str
        required: true
  upstream_password:
    description:
      - Password of O(upstream.user). Required with O(upstream).
      - A separate option, because Ansible logs nested secrets that contain a backslash or quotes.
    type: str
  rebuild:
    description:
      - Whether a replica that can't follow the primary may be copied again. Data that exists only there is deleted.
    type: bool
    default: false
  wait:
    description: Seconds to wait for the primary, which may be set up at the same time.
    type: int
    default: 180
"""

EXAMPLES = r"""
- name: Create a primary
  nexod.infra.postgresql_cluster:
    version: 15

- name: Make a replica of it
  nexod.infra.postgresql_cluster:
    version: 15
    upstream:
      host: 192.0.2.11
      user: replication
      slot: db_2
    upstream_password: "{{ replication_password }}"
"""

RETURN = r"""
steps:
  description: What was done, or would be in check mode. Empty where nothing was to do.
  returned: always
  type: list
  elements: str
  sample: [create_slot, copy]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.cluster import describe, plan
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.host import ClusterHost

UPSTREAM = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "user": {"type": "str", "required": True},
    "slot": {"type": "str", "required": True},
}
ARGUMENTS = {
    "version": {"type": "int", "required": True},
    "name": {"type": "str", "default": "main"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "upstream": {"type": "dict", "options": UPSTREAM},
    "upstream_password": {"type": "str", "no_log": True},
    "rebuild": {"type": "bool", "default": False},
    "wait": {"type": "int", "default": 180},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS, required_by={"upstream": ["upstream_password"]}, supports_check_mode=True
    )
    given = module.params
    cluster = f'"{given["version"]}/{given["name"]}"'
    with edge(module, f"make the cluster {given['state']}", cluster, "/var/lib/postgresql"):
        upstream = given["upstream"] and {**given["upstream"], "password": given["upstream_password"]}
        host = ClusterHost(given["version"], given["name"], upstream)
        local = host.look()
        if given["state"] == "absent":
            steps = ["drop"] if local.exists else []
        else:
            # Check mode neither waits nor insists: the primary may be one that the run before us would have made.
            primary = host.ask_upstream(wait=0 if module.check_mode else given["wait"], must=not module.check_mode)
            steps = plan(
                local, host=host.node, replica=bool(given["upstream"]), upstream=primary, rebuild=given["rebuild"]
            )
        if not module.check_mode:
            host.apply(steps)
    module.exit_json(changed=bool(steps), steps=steps, diff=describe(local, steps) if steps else {})


if __name__ == "__main__":
    main()
