# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When each task ran on each host: what the chart of a run is drawn from, kept small."""

from __future__ import annotations

import dataclasses
import typing as t

OK, CHANGED, FAILED, UNREACHABLE = "ok", "changed", "failed", "unreachable"
# A task that changed nothing in less is no more to see than a line's width.
LEAST_SECONDS = 0.05
# Between two tasks of a host Ansible itself needs about this long; a host that waits longer is shown waiting.
GAP_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Span:
    """What one host did from `begun`, counted from the run's start: one task, or several without a change."""

    stage: str
    host: str
    task: str
    begun: float
    seconds: float
    outcome: str
    tasks: int = 1

    @property
    def end(self) -> float:
        return self.begun + self.seconds


class Timeline:
    """Gathers spans while the run lasts. Tasks of several hosts run at the same time, so each is kept by both."""

    def __init__(self, origin: float) -> None:
        self._origin = origin
        self._running: dict[tuple[str, str], float] = {}
        self._spans: list[Span] = []

    def start(self, uuid: str, host: str, now: float) -> None:
        self._running[uuid, host] = now - self._origin

    def end(self, uuid: str, host: str, now: float, *, stage: str, task: str, outcome: str) -> None:
        begun = self._running.pop((uuid, host), now - self._origin)
        self._spans.append(Span(stage, host, task, begun, now - self._origin - begun, outcome))

    def rows(self) -> list[dict[str, t.Any]]:
        """The report's key `timeline`."""
        return [
            {**dataclasses.asdict(span), "begun": round(span.begun, 2), "seconds": round(span.seconds, 2)}
            for span in condensed(self._spans)
        ]


def joins(last: Span, span: Span) -> bool:
    """Whether `span` only goes on with what the same host did in `last`, without a change."""
    same = (last.stage, last.outcome) == (span.stage, span.outcome) == (span.stage, OK)
    return same and span.begun - last.end <= GAP_SECONDS


def joined(group: t.Sequence[Span]) -> Span:
    """A host's spans as one, named after the task that took longest."""
    first, end = group[0], max(span.end for span in group)
    longest = max(group, key=lambda span: span.seconds)
    return dataclasses.replace(first, task=longest.task, seconds=end - first.begun, tasks=len(group))


def condensed(spans: t.Iterable[Span]) -> list[Span]:
    """The spans worth showing, by their beginning: short ones without a change left out, adjacent ones joined."""
    groups: list[list[Span]] = []
    latest: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda one: (one.begun, one.host)):
        if span.outcome == OK and span.seconds < LEAST_SECONDS:
            continue
        group = latest.get(span.host)
        if group and joins(group[-1], span):
            group.append(span)
        else:
            latest[span.host] = [span]
            groups.append(latest[span.host])
    return [joined(group) for group in groups]
