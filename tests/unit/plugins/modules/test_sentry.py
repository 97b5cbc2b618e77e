"""The modules of Sentry as Ansible runs them, against the stand-in."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import running, sentry_core
from ansible_collections.nexod.infra.tests.fixtures.services.client import ask

Run = t.Callable[..., dict[str, t.Any]]
VERSION = "api@1.4.2"


@pytest.fixture
def account() -> t.Iterator[dict[str, t.Any]]:
    with running.services() as services:
        url = services.sentry.url
        path = f"/api/0/teams/{sentry_core.ORGANIZATION}/{sentry_core.TEAM}/projects/"
        assert ask(url + path, "POST", {"name": "api"}, sentry_core.TOKEN).status == 201
        yield {"token": sentry_core.TOKEN, "organization": sentry_core.ORGANIZATION, "url": url}


def test_a_release_warns_or_fails(account: dict[str, t.Any], run_module: Run) -> None:
    asked = {**account, "version": VERSION, "projects": ["api"]}
    refused = run_module("sentry_release", {**asked, "token": "canary-token"})
    assert refused["failed"]
    assert refused["error"]["cause"].startswith("HTTP 401")
    warned = run_module("sentry_release", {**asked, "token": "canary-token", "strict": False})
    assert not warned.get("failed")
    assert warned["warnings"] == [warned["problem"]]
    assert "HTTP 401" in warned["problem"]
    assert "canary-token" not in str([refused, warned])
    planned = run_module("sentry_release", asked, check_mode=True)
    done = run_module("sentry_release", asked)
    assert (done["changed"], done["problem"]) == (True, "")
    assert done["steps"] == planned["steps"] == [f"create release {VERSION}"]
    assert not run_module("sentry_release", asked)["changed"]


@pytest.mark.parametrize(
    ("token", "check", "says"),
    [
        (sentry_core.TOKEN, False, "no event of it since the deploy"),
        (sentry_core.TOKEN, True, "check mode deploys nothing"),
        ("canary-token", False, "Sentry can't be asked: HTTP 401: Invalid token"),
        ("", False, "Sentry can't be asked: SENTRY_AUTH_TOKEN is empty"),
    ],
)
def test_a_verdict_that_nothing_is_known_for(
    account: dict[str, t.Any], run_module: Run, token: str, check: bool, says: str
) -> None:
    asked = {**account, "token": token, "version": VERSION, "environment": "staging", "since": 1.0}
    found = run_module("sentry_verdict", asked, check_mode=check)
    assert (found["verdict"], found["changed"]) == ("not enough data", False)
    assert says in found["says"]
    assert "canary-token" not in str(found)
