"""What the tests of several subjects can use."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core import transient
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result


@pytest.fixture
def systemd_calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands with which transient timers are started and ended; none of them is run."""
    made: list[list[str]] = []

    def run(argv: t.Sequence[str]) -> Result:
        made.append([*argv])
        return Result(0, "", "")

    monkeypatch.setattr(transient, "run", run)
    return made
