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
  - Records in Alembic's own table that the database is at O(revision), and changes nothing else. For a schema that was
    created by other means.
  - Uses the application's own interpreter and its unmodified C(env.py), under the same lock as
    M(nexod.infra.alembic_upgrade).
extends_documentation_fragment:
  - nexod.infra.alembic
  - nexod.infra.alembic.limits
  - nexod.infra.durations
options:
  revision:
    description: V(head), V(heads), the identifier of a revision, or V(base) for no revision.
    type: str
    required: true
  purge:
    description: Whether to delete what is recorded first, including revisions that the release does not know.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Record that the restored schema is that of the release
  nexod.infra.alembic_stamp:
    chdir: /opt/api/current
    python: /opt/api/current/venv/bin/python
    url: "{{ migration_url }}"
    revision: head
"""

RETURN = r"""
before:
  description: The heads that were recorded before.
  returned: when the database could be reached
  type: list
  elements: str
  sample: []
after:
  description: The heads that are recorded now, read on a new connection; in check mode, the expected ones.
  returned: when the database could be reached
  type: list
  elements: str
  sample: ["0010"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._alembic.module import run_module
from ansible_collections.nexod.infra.plugins.module_utils._alembic.operations import stamp
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import ARGUMENTS as SHARED
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import LIMITS

ARGUMENTS = {
    **SHARED,
    **LIMITS,
    "revision": {"type": "str", "required": True},
    "purge": {"type": "bool", "default": False},
}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), stamp)


if __name__ == "__main__":
    main()
