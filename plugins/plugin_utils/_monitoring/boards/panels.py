# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards as data: a board has sections, a section has panels, a panel has queries.

An expression names the scrape job of each selector in angle brackets: ``up{<api>}`` becomes the matchers of the job
and of the dashboard's variables, ``<rate>`` Grafana's interval for rates. So a query says by itself which job it needs,
and is left out where the inventory lacks it. ``<version>`` is the metric whose label says which version runs.
"""

from __future__ import annotations

import re
import typing as t

TOKEN = re.compile(r"<([a-z_]+)>")
RATE = "$__rate_interval"
#: With the version metric, a series of an instance gets the version that the instance runs.
OF_VERSION = "* on (environment, instance) group_left (version) max by (environment, instance, version) (<version>)"


class Query(t.NamedTuple):
    """A PromQL expression and the legend of its lines. `needs` are jobs that it names without a token."""

    expression: str
    legend: str
    needs: frozenset[str] = frozenset()


class Line(t.NamedTuple):
    """A horizontal line across a panel: its value and its color."""

    value: float
    color: str


class Panel(t.NamedTuple):
    """A time series panel. `needs` names what it needs beyond the jobs of its expressions, such as a replica."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    lines: tuple[Line, ...] = ()
    needs: frozenset[str] = frozenset()


class Section(t.NamedTuple):
    """Panels below one heading."""

    title: str
    panels: tuple[Panel, ...]


class Board(t.NamedTuple):
    """A dashboard. `jobs` are the scrape jobs whose instances its variable selects from."""

    name: str
    title: str
    description: str
    jobs: tuple[str, ...]
    sections: tuple[Section, ...]


class Scope(t.NamedTuple):
    """What an environment has: its scrape jobs and other sources (None: all of them), and its version metric."""

    sources: frozenset[str] | None = None
    version_metric: str = ""

    def has(self, names: t.Iterable[str]) -> bool:
        """Whether all of them are there."""
        wanted = set(names) - {"rate"}
        if "version" in wanted and not self.version_metric:
            return False
        return self.sources is None or wanted - {"version"} <= self.sources


def needed(expression: str) -> set[str]:
    """The jobs that an expression names."""
    return set(TOKEN.findall(expression))


def matchers(job: str, selected: t.Container[str]) -> str:
    """The labels of a job's series. Where the environment's label is missing, `.*` matches that too."""
    found = f'job="{job}", environment=~"$environment"'
    return f'{found}, instance=~"$instance"' if job in selected else found


def filled(expression: str, board: Board, scope: Scope) -> str:
    """The expression with its tokens replaced."""

    def replacement(found: re.Match[str]) -> str:
        if found[1] == "rate":
            return RATE
        if found[1] == "version":
            return f"{scope.version_metric}{{{matchers('api', board.jobs)}}}"
        return matchers(found[1], board.jobs)

    return TOKEN.sub(replacement, expression)


def within_scope(board: Board, scope: Scope) -> Board:
    """The board without the queries, panels and sections whose source is not there."""
    sections = []
    for section in board.sections:
        panels = []
        for panel in section.panels:
            queries = tuple(
                Query(filled(query.expression, board, scope), query.legend)
                for query in panel.queries
                if scope.has(needed(query.expression) | query.needs | panel.needs)
            )
            if queries:
                panels.append(panel._replace(queries=queries))
        if panels:
            sections.append(Section(section.title, tuple(panels)))
    return board._replace(sections=tuple(sections))
