# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts of Sentry: detectors, which open issues, and workflows, which notify of issues.

The older "rules" and "alert-rules" are never used: Sentry removes them. What is sent and what is answered differ: a
data source is flat in one and nested in the other, and Sentry adds ids to every part.
"""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    Facts,
    Property,
    Wanted,
    same_set,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.kinds.sentry import (
    ORGANIZATION,
    OWN_PROJECT,
    SentryKind,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import ID, declared_rows, dig

DETECTORS = ORGANIZATION + "/detectors/"
WORKFLOWS = ORGANIZATION + "/workflows/"
#: Priorities of issues, as Sentry numbers them.
PRIORITIES = {"resolved": 0, "low": 25, "medium": 50, "high": 75}
NAMES = {number: name for name, number in PRIORITIES.items()}
#: What a data source is called where it is sent, and in the answer.
SOURCE = {
    "aggregate": "aggregate",
    "dataset": "dataset",
    "query": "query",
    "event_types": "eventTypes",
    "window_seconds": "timeWindow",
}
DEFAULT_DETECTOR = "error"
#: Filters of workflows.
PRIORITY, TAG = "issue_priority_greater_or_equal", "tagged_event"


class DetectorKind(SentryKind):
    collection, member = ORGANIZATION + "/projects/{project}/detectors/", DETECTORS + "{id}/"
    outputs = ("id",)

    def rows(self, client: Client, wanted: Wanted) -> list[Facts]:
        return self.project_rows(client, wanted, DETECTORS)


class Detector(DetectorKind):
    """A metric of a project's events that is compared with thresholds, and opens an issue when one is exceeded."""

    name, title = "sentry_detector", "detector"
    places = frozenset({"id", "project"})
    whole = True
    properties = {
        "id": ID,
        "project": OWN_PROJECT,
        "aggregate": Property(default="count()", about="What is compared, such as count() or p95(span.duration)."),
        "dataset": Property(
            default="events",
            choices=("events", "transactions", "metrics", "events_analytics_platform"),
            about="What it is computed from.",
        ),
        "query": Property(
            default="",
            about="Which events, in Sentry's search syntax, such as `environment:production`. Sentry refuses an "
            "environment outside of the query until it has had an event or a deploy.",
        ),
        "event_types": Property("list", default=["error"], same=same_set, about="Which types of events."),
        "window_seconds": Property(
            "int", default=300, choices=(60, 300, 600, 900, 1800, 3600, 7200, 14400, 86400), about="Of how long."
        ),
        "compared_seconds": Property(
            "int",
            choices=(300, 900, 3600, 86400, 604800, 2592000),
            about="Compare, in percent, with the same window this long ago. By default with the thresholds themselves.",
        ),
        "thresholds": Property(
            "list",
            required=True,
            same=declared_rows,
            about="Rows of `type` (`gt`, `gte`, `lt`, `lte`), `comparison` (a number) and `priority` of the issue "
            "(`high`, `medium`, `low`, or `resolved`).",
        ),
        "enabled": Property("bool", default=True, about="Whether it is evaluated."),
    }

    def faults(self, given: Facts) -> list[str]:
        rows = [row for row in given.get("thresholds", ()) if isinstance(row, t.Mapping)]
        unknown = [str(row.get("priority")) for row in rows if row.get("priority") not in PRIORITIES]
        faults = [f"thresholds have the priority {name}; there are {', '.join(PRIORITIES)}" for name in unknown]
        if not any(row.get("priority") == "resolved" for row in rows):
            faults.append("thresholds lack a row with the priority resolved, without which no issue is ever closed")
        return faults

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:  # noqa: ARG002 - always all
        compared = wanted.properties.get("compared_seconds")
        source = {sent: wanted.properties.get(name) for name, sent in SOURCE.items()}
        return {
            "type": "metric_issue",
            "dataSources": [{**source, "queryType": 0 if source["dataset"] == "events" else 1}],
            "config": {"detectionType": "percent", "comparisonDelta": compared}
            if compared
            else {"detectionType": "static"},
            "conditionGroup": {"logicType": "any", "conditions": [threshold(row) for row in wanted["thresholds"]]},
            "enabled": wanted["enabled"],
        }

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:  # noqa: ARG002 - one signature
        sources = row.get("dataSources") or [{}]
        query = dig(sources[0], "queryObj.snubaQuery") or {}
        conditions = dig(row, "conditionGroup.conditions") or []
        seen = {name: query.get(sent) for name, sent in SOURCE.items()}
        return {
            **{name: value for name, value in seen.items() if name in wanted.properties},
            "thresholds": [shown_threshold(one) for one in conditions],
            **(
                {"compared_seconds": dig(row, "config.comparisonDelta")}
                if "compared_seconds" in wanted.properties
                else {}
            ),
        }


class DefaultDetector(DetectorKind):
    """The detector that every project has, which opens an issue for each new error. It is found, never created."""

    name, title, permanent = "sentry_default_detector", "default detector", True
    places = frozenset({"project"})
    properties = {"project": OWN_PROJECT}

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        if self.within_later(wanted):
            return None
        return next((row for row in self.rows(client, wanted) if row.get("type") == DEFAULT_DETECTOR), None)


def threshold(row: Facts) -> dict[str, t.Any]:
    return {"type": row["type"], "comparison": row["comparison"], "conditionResult": PRIORITIES[row["priority"]]}


def shown_threshold(row: Facts) -> dict[str, t.Any]:
    result = row.get("conditionResult")
    return {
        "type": row.get("type"),
        "comparison": row.get("comparison"),
        "priority": NAMES.get(t.cast("int", result), result),
    }


class Workflow(SentryKind):
    """Who is notified of which issues of which detectors, and how often at most."""

    name, title = "sentry_workflow", "workflow"
    outputs = ("id",)
    collection, member = WORKFLOWS, WORKFLOWS + "{id}/"
    places = frozenset({"id"})
    whole = True
    properties = {
        "id": ID,
        "detectors": Property(
            "list", required=True, same=same_set, about="Ids of detectors, such as @sentry_detector/errors."
        ),
        "triggers": Property(
            "list",
            default=["first_seen_event", "reappeared_event", "regression_event"],
            same=same_set,
            about="What must happen to an issue.",
        ),
        "priority": Property(choices=("low", "medium", "high"), about="Only issues of this priority or a higher one."),
        "event_tags": Property(
            "dict", about="Only issues whose event has these tags, such as `environment: production`."
        ),
        "frequency_minutes": Property(
            "int",
            default=30,
            choices=(0, 5, 10, 30, 60, 180, 720, 1440),
            about="At most one notification of an issue in this time.",
        ),
        "actions": Property(
            "list",
            required=True,
            same=declared_rows,
            about="Rows of `type` (`slack` or `pagerduty`), `integration` (an id, such as @sentry_integration/nexod), "
            "and `target` (the id of a channel or service) with its `title`, such as `#alerts`. Without the id of a "
            "channel, Slack soon refuses to look it up.",
        ),
        "enabled": Property("bool", default=True, about="Whether it notifies."),
    }

    def faults(self, given: Facts) -> list[str]:
        rows = [row for row in given.get("actions", ()) if isinstance(row, t.Mapping)]
        return [
            f"actions: {row.get('type', 'a row')} lacks {name}"
            for row in rows
            for name in ("type", "integration", "target")
            if not row.get(name)
        ]

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:  # noqa: ARG002 - always all
        priority = wanted.properties.get("priority")
        filters = [condition(PRIORITY, PRIORITIES[priority])] if priority else []
        tags = wanted.properties.get("event_tags") or {}
        filters += [condition(TAG, {"key": key, "match": "eq", "value": str(tags[key])}) for key in sorted(tags)]
        return {
            "enabled": wanted["enabled"],
            "detectorIds": [str(one) for one in wanted["detectors"]],
            "config": {"frequency": wanted["frequency_minutes"]},
            "triggers": {
                "logicType": "any-short",
                "conditions": [condition(one, comparison=True) for one in wanted["triggers"]],
            },
            "actionFilters": [
                {"logicType": "all", "conditions": filters, "actions": [action(row) for row in wanted["actions"]]}
            ],
        }

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:  # noqa: ARG002 - one signature
        groups = row.get("actionFilters") or []
        filters = [one for group in groups for one in group.get("conditions") or ()]
        actions = [one for group in groups for one in group.get("actions") or ()]
        priorities = [one.get("comparison") for one in filters if one.get("type") == PRIORITY]
        tags = [one.get("comparison") or {} for one in filters if one.get("type") == TAG]
        seen = {
            "detectors": row.get("detectorIds") or [],
            "triggers": [one.get("type") for one in dig(row, "triggers.conditions") or ()],
            "priority": NAMES.get(priorities[0], priorities[0]) if len(priorities) == 1 else None,
            "event_tags": {one.get("key"): one.get("value") for one in tags},
            "frequency_minutes": dig(row, "config.frequency"),
            "actions": [shown_action(one) for one in actions],
        }
        return {name: value for name, value in seen.items() if name in wanted.properties}


def condition(name: str, comparison: t.Any) -> dict[str, t.Any]:
    return {"type": name, "comparison": comparison, "conditionResult": True}


def action(row: Facts) -> dict[str, t.Any]:
    return {
        "type": row["type"],
        "integrationId": str(row["integration"]),
        "config": {
            "targetType": "specific",
            "targetIdentifier": str(row["target"]),
            "targetDisplay": row.get("title"),
        },
        "data": {},
        "status": "active",
    }


def shown_action(row: Facts) -> dict[str, t.Any]:
    return {
        "type": row.get("type"),
        "integration": row.get("integrationId"),
        "target": dig(row, "config.targetIdentifier"),
        "title": dig(row, "config.targetDisplay"),
    }
