"""What the tests of all subjects can use."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import running


@pytest.fixture
def services() -> t.Iterator[running.Services]:
    """Stand-ins for the vendors: `services.sentry` and so on; each starts when it is first asked for.

    At the end, the test fails if one of them broke its own schema or was asked for what it does not declare.
    """
    with running.services() as found:
        yield found
