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
