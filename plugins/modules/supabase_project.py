#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a paused Supabase project, wait until it is healthy, and find the way to its database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_project
short_description: Restore a paused Supabase project and find the way to its database
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Looks the project up. If it is paused, it is restored, and the module waits until it runs and its services are
    healthy, and shows the project's statuses as they change. A restore that ends with the project paused again, which
    happens after about 15 minutes, is an error.
  - Chooses how the database is reached - by its own address, which has only IPv6 on the free plan, where the host that
    runs the module can open a connection to it, else by the pooler in session mode (port 5432). Port 6543 of the
    pooler is transaction mode, in which locks and settings of migrations do not hold, and is never chosen.
  - A run that was killed is continued by the next. If nothing is to be done, it sends at most three requests.
  - In check mode nothing is restored. A project that would be restored gets an address that can't be reached.
  - Built to the vendor's published interface and run against a stand-in that the C(supabase) command accepts, never
    against the live service.
extends_documentation_fragment: [nexod.infra.internal, nexod.infra.supabase_project]
options:
  restore:
    description: Whether a paused project is restored. Otherwise it is an error.
    type: bool
    default: true
  services:
    description: Services that must be healthy.
    type: list
    elements: str
    choices: [auth, db, db_postgres_user, pooler, realtime, rest, storage, pg_bouncer]
    default: [db, auth, rest]
  database_version:
    description: Major version of PostgreSQL that the project must run. Without it, any is accepted. At least 10.
    type: int
  way:
    description:
      - V(direct) is the database's own address, V(session_pooler) the pooler in session mode, and V(auto) the first of
        them that this host reaches.
    type: str
    choices: [auto, direct, session_pooler]
    default: auto
  wait_seconds:
    description: Seconds for a restore and until the services are healthy. From 1 to 7200.
    type: int
    default: 1800
  poll_seconds:
    description: Seconds between two looks at a project that is waited for. From 1 to 60.
    type: int
    default: 5
  connect_seconds:
    description: Seconds for the attempt to reach the database's own address. From 1 to 60.
    type: int
    default: 5
"""

EXAMPLES = r"""
- name: Restore the project and find the way to its database
  nexod.infra.supabase_project:
    ref: abcdefghijklmnopqrst
    token: "{{ lookup('ansible.builtin.env', 'SUPABASE_ACCESS_TOKEN') }}"
    database_version: 15
  register: project
"""

RETURN = r"""
status_before:
  description: Status of the project when the module began.
  returned: always
  type: str
  sample: INACTIVE
project:
  description: The project, with C(ref), C(name), C(region), C(status), C(organization_slug), C(database_version) and
    C(api_url).
  returned: always
  type: dict
way:
  description: How its database is reached.
  returned: always
  type: str
  sample: session_pooler
reason:
  description: Why this way.
  returned: always
  type: str
host:
  description: Host of the database or its pooler.
  returned: always
  type: str
port:
  description: TCP port.
  returned: always
  type: int
user_suffix:
  description: What the pooler needs behind the name of a user, such as C(.abcdefghijklmnopqrst). Otherwise empty.
  returned: always
  type: str
services:
  description: Health of each service, with C(name), C(healthy) and C(error).
  returned: always
  type: list
  elements: dict
requests:
  description: How many requests were sent.
  returned: always
  type: int
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import told_lines
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import client_of
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_project import Project, Wanted

SERVICES = ["auth", "db", "db_postgres_user", "pooler", "realtime", "rest", "storage", "pg_bouncer"]
ARGUMENTS = {
    "ref": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
    "url": {"type": "str"},
    "restore": {"type": "bool", "default": True},
    "services": {"type": "list", "elements": "str", "choices": SERVICES, "default": ["db", "auth", "rest"]},
    "database_version": {"type": "int"},
    "way": {"type": "str", "choices": ["auto", "direct", "session_pooler"], "default": "auto"},
    "wait_seconds": {"type": "int", "default": 1800},
    "poll_seconds": {"type": "int", "default": 5},
    "connect_seconds": {"type": "int", "default": 5},
    "_internal": {"type": "dict"},
}
RANGES = {
    "database_version": (10, None),
    "wait_seconds": (1, 7200),
    "poll_seconds": (1, 60),
    "connect_seconds": (1, 60),
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    path = (given["_internal"] or {}).get("progress_file")
    with edge(module, "use", f"project {given['ref']}"), told_lines(path) as tell:
        check_ranges(given, RANGES)
        client = client_of("supabase", given, check=module.check_mode)
        wanted = Wanted(
            ref=given["ref"],
            restore=given["restore"],
            services=tuple(given["services"]),
            version=given["database_version"] or 0,
            way=given["way"],
            wait_seconds=given["wait_seconds"],
            poll_seconds=given["poll_seconds"],
            connect_seconds=given["connect_seconds"],
        )
        found = Project(client, wanted, tell).present()
        module.exit_json(**dataclasses.asdict(found), requests=len(client.requests))


if __name__ == "__main__":
    main()
