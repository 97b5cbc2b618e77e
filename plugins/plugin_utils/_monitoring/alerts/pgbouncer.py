# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on PgBouncer, from its exporter (0.10 and newer; that of Debian 12 does not run)."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import (
    CAUSE,
    Alert,
    Case,
    cases,
    down,
    down_cases,
    series,
)

ON = {"job": "pgbouncer", "instance": "pooler-1"}
POOL = {"instance": "pooler-1", "database": "app"}
#: Of a host with several processes, each has an exporter, whose target has the label `process`.
FIRST, SECOND = {**POOL, "user": "app", "process": "1"}, {**POOL, "user": "app", "process": "2"}
CONSOLE = "On {{ $labels.instance }}: sudo -u postgres psql -h /run/pgbouncer/1 -p 6432 -U pgbouncer -c "
WAIT = "pgbouncer_pools_client_maxwait_seconds"

ALERTS = (
    Alert(
        name="PoolerDown",
        expression=down("pgbouncer_up", "pgbouncer"),
        component="pooler",
        severity="page",
        wait=CAUSE,
        outage=True,
        summary="PgBouncer on {{ $labels.instance }} does not answer",
        impact="Requests that need the database fail: the API connects through it.",
        look=("On {{ $labels.instance }}: systemctl status 'pgbouncer@*'; journalctl -u 'pgbouncer@*' -n 50",),
        fix=("On {{ $labels.instance }}: systemctl restart pgbouncer@1",),
        cases=down_cases("pgbouncer_up", "pgbouncer", {"instance": "pooler-1"}),
    ),
    Alert(
        name="PoolerClientsWait",
        expression=f"max by (instance, database) ({WAIT}) > 1",
        component="pooler",
        keep="2m",
        summary="A client waits over a second for a connection to {{ $labels.database }} at {{ $labels.instance }}",
        impact="Requests are slow, then fail: no connection of the pool is free.",
        look=(CONSOLE + '"SHOW POOLS"',),
        fix=(
            "Find what holds the connections in pg_stat_activity: a slow statement, a transaction that stays open.",
            "If the database has connections to spare, raise infra_database_pooled_connections.",
        ),
        cases=cases(
            {series(WAIT, {**POOL, "user": "app"}): "3x20"}, {series(WAIT, {**POOL, "user": "app"}): "0.5x20"}, POOL
        ),
    ),
    Alert(
        name="PoolNearLimit",
        expression=(
            "sum by (instance, database) (pgbouncer_pools_server_active_connections)\n"
            ">= 0.9 * sum by (instance, database)"
            ' (label_replace(pgbouncer_databases_pool_size, "database", "$1", "name", "(.+)"))'
        ),
        component="pooler",
        wait="5m",
        keep="5m",
        summary="The pool of {{ $labels.database }} at {{ $labels.instance }} is used to 90 %",
        impact="Soon, clients will have to wait for a connection.",
        look=(CONSOLE + '"SHOW POOLS"',),
        fix=("Shorten transactions, or raise infra_database_pooled_connections.",),
        cases=cases(
            {
                series("pgbouncer_pools_server_active_connections", {**POOL, "user": "app"}): "19x20",
                series(
                    "pgbouncer_databases_pool_size", {"instance": "pooler-1", "name": "app", "database": "x"}
                ): "20x20",
            },
            {
                series("pgbouncer_pools_server_active_connections", {**POOL, "user": "app"}): "15x20",
                series(
                    "pgbouncer_databases_pool_size", {"instance": "pooler-1", "name": "app", "database": "x"}
                ): "20x20",
            },
            POOL,
        )
        + tuple(
            Case(
                f"all processes use {used} of 20",
                {
                    series("pgbouncer_pools_server_active_connections", FIRST): f"{used - 9}x20",
                    series("pgbouncer_pools_server_active_connections", SECOND): "9x20",
                    series("pgbouncer_databases_pool_size", {**ON, "name": "app", "process": "1"}): "10x20",
                    series("pgbouncer_databases_pool_size", {**ON, "name": "app", "process": "2"}): "10x20",
                },
                "20m",
                (POOL,) if used >= 18 else (),
            )
            for used in (12, 18)
        ),
    ),
    Alert(
        name="PoolerClientsNearLimit",
        expression=(
            "sum by (instance, process)"
            " (pgbouncer_pools_client_active_connections + pgbouncer_pools_client_waiting_connections)"
            # Which each process has.
            " > 0.8 * max by (instance, process) (pgbouncer_config_max_client_connections)"
        ),
        component="pooler",
        wait="5m",
        summary="More than 80 % of the client connections of PgBouncer on {{ $labels.instance }} are used",
        impact="When none is left, PgBouncer refuses new ones.",
        look=(CONSOLE + '"SHOW CLIENTS"',),
        fix=("Find the client that leaks connections, or raise pgbouncer_max_client_connections.",),
        cases=cases(
            {
                series("pgbouncer_pools_client_active_connections", {**POOL, "user": "app"}): "90x20",
                series("pgbouncer_pools_client_waiting_connections", {**POOL, "user": "app"}): "0x20",
                series("pgbouncer_config_max_client_connections", ON): "100x20",
            },
            {
                series("pgbouncer_pools_client_active_connections", {**POOL, "user": "app"}): "50x20",
                series("pgbouncer_pools_client_waiting_connections", {**POOL, "user": "app"}): "0x20",
                series("pgbouncer_config_max_client_connections", ON): "100x20",
            },
            {"instance": "pooler-1"},
        )
        + tuple(
            Case(
                f"of two processes, one has {clients} of 100",
                {
                    series("pgbouncer_pools_client_active_connections", FIRST): "60x20",
                    series("pgbouncer_pools_client_waiting_connections", FIRST): "0x20",
                    series("pgbouncer_pools_client_active_connections", SECOND): f"{clients}x20",
                    series("pgbouncer_pools_client_waiting_connections", SECOND): "0x20",
                    series("pgbouncer_config_max_client_connections", {**ON, "process": "1"}): "100x20",
                    series("pgbouncer_config_max_client_connections", {**ON, "process": "2"}): "100x20",
                },
                "20m",
                ({"instance": "pooler-1", "process": "2"},) if clients > 80 else (),
            )
            for clients in (70, 90)
        ),
    ),
)
