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
