"""What the process takes from its environment."""

from __future__ import annotations

from nexod_api.settings import Settings


def test_without_sentry() -> None:
    found = Settings.read({})
    assert found.sentry_dsn == ""
    assert found.environment == "development"


def test_sentry_as_a_deploy_sets_it_up() -> None:
    found = Settings.read(
        {
            "API_ENVIRONMENT": "lab",
            "SENTRY_DSN": "https://key@sentry.example.com/1",
            "SENTRY_ENVIRONMENT": "staging",
            "SENTRY_RELEASE": "api@1.4.2",
            "SENTRY_TRACES_SAMPLE_RATE": "0.5",
            "SENTRY_PROFILES_SAMPLE_RATE": "0",
        }
    )
    assert found.sentry_dsn == "https://key@sentry.example.com/1"
    assert (found.environment, found.sentry_release) == ("staging", "api@1.4.2")
    assert (found.sentry_traces_sample_rate, found.sentry_profiles_sample_rate) == (0.5, 0.0)
