#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a database is, by Alembic, and what is pending."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_info
short_description: Say where a PostgreSQL schema is, by Alembic, and what is pending
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Asks with the application's own interpreter and its unmodified C(env.py), on a read-only connection. Not even
    Alembic's own table is made.
requirements:
  - Alembic 1.13 or newer, SQLAlchemy 1.4 or newer and a PostgreSQL driver (psycopg, psycopg2 or asyncpg) in the
    environment of O(python), which is Python 3.9 or newer
  - PostgreSQL 12 or newer
extends_documentation_fragment:
  - nexod.infra.alembic
options:
  check_drift:
    description: Whether to compare the schema with the models that C(env.py) names (C(target_metadata)).
    type: bool
    default: false
  render:
    description: Whether to say the SQL of each pending revision.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: See what is pending
  nexod.infra.alembic_info:
    chdir: /opt/api/current
    python: /opt/api/current/venv/bin/python
    url: "{{ migration_url }}"
    check_drift: true
  register: schema
"""

RETURN = r"""
current:
  description: The heads that the database is at.
  returned: success
  type: list
  elements: str
  sample: ["0008"]
heads:
  description: The heads of the release.
  returned: success
  type: list
  elements: str
  sample: ["0010"]
unknown:
  description: What the database is at and the release does not know. Not empty where a newer release has been there.
  returned: success
  type: list
  elements: str
pending:
  description: The revisions that an upgrade to all heads would run; none where there is something unknown.
  returned: success
  type: list
  elements: dict
  contains:
    revision:
      description: Its identifier.
      type: str
    doc:
      description: First line of its description.
      type: str
    contract:
      description: Whether it says that it takes away what older code reads.
      type: bool
    sql:
      description: Its SQL, where it was asked for.
      type: str
    not_rendered:
      description: Why that can't be shown in full.
      type: str
history:
  description: All revisions of the release, the first one first.
  returned: success
  type: list
  elements: dict
  contains:
    revision:
      description: Its identifier.
      type: str
    doc:
      description: First line of its description.
      type: str
    down:
      description: What it stands on.
      type: list
      elements: str
    branches:
      description: Its branch labels.
      type: list
      elements: str
    branch_point:
      description: Whether several stand on it.
      type: bool
    contract:
      description: Whether it says that it takes away what older code reads.
      type: bool
    applied:
      description: Whether the database has passed it.
      type: bool
branches:
  description: Those of RV(history) that are a branch's beginning or have a label.
  returned: success
  type: list
  elements: dict
lock_holder:
  description: The runner that migrates the database now (C(pid), C(program), C(host), C(since), C(seconds)), or none.
  returned: success
  type: dict
invalid_indexes:
  description: Indexes that no query uses, because building them was interrupted, with their C(table).
  returned: success
  type: list
  elements: dict
drift:
  description: What separates the schema from the models; None where C(env.py) names no models.
  returned: where O(check_drift=true)
  type: list
  elements: str
server:
  description: The server's version, as a number.
  returned: success
  type: int
  sample: 150018
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import ARGUMENTS as SHARED
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import hide, info
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ARGUMENTS = {
    **SHARED,
    "check_drift": {"type": "bool", "default": False},
    "render": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        hide(module)
        result = info(module.params)
    except InfraError as error:
        module.fail_json(**error.report())
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
