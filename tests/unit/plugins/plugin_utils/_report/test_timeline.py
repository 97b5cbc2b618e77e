"""What of a run's tasks stays in the time line."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._report.timeline import Span, Timeline, condensed


def span(begun: float, seconds: float, outcome: str = "ok", **more: str) -> Span:
    facts = {"stage": "backend", "host": "api-1", "task": f"at {begun:g}", **more}
    return Span(**facts, begun=begun, seconds=seconds, outcome=outcome)


@pytest.mark.parametrize(
    ("spans", "kept"),
    [
        pytest.param([span(0, 0.04)], [], id="short, nothing changed"),
        pytest.param([span(0, 0.04, "changed")], [(0, 0.04, "at 0", 1)], id="short, but a change"),
        pytest.param([span(0, 0.01, "failed")], [(0, 0.01, "at 0", 1)], id="short, but failed"),
        pytest.param([span(0, 1), span(1.2, 3), span(4.3, 0.7)], [(0, 5.0, "at 1.2", 3)], id="adjacent: one"),
        pytest.param([span(0, 1), span(1.6, 1)], [(0, 1, "at 0", 1), (1.6, 1, "at 1.6", 1)], id="it waited between"),
        pytest.param(
            [span(0, 1), span(1, 1, "changed"), span(2, 1)],
            [(0, 1, "at 0", 1), (1, 1, "at 1", 1), (2, 1, "at 2", 1)],
            id="a change between",
        ),
        pytest.param([span(0, 1), span(1, 1, stage="caches")], [(0, 1, "at 0", 1), (1, 1, "at 1", 1)], id="stages"),
        pytest.param(
            [span(0, 1), span(0.5, 1, host="api-2"), span(1, 1), span(1.5, 1, host="api-2")],
            [(0, 2, "at 0", 2), (0.5, 2.0, "at 0.5", 2)],
            id="hosts at the same time",
        ),
        pytest.param([span(2, 1, "changed"), span(0, 1)], [(0, 1, "at 0", 1), (2, 1, "at 2", 1)], id="by beginning"),
    ],
)
def test_condensed(spans: list[Span], kept: list[tuple[float, float, str, int]]) -> None:
    assert [(one.begun, one.seconds, one.task, one.tasks) for one in condensed(spans)] == kept


def test_the_same_task_runs_on_two_hosts_at_once() -> None:
    line = Timeline(100.0)
    line.start("uuid", "b", 101.0)
    line.start("uuid", "a", 101.5)
    line.end("uuid", "a", 102.004, stage="migrate", task="x", outcome="changed")
    line.end("uuid", "b", 104.0, stage="migrate", task="x", outcome="unreachable")
    line.start("skipped", "a", 105.0)
    same = {"stage": "migrate", "task": "x", "tasks": 1}
    assert line.rows() == [
        {**same, "host": "b", "begun": 1.0, "seconds": 3.0, "outcome": "unreachable"},
        {**same, "host": "a", "begun": 1.5, "seconds": 0.5, "outcome": "changed"},
    ]
