# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The overview dashboard as classic JSON, which every Grafana imports. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import (
    Document,
    Row,
    is_histogram,
    measured,
    number,
    percentile,
    selector,
)

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RATE = "$__rate_interval"
WIDTH = 24


class Query(t.NamedTuple):
    """A PromQL expression and the legend of its lines."""

    expression: str
    legend: str


class Line(t.NamedTuple):
    """A horizontal line across a panel: its value and its color."""

    value: float
    color: str


def panel(name: str, description: str, unit: str, queries: t.Sequence[Query], lines: t.Sequence[Line] = ()) -> Document:
    """A time series panel; `placed` sets its position and number."""
    steps: list[Document] = [{"color": "green", "value": None}]
    steps += [{"color": line.color, "value": line.value} for line in lines]
    custom: Document = {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never", "spanNulls": False}
    if lines:
        custom["thresholdsStyle"] = {"mode": "line"}
    return {
        "type": "timeseries",
        "title": name,
        "description": description,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "custom": custom,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for place, query in enumerate(queries)
        ],
        "gridPos": {"h": 8, "w": 8, "x": 0, "y": 0},
    }


def latency_panel(metric: str, rows: t.Sequence[tuple[Row, Row]]) -> Document:
    """One panel for all rows of a metric: its quantiles, and lines for the target and alert of the highest one."""
    source = rows[0][1]
    if is_histogram(source):
        name, matchers = source["histogram"], selector(source.get("matchers", ""))
        queries = [
            Query(
                f"histogram_quantile({number(row['quantile'])}, sum by (le) (rate({name}_bucket{matchers}[{RATE}])))",
                percentile(row["quantile"]),
            )
            for row, _source in rows
        ]
    else:
        queries = [Query(source["gauge"], "{{instance}}")]
    strictest = max(rows, key=lambda pair: pair[0]["quantile"])[0]
    shown = ", ".join(
        f"{percentile(row['quantile'])} below {number(row['target_seconds'])} s"
        f" (alert above {number(row['alert_seconds'])} s)"
        for row, _source in rows
    )
    return panel(
        f"Latency: {metric}",
        f"Target: {shown}. The lines are those of {percentile(strictest['quantile'])}.",
        "s",
        queries,
        [Line(strictest["target_seconds"], "orange"), Line(strictest["alert_seconds"], "red")],
    )


def row_panel(name: str) -> Document:
    """A heading across the dashboard."""
    return {
        "type": "row",
        "title": name,
        "collapsed": False,
        "panels": [],
        "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": 0},
    }


def api_panels(rows: t.Sequence[Row], sources: t.Mapping[str, Row]) -> list[Document]:
    """Traffic, errors, and how far from the target."""
    panels = [
        panel(
            "Traffic by endpoint",
            "Requests per second that the API answered, by route.",
            "reqps",
            [Query(f"sum by (endpoint) (rate(http_requests_total[{RATE}]))", "{{endpoint}}")],
        ),
        panel(
            "Errors",
            "Fraction of the API's answers that were server errors (5xx) or client errors (4xx).",
            "percentunit",
            [
                Query(
                    f'(sum(rate(http_requests_total{{status=~"5.."}}[{RATE}])) or vector(0))'
                    f" / sum(rate(http_requests_total[{RATE}]))",
                    "5xx",
                ),
                Query(
                    f'(sum(rate(http_requests_total{{status=~"4.."}}[{RATE}])) or vector(0))'
                    f" / sum(rate(http_requests_total[{RATE}]))",
                    "4xx",
                ),
            ],
            [Line(0.01, "red")],
        ),
        panel(
            "Users and tasks",
            "Active users (every instance reports the same number), and tasks created per second by user type.",
            "short",
            [
                Query("max(active_users)", "active users"),
                Query(f"sum by (user_type) (rate(tasks_created_total[{RATE}]))", "tasks/s {{user_type}}"),
            ],
        ),
    ]
    grouped: dict[str, list[tuple[Row, Row]]] = {}
    for row, source in measured(rows, sources):
        grouped.setdefault(row["metric"], []).append((row, source))
    return panels + [latency_panel(metric, pairs) for metric, pairs in grouped.items()]


def data_panels() -> list[Document]:
    """PostgreSQL, PgBouncer and Redis, from their exporters."""
    return [
        panel(
            "PostgreSQL: connections",
            "Connections to each database server. Their sum must stay below the server's max_connections.",
            "short",
            [
                Query('sum by (instance) (pg_stat_database_numbackends{datname!=""})', "{{instance}}"),
                Query("max(pg_settings_max_connections)", "max_connections"),
            ],
        ),
        panel(
            "PostgreSQL: transactions",
            "Transactions per second that were committed or rolled back, by server.",
            "ops",
            [
                Query(f"sum by (instance) (rate(pg_stat_database_xact_commit[{RATE}]))", "{{instance}} commit"),
                Query(f"sum by (instance) (rate(pg_stat_database_xact_rollback[{RATE}]))", "{{instance}} rollback"),
            ],
        ),
        panel(
            "PostgreSQL: replication lag",
            "Seconds that each replica lags behind. Exporters before 0.14 name the metric without its unit.",
            "s",
            [Query('max by (instance) ({__name__=~"pg_replication_lag(_seconds)?"})', "{{instance}}")],
        ),
        panel(
            "PgBouncer: clients and servers",
            "Clients served, clients waiting for a server connection, and server connections in use.",
            "short",
            [
                Query("sum(pgbouncer_pools_client_active_connections)", "clients"),
                Query("sum(pgbouncer_pools_client_waiting_connections)", "clients waiting"),
                Query("sum(pgbouncer_pools_server_active_connections)", "servers in use"),
            ],
            [],
        ),
        panel(
            "Redis: commands",
            "Commands per second, and lookups per second that found their key or did not.",
            "ops",
            [
                Query(f"sum by (instance) (rate(redis_commands_processed_total[{RATE}]))", "{{instance}}"),
                Query(f"sum by (instance) (rate(redis_keyspace_hits_total[{RATE}]))", "{{instance}} hits"),
                Query(f"sum by (instance) (rate(redis_keyspace_misses_total[{RATE}]))", "{{instance}} misses"),
            ],
        ),
        panel(
            "Redis: memory",
            "Memory in use, and its limit (0 is no limit).",
            "bytes",
            [
                Query("redis_memory_used_bytes", "{{instance}} used"),
                Query("redis_memory_max_bytes", "{{instance}} limit"),
            ],
        ),
    ]


def host_panels() -> list[Document]:
    """The hosts, from the node exporter, and failing scrapes."""
    return [
        panel(
            "Hosts: CPU",
            "Fraction of each host's processor time that was used.",
            "percentunit",
            [Query(f'1 - avg by (instance) (rate(node_cpu_seconds_total{{mode="idle"}}[{RATE}]))', "{{instance}}")],
        ),
        panel(
            "Hosts: memory",
            "Fraction of each host's memory that is in use.",
            "percentunit",
            [Query("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", "{{instance}}")],
            [Line(0.9, "red")],
        ),
        panel(
            "Failing scrapes",
            "Targets that Prometheus could not scrape, by job. Should be 0.",
            "short",
            [Query("count by (job) (up == 0) or vector(0)", "{{job}}")],
            [Line(1, "red")],
        ),
    ]


def placed(panels: t.Iterable[Document]) -> list[Document]:
    """The panels, numbered and laid out from left to right and top to bottom."""
    result: list[Document] = []
    x = y = height = 0
    for number_of, item in enumerate(panels, start=1):
        width = item["gridPos"]["w"]
        if x + width > WIDTH:
            x, y = 0, y + height
        height = item["gridPos"]["h"]
        result.append({"id": number_of, **item, "gridPos": {**item["gridPos"], "x": x, "y": y}})
        x += width
    return result


def dashboard(rows: t.Sequence[Row], sources: t.Mapping[str, Row], uid: str, name: str) -> Document:
    """The whole dashboard: API, data layer, hosts."""
    panels = [
        row_panel("API"),
        *api_panels(rows, sources),
        row_panel("Data layer"),
        *data_panels(),
        row_panel("Hosts"),
        *host_panels(),
    ]
    return {
        "uid": uid,
        "title": name,
        "description": "Traffic, errors and latency of the API; PostgreSQL, PgBouncer, Redis; the hosts.",
        "tags": ["infrastructure"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                    "hide": 0,
                    "multi": False,
                    "includeAll": False,
                    "options": [],
                    "current": {},
                }
            ]
        },
        "annotations": {"list": []},
        "links": [],
        "panels": placed(panels),
    }
