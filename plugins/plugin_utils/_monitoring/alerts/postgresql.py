# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on PostgreSQL, from its exporter: the names are those that 0.11 (Debian 12), 0.17 and 0.19 have in common.

What only newer exporters report, such as dead rows (0.17), fires only there. The age of transaction numbers is a query
of the role exporters, which all of them execute.
"""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import (
    CAUSE,
    Alert,
    cases,
    down,
    down_cases,
    gone,
    gone_cases,
    series,
)

PRIMARY, REPLICA = 'role!="replica"', 'role="replica"'
ON = {"job": "postgres", "instance": "db-1"}
SLOT = {**ON, "slot_name": "replica_1"}
TABLE = {"instance": "db-1", "datname": "app", "schemaname": "public", "relname": "tasks"}
LOG = "On {{ $labels.instance }}: journalctl -u 'postgresql@*' -n 50"
SESSION = "instance, datname, state"
LAG = "pg_stat_replication_pg_wal_lsn_diff"


def psql(statement: str) -> str:
    """The command that runs a statement on the server."""
    return "On {{ $labels.instance }}: sudo -u postgres psql -c " + f'"{statement}"'


ALERTS = (
    Alert(
        name="DatabaseDown",
        expression=down("pg_up", "postgres", PRIMARY),
        component="database",
        severity="page",
        wait=CAUSE,
        outage=True,
        summary="PostgreSQL on {{ $labels.instance }} does not answer",
        impact="Every request that needs the database fails.",
        look=("On {{ $labels.instance }}: systemctl status 'postgresql@*'", LOG),
        fix=("On {{ $labels.instance }}: systemctl restart 'postgresql@*'", "If the disk is full, free space first."),
        cases=down_cases("pg_up", "postgres", {"instance": "db-1"}),
    ),
    Alert(
        name="ReplicaDown",
        expression=down("pg_up", "postgres", REPLICA),
        component="replica",
        outage=True,
        summary="The replica on {{ $labels.instance }} does not answer",
        impact="Nothing can take over from the primary, and reads from this replica fail.",
        look=("On {{ $labels.instance }}: systemctl status 'postgresql@*'", LOG),
        fix=("On {{ $labels.instance }}: systemctl restart 'postgresql@*'",),
        cases=down_cases("pg_up", "postgres", {"instance": "db-2", "role": "replica"}),
    ),
    Alert(
        name="ReplicaDisconnected",
        expression=gone("pg_replication_slots_active"),
        component="replica",
        wait="5m",
        summary="No replica follows {{ $labels.instance }} by the slot {{ $labels.slot_name }}",
        impact="The replica falls behind, and the primary keeps WAL for it until max_slot_wal_keep_size is reached.",
        look=(psql("TABLE pg_replication_slots"), "The log of PostgreSQL on the replica"),
        fix=(
            "Start the replica. If its slot's wal_status is lost, remove its data and deploy it again.",
            "If it was removed for good, on {{ $labels.instance }}: SELECT pg_drop_replication_slot('...')",
        ),
        cases=tuple(case for case in gone_cases("pg_replication_slots_active", SLOT) if case.name != "was there"),
    ),
    Alert(
        name="ReplicationLagHigh",
        expression=f"{LAG} > 64 * 1024 * 1024\nor (pg_replication_lag_seconds or pg_replication_lag) > 300",
        component="replica",
        wait="5m",
        keep="5m",
        summary="Replication from or to {{ $labels.instance }} is more than 64 MiB or 5 minutes behind",
        impact="Reads from the replica are stale; a failover would lose the difference.",
        look=(psql("TABLE pg_stat_replication"),),
        fix=("End long queries on the replica; check its disk, and the network between the two.",),
        cases=(
            *cases(
                {series(LAG, ON): "100000000x20"},
                {series(LAG, ON): "60000000x20"},
                ON,
                before="3m",
            ),
            *cases({series("pg_replication_lag", ON): "400x20"}, {series("pg_replication_lag", ON): "200x20"}, ON),
        ),
    ),
    Alert(
        name="ReplicationSlotKeepsWal",
        expression="pg_replication_slots_pg_wal_lsn_diff > 1024 * 1024 * 1024",
        component="database",
        wait="15m",
        summary="The slot {{ $labels.slot_name }} makes {{ $labels.instance }} keep more than 1 GiB of WAL",
        impact="The disk of the primary fills. A full disk stops the database.",
        look=(psql("TABLE pg_replication_slots"),),
        fix=("Start what reads from the slot; if nothing will, SELECT pg_drop_replication_slot('...')",),
        cases=cases(
            {series("pg_replication_slots_pg_wal_lsn_diff", SLOT): "2000000000x30"},
            {series("pg_replication_slots_pg_wal_lsn_diff", SLOT): "1000000000x30"},
            SLOT,
        ),
    ),
    Alert(
        name="DatabaseConnectionsHigh",
        expression=(
            "sum by (instance) (pg_stat_activity_count) > 0.85 * min by (instance)"
            " (pg_settings_max_connections - pg_settings_superuser_reserved_connections)"
        ),
        component="database",
        wait="2m",
        summary="More than 85 % of the connections of PostgreSQL on {{ $labels.instance }} are used",
        impact="When none is left, new sessions are refused: exporters, migrations, then the application.",
        look=(psql("SELECT usename, state, count(*) FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 3 DESC"),),
        fix=("End the idle sessions of whoever has too many, and let it connect through the pooler.",),
        cases=cases(
            {
                series("pg_stat_activity_count", {**ON, "state": "idle"}): "90x20",
                series("pg_settings_max_connections", ON): "103x20",
                series("pg_settings_superuser_reserved_connections", ON): "3x20",
            },
            {
                series("pg_stat_activity_count", {**ON, "state": "idle"}): "80x20",
                series("pg_settings_max_connections", ON): "103x20",
                series("pg_settings_superuser_reserved_connections", ON): "3x20",
            },
            {"instance": "db-1"},
        ),
    ),
    Alert(
        name="TransactionOpenTooLong",
        expression=(
            f'max by ({SESSION}) (pg_stat_activity_max_tx_duration{{state=~"idle in transaction.*"}}) > 300\n'
            f'or max by ({SESSION}) (pg_stat_activity_max_tx_duration{{state="active"}}) > 3600'
        ),
        component="database",
        summary="A transaction in {{ $labels.datname }} on {{ $labels.instance }} stays open ({{ $labels.state }})",
        impact="Its locks block others and migrations; vacuum cannot remove dead rows.",
        look=(psql("SELECT * FROM pg_stat_activity ORDER BY xact_start"),),
        fix=(psql("SELECT pg_terminate_backend(PID)"),),
        cases=cases(
            {
                series(
                    "pg_stat_activity_max_tx_duration", {**ON, "datname": "app", "state": "idle in transaction"}
                ): "400x20"
            },
            {series("pg_stat_activity_max_tx_duration", {**ON, "datname": "app", "state": "active"}): "400x20"},
            {"instance": "db-1", "datname": "app", "state": "idle in transaction"},
        ),
    ),
    Alert(
        name="Deadlocks",
        expression="sum by (instance, datname) (increase(pg_stat_database_deadlocks[10m])) > 5",
        component="database",
        wait="0m",
        keep="5m",
        summary="More than 5 deadlocks in 10 minutes in {{ $labels.datname }} on {{ $labels.instance }}",
        impact="PostgreSQL ends one transaction of each: its request fails unless it is repeated.",
        look=(LOG,),
        fix=("Make the transactions in the log lock rows in the same order.",),
        cases=cases(
            {series("pg_stat_database_deadlocks", {**ON, "datname": "app"}): "0+1x20"},
            {series("pg_stat_database_deadlocks", {**ON, "datname": "app"}): "0x10 4x10"},
            {"instance": "db-1", "datname": "app"},
        ),
    ),
    Alert(
        name="DeadRows",
        expression=(
            "max by (instance, datname, schemaname, relname) (\n"
            "  pg_stat_user_tables_n_dead_tup > 10000\n"
            "  and pg_stat_user_tables_n_dead_tup > 0.45 * pg_stat_user_tables_n_live_tup\n)"
        ),
        component="database",
        wait="1h",
        summary="Over 30 % of {{ $labels.relname }} in {{ $labels.datname }} on {{ $labels.instance }} is dead rows",
        impact="The table grows, and its queries become slower.",
        look=(psql("SELECT relname, n_dead_tup, last_autovacuum FROM pg_stat_user_tables ORDER BY 2 DESC LIMIT 5"),),
        fix=("End transactions that stay open; then VACUUM (VERBOSE) the table.",),
        cases=cases(
            {
                series("pg_stat_user_tables_n_dead_tup", TABLE): "20000x90",
                series("pg_stat_user_tables_n_live_tup", TABLE): "20000x90",
            },
            {
                series("pg_stat_user_tables_n_dead_tup", TABLE): "9000x90",
                series("pg_stat_user_tables_n_live_tup", TABLE): "90x90",
            },
            TABLE,
            at="80m",
        ),
    ),
    Alert(
        name="TransactionNumbersRunOut",
        expression="max by (instance, datname) (pg_database_wraparound_age_datfrozenxid_seconds) > 1000000000",
        component="database",
        wait="10m",
        summary="Database {{ $labels.datname }} on {{ $labels.instance }} is half-way to transaction number wraparound",
        impact="At 2 billion, PostgreSQL refuses every write until the database was vacuumed.",
        look=(psql("SELECT datname, age(datfrozenxid) FROM pg_database"),),
        fix=("End transactions that stay open, drop unused slots, then VACUUM (FREEZE) in that database.",),
        cases=cases(
            {series("pg_database_wraparound_age_datfrozenxid_seconds", {**ON, "datname": "app"}): "1100000000x20"},
            {series("pg_database_wraparound_age_datfrozenxid_seconds", {**ON, "datname": "app"}): "200000000x20"},
            {"instance": "db-1", "datname": "app"},
        ),
    ),
)
