# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight of the programs that the controller runs: PostgreSQL's own, where the provider is Supabase.

Without them, a deploy would fail at its migrations, after it has restored the project and waited for it.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.nexod.infra.plugins.module_utils._postgresql.programs import (
    INSTALL,
    OLDEST,
    VersionOf,
    unusable,
    version_here,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import CONTROLLER, Fault, Inputs

#: Stages that run them.
STAGES: t.Final = ("all", "migrate")


def needed_programs(inputs: Inputs, tags: t.Collection[str]) -> list[str]:
    """What the controller runs in the stages `tags`: on the migration runner if it is one, for dump and seeds."""
    if inputs.provider != "supabase" or not set(tags) & set(STAGES):
        return []
    runner = next(iter(inputs.groups.get("migration_runner", ())), "")
    dumped = boolean(inputs.value(CONTROLLER, "infra_snapshot_before_migrations"), strict=False)
    seeded = bool(inputs.value(CONTROLLER, "provider_supabase_seeds"))
    return ["psql"] * (runner == CONTROLLER or dumped or seeded) + ["pg_dump"] * dumped


def check_programs(inputs: Inputs, tags: t.Collection[str], version_of: VersionOf = version_here) -> list[Fault]:
    """Programs that are missing, or older than the server."""
    least = inputs.number(CONTROLLER, "provider_supabase_database_version") or 0
    step = INSTALL.format(least=least or OLDEST)
    return [
        Fault(program, cause, step, (CONTROLLER,))
        for program in needed_programs(inputs, tags)
        if (cause := unusable(program, least, version_of))
    ]
