# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that the page of a run is built of: numbers, badges, links, sections and tables."""

from __future__ import annotations

import datetime
import re
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.plugin_utils._report.markup import Child, Markup, clean, el

Facts = t.Mapping[str, t.Any]

SIGNS = {"ok": "✓", "bad": "✕", "plan": "◇", "muted": "?"}


def number(value: t.Any) -> float:
    """A number from a stage's facts, which can be anything; 0 for what is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def count(many: int, one: str, more: str = "") -> str:
    return f"{many} {one if many == 1 else more or one + 's'}"


def moment(text: str) -> str:
    """An ISO 8601 time in a readable form, in UTC; anything else unchanged."""
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = when.astimezone(datetime.UTC) if when.tzinfo else when
    return f"{zone:%Y-%m-%d %H:%M:%S}" + (" UTC" if when.tzinfo else "")


def badge(kind: str, text: str) -> Markup:
    return el("span", {"class": f"badge {kind}"}, f"{SIGNS[kind]} " if kind in SIGNS else "", text)


def link(name: str, url: str) -> Markup:
    """A link if `url` is an http or https address; anything else (``javascript:``) stays text."""
    try:
        parts = urllib.parse.urlsplit(clean(url).strip())
        good = parts.scheme in ("http", "https") and bool(parts.netloc)
    except ValueError:
        good = False
    address = el("a", {"href": clean(url).strip(), "rel": "noreferrer"}, url) if good else el("span", None, url)
    return el("div", None, el("dt", None, name), el("dd", None, address))


def ticked(text: str) -> list[Child]:
    """Text in which words in backticks become code."""
    parts = re.split(r"`([^`\n]+)`", text)
    return [el("code", None, part) if index % 2 else part for index, part in enumerate(parts)]


def section(title: str, *children: Child, kind: str | None = None) -> Markup:
    return el("section", {"class": kind}, el("h2", None, title), *children)


def table(heads: t.Sequence[str], rows: t.Iterable[t.Sequence[Child]], label: str, kind: str = "") -> Markup:
    """A table that becomes a list of cards on a phone. The ARIA roles keep it a table for screen readers."""

    def line(cells: t.Sequence[Child]) -> Markup:
        first = el("th", {"role": "rowheader", "scope": "row"}, cells[0])
        rest = [
            el("td", {"role": "cell", "data-label": head}, el("div", None, cell))
            for head, cell in zip(heads[1:], cells[1:], strict=True)
        ]
        return el("tr", {"role": "row"}, first, rest)

    top = [el("th", {"role": "columnheader", "scope": "col"}, head) for head in heads]
    return el(
        "table",
        {"class": f"stack {kind}".strip(), "role": "table", "aria-label": label},
        el("thead", {"role": "rowgroup"}, el("tr", {"role": "row"}, top)),
        el("tbody", {"role": "rowgroup"}, [line(row) for row in rows]),
    )


def task_of(row: Facts) -> str:
    """A task's name without the collection's; for several tasks, the longest one and how many more there are."""
    more = int(number(row.get("tasks")) or 1) - 1
    return str(row.get("task") or "").removeprefix("nexod.infra.") + (f" and {more} more" if more > 0 else "")
