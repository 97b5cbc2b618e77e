#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downgrade a database's schema with Alembic."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_downgrade
short_description: Downgrade a PostgreSQL schema with Alembic
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Runs the downgrades of an application's revisions down to O(revision), with the application's own interpreter and
    its unmodified C(env.py), under the same lock and limits as M(nexod.infra.alembic_upgrade).
  - A downgrade can delete what users have written since. That is why its target must be named and O(confirm) set.
  - Refuses to run if a downgrade is empty or not implemented, because Alembic would record a downgrade that did not
    happen.
  - In check mode the steps and their SQL are shown, read from a read-only connection.
extends_documentation_fragment:
  - nexod.infra.alembic
  - nexod.infra.alembic.limits
  - nexod.infra.alembic.audit
  - nexod.infra.durations
options:
  revision:
    description: Identifier of the revision to downgrade to, or V(base) to undo all revisions.
    type: str
    required: true
  confirm:
    description: Must be V(true). A safeguard against an accidental downgrade.
    type: bool
    default: false
  allow_empty:
    description: Revisions whose downgrade is rightly empty, because there is nothing to revert.
    type: list
    elements: str
    default: []
  transaction:
    description: As for M(nexod.infra.alembic_upgrade).
    type: str
    choices: [as_env, per_revision]
    default: as_env
"""

EXAMPLES = r"""
- name: Downgrade the schema to the state of the previous release
  nexod.infra.alembic_downgrade:
    chdir: /opt/api/current
    python: /opt/api/current/venv/bin/python
    url: "{{ migration_url }}"
    revision: "0008"
    confirm: true
    allow_empty: ["0010"]
"""

RETURN = r"""
before:
  description: The database's heads before the run.
  returned: when the database could be reached
  type: list
  elements: str
  sample: ["0010"]
after:
  description: Its heads after the run, read on a new connection; in check mode, the expected ones.
  returned: when the database could be reached
  type: list
  elements: str
  sample: ["0008"]
applied:
  description: The revisions that were downgraded, as for M(nexod.infra.alembic_upgrade).
  returned: when the database could be reached
  type: list
  elements: dict
  contains:
    revision:
      description: Its identifier.
      type: str
    doc:
      description: First line of its description.
      type: str
    ms:
      description: How long it took.
      type: int
    statements:
      description: The first 200 statements, each with C(sql) (without its values), C(ms) and C(rows).
      type: list
      elements: dict
    statements_total:
      description: Number of all statements.
      type: int
pending:
  description: The revisions that would be downgraded.
  returned: in check mode
  type: list
  elements: dict
sql:
  description: The SQL of each step, by the identifier of its revision.
  returned: in check mode
  type: dict
lint:
  description:
    - What in the downgrade would block or break running code, or lose data, as in M(nexod.infra.alembic_upgrade). It
      does not stop the run. What is not harmless is a warning too.
  returned: in check mode
  type: list
  elements: dict
failure:
  description: C(revision), C(statement), C(sqlstate), C(blockers), and in C(next) what to do.
  returned: when a step failed
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._alembic.module import run_module
from ansible_collections.nexod.infra.plugins.module_utils._alembic.operations import downgrade
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import ARGUMENTS as SHARED
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import AUDIT, LIMITS

ARGUMENTS = {
    **SHARED,
    **LIMITS,
    **AUDIT,
    "revision": {"type": "str", "required": True},
    "confirm": {"type": "bool", "default": False},
    "allow_empty": {"type": "list", "elements": "str", "default": []},
    "transaction": {"type": "str", "choices": ["as_env", "per_revision"], "default": "as_env"},
}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), downgrade)


if __name__ == "__main__":
    main()
