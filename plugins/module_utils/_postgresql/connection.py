# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a module reaches a database on a managed server (fragment managed_database)."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import RemotePsql, Server

CONNECTION: dict[str, t.Any] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "database": {"type": "str", "default": "postgres"},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "sslmode": {
        "type": "str",
        "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
        "default": "require",
    },
    "sslrootcert": {"type": "path"},
}
PORT = {"port": (1, 65535)}


def server_of(given: t.Mapping[str, t.Any]) -> Server:
    return Server(given["host"], given["port"], given["sslmode"], given["sslrootcert"] or "")


def psql_of(given: t.Mapping[str, t.Any], program: str = "psql") -> RemotePsql:
    """The program psql, which connects to the database as the account that the options name."""
    return RemotePsql(
        program, server_of(given), user=given["user"], password=given["password"], maintenance=given["database"]
    )
