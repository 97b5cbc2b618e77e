# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections the servers behind a PgBouncer allow: asked through its pools, whoever runs the servers."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.console import Console, RefusedError, sockets
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.login import Login
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.plan import flags

#: The last one exists from PostgreSQL 16 on.
SETTINGS: t.Final = ("max_connections", "superuser_reserved_connections", "reserved_connections")
QUERY: t.Final = "SELECT name, setting FROM pg_settings WHERE name LIKE '%connections'"
#: A pool may be busy, and preflight is not to wait for it.
SECONDS: t.Final = 3.0

Limits: t.TypeAlias = "dict[str, dict[str, int | str]]"


def server_limits(socket_dir: str, port: int, user: str, password: str) -> Limits:
    """By database, what its server allows, or `fault`. The first process is asked: all have the same databases."""
    found = sockets(socket_dir, port)
    if not found:
        return {}
    try:
        with Console(found[0], SECONDS) as console:
            names = sorted(flags(console.ask("SHOW DATABASES")))
    except (OSError, RefusedError):
        return {}
    return {name: _ask(found[0], user, name, password) for name in names}


def _ask(path: str, user: str, database: str, password: str) -> dict[str, int | str]:
    try:
        with Login(path, user, database, password, SECONDS) as client:
            rows = client.ask(QUERY)
    except (OSError, RefusedError) as error:
        return {"fault": str(error)}
    known = {str(row["name"]): str(row["setting"]) for row in rows}
    return {name: int(known.get(name, 0)) for name in SETTINGS}
