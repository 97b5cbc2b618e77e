# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL and PgBouncer, from their exporters and from the API's own histogram.

Names differ between the exporters of Debian 12, 13 and forky; an expression with `or` has both.
"""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.panels import (
    Board,
    Line,
    Panel,
    Query,
    Section,
)


def rate(metric: str, by: str = "instance") -> str:
    """A counter of PostgreSQL per second."""
    return f"sum by ({by}) (rate({metric}{{<postgres>}}[<rate>]))"


def pooled(metric: str, by: str = "instance, database") -> str:
    """A counter of PgBouncer per second; exporters from 0.11 on write `totals` into its name."""
    own = '{<pgbouncer>, database!="pgbouncer"}'
    return (
        f"sum by ({by}) (rate(pgbouncer_stats_totals_{metric}_total{own}[<rate>])"
        f" or rate(pgbouncer_stats_{metric}_total{own}[<rate>]))"
    )


def pools(metric: str, by: str = "instance") -> str:
    """A gauge of PgBouncer's pools."""
    return f'sum by ({by}) (pgbouncer_pools_{metric}{{<pgbouncer>, database!="pgbouncer"}})'


SERVERS = (
    Panel(
        "PostgreSQL answers",
        "Whether each server answers its exporter: 1 is yes.",
        "short",
        (Query("pg_up{<postgres>}", "{{instance}}"),),
    ),
    Panel(
        "Connections",
        "Connections to each server, and the most that it accepts.",
        "short",
        (
            Query("sum by (instance) (pg_stat_database_numbackends{<postgres>})", "{{instance}}"),
            Query("max by (instance) (pg_settings_max_connections{<postgres>})", "{{instance}} max_connections"),
        ),
    ),
    Panel(
        "Connections by state",
        "Connections by what they do. Many that are idle in transaction hold locks and keep vacuum from cleaning up.",
        "short",
        (Query("sum by (state) (pg_stat_activity_count{<postgres>})", "{{state}}"),),
    ),
    Panel(
        "Transactions",
        "Transactions per second that were committed or rolled back.",
        "ops",
        (
            Query(rate("pg_stat_database_xact_commit"), "{{instance}} commit"),
            Query(rate("pg_stat_database_xact_rollback"), "{{instance}} rollback"),
        ),
    ),
    Panel(
        "Longest transaction",
        "Age of the oldest transaction that runs on each server.",
        "s",
        (Query("max by (instance) (pg_stat_activity_max_tx_duration{<postgres>})", "{{instance}}"),),
    ),
    Panel(
        "Rows",
        "Rows read and written per second, over all servers.",
        "ops",
        tuple(
            Query(f"sum(rate(pg_stat_database_tup_{kind}{{<postgres>}}[<rate>]))", kind)
            for kind in ("fetched", "inserted", "updated", "deleted")
        ),
    ),
    Panel(
        "Blocks found in memory",
        "Fraction of the blocks that were read from PostgreSQL's own cache.",
        "percentunit",
        (
            Query(
                f"{rate('pg_stat_database_blks_hit')}"
                f" / ({rate('pg_stat_database_blks_hit')} + {rate('pg_stat_database_blks_read')})",
                "{{instance}}",
            ),
        ),
    ),
    Panel(
        "Deadlocks and conflicts",
        "Deadlocks, and queries on a replica that were cancelled because of replication, per second.",
        "ops",
        (
            Query(rate("pg_stat_database_deadlocks"), "{{instance}} deadlocks"),
            Query(rate("pg_stat_database_conflicts"), "{{instance}} conflicts"),
        ),
    ),
    Panel(
        "Locks",
        "Locks that are held, by mode.",
        "short",
        (Query("sum by (mode) (pg_locks_count{<postgres>})", "{{mode}}"),),
    ),
    Panel(
        "Temporary files",
        "Bytes per second that queries wrote to disk because work_mem was too small.",
        "Bps",
        (Query(rate("pg_stat_database_temp_bytes"), "{{instance}}"),),
    ),
    Panel(
        "Size",
        "Size of each database.",
        "bytes",
        (Query("max by (datname) (pg_database_size_bytes{<postgres>})", "{{datname}}"),),
    ),
)

REPLICATION = (
    Panel(
        "Replication lag in bytes",
        "Bytes of the primary's log that each replica has not replayed yet.",
        "bytes",
        (
            Query(
                "max by (instance, client_addr) (pg_stat_replication_pg_wal_lsn_diff{<postgres>})",
                "{{instance}} to {{client_addr}}",
            ),
        ),
        needs=frozenset({"replica"}),
    ),
    Panel(
        "Replication lag in seconds",
        "Seconds that each replica lags behind (Debian 12's exporter lacks them), and since its last answer.",
        "s",
        (
            Query(
                "max by (instance) (pg_replication_lag_seconds{<postgres>} or pg_replication_lag{<postgres>})",
                "{{instance}}",
            ),
            Query(
                "max by (client_addr) (time() - pg_stat_replication_reply_time{<postgres>})",
                "{{client_addr}} last answer",
            ),
        ),
        needs=frozenset({"replica"}),
    ),
)

POOLER = (
    Panel(
        "Clients",
        "Clients that are served, and that wait for a server connection. Waiting clients: the pool is too small.",
        "short",
        (
            Query(pools("client_active_connections"), "{{instance}} served"),
            Query(pools("client_waiting_connections"), "{{instance}} waiting"),
            Query("sum by (instance) (pgbouncer_config_max_client_connections{<pgbouncer>})", "{{instance}} limit"),
        ),
    ),
    Panel(
        "Server connections",
        "Connections from PgBouncer to PostgreSQL, and the size of the pools.",
        "short",
        (
            Query(pools("server_active_connections"), "{{instance}} in use"),
            Query(pools("server_idle_connections"), "{{instance}} idle"),
            Query(
                'sum by (instance) (pgbouncer_databases_pool_size{<pgbouncer>, name!="pgbouncer"})',
                "{{instance}} pool size",
            ),
        ),
    ),
    Panel(
        "Longest wait",
        "How long the first client in the queue has waited for a server connection.",
        "s",
        (
            Query(
                "max by (instance, database)"
                ' (pgbouncer_pools_client_maxwait_seconds{<pgbouncer>, database!="pgbouncer"})',
                "{{instance}} {{database}}",
            ),
        ),
        (Line(1, "orange"), Line(5, "red")),
    ),
    Panel(
        "Queries through PgBouncer",
        "Queries per second.",
        "ops",
        (Query(pooled("queries_pooled"), "{{instance}} {{database}}"),),
    ),
    Panel(
        "Mean time of a query",
        "Time that PostgreSQL spent for each query, seen from PgBouncer.",
        "s",
        (
            Query(
                f"{pooled('queries_duration_seconds')} / ({pooled('queries_pooled')} > 0)",
                "{{instance}} {{database}}",
            ),
        ),
    ),
    Panel(
        "Time spent waiting",
        "Seconds that all clients together waited for a server connection, per second.",
        "s",
        (Query(pooled("client_wait_seconds"), "{{instance}} {{database}}"),),
    ),
)

SEEN_BY_THE_API = (
    Panel(
        "Statements seen by the API (p95)",
        "Time of a statement with the way through PgBouncer and the network.",
        "s",
        (
            Query(
                "histogram_quantile(0.95, sum by (le, operation)"
                " (rate(database_query_duration_seconds_bucket{<api>}[<rate>])))",
                "{{operation}}",
            ),
        ),
    ),
    Panel(
        "Statements of the API",
        "Statements per second, by what they do.",
        "ops",
        (
            Query(
                "sum by (operation) (rate(database_query_duration_seconds_count{<api>}[<rate>]))",
                "{{operation}}",
            ),
        ),
    ),
)

DATABASE = Board(
    "database",
    "PostgreSQL and PgBouncer",
    "Connections, transactions, locks and replication of PostgreSQL; pools and waiting clients of PgBouncer.",
    ("postgres", "pgbouncer"),
    (
        Section("PostgreSQL", SERVERS),
        Section("Replication", REPLICATION),
        Section("PgBouncer", POOLER),
        Section("The API's statements", SEEN_BY_THE_API),
    ),
)
