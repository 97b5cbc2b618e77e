# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus's text format and OpenMetrics, as far as it takes to know a histogram's buckets. Pure functions."""

from __future__ import annotations

import math
import re
import typing as t

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})\s*(?:\{{((?:[^\"}}]|\"(?:[^\"\\]|\\.)*\")*)\}})?\s+(\S.*)")
LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*\"((?:[^\"\\]|\\.)*)\"")
TYPE = re.compile(rf"#\s*TYPE\s+({NAME})\s+(\w+)")
MATCHER = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*\"((?:[^\"\\]|\\.)*)\"")
ESCAPED = re.compile(r"\\(.)")

Labels = dict[str, str]


class Histogram(t.NamedTuple):
    """A histogram as a page shows it: the finite boundaries of each label set, by the labels without `le`.

    `declared` where the page names its type, `native` where it has samples whose buckets are not written out.
    """

    declared: bool
    native: bool
    buckets: dict[tuple[tuple[str, str], ...], frozenset[float]]


def unescaped(text: str) -> str:
    """A label's value, or a matcher's, as it is meant."""
    return ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)


def labels_of(text: str) -> Labels:
    """The labels between the braces of a sample."""
    return {name: unescaped(value) for name, value in LABEL.findall(text)}


def histogram(page: str, name: str) -> Histogram:
    """What a page of metrics shows of one histogram."""
    declared = native = False
    found: dict[tuple[tuple[str, str], ...], set[float]] = {}
    for line in page.splitlines():
        if line.startswith("#"):
            kind = TYPE.match(line)
            declared = declared or bool(kind and kind[1] == name)
            continue
        if not line.startswith(name):
            continue
        sample = SAMPLE.match(line)
        if not sample or sample[1] not in (name, f"{name}_bucket", f"{name}_count"):
            continue
        labels = labels_of(sample[2] or "")
        # OpenMetrics 2 writes a native histogram as one sample with a value in braces.
        native = native or (sample[1] == name and sample[3].startswith("{"))
        boundary = labels.pop("le", "")
        finite = found.setdefault(tuple(sorted(labels.items())), set())
        if sample[1] == f"{name}_bucket" and (value := number(boundary)) is not None:
            finite.add(value)
    return Histogram(declared, native, {labels: frozenset(finite) for labels, finite in found.items()})


def number(boundary: str) -> float | None:
    """A boundary as a number: 1 and 1.0 are the same one. None for the last bucket, and for what is no number."""
    try:
        value = float(boundary)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def matches(pattern: str, value: str) -> bool:
    """As Prometheus matches; what only its own engine understands matches nothing."""
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return False


def selects(matchers: str, labels: Labels, known: t.Container[str]) -> bool:
    """Whether matchers select a label set. Labels that the page does not have, such as job, are added by a scrape."""
    for label, operator, value in MATCHER.findall(matchers):
        if label not in known:
            continue
        own, wanted = labels.get(label, ""), unescaped(value)
        matched = matches(wanted, own) if "~" in operator else own == wanted
        if matched == operator.startswith("!"):
            return False
    return True


def selected(found: Histogram, matchers: str) -> dict[tuple[tuple[str, str], ...], frozenset[float]]:
    """The label sets of a histogram that matchers select."""
    known = {label for labels in found.buckets for label, _value in labels}
    return {labels: finite for labels, finite in found.buckets.items() if selects(matchers, dict(labels), known)}
