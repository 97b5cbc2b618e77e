#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report what PgBouncer's admin console shows."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_info
short_description: Report what the admin console of PgBouncer shows - pools, clients, servers, settings, statistics
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the rows of C(SHOW) commands from every process of the PgBouncer on a host. Changes nothing.
  - In check mode, the result is empty if PgBouncer does not run yet.
options:
  show:
    description:
      - What to show, such as V(databases), V(pools), V(clients), V(servers), V(config), V(stats), V(users), V(lists),
        V(peers) or V(state). Versions differ. A name that the installed version does not have is an error that lists
        those that it has.
      - V(fds) and V(help) are refused, as they are no data.
    type: list
    elements: str
    default: [databases, pools]
extends_documentation_fragment: [nexod.infra.pgbouncer]
seealso:
  - module: nexod.infra.pgbouncer_admin
"""

EXAMPLES = r"""
- name: Read the pools
  nexod.infra.pgbouncer_info:
    show: [pools]
  register: pooler

- name: Check that no client waits
  ansible.builtin.assert:
    that: pooler.processes | map(attribute="show.pools") | flatten | sum(attribute="cl_waiting") == 0
"""

RETURN = r"""
processes:
  description: What each process shows.
  returned: success
  type: list
  elements: dict
  contains:
    socket:
      description: Path of its Unix socket.
      type: str
    version:
      description: Version of PgBouncer.
      type: str
    show:
      description:
        - For each name in O(show) the rows, each with the columns of that version. Numbers are numbers, and what
          PgBouncer shows as NULL is null.
      type: dict
  sample:
    - socket: /run/pgbouncer/1/.s.PGSQL.6432
      version: 1.24.1
      show: {lists: [{list: databases, items: 2}]}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.admin import Pooler, show

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "show": {"type": "list", "elements": "str", "default": ["databases", "pools"]},
    "socket_dir": {"type": "path", "default": "/run/pgbouncer"},
    "port": {"type": "int", "default": 6432},
}
RANGES = {"port": (1, 65535)}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    with edge(module, "show what PgBouncer shows at", given["socket_dir"]):
        check_ranges(given, RANGES)
        found = show(Pooler(given["socket_dir"], given["port"]), given["show"], check=module.check_mode)
        module.exit_json(changed=False, processes=found)


if __name__ == "__main__":
    main()
