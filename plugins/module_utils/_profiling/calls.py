# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often something was called during a profile: py-spy samples and counts nothing, the application's metrics do."""

from __future__ import annotations

import math
import re
import typing as t

#: What is counted: its name in the plural, the metric, and a regular expression of the labels of what is not.
Counter = t.Mapping[str, t.Any]


def total(counter: Counter, text: str) -> float | None:
    """The sum of the series of a metric in Prometheus's format; None where there is none."""
    values = []
    for labels, value in re.findall(rf"^{re.escape(counter['metric'])}(\{{.*\}})? (\S+)", text, re.MULTILINE):
        if counter.get("except") and re.search(counter["except"], labels):
            continue
        try:
            values.append(float(value))
        except ValueError:
            return None
    return sum(values) if values else None


def counted(counters: t.Sequence[Counter], before: str, after: str) -> dict[str, int]:
    """How much each counter grew. One without series begins at 0; one that fell was started anew, and says nothing."""
    found = {}
    for counter in counters:
        first, last = total(counter, before) or 0.0, total(counter, after)
        if last is not None and math.isfinite(last - first) and last >= first:
            found[str(counter["name"])] = round(last - first)
    return found


def words(calls: t.Mapping[str, int], seconds: float) -> list[str]:
    """The counts in a sentence, those after the first also for each of the first."""
    if not calls:
        return []
    (first, base), *others = calls.items()
    rows = [f"{base} {first} ({base / seconds:.1f} a second)"]
    rows += [f"{count} {name}{f' ({count / base:.1f} for each of them)' if base else ''}" for name, count in others]
    return [f"Calls: {', '.join(rows)}."]
