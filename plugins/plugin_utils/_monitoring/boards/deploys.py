# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys: which version runs where, and whether users noticed."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.overview import DURATION, ERRORS, STATE
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.panels import (
    Board,
    Panel,
    Query,
    Section,
)

VERSIONS = (
    Panel(
        "Instances by version",
        "How many instances run each version. Two versions at the same time: a rollout is under way, or has stopped.",
        "short",
        (Query("count by (version) (<version>)", "{{version}}"),),
    ),
    Panel(
        "Version of each instance",
        "Which instance runs which version. An instance that is being replaced has no line.",
        "short",
        (Query("count by (instance, version) (<version>)", "{{instance}} {{version}}"),),
    ),
    Panel(
        "Servers at the entry point",
        "Servers of the API by state. During a rollout, one is drained at a time.",
        "short",
        (Query('sum by (state) (haproxy_server_status{<haproxy>, proxy="api"})', "{{state}}"),),
    ),
)

# The overview's panels that show whether a rollout was noticed.
NOTICED = ("Error ratio", "Error ratio by version", "Duration by version (p95)", "Probes")

USERS = (
    *(panel for panel in (*ERRORS, *DURATION, *STATE) if panel.title in NOTICED),
    Panel(
        "Sessions",
        "Keys under the protected prefixes. A deploy and its cache flush leave them alone.",
        "short",
        (Query("sum(redis_keys_count{<redis>})", "sessions"),),
        needs=frozenset({"redis_keys"}),
    ),
)

MIGRATIONS = (
    Panel(
        "Last migration",
        "Whether the last migration of each database succeeded: 1 is yes.",
        "short",
        (Query("nexod_alembic_last_run_success{<node>}", "{{database}}"),),
        needs=frozenset({"migrations"}),
    ),
)

DEPLOYS = Board(
    "deploys",
    "Deploys",
    "Which version runs where, when it changed, and whether users noticed.",
    ("api",),
    (Section("Versions", VERSIONS), Section("Users", USERS), Section("Migrations", MIGRATIONS)),
)
