# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's dashboards as classic JSON, which every Grafana imports. Pure functions.

What they show is in the folder boards, a file for each subject.
"""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import Document, Row
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.cache import CACHE
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.database import DATABASE
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.deploys import DEPLOYS
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.hosts import HOSTS
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.latency import latency_board
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.overview import OVERVIEW
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.panels import (
    Board,
    Line,
    Panel,
    Scope,
    within_scope,
)

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
TAG = "infrastructure"
WIDTH, PANEL_WIDTH, PANEL_HEIGHT = 24, 8, 8
#: Long enough for a longer step of a long time range, short enough to tell a roll-back from the deploy before it.
NEW_FOR = "5m"


def steps(lines: t.Sequence[Line]) -> list[Document]:
    """The thresholds of a panel; the first one is its base color."""
    base: Document = {"color": "green", "value": None}
    return [base, *({"color": line.color, "value": line.value} for line in lines)]


def timeseries(panel: Panel) -> Document:
    """A panel as Grafana reads it; `placed` sets its position and number."""
    custom: Document = {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never", "spanNulls": False}
    if panel.lines:
        custom["thresholdsStyle"] = {"mode": "line"}
    defaults: Document = {
        "unit": panel.unit,
        "custom": custom,
        "thresholds": {"mode": "absolute", "steps": steps(panel.lines)},
    }
    # Only where a line is drawn at 0 can values be below it.
    if all(line.value > 0 for line in panel.lines):
        defaults["min"] = 0
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
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
            for place, query in enumerate(panel.queries)
        ],
        "gridPos": {"h": PANEL_HEIGHT, "w": PANEL_WIDTH, "x": 0, "y": 0},
    }


def heading(name: str) -> Document:
    """A heading across the dashboard."""
    return {
        "type": "row",
        "title": name,
        "collapsed": False,
        "panels": [],
        "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": 0},
    }


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


def query_variable(name: str, label: str, query: str) -> Document:
    """A variable with the values of a label. By default all of them, which also finds series without the label."""
    every = {"selected": True, "text": "All", "value": "$__all"}
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "options": [],
        "current": every,
    }


def variables(board: Board) -> list[Document]:
    """Data source, environment (a Prometheus with several environments has this label) and instance."""
    jobs = "|".join(board.jobs)
    return [
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
        },
        query_variable("environment", "Environment", "label_values(up, environment)"),
        query_variable(
            "instance",
            "Instance",
            f'label_values(up{{job=~"{jobs}", environment=~"$environment"}}, instance)',
        ),
    ]


def deploy_marks(scope: Scope, tags: t.Sequence[str]) -> list[Document]:
    """Deploys as their own record in Grafana, and the versions that instances report, which need no such record."""
    found: list[Document] = [
        {
            "name": "Deploys",
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": False,
            "iconColor": "blue",
            "type": "tags",
            "target": {"type": "tags", "tags": list(tags), "matchAny": False, "limit": 100},
        }
    ]
    if scope.version_metric:
        running = f'group by (version) ({scope.version_metric}{{environment=~"$environment"}}'
        found.append(
            {
                "name": "New versions",
                "datasource": SOURCE,
                "enable": True,
                "hide": False,
                "iconColor": "purple",
                "expr": f"{running}) unless {running} offset {NEW_FOR})",
                "step": "60s",
                "titleFormat": "A new version runs",
                "textFormat": "{{version}}",
                "tagKeys": "version",
            }
        )
    return found


def document(board: Board, uid: str, annotated: t.Sequence[Document]) -> Document:
    """A dashboard as Grafana reads it."""
    panels = [
        item
        for section in board.sections
        for item in (heading(section.title), *(timeseries(panel) for panel in section.panels))
    ]
    return {
        "uid": uid,
        "title": board.title,
        "description": board.description,
        "tags": [TAG, board.name],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": variables(board)},
        "annotations": {"list": list(annotated)},
        "links": [
            {
                "title": "Dashboards",
                "type": "dashboards",
                "tags": [TAG],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }
        ],
        "panels": placed(panels),
    }


def dashboards(
    rows: t.Sequence[Row], sources: t.Mapping[str, Row], scope: Scope, tags: t.Sequence[str] = ("deploy",)
) -> list[Document]:
    """Every dashboard of which the environment has at least one panel."""
    annotated = deploy_marks(scope, tags)
    boards = (OVERVIEW, latency_board(rows, sources), DATABASE, CACHE, HOSTS, DEPLOYS)
    within = (within_scope(board, scope) for board in boards)
    return [document(board, f"{TAG}-{board.name}", annotated) for board in within if board.sections]
