#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a dump of a Supabase project's database for each day, and restore one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_dump
short_description: Keep dumps of a Supabase project's database, and restore one
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - V(present) dumps the database with C(pg_dump), unless O(path) exists, and removes the oldest dumps beyond O(keep).
    Supabase's own schemas are left out. The files are readable by their owner only.
  - Each dump ends with its marker, which names the environment and has the digest of what is before it. It is in the
    same file, which C(pg_restore) reads as any other. So that a dump of production has one, too, V(present) also dumps
    a database that is not at Supabase; the playbook C(dump) does.
  - V(restored) replaces what the dump contains in one transaction, and grants no rights but those in the dump. A dump
    without a marker, one that was changed since, and one of another environment is refused, by its marker or by that
    of the database in it, and so is the environment C(production).
  - Uses the programs C(psql), C(pg_dump) and C(pg_restore) of this host. They are checked before anything is changed.
  - Run against a PostgreSQL 15 that is laid out as Supabase's, never against the live service.
extends_documentation_fragment: [nexod.infra.managed_database]
options:
  state:
    description: Whether to make the dump or to restore it.
    type: str
    choices: [present, restored]
    default: present
  path:
    description: The dump. V(present) needs a name such as C(dev-20261127.dump), whose part before the last hyphen the
      dumps of the other days share.
    type: path
    required: true
  environment:
    description: Name of the environment that the database belongs to.
    type: str
    required: true
  keep:
    description: Number of dumps that are kept. At least 1.
    type: int
    default: 7
  database_version:
    description: Major version of the server, which the programs must not be older than. At least 10.
    type: int
    default: 15
  own_schemas:
    description: Schemas that are Supabase's, which are not dumped.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Dump the database before the first migration of a day
  nexod.infra.supabase_dump:
    path: .dev/dumps/dev-20261127.dump
    environment: dev
    own_schemas: [auth, storage, realtime, extensions, graphql, vault]
    host: aws-0-eu-central-1.pooler.supabase.com
    user: postgres.abcdefghijklmnopqrst
    password: "{{ database_password }}"
"""

RETURN = r"""
path:
  description: The dump.
  returned: always
  type: str
removed:
  description: Dumps that were removed, or would be in check mode.
  returned: always
  type: list
  elements: str
"""

import pathlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.connection import (
    CONNECTION,
    PORT,
    psql_of,
    server_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.programs import refuse_unusable
from ansible_collections.nexod.infra.plugins.module_utils._services import supabase_dumps as dumps

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
    "path": {"type": "path", "required": True},
    "environment": {"type": "str", "required": True},
    "keep": {"type": "int", "default": 7},
    "database_version": {"type": "int", "default": 15},
    "own_schemas": {"type": "list", "elements": "str", "default": []},
    **CONNECTION,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    path = pathlib.Path(given["path"])
    with edge(module, "dump" if given["state"] == "present" else "restore", f"{path}", str(path)):
        check_ranges(given, {**PORT, "keep": (1, None), "database_version": (10, None)})
        database = dumps.Database(server_of(given), given["database"], given["user"], given["password"])
        psql = psql_of(given)
        removed: list[pathlib.Path] = []
        changed = True
        if given["state"] == "restored":
            refuse_unusable(["psql", "pg_restore"], given["database_version"])
            dumps.check_marker(path, given["environment"])
            dumps.check_database(database, path, given["environment"])
            if not module.check_mode:
                dumps.restore(database, path, psql.ask(dumps.DEFAULTS, given["database"]))
        else:
            changed = not dumps.complete(path)
            if changed:
                refuse_unusable(["psql", "pg_dump"], given["database_version"])
            if changed and not module.check_mode:
                schemas = psql.ask(dumps.query(given["own_schemas"]), given["database"])
                dumps.write(database, path, schemas, given["environment"])
            if changed:
                removed = dumps.surplus(path, given["keep"])
            if not module.check_mode:
                dumps.remove(removed)
        module.exit_json(changed=changed, path=str(path), removed=[str(one) for one in removed])


if __name__ == "__main__":
    main()
