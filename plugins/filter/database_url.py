# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database's address as SQLAlchemy's URL."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import database_url

DOCUMENTATION = r"""
name: database_url
short_description: Write a database's address as SQLAlchemy's URL
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Puts a URL together from its parts, with everything escaped that has a meaning in a URL.
positional: driver
options:
  _input:
    description: C(host), C(name), C(user), and where given C(port), C(password) and C(sslmode).
    type: dict
    required: true
  driver:
    description: Name of the driver in SQLAlchemy. For asyncpg, C(sslmode) is passed as C(ssl).
    type: str
    default: psycopg
"""

EXAMPLES = r"""
- name: Upgrade the schema to the release
  nexod.infra.alembic_upgrade:
    python: /opt/api/1.1.0/bin/python
    config: nexod_api:alembic.ini
    url: "{{ {'host': '10.213.77.11', 'name': 'app', 'user': 'owner', 'password': secret} | nexod.infra.database_url }}"
"""

RETURN = r"""
_value:
  description: The URL.
  type: str
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        def filtered(value: dict[str, t.Any], driver: str = "psycopg") -> str:
            return database_url(value, driver)

        return {"database_url": filtered}
