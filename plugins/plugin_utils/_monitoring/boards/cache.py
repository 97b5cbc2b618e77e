# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis: what it holds (sessions against caches), memory, and how quickly it answers."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.panels import (
    Board,
    Line,
    Panel,
    Query,
    Section,
)


def rate(metric: str) -> str:
    """A counter of Redis per second."""
    return f"sum by (instance) (rate({metric}{{<redis>}}[<rate>]))"


KEYS = (
    Panel(
        "Sessions and caches",
        "Keys under protected prefixes (sessions), and all others (caches). A flush lowers only the second line.",
        "short",
        (
            Query("sum(redis_keys_count{<redis>})", "sessions"),
            Query("sum(redis_db_keys{<redis>}) - sum(redis_keys_count{<redis>})", "caches"),
        ),
        needs=frozenset({"redis_keys"}),
    ),
    Panel(
        "Keys",
        "All keys, and those with a lifetime. The difference never expires: a session without a lifetime is a fault.",
        "short",
        (
            Query("sum by (instance) (redis_db_keys{<redis>})", "{{instance}} all"),
            Query("sum by (instance) (redis_db_keys_expiring{<redis>})", "{{instance}} with a lifetime"),
        ),
    ),
    Panel(
        "Sessions in use",
        "Users whose session was used in the last five minutes, as the API counts them.",
        "short",
        (Query("max(active_users{<api>})", "active users"),),
    ),
    Panel(
        "Lookups that hit",
        "Fraction of the lookups that found their key.",
        "percentunit",
        (
            Query(
                f"{rate('redis_keyspace_hits_total')}"
                f" / ({rate('redis_keyspace_hits_total')} + {rate('redis_keyspace_misses_total')})",
                "{{instance}}",
            ),
        ),
    ),
    Panel(
        "Evicted and expired keys",
        "Keys per second that were removed for lack of memory, and at the end of their lifetime.",
        "ops",
        (
            Query(rate("redis_evicted_keys_total"), "{{instance}} evicted"),
            Query(rate("redis_expired_keys_total"), "{{instance}} expired"),
        ),
    ),
)

MEMORY = (
    Panel(
        "Memory",
        "Memory in use, and its limit. 0 is no limit.",
        "bytes",
        (
            Query("redis_memory_used_bytes{<redis>}", "{{instance}} used"),
            Query("redis_memory_max_bytes{<redis>}", "{{instance}} limit"),
        ),
    ),
    Panel(
        "Fragmentation",
        "Memory that the process has, as a multiple of what it uses.",
        "short",
        (Query("redis_mem_fragmentation_ratio{<redis>}", "{{instance}}"),),
    ),
)

SERVER = (
    Panel(
        "Redis answers",
        "Whether each server answers its exporter: 1 is yes.",
        "short",
        (Query("redis_up{<redis>}", "{{instance}}"),),
    ),
    Panel(
        "Commands",
        "Commands per second, by name.",
        "ops",
        (Query("sum by (cmd) (rate(redis_commands_total{<redis>}[<rate>]))", "{{cmd}}"),),
    ),
    Panel(
        "Mean time of a command in the server",
        "Without the network.",
        "s",
        (
            Query(
                "sum by (cmd) (rate(redis_commands_duration_seconds_total{<redis>}[<rate>]))"
                " / (sum by (cmd) (rate(redis_commands_total{<redis>}[<rate>])) > 0)",
                "{{cmd}}",
            ),
        ),
    ),
    Panel(
        "Commands seen by the API (p95)",
        "Time of a command with the network.",
        "s",
        (
            Query(
                "histogram_quantile(0.95, sum by (le, command)"
                " (rate(redis_command_duration_seconds_bucket{<api>}[<rate>])))",
                "{{command}}",
            ),
        ),
    ),
    Panel(
        "Clients",
        "Connected clients, those that wait in a blocking command, and the most that Redis accepts.",
        "short",
        (
            Query("redis_connected_clients{<redis>}", "{{instance}} connected"),
            Query("redis_blocked_clients{<redis>}", "{{instance}} blocked"),
            Query("redis_config_maxclients{<redis>}", "{{instance}} limit"),
        ),
    ),
    Panel(
        "Rejected connections",
        "Connections per second that were refused because the limit of clients was reached.",
        "ops",
        (Query(rate("redis_rejected_connections_total"), "{{instance}}"),),
        (Line(1, "red"),),
    ),
)

CACHE = Board(
    "cache",
    "Redis: sessions and caches",
    "What Redis holds, how much memory it needs, what it removes, and how quickly it answers.",
    ("redis",),
    (Section("Keys", KEYS), Section("Memory", MEMORY), Section("Server", SERVER)),
)
