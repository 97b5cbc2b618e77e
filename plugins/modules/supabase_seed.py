#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run files of seed data in a Supabase project's database, each once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_seed
short_description: Run files of seed data in a development database on Supabase, each once
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Runs files of SQL in order, each in one transaction with its record, which is its name and its digest in the table
    C(nexod_infra.seeds). A file that is recorded is not run again; the records are in no schema that an API serves.
  - A file that has changed since then is run again if it is declared so (O(seeds[].again)), and otherwise a warning.
  - Refuses every environment but C(dev), and a database that a deploy of another environment has marked as its own.
  - The files are plain SQL, without commands of C(psql), C(COPY FROM STDIN), and C(BEGIN) or C(COMMIT).
  - Uses the program C(psql) of this host.
  - Run against a PostgreSQL 15 that is laid out as Supabase's, never against the live service.
extends_documentation_fragment: [nexod.infra.managed_database]
options:
  environment:
    description: Name of the environment that the database belongs to. Anything but V(dev) is refused.
    type: str
    required: true
  seeds:
    description: The files, in the order in which they are run.
    type: list
    elements: dict
    required: true
    suboptions:
      file:
        description: The file on this host. It is recorded by its name without the folder.
        type: path
        required: true
      again:
        description: Whether it is run again after it has changed. Its statements must allow that, as
          C(INSERT ... ON CONFLICT) does.
        type: bool
        default: false
"""

EXAMPLES = r"""
- name: Run the seeds
  nexod.infra.supabase_seed:
    environment: dev
    seeds:
      - file: seeds/users.sql
      - {file: seeds/facts.sql, again: true}
    host: aws-0-eu-central-1.pooler.supabase.com
    user: postgres.abcdefghijklmnopqrst
    password: "{{ database_password }}"
"""

RETURN = r"""
seeds:
  description: Files that were run, or would be in check mode.
  returned: always
  type: list
  elements: str
not_run_again:
  description: Files that have changed since they were run, and are not declared to be run again.
  returned: always
  type: list
  elements: str
inspected:
  description: Whether the database could be asked. In check mode its project may still be paused; then all files are
    listed.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.connection import CONNECTION, PORT, psql_of
from ansible_collections.nexod.infra.plugins.module_utils._services import supabase_seeds as seeds

SEED = {"file": {"type": "path", "required": True}, "again": {"type": "bool", "default": False}}
ARGUMENTS = {
    "environment": {"type": "str", "required": True},
    "seeds": {"type": "list", "elements": "dict", "required": True, "options": SEED},
    **CONNECTION,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    database, environment = given["database"], given["environment"]
    with edge(module, "seed", f'database "{database}"'):
        check_ranges(given, PORT)
        seeds.refuse_environment(environment)
        declared = seeds.read(given["seeds"])
        psql = psql_of(given)
        inspected = not module.check_mode or psql.exists()
        recorded = seeds.recorded(psql, database, environment) if inspected else {}
        to_run, changed = seeds.plan(declared, recorded)
        for seed in changed:
            module.warn(
                f"The seed {seed.path} has changed since it was run, and is not run again. Declare it with again: true "
                "if its statements allow that."
            )
        if not module.check_mode:
            for seed in to_run:
                seeds.run(psql, database, seed)
        module.exit_json(
            changed=bool(to_run),
            seeds=[seed.path for seed in to_run],
            not_run_again=[seed.path for seed in changed],
            inspected=inspected,
        )


if __name__ == "__main__":
    main()
