#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a Supabase project's database: its size, and tables that are open to the public API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_database
short_description: Check size and exposure of a Supabase project's database
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Connects to the database, reports its size and its largest tables and indexes, warns from 80 % of the limit on, and
    finds tables that whoever has the public key of the REST API can read or write.
  - V(prepared) is for before the migrations. It fails if the database is full, read-only or that of another
    environment, marks it as that of O(environment), and ends the rights that the API's roles get in O(closed_schemas)
    to what O(user) creates there from then on.
  - V(verified) is for after them. It fails if a table is open, and names all of them and the ways out. V(read) never
    fails for what it finds.
  - Uses the program C(psql) of this host.
  - Run against a PostgreSQL 15 that is laid out as Supabase's, never against the live service.
extends_documentation_fragment: [nexod.infra.managed_database]
options:
  state:
    description: What is checked, and what is changed.
    type: str
    choices: [read, prepared, verified]
    default: read
  environment:
    description:
      - Name of the environment that the database belongs to. V(prepared) leaves it as the comment of the schema
        C(nexod_infra), and refuses a database that has another one.
    type: str
  exposed_schemas:
    description: Schemas that the REST API serves.
    type: list
    elements: str
    default: [public]
  closed_schemas:
    description: Schemas in which the API's roles get no rights to new tables, sequences and functions.
    type: list
    elements: str
    default: []
  size_limit_mb:
    description: Mebibytes that the plan allows. Without it, the size is only reported. At least 1.
    type: int
  program:
    description: Name or path of C(psql).
    type: str
    default: psql
"""

EXAMPLES = r"""
- name: Fail if a table is open to the public API
  nexod.infra.supabase_database:
    state: verified
    host: aws-0-eu-central-1.pooler.supabase.com
    user: postgres.abcdefghijklmnopqrst
    password: "{{ database_password }}"
"""

RETURN = r"""
inspected:
  description: Whether the database could be asked. In check mode its project may still be paused.
  returned: always
  type: bool
size_mb:
  description: Its size in mebibytes.
  returned: if it could be asked
  type: int
room_mb:
  description: Mebibytes that are left of O(size_limit_mb). Null without a limit.
  returned: if it could be asked
  type: int
largest:
  description: The largest tables and indexes, with C(name), C(kind) and C(bytes).
  returned: if it could be asked
  type: list
  elements: dict
open_tables:
  description: Tables of O(exposed_schemas) without row level security that the API's roles have rights to.
  returned: if it could be asked
  type: list
  elements: str
statements:
  description: What was run, or would be in check mode.
  returned: if it could be asked
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.connection import CONNECTION, PORT, psql_of
from ansible_collections.nexod.infra.plugins.module_utils._services import supabase_database as supabase

ARGUMENTS = {
    "state": {"type": "str", "choices": ["read", "prepared", "verified"], "default": "read"},
    **CONNECTION,
    "environment": {"type": "str"},
    "exposed_schemas": {"type": "list", "elements": "str", "default": ["public"]},
    "closed_schemas": {"type": "list", "elements": "str", "default": []},
    "size_limit_mb": {"type": "int"},
    "program": {"type": "str", "default": "psql"},
}
RANGES = {**PORT, "size_limit_mb": (1, None)}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    wanted = supabase.Wanted(
        database=given["database"],
        exposed=tuple(given["exposed_schemas"]),
        closed=tuple(given["closed_schemas"]),
        limit_mb=given["size_limit_mb"] or 0,
        environment=given["environment"] or "",
    )
    with edge(module, "check", f'database "{given["database"]}"'):
        check_ranges(given, RANGES)
        psql = psql_of(given, given["program"])
        if module.check_mode and not psql.exists():
            module.exit_json(changed=False, inspected=False)
        facts = psql.ask(supabase.query(wanted), wanted.database)
        for text in supabase.warnings(facts, wanted.limit_mb):
            module.warn(text)
        changes: list[str] = []
        if given["state"] == "prepared":
            changes = [*supabase.marked(facts, wanted), *supabase.statements(facts["granted"])]
            supabase.refuse_full(facts, wanted)
            if changes and not module.check_mode:
                psql.execute(changes, wanted.database)
        elif given["state"] == "verified" and not module.check_mode:
            supabase.refuse_open(facts, wanted)
        module.exit_json(
            changed=bool(changes),
            inspected=True,
            size_mb=int(facts["bytes"] / supabase.MEGA),
            room_mb=supabase.room_mb(facts, wanted.limit_mb),
            largest=facts["largest"],
            open_tables=facts["open"],
            statements=changes,
        )


if __name__ == "__main__":
    main()
