"""What the vendors refuse, among the problems of preflight."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.services import judge_services

ERROR = {
    "action": "find",
    "object": "sentry_integration/slack",
    "cause": "Sentry has none.",
    "next_step": "Install it.",
}


@pytest.mark.parametrize(
    ("found", "problems"),
    [
        pytest.param({}, [], id="nobody was asked"),
        pytest.param({"skipped": True}, [], id="nothing is declared"),
        pytest.param({"changes": [], "outputs": {}}, [], id="nothing is refused"),
        pytest.param({"error": ERROR}, ["sentry_integration/slack can't be used: Sentry has none"], id="one"),
        pytest.param(
            {"error": {**ERROR, "object": "all"}, "problems": [ERROR, {**ERROR, "object": "vercel_project/app"}]},
            [
                "sentry_integration/slack can't be used: Sentry has none",
                "vercel_project/app can't be used: Sentry has none",
            ],
            id="each of several",
        ),
    ],
)
def test_what_is_reported(found: dict[str, t.Any], problems: list[str]) -> None:
    assert [f"{one.subject} {one.cause}" for one in judge_services(found)] == problems


@pytest.mark.parametrize(
    ("error", "variable"),
    [
        ({"object": 'the organization "nexod"'}, "services_sentry_organization"),
        (
            {"object": "GET /api/0/organizations/nexod/projects/ of Sentry", "cause": "HTTP 403: No."},
            "services_sentry_organization",
        ),
        ({"object": 'the team "platform"'}, "services_sentry_team"),
        ({"object": "sentry_integration/slack"}, "services_sentry_slack.integration"),
        ({"object": "sentry_integration/pagerduty"}, "services_sentry_pagerduty.integration"),
        (
            {
                "object": "GET /v9/projects/app of Vercel",
                "cause": 'HTTP 403: Not authorized: Trying to access resource under scope "team_1".',
            },
            "services_vercel_team",
        ),
        ({"object": "GET /v9/projects/app of Vercel", "cause": "HTTP 402"}, ""),
        ({"object": "vercel_domain/a.example"}, ""),
        ({"object": "the issuer of Clerk's tokens https://clerk.example.com"}, "infra_clerk_issuer"),
    ],
)
def test_the_variable_of_a_value_that_the_vendor_does_not_know(error: dict[str, str], variable: str) -> None:
    (fault,) = judge_services({"error": {**ERROR, **error}})
    named = f"Install it. The variable is {variable}." if variable else "Install it."
    assert fault.next_step == named
