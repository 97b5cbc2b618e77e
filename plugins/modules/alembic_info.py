#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report the Alembic revision of a database, and what is pending."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_info
short_description: Report the Alembic revision of a PostgreSQL schema, and the pending revisions
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Uses the application's own interpreter and its unmodified C(env.py), on a read-only connection. Nothing is written,
    not even Alembic's own table.
extends_documentation_fragment:
  - nexod.infra.alembic
  - nexod.infra.durations
options:
  check_drift:
    description: Whether to compare the schema with the models that C(env.py) names (C(target_metadata)).
    type: bool
    default: false
  ignored_schemas:
    description: Schemas that are somebody else's, and whose tables are no drift.
    type: list
    elements: str
    default: []
  audit_table:
    description:
      - Table of O(nexod.infra.alembic_upgrade#module:audit_table), whose latest 200 rows are returned in RV(audit).
    type: str
    version_added: "1.1.0"
  render:
    description: Whether to return the SQL of each pending revision.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what is pending
  nexod.infra.alembic_info:
    chdir: /opt/api/current
    python: /opt/api/current/venv/bin/python
    url: "{{ migration_url }}"
    check_drift: true
  register: schema
"""

RETURN = r"""
current:
  description: The database's heads.
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
  description: Heads of the database that the release does not know. Not empty if a newer release has migrated it.
  returned: success
  type: list
  elements: str
pending:
  description: The revisions that an upgrade to all heads would run; empty if RV(unknown) is not.
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
      description: Whether it is declared to remove what older code reads.
      type: bool
    sql:
      description: Its SQL, if O(render=true).
      type: str
    not_rendered:
      description: Why the SQL is incomplete.
      type: str
history:
  description: All revisions of the release, the oldest first.
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
      description: The revisions before it.
      type: list
      elements: str
    branches:
      description: Its branch labels.
      type: list
      elements: str
    branch_point:
      description: Whether several revisions follow it.
      type: bool
    contract:
      description: Whether it is declared to remove what older code reads.
      type: bool
    applied:
      description: Whether it is applied.
      type: bool
branches:
  description: The revisions of RV(history) that are branch points or have a label.
  returned: success
  type: list
  elements: dict
lock_holder:
  description:
    - The runner that migrates the database now (C(pid), C(program), C(host), C(since), C(seconds)); None if there is
      none.
  returned: success
  type: dict
audit:
  description: Who applied which revision and when, the latest first; empty without O(audit_table).
  returned: success
  type: list
  elements: dict
  contains:
    at:
      description: When, in UTC.
      type: str
      sample: "2026-11-25T19:40:03Z"
    who:
      description: Who.
      type: str
    job:
      description: For which job.
      type: str
    release:
      description: Of which release.
      type: str
    direction:
      description: V(upgrade) or V(downgrade).
      type: str
    revision:
      description: Identifier of the revision.
      type: str
    ms:
      description: How long it took.
      type: int
    outcome:
      description: V(applied) or V(failed).
      type: str
invalid_indexes:
  description: Indexes that no query uses because building them was interrupted, each with its C(table).
  returned: success
  type: list
  elements: dict
drift:
  description: Differences between the schema and the models; None if C(env.py) names no models.
  returned: if O(check_drift=true)
  type: list
  elements: str
server:
  description: The server's version, as a number.
  returned: success
  type: int
  sample: 150018
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._alembic.module import fail, register_secrets
from ansible_collections.nexod.infra.plugins.module_utils._alembic.operations import info
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import ARGUMENTS as SHARED
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ARGUMENTS = {
    **SHARED,
    "check_drift": {"type": "bool", "default": False},
    "ignored_schemas": {"type": "list", "elements": "str", "default": []},
    "audit_table": {"type": "str"},
    "render": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        register_secrets(module)
        result = info(module.params)
    except (InfraError, OSError) as error:
        fail(module, error)
        return
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
