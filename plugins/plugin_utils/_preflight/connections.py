# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections that an environment needs at a PostgreSQL server, and whether the server allows as many."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import Fault, Inputs

# In addition to the pools: a migration and its lock, the exporter of each server, and what PostgreSQL reserves for
# superusers (superuser_reserved_connections).
MIGRATION_CONNECTIONS: t.Final = 2
EXPORTER_CONNECTIONS: t.Final = 3
SUPERUSER_CONNECTIONS: t.Final = 3
GROUPS: t.Final = {"primary": "database_primary", "replica": "database_replica"}
#: The tags of a deploy in which servers of the inventory get their declared max_connections.
APPLIED_BY: t.Final = ("all", "infrastructure")


@dataclasses.dataclass(frozen=True)
class Budget:
    """What is needed at one server. `pools` are those of all processes of all hosts."""

    pools: int
    hosts: int = 1
    processes: int = 1
    migrations: int = MIGRATION_CONNECTIONS
    exporters: int = EXPORTER_CONNECTIONS
    superusers: int = SUPERUSER_CONNECTIONS

    @property
    def needed(self) -> int:
        return self.pools + self.migrations + self.exporters + self.superusers

    @property
    def restart(self) -> int:
        """What comes on top while each host replaces a process: the one that ends keeps those that it still uses."""
        return self.pools // self.processes

    def __str__(self) -> str:
        """The parts of the sum."""
        places = f"on {self.hosts} hosts" + (f", {self.processes} processes each" if self.processes > 1 else "")
        parts = [f"pools {self.pools} ({places})"]
        parts += [f"migrations {self.migrations}"] if self.migrations else []
        return ", ".join([*parts, f"exporter {self.exporters}", f"superuser's reserve {self.superusers}"])


class WantedConnections(t.TypedDict):
    """What is needed at the server of a pooler's database, and the limit that is declared for it.

    `declared` is None where the server is not one of the inventory. `applied`: the deploy sets it.
    """

    database: str
    pools: int
    hosts: int
    processes: int
    migrations: int
    declared: int | None
    applied: bool


def budget_of(inputs: Inputs, kind: str) -> Budget:
    """The connections that an environment needs at the primary, or at each replica."""
    poolers = list(inputs.groups.get("pooler", ()))
    return Budget(
        pools=sum(_pooled(inputs, host, kind) for host in poolers),
        hosts=len(poolers),
        processes=max((inputs.number(host, "pgbouncer_processes") or 1 for host in poolers), default=1),
        migrations=MIGRATION_CONNECTIONS if kind == "primary" else 0,
    )


def _rows(inputs: Inputs, host: str, kind: str) -> list[dict[str, t.Any]]:
    rows = inputs.value(host, "pgbouncer_databases")
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [row for row in found if (row.get("server") or "primary") == kind]


def _pooled(inputs: Inputs, host: str, kind: str) -> int:
    """Server connections that one pooler can open at a server: its pools, capped."""
    size = inputs.number(host, "pgbouncer_pool_size") or 0
    cap = inputs.number(host, "pgbouncer_max_server_connections") or 0
    databases, users = (inputs.value(host, f"pgbouncer_{what}") for what in ("databases", "users"))
    if kind == "replica":
        # Each of several replicas may get all of them: those of the others may have been closed before.
        return sum(int(row.get("max_connections") or 0) for row in _rows(inputs, host, kind))
    if not isinstance(databases, list) or not isinstance(users, list):
        return cap
    return min(size * len(_rows(inputs, host, kind)) * len(users), cap)


def wanted_connections(inputs: Inputs, host: str, tags: t.Sequence[str]) -> list[WantedConnections]:
    """What the servers of a pooler's databases are asked for, a row for each kind of server."""
    found: list[WantedConnections] = []
    for kind, group in GROUPS.items():
        rows = [row for row in _rows(inputs, host, kind) if row.get("name") not in (None, "*")]
        budget = budget_of(inputs, kind)
        servers = [inputs.number(server, "postgresql_max_connections") for server in inputs.groups.get(group, ())]
        known = [server for server in servers if server is not None]
        if rows and budget.pools:
            found.append(
                {
                    "database": str(rows[0]["name"]),
                    "pools": budget.pools,
                    "hosts": budget.hosts,
                    "processes": budget.processes,
                    "migrations": budget.migrations,
                    "declared": min(known, default=None),
                    "applied": bool(known) and not {*tags}.isdisjoint(APPLIED_BY),
                }
            )
    return found


def judge_connections(
    host: str, wants: t.Iterable[WantedConnections], answers: t.Mapping[str, t.Mapping[str, t.Any]]
) -> tuple[list[Fault], list[str]]:
    """Servers that allow too few connections, and the sums of all, with the limit that each was compared with."""
    found, notes = [], []
    for row in wants:
        answer = answers.get(row["database"], {})
        real = answer.get("max_connections")
        budget = Budget(row["pools"], row["hosts"], row["processes"], row["migrations"])
        if real is not None:
            reserved = answer["superuser_reserved_connections"] + answer.get("reserved_connections", 0)
            budget = dataclasses.replace(budget, superusers=reserved)
        limit, words = _limit(row, real, str(answer.get("fault") or "no PgBouncer with this database answers"))
        if limit is not None and budget.needed > limit and real is not None and not row["applied"]:
            cause = f"is {limit} ({words}), less than the {budget.needed} needed: {budget}"
            step = f"Raise max_connections of the server to {budget.needed}, or lower the pools of PgBouncer."
            found.append(Fault(f"max_connections of the server of database {row['database']}", cause, step, (host,)))
            continue
        line = f"Connections at the server of database {row['database']}: {budget.needed} of"
        line += f" {'an unknown number' if limit is None else limit} ({words}): {budget}."
        if limit is not None and budget.needed + budget.restart > limit:
            line += (
                f" While PgBouncer replaces a process, up to {budget.restart} more may be in use, for which"
                f" {limit - budget.needed} are left: queries may then wait."
            )
        notes.append(line)
    return found, notes


def _limit(row: WantedConnections, real: int | None, why: str) -> tuple[int | None, str]:
    """What a server allows when the deploy has ended, and how that is known."""
    declared = row["declared"]
    if real is None:
        source = "not declared" if declared is None else "declared"
        return declared, f"{source}; the server could not be asked: {why}"
    if row["applied"] and declared != real:
        return declared, f"declared; the server has {real} until this deploy sets it"
    return real, "the server's own max_connections"
