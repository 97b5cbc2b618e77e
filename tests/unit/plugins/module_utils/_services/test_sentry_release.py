"""A release of Sentry: what is sent for what Sentry has, against tables and against the stand-in."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.sentry_release import (
    Known,
    faults,
    plan,
    release_path,
    released,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.vendors import VENDORS
from ansible_collections.nexod.infra.tests.fixtures.services import running, sentry_core

NOW = 1764201600.0
AT = "2025-11-27T00:00:00.000+00:00"
VERSION = "api@1.4.2"
ASKED: dict[str, t.Any] = {"version": VERSION, "projects": ["api"]}
IN_STAGING = {**ASKED, "environment": "staging"}
COMMITS = [{"id": "b" * 40, "text": "Second", "repository": None}, {"id": "a" * 40}]
IDS = frozenset({"a" * 40, "b" * 40})
REFS = [{"repository": "nexod/facts", "commit": "b" * 40, "previous_commit": None}]
RELEASE = {"version": VERSION, "projects": [{"id": 7, "slug": "api"}], "dateReleased": AT, "ref": None}
OPEN = {**RELEASE, "dateReleased": None}
STAGING, PRODUCTION = ({"id": "1", "environment": name} for name in ("staging", "production"))
CREATE, FINALIZE = f"create release {VERSION}", f"finalize release {VERSION}"
RECORD = f"record the deploy of {VERSION} to staging"


@pytest.mark.parametrize(
    ("known", "asked", "actions"),
    [
        (Known(), ASKED, [CREATE]),
        (Known(), IN_STAGING, [CREATE, RECORD]),
        (Known(RELEASE), ASKED, []),
        (Known(RELEASE), {**ASKED, "projects": ["7"]}, []),
        (Known(OPEN), ASKED, [FINALIZE]),
        (Known(OPEN), {**ASKED, "finalized": False}, []),
        (Known(RELEASE), {**ASKED, "finalized": False}, []),
        (Known(RELEASE), {**ASKED, "projects": ["api", "web"]}, [f"add projects to release {VERSION}"]),
        (Known(RELEASE), IN_STAGING, [RECORD]),
        (Known(RELEASE, deploys=(PRODUCTION,)), IN_STAGING, [RECORD]),
        (Known(RELEASE, deploys=(PRODUCTION, STAGING)), IN_STAGING, []),
        (Known(RELEASE), {**ASKED, "commits": COMMITS}, [f"set the commits of release {VERSION}"]),
        (Known(OPEN), {**ASKED, "commits": COMMITS}, [f"set the commits of and finalize release {VERSION}"]),
        (Known(RELEASE, IDS), {**ASKED, "commits": COMMITS}, []),
        (Known(RELEASE, IDS), {**ASKED, "commits": COMMITS[1:]}, [f"set the commits of release {VERSION}"]),
        (Known(RELEASE), {**ASKED, "refs": REFS}, [f"set the commits of release {VERSION}"]),
        # Sentry has them, or was asked to read them, and may not have done so yet.
        (Known(RELEASE, IDS), {**ASKED, "refs": REFS}, []),
        (Known({**RELEASE, "ref": "b" * 40}), {**ASKED, "refs": REFS}, []),
        (Known({**RELEASE, "ref": "c" * 40}), {**ASKED, "refs": REFS}, [f"set the commits of release {VERSION}"]),
    ],
)
def test_what_is_sent(known: Known, asked: dict[str, t.Any], actions: list[str]) -> None:
    assert [step.action for step in plan(known, asked, NOW)] == actions


def test_the_documents() -> None:
    asked = {**IN_STAGING, "refs": REFS, "began": NOW - 60, "ended": 0.0, "deploy_url": "https://ci.example.com/7"}
    release, deploy = plan(Known(), asked, NOW)
    assert release.document == {
        "version": VERSION,
        "projects": ["api"],
        "refs": [{"repository": "nexod/facts", "commit": "b" * 40}],
        "ref": "b" * 40,
        "dateReleased": AT,
    }
    assert deploy.document == {
        "environment": "staging",
        "projects": ["api"],
        "dateStarted": "2025-11-26T23:59:00.000+00:00",
        "url": "https://ci.example.com/7",
    }
    (changed,) = plan(Known(RELEASE), {**ASKED, "commits": COMMITS}, NOW)
    assert changed.document == {"commits": [{"id": "b" * 40, "message": "Second"}, {"id": "a" * 40}]}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"version": ""}, ["version is ''"]),
        ({"version": "latest"}, ["version is 'latest'"]),
        ({"version": "feature/x"}, ["version is 'feature/x'"]),
        ({"version": "1" * 201}, ["version is '1"]),
        ({"projects": []}, ["projects is empty"]),
        ({"commits": COMMITS, "refs": REFS}, ["commits and refs are both given"]),
        ({"environment": "a/b"}, ["environment is 'a/b'"]),
        ({"environment": "", "projects": []}, ["projects is empty", "environment is ''"]),
        ({}, []),
    ],
)
def test_what_sentry_would_refuse(asked: dict[str, t.Any], says: list[str]) -> None:
    found = faults({**ASKED, **asked})
    assert len(found) == len(says)
    assert all(one.startswith(text) for one, text in zip(found, says, strict=True))


def test_a_version_is_one_part_of_the_path() -> None:
    path = release_path("web@1.0 {x}?")
    assert path.format_map({"organization": "o"}).endswith("/o/releases/web%401.0%20%7Bx%7D%3F/")


# -- against the stand-in


@pytest.fixture
def services() -> t.Iterator[running.Services]:
    with running.services() as found:
        client = client_for(found)
        client.send("POST", f"/api/0/teams/nexod/{sentry_core.TEAM}/projects/", {"name": "api", "slug": "api"})
        found.sentry.log.clear()
        yield found


def client_for(services: running.Services, *, check: bool = False, token: str = sentry_core.TOKEN) -> Client:
    scope = {"organization": sentry_core.ORGANIZATION}
    return Client(VENDORS["sentry"], token, url=services.sentry.url, scope=scope, check=check)


ALL = {**IN_STAGING, "commits": COMMITS}


def test_predicted_made_and_left_alone(services: running.Services) -> None:
    predicted = released(client_for(services, check=True), ALL, NOW)
    assert predicted["changed"]
    assert services.sentry.writes() == []
    assert released(client_for(services), ALL, NOW)["steps"] == predicted["steps"]
    made = services.sentry.state["releases"][VERSION]
    assert [one["id"] for one in made["commits"]] == [one["id"] for one in COMMITS]
    assert made["fields"]["dateReleased"] == AT
    assert [one["environment"] for one in made["deploys"]] == ["staging"]
    services.sentry.log.clear()
    assert released(client_for(services), ALL, NOW)["steps"] == []
    assert services.sentry.writes() == []
    assert len(services.sentry.calls()) == 3
    assert released(client_for(services), {**ALL, "environment": "production"}, NOW)["changed"]
    assert [one["environment"] for one in made["deploys"]] == ["staging", "production"]


def test_refs_are_sent_once(services: running.Services) -> None:
    asked = {**ASKED, "refs": REFS}
    assert released(client_for(services), asked, NOW)["changed"]
    # Sentry answers before it has read the commits.
    services.sentry.state["releases"][VERSION]["commits"].clear()
    assert not released(client_for(services), asked, NOW)["changed"]


def test_a_deploy_is_found_on_a_later_page(services: running.Services) -> None:
    released(client_for(services), IN_STAGING, NOW)
    for number in range(5):
        released(client_for(services), {**ASKED, "environment": f"preview-{number}"}, NOW)
    services.sentry.page = 2
    assert not released(client_for(services), IN_STAGING, NOW)["changed"]


@pytest.mark.parametrize("fault", [{"lost": True}, {"cut": True}, {"status": 503}])
@pytest.mark.parametrize("operation", ["create_release", "create_deploy"])
def test_nothing_is_made_twice_after_a_lost_answer(
    services: running.Services, operation: str, fault: dict[str, t.Any]
) -> None:
    services.sentry.order(operation, **fault)
    with pytest.raises(InfraError, match="Whether it was done is unknown"):
        released(client_for(services), ALL, NOW)
    released(client_for(services), ALL, NOW)
    made = services.sentry.state["releases"]
    assert list(made) == [VERSION]
    assert len(made[VERSION]["deploys"]) == 1
    assert not released(client_for(services), ALL, NOW)["changed"]


@pytest.mark.parametrize(
    ("token", "asked", "says"),
    [
        ("sntryu_wrong", ASKED, "HTTP 401"),
        (sentry_core.TOKEN_OF_ANOTHER, ASKED, "HTTP 403"),
        (sentry_core.TOKEN_READ_ONLY, ASKED, "HTTP 403"),
        (sentry_core.TOKEN, {**ASKED, "projects": ["gone"]}, "Invalid project ids or slugs"),
        (sentry_core.TOKEN, {**ASKED, "refs": [{**REFS[0], "repository": "x/y"}]}, "following repositories: x/y"),
    ],
)
def test_refusals(services: running.Services, token: str, asked: dict[str, t.Any], says: str) -> None:
    with pytest.raises(InfraError, match=says) as refused:
        released(client_for(services, token=token), asked, NOW)
    assert token not in str(refused.value)
