#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record a revision in a database without running anything."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_stamp
short_description: Record an Alembic revision in a PostgreSQL database without running it
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Says in Alembic's own table that the database is at O(revision), and touches nothing else. For a schema that was
    made by other means.
  - With the application's own interpreter and its unmodified C(env.py), under the same lock as
    M(nexod.infra.alembic_upgrade).
requirements:
  - Alembic 1.13 or newer, SQLAlchemy 1.4 or newer and a PostgreSQL driver (psycopg, psycopg2 or asyncpg) in the
    environment of O(python), which is Python 3.9 or newer
  - PostgreSQL 12 or newer
extends_documentation_fragment:
  - nexod.infra.alembic
  - nexod.infra.alembic.limits
options:
  revision:
    description: V(head), V(heads), V(base) for none, or the identifier of a revision.
    type: str
    required: true
  purge:
    description: Whether to forget what is recorded first, also where the release does not know it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say that the schema that was restored is the release's
  nexod.infra.alembic_stamp:
    chdir: /opt/api/current
    python: /opt/api/current/venv/bin/python
    url: "{{ migration_url }}"
    revision: head
"""

RETURN = r"""
before:
  description: The heads that were recorded.
  returned: when the database could be asked
  type: list
  elements: str
  sample: []
after:
  description: The heads that are recorded, read on a fresh connection; in check mode those that would be.
  returned: when the database could be asked
  type: list
  elements: str
  sample: ["0010"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import ARGUMENTS as SHARED
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import LIMITS, stamp, wire

ARGUMENTS = {
    **SHARED,
    **LIMITS,
    "revision": {"type": "str", "required": True},
    "purge": {"type": "bool", "default": False},
}


def main() -> None:
    wire(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), stamp)


if __name__ == "__main__":
    main()
