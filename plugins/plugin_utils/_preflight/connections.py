# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections that an environment needs at a PostgreSQL server, and whether the server allows as many."""

from __future__ import annotations

import dataclasses
import typing as t

# In addition to the pools: a migration and its lock, the exporter of each server, and what PostgreSQL reserves for
# superusers (superuser_reserved_connections).
MIGRATION_CONNECTIONS: t.Final = 2
EXPORTER_CONNECTIONS: t.Final = 3
SUPERUSER_CONNECTIONS: t.Final = 3


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
        """What is needed on top while each host replaces a process: a process that ends keeps its connections."""
        return self.pools // self.processes

    def __str__(self) -> str:
        """The parts of the sum."""
        places = f"on {self.hosts} hosts" + (f", {self.processes} processes each" if self.processes > 1 else "")
        parts = [f"pools {self.pools} ({places})"]
        parts += [f"migrations {self.migrations}"] if self.migrations else []
        return ", ".join([*parts, f"exporter {self.exporters}", f"superuser's reserve {self.superusers}"])
