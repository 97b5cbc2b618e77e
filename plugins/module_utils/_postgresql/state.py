# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a server has: its own host's as a superuser, or a managed one as its administrator."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.access import (
    ADMINISTRATOR_QUERY,
    DATABASE_QUERY,
    NO_SERVER,
    SERVER_QUERY,
    VERIFIERS_QUERY,
    Row,
    Step,
    as_batches,
    concealed,
    membership_steps,
    unreachable,
)
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import Psql, RemotePsql, Server
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.handshake import salt_of


def connection(given: Mapping[str, t.Any]) -> Psql:
    """The client for the module's options."""
    if given["host"] is None:
        program = given["program"] or f"/usr/lib/postgresql/{given['version']}/bin/psql"
        return Psql(program, account=given["account"], socket_dir=given["socket_dir"], port=given["port"])
    server = Server(given["host"], given["port"], given["sslmode"], given["sslrootcert"] or "")
    return RemotePsql(
        given["program"] or "psql",
        server,
        user=given["user"],
        password=given["password"] or "",
        maintenance=given["database"],
    )


def read_server(psql: Psql, roles: Sequence[Row], maintenance: str, *, predicting: bool) -> Row:
    """What the server has. `predicting`: a server that does not exist yet has nothing."""
    if predicting and not psql.exists():
        return NO_SERVER
    if not isinstance(psql, RemotePsql):
        return t.cast("Row", psql.ask(SERVER_QUERY, maintenance))
    if not psql.server.host:
        raise InfraError("connect to", "the server", "its host is empty", "Set `host` to its name or address.")
    server: Row = psql.ask(ADMINISTRATOR_QUERY, maintenance)
    verifiers = psql.ask(VERIFIERS_QUERY, maintenance) if server["me"]["reads_verifiers"] else None
    for role in roles:
        if role["name"] in server["roles"]:
            current = server["roles"][role["name"]]
            current["sessions"] = current["sessions"] if server["me"]["sees_sessions"] else None
            if verifiers is not None:
                current["verifier"] = verifiers[role["name"]]
            elif role["login"] and role["password"]:
                current["matches"] = psql.accepts(role["name"], role["password"])
                if role.get("shared_verifier"):
                    current["salt"] = read_salt(psql, role["name"])
    return server


def read_salt(psql: RemotePsql, role: str) -> tuple[bytes, int] | None:
    try:
        return salt_of(psql.server, role, psql.maintenance)
    except OSError as error:
        raise InfraError(
            "read the salt of",
            f'role "{role}"',
            str(error),
            f"Check that this host reaches {psql.server.host} at port {psql.server.port}: nothing was changed.",
        ) from error


def read_inside(psql: Psql, databases: Sequence[Row], server: Row, *, joined: bool = False) -> dict[str, Row]:
    """What the databases have that exist. `joined`: the administrator has become a member of their owners."""
    hidden = [] if joined else unreachable(databases, server)
    there = [row["name"] for row in databases if row["name"] in server["databases"]]
    return {name: psql.ask(DATABASE_QUERY, name) for name in there if name not in hidden}


def join_owners(psql: Psql, databases: Sequence[Row], server: Row, maintenance: str) -> None:
    """Become a member of the owners of databases that can't be connected to otherwise."""
    names = unreachable(databases, server)
    hidden = [row for row in databases if row["name"] in names]
    # An owner that does not exist yet owns none of them.
    there = [{**row, "owner": server["databases"][row["name"]]["owner"]} for row in hidden]
    psql.execute([step.sql for step in membership_steps(there, server)], maintenance)


def apply(psql: Psql, steps: Iterable[Step]) -> None:
    """Run the statements of `steps`."""
    for database, statements in as_batches(concealed(step) if isinstance(psql, RemotePsql) else step for step in steps):
        psql.execute(statements, database)
