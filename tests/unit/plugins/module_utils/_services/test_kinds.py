"""Every kind of resource, against the stand-ins for the vendors: created, found, compared, changed, removed."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.plugins.module_utils._resources.engine import Engine, Outcome, Policy
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import services_of
from ansible_collections.nexod.infra.plugins.module_utils._services.catalogue import KINDS
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import Instantly, Row, actions, changed
from ansible_collections.nexod.infra.tests.fixtures.services import running, sentry_core

SECRETS = {"key": "canary"}
OWN = "@sentry_project/api"
THRESHOLDS = [
    {"type": "gt", "comparison": 100, "priority": "high"},
    {"type": "gt", "comparison": 10, "priority": "medium"},
    {"type": "lte", "comparison": 10, "priority": "resolved"},
]
SLACK = {"type": "slack", "integration": "@sentry_integration/slack", "target": "C024BE91L", "title": "#alerts"}
PAGERDUTY = {"type": "pagerduty", "integration": "@sentry_integration/pagerduty", "target": "71"}
#: By vendor, one of each kind.
ROWS: dict[str, list[Row]] = {
    "sentry": [
        ("sentry_integration", "slack", {"provider": "slack", "called": "Nexod"}),
        ("sentry_integration", "pagerduty", {"provider": "pagerduty", "called": "nexod"}),
        ("sentry_project", "api", {"team": sentry_core.TEAM, "platform": "python-fastapi", "resolve_hours": 168}),
        ("sentry_key", "api", {"project": OWN}),
        ("sentry_ownership", "api", {"project": OWN, "rules": "path:app/* #platform"}),
        ("sentry_detector", "errors", {"project": OWN, "query": "environment:staging", "thresholds": THRESHOLDS}),
        (
            "sentry_detector",
            "slower",
            {
                "project": OWN,
                "aggregate": "p95(span.duration)",
                "dataset": "events_analytics_platform",
                "event_types": ["trace_item_span"],
                "query": "is_transaction:true",
                "window_seconds": 3600,
                "compared_seconds": 604800,
                "thresholds": THRESHOLDS[1:],
            },
        ),
        ("sentry_default_detector", "api", {"project": OWN}),
        (
            "sentry_workflow",
            "errors-on-call",
            {"detectors": ["@sentry_detector/errors"], "priority": "high", "actions": [PAGERDUTY]},
        ),
        (
            "sentry_workflow",
            "new",
            {
                "detectors": ["@sentry_default_detector/api"],
                "triggers": ["first_seen_event"],
                "event_tags": {"environment": "staging"},
                "actions": [SLACK],
            },
        ),
    ],
}
#: What can be changed in place.
CHANGES: list[tuple[str, str, dict[str, t.Any]]] = [
    ("sentry", "sentry_project/api", {"platform": "python"}),
    ("sentry", "sentry_project/api", {"resolve_hours": 0}),
    ("sentry", "sentry_ownership/api", {"rules": "path:web/* #platform"}),
    ("sentry", "sentry_detector/errors", {"thresholds": THRESHOLDS[1:]}),
    ("sentry", "sentry_detector/errors", {"window_seconds": 600}),
    ("sentry", "sentry_detector/slower", {"compared_seconds": 86400}),
    ("sentry", "sentry_detector/slower", {"enabled": False}),
    ("sentry", "sentry_workflow/new", {"actions": [SLACK, PAGERDUTY]}),
    ("sentry", "sentry_workflow/new", {"event_tags": {"environment": "production"}}),
    ("sentry", "sentry_workflow/errors-on-call", {"priority": "medium"}),
    ("sentry", "sentry_workflow/errors-on-call", {"detectors": ["@sentry_detector/slower"]}),
    ("sentry", "sentry_workflow/errors-on-call", {"frequency_minutes": 60}),
]
#: Requests of a run without changes.
NO_OP = {"sentry": 7}
TOKENS = {"sentry": sentry_core.TOKEN}
FOUND_ONLY = ("sentry_integration", "sentry_default_detector", "sentry_ownership")


@pytest.fixture
def services() -> t.Iterator[running.Services]:
    with running.services() as found:
        yield found


def bring(
    services: running.Services, *rows: Row, check: bool = False, gone: bool = False, **policy: t.Any
) -> tuple[Outcome, dict[str, int]]:
    """The outcome, and the requests by vendor."""
    given = [{"kind": kind, "name": name, "properties": properties} for kind, name, properties in rows]
    ordered = declared(given, KINDS, SECRETS)
    vendors = {row[0].partition("_")[0] for row in rows}
    accounts = {
        vendor: {
            "token": TOKENS[vendor],
            "url": services.started(vendor).url,
            **({"organization": sentry_core.ORGANIZATION} if vendor == "sentry" else {}),
        }
        for vendor in vendors
    }
    api = services_of(accounts, ordered, check=check)
    engine = Engine(api, Policy("staging", **policy), clock=Instantly())
    outcome = engine.absent(ordered) if gone else engine.present(ordered)
    return outcome, {name: len(client.requests) for name, client in api.clients.items()}


def faults(outcome: Outcome) -> list[str]:
    return [str(error) for _key, error in outcome.faults]


@pytest.mark.parametrize("vendor", ROWS)
def test_from_nothing_and_again(services: running.Services, vendor: str) -> None:
    rows, server = ROWS[vendor], services.started(vendor)
    predicted, _requests = bring(services, *rows, check=True)
    assert (faults(predicted), server.writes()) == ([], [])
    done, _requests = bring(services, *rows)
    assert faults(done) == []
    assert actions(done) == actions(predicted)
    assert {key.partition("/")[0] for key, action in actions(done) if action == "create"} == {
        kind for kind, _name, _properties in rows if kind not in FOUND_ONLY
    }
    written = len(server.writes())
    # The vendor adds fields, and has another order, which is no change.
    server.rearranges = True
    again, requests = bring(services, *rows)
    assert (faults(again), again.changes, len(server.writes())) == ([], [], written)
    assert requests[vendor] <= NO_OP[vendor]
    assert "canary" not in repr((predicted, done, again))


@pytest.mark.parametrize(("vendor", "key", "properties"), CHANGES)
def test_a_change_in_place(services: running.Services, vendor: str, key: str, properties: dict[str, t.Any]) -> None:
    rows = ROWS[vendor]
    bring(services, *rows)
    other = changed(rows, key, **properties)
    predicted, _requests = bring(services, *other, check=True)
    done, _requests = bring(services, *other)
    assert faults(done) == []
    assert actions(predicted) == actions(done) == [(key, "update")]
    assert [sorted(one.after) for one in done.changes] == [sorted(properties)]
    assert bring(services, *other)[0].changes == []


@pytest.mark.parametrize("vendor", ROWS)
def test_all_of_it_goes(services: running.Services, vendor: str) -> None:
    rows = ROWS[vendor]
    bring(services, *rows)
    holding = [f"{kind}/{name}" for kind, name, _properties in rows if KINDS[kind].holds_data]
    kept, _requests = bring(services, *rows, gone=True)
    assert len(kept.faults) == len(holding)
    predicted, _requests = bring(services, *rows, gone=True, check=True, lose=frozenset(holding))
    done, _requests = bring(services, *rows, gone=True, lose=frozenset(holding))
    assert faults(done) == []
    assert actions(done) == actions(predicted)
    assert bring(services, *rows, gone=True)[0].changes == []


@pytest.mark.parametrize("vendor", ROWS)
@pytest.mark.parametrize("lost", range(8))
def test_killed_after_a_request_and_continued(services: running.Services, vendor: str, lost: int) -> None:
    """An answer is lost, so the run does not know what it did; the next one finds it, and makes nothing twice."""
    rows, server = ROWS[vendor], services.started(vendor)
    names = sorted(name for name, (operation, _run) in server.operations.items() if operation.method == "POST")
    server.order(names[lost % len(names)], lost=True)
    bring(services, *rows)
    done, _requests = bring(services, *rows)
    assert faults(done) == []
    assert bring(services, *rows)[0].changes == []
    made = server.state
    for collection in ("projects", "detectors", "workflows", "keys"):
        if collection in made:
            found = [row.get("name") for row in made[collection].values()]
            assert len(found) == len(set(found)), collection
