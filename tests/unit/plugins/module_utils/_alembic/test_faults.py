from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import faults


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (252, "4 min 12 s"), (7500, "2 h 5 min")])
def test_lasted(seconds: int, text: str) -> None:
    assert faults.elapsed(seconds) == text
