# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL and PgBouncer store instead of a password."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import shared_verifier

DOCUMENTATION = r"""
name: scram_verifier
short_description: Turn a password into the SCRAM verifier that PostgreSQL and PgBouncer share
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Computes a SCRAM-SHA-256 verifier (RFC 5803) with 4096 iterations, as PostgreSQL stores it.
  - It is always the same for the same role and password, so that it can be given to PostgreSQL
    (C(ALTER ROLE ... PASSWORD)) and to the role P(nexod.infra.pgbouncer#role). With the same verifier on both sides,
    PgBouncer logs in at the server with what it learns when a client logs in, and its host needs no password.
  - A verifier is not the password, but whoever has it can try passwords offline and impersonate the server, so keep it
    as secret as the password.
positional: role
options:
  _input:
    description: The password. An empty one stays empty, as roles refuse that themselves.
    type: str
    required: true
  role:
    description: Name of the role, which is part of the salt.
    type: str
    required: true
seealso:
  - plugin: nexod.infra.pgbouncer
    plugin_type: role
"""

EXAMPLES = r"""
- name: Give a role the verifier that PgBouncer has
  nexod.infra.postgresql_access:
    version: 15
    roles:
      - {name: app, shared_verifier: true}
    passwords:
      app: "{{ app_password }}"

- name: Run PgBouncer without a password on its host
  ansible.builtin.include_role:
    name: nexod.infra.pgbouncer
  vars:
    pgbouncer_databases:
      - {name: app, host: db.example.com}
    pgbouncer_users:
      - {name: app, password: "{{ app_password | nexod.infra.scram_verifier('app') }}"}
"""

RETURN = r"""
_value:
  description: The verifier, such as C(SCRAM-SHA-256$4096:salt$StoredKey:ServerKey).
  type: str
"""


def scram_verifier(value: str, role: str) -> str:
    """The verifier; of no password none."""
    return shared_verifier(str(role), str(value)) if value else ""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"scram_verifier": scram_verifier}
