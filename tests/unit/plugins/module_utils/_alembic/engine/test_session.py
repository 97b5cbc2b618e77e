from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine import session


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        pytest.param([10], [], False, id="direct"),
        pytest.param([77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77], [88] * 5, False, id="pooled by session"),
        pytest.param([77, 77], [77], True, id="both meet one process"),
        pytest.param([77, 77, 78], [79], True, id="one meets two processes"),
    ],
)
def test_pooling_is_told_apart(first: list[int], second: list[int], shared: bool) -> None:
    class Fake:
        def __init__(self, answers: list[int]) -> None:
            self.answers = list(answers)

        def value(self, _sql: str) -> int:
            return self.answers.pop(0)

        def startup_pid(self) -> int:
            return 10

        def execute(self, _sql: str) -> None:
            pass

    assert session.pooled_by_transaction(t.cast("t.Any", Fake(first)), t.cast("t.Any", Fake(second))) is shared
