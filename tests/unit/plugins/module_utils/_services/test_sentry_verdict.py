"""The verdict on a release by its new types of issues: a table, and searches at the stand-in."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.sentry_verdict import (
    MOST_LISTED,
    Found,
    judge,
    verdict,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.vendors import VENDORS
from ansible_collections.nexod.infra.tests.fixtures.services import running, sentry_core

VERSION = "api@1.4.2"
ASKED: dict[str, t.Any] = {"version": VERSION, "environment": "staging", "projects": []}
SINCE = 1764201600.0
ISSUE = {
    "id": "9",
    "shortId": "API-9",
    "title": "KeyError",
    "count": "3",
    "level": "error",
    "firstSeen": "2026-11-27T00:00:00Z",
    "permalink": "https://sentry.example.com/issues/9/",
    "project": {"slug": "api"},
}
MET, MISSED, UNKNOWN = "met", "missed", "not enough data"


@pytest.mark.parametrize(
    ("found", "word", "says"),
    [
        (Found(), UNKNOWN, "Sentry has had no event of it since the deploy"),
        (Found(SINCE - 1), UNKNOWN, "Sentry has had no event of it since the deploy"),
        (Found(SINCE + 90), MET, "none since the deploy"),
        # That the deploy was recorded is all that happened.
        (Found(SINCE + 91, (SINCE + 90,)), UNKNOWN, "Sentry has had no event of it since the deploy"),
        (Found(SINCE + 120, (SINCE + 90,)), MET, "none since the deploy"),
        (
            Found(SINCE + 91, (SINCE + 90,), (ISSUE,)),
            MISSED,
            "1 since the deploy: KeyError https://sentry.example.com/",
        ),
        (Found(None, (), (ISSUE,) * (MOST_LISTED + 2)), MISSED, "22 since the deploy: KeyError"),
    ],
)
def test_what_the_verdict_is(found: Found, word: str, says: str) -> None:
    answer = judge(found, ASKED, SINCE)
    assert answer["verdict"] == word
    assert answer["says"].startswith(f"new issue types of {VERSION} in staging: {word} ({says}")
    assert len(answer["issues"]) == len(found.issues)


def test_what_is_said_of_an_issue() -> None:
    (issue,) = judge(Found(None, (), (ISSUE,)), ASKED, SINCE)["issues"]
    assert issue == {
        "id": "API-9",
        "title": "KeyError",
        "level": "error",
        "project": "api",
        "events": 3,
        "first_seen": "2026-11-27T00:00:00Z",
        "url": "https://sentry.example.com/issues/9/",
    }
    many = judge(Found(None, (), (ISSUE,) * (MOST_LISTED + 2)), ASKED, SINCE)
    assert many["says"].endswith("; and 2 more)")


# -- against the stand-in


@pytest.fixture
def services() -> t.Iterator[running.Services]:
    with running.services() as found:
        client = client_for(found, check=False)
        for slug in ("api", "web"):
            client.send("POST", f"/api/0/teams/nexod/{sentry_core.TEAM}/projects/", {"name": slug, "slug": slug})
        found.sentry.log.clear()
        yield found


def client_for(services: running.Services, *, check: bool = True) -> Client:
    scope = {"organization": sentry_core.ORGANIZATION}
    return Client(VENDORS["sentry"], sentry_core.TOKEN, url=services.sentry.url, scope=scope, check=check)


class Clock:
    """On which waiting takes no time; something may happen meanwhile."""

    def __init__(self, happens: t.Callable[[], object] = lambda: None) -> None:
        self.now, self.happens = 0.0, happens

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds
        self.happens()


def ago(seconds: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)


def text(moment: datetime.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("issue", "word"),
    [
        ({}, MISSED),
        ({"project": "web"}, MISSED),
        ({"firstSeen": text(ago(3600))}, MET),
        ({"firstRelease": "api@1.4.1"}, MET),
        ({"environment": "production"}, MET),
        ({"status": "ignored"}, MET),
        ({"status": "resolved"}, MET),
    ],
)
def test_which_issues_count(services: running.Services, issue: dict[str, t.Any], word: str) -> None:
    services.sentry.add_event("api", VERSION, "staging")
    services.sentry.add_event("web", VERSION, "production")
    services.sentry.state["releases"][VERSION]["projects"] = ["api", "web"]
    given = {"firstRelease": VERSION, "environment": "staging", **issue}
    services.sentry.add_issue(given.pop("project", "api"), "ValueError: new", **given)
    asked = {**ASKED, "since": ago(60).timestamp()}
    assert verdict(client_for(services), asked, Clock())["verdict"] == word
    assert services.sentry.writes() == []


def test_only_the_named_projects_count(services: running.Services) -> None:
    services.sentry.add_event("api", VERSION, "staging")
    services.sentry.add_event("web", VERSION, "staging")
    services.sentry.add_issue("web", "ValueError: new", firstRelease=VERSION, environment="staging")
    asked = {**ASKED, "since": ago(60).timestamp()}
    assert verdict(client_for(services), {**asked, "projects": ["api"]}, Clock())["verdict"] == MET
    assert verdict(client_for(services), {**asked, "projects": ["web"]}, Clock())["verdict"] == MISSED


def test_an_environment_without_an_event_is_no_fault(services: running.Services) -> None:
    answer = verdict(client_for(services), {**ASKED, "since": ago(60).timestamp()}, Clock())
    assert answer["verdict"] == UNKNOWN


def test_events_of_another_environment_prove_nothing(services: running.Services) -> None:
    services.sentry.add_event("api", "api@1.4.1", "staging", text(ago(600)))
    services.sentry.add_event("api", VERSION, "production")
    assert verdict(client_for(services), {**ASKED, "since": ago(60).timestamp()}, Clock())["verdict"] == UNKNOWN


def test_by_default_it_looks_back_to_the_recorded_deploy(services: running.Services) -> None:
    assert "no deploy of it is recorded" in verdict(client_for(services), ASKED, Clock())["says"]
    services.sentry.add_event("api", VERSION, "staging", text(ago(200)))
    client = client_for(services, check=False)
    path = "/api/0/organizations/nexod/releases/api%401.4.2/deploys/"
    client.send("POST", path, {"environment": "staging", "dateFinished": text(ago(100))})
    services.sentry.add_issue(
        "api", "ValueError: new", firstRelease=VERSION, environment="staging", firstSeen=text(ago(150))
    )
    assert verdict(client_for(services), ASKED, Clock())["verdict"] == UNKNOWN
    services.sentry.add_event("api", VERSION, "staging", text(ago(20)))
    assert verdict(client_for(services), ASKED, Clock())["verdict"] == MET


def test_it_keeps_looking_until_there_is_one(services: running.Services) -> None:
    services.sentry.add_event("api", VERSION, "staging")
    asked = {**ASKED, "since": ago(60).timestamp(), "wait_seconds": 45}
    quiet = Clock()
    assert verdict(client_for(services), asked, quiet)["verdict"] == MET
    assert quiet.now == 45
    loud = Clock(lambda: services.sentry.add_issue("api", "New", firstRelease=VERSION, environment="staging"))
    assert verdict(client_for(services), asked, loud)["verdict"] == MISSED
    assert loud.now == 10
