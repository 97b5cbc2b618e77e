#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a database's schema back to a revision with Alembic."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_downgrade
short_description: Take a PostgreSQL schema back to a revision with Alembic
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Runs the downgrades of an application's revisions down to O(revision), with the application's own interpreter and
    its unmodified C(env.py), under the same lock and limits as M(nexod.infra.alembic_upgrade).
  - A downgrade can delete what users have written since. So its target is named, and O(confirm) is asked for.
  - Refuses where a step is empty or not implemented, and names it. The schema would stay, and the record say otherwise.
  - In check mode the steps and their SQL are shown from a read-only connection.
requirements:
  - Alembic 1.13 or newer, SQLAlchemy 1.4 or newer and a PostgreSQL driver (psycopg, psycopg2 or asyncpg) in the
    environment of O(python), which is Python 3.9 or newer
  - PostgreSQL 12 or newer
extends_documentation_fragment:
  - nexod.infra.alembic
  - nexod.infra.alembic.limits
  - nexod.infra.alembic.audit
options:
  revision:
    description: Identifier of the revision to be at afterwards, or V(base) for none.
    type: str
    required: true
  confirm:
    description: Whether it is really meant.
    type: bool
    default: false
  allow_empty:
    description: Revisions whose downgrade has nothing to take back, and is empty for that reason.
    type: list
    elements: str
    default: []
  transaction:
    description: As of M(nexod.infra.alembic_upgrade).
    type: str
    choices: [as_env, per_revision]
    default: as_env
"""

EXAMPLES = r"""
- name: Take the schema back to where the release before left it
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
  description: The heads that the database was at.
  returned: when the database could be asked
  type: list
  elements: str
  sample: ["0010"]
after:
  description: The heads that it is at, read on a fresh connection; in check mode where it would be.
  returned: when the database could be asked
  type: list
  elements: str
  sample: ["0008"]
applied:
  description: The steps that were taken, as of M(nexod.infra.alembic_upgrade).
  returned: when the database could be asked
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
      description: How many there were.
      type: int
pending:
  description: The revisions that would be taken back.
  returned: in check mode
  type: list
  elements: dict
sql:
  description: The SQL of each step, by the identifier of its revision.
  returned: in check mode
  type: dict
failure:
  description: C(revision), C(statement), C(sqlstate), C(blockers) and what to do C(next).
  returned: when a step failed
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import ARGUMENTS as SHARED
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import AUDIT, LIMITS, downgrade, wire

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
    wire(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), downgrade)


if __name__ == "__main__":
    main()
