# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of each thing an environment uses: what is declared, and what the inventory assumes about its use."""

from __future__ import annotations

import typing as t

#: Hours of a month, as AWS counts them.
HOURS: t.Final = 730.0


class Usage(t.NamedTuple):
    """The assumptions. Each is the expected value of a month; `spread` is by how much use may differ from it."""

    tasks: float = 0
    task_hours: float = HOURS
    lcus: float = 1
    api_gb: float = 100
    nat_gb: float = 50
    zone_gb: float = 50
    cdn_gb: float = 200
    cdn_million_requests: float = 10
    uploads_gb: float = 100
    uploads_thousand_objects: float = 100
    s3_thousand_puts: float = 100
    s3_thousand_gets: float = 1000
    database_growth_gb: float = 2
    months_ahead: float = 6
    snapshots_gb: float = 20
    logs_gb: float = 10
    images_gb: float = 5
    spread: float = 0.5


class Tasks(t.NamedTuple):
    """The API's service of ECS: how many tasks, and how large each is."""

    least: int
    most: int
    cpu: int
    memory_mb: int
