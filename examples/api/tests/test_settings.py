"""What the process takes from its environment, as the release on a host reads it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Release

SHOWN = """
import json, sys
from nexod_api.settings import Settings
found = Settings.read(json.loads(sys.argv[1]))
print(json.dumps({name: getattr(found, name) for name in sys.argv[2:]}))
"""


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, {"sentry_dsn": "", "environment": "development"}),
        (
            {
                "API_ENVIRONMENT": "lab",
                "SENTRY_DSN": "https://key@sentry.example.com/1",
                "SENTRY_ENVIRONMENT": "staging",
                "SENTRY_RELEASE": "api@1.4.2",
                "SENTRY_TRACES_SAMPLE_RATE": "0.5",
                "SENTRY_PROFILES_SAMPLE_RATE": "0",
            },
            {
                "sentry_dsn": "https://key@sentry.example.com/1",
                "environment": "staging",
                "sentry_release": "api@1.4.2",
                "sentry_traces_sample_rate": 0.5,
                "sentry_profiles_sample_rate": 0.0,
            },
        ),
    ],
)
def test_what_is_read(new: Release, environment: dict[str, str], found: dict[str, Any]) -> None:
    argv = [new.venv / "bin" / "python", "-c", SHOWN, json.dumps(environment), *found]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == found
