# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an application's histograms have the buckets that the latency table needs. Pure functions."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.exposition import histogram, selected
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.rules import is_histogram, number, percentile

Facts = t.Mapping[str, t.Any]

COMPLETE, MISSING, UNKNOWN, NOT_CHECKED = "complete", "missing", "unknown", "not checked"


@dataclasses.dataclass(frozen=True)
class Row:
    """What a row of the latency table needs of a histogram, and what of it is missing."""

    metric: str
    quantile: float
    histogram: str
    result: str
    needed: list[float]
    missing: list[float]
    says: str
    fix: str


def close(left: float, right: float) -> bool:
    """Whether two boundaries are the same one, however they were written or computed."""
    return math.isclose(left, right, rel_tol=1e-9)


def has(boundaries: t.Iterable[float], wanted: float) -> bool:
    return any(close(boundary, wanted) for boundary in boundaries)


def next_above(value: float) -> float:
    """The next usual boundary above a value: of 1, 2.5 and 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2.5, 5, 10, 25) if step * power > value and not close(step * power, value))


def highest(rows: t.Sequence[Facts], metric: str) -> float:
    """The highest target or alert threshold of all rows of a metric."""
    own = [row for row in rows if row["metric"] == metric]
    return max(float(row[key]) for row in own for key in ("target_seconds", "alert_seconds") if row.get(key))


def wanted(row: Facts) -> list[float]:
    """The boundaries that a row compares with."""
    return sorted({float(row[key]) for key in ("target_seconds", "alert_seconds") if row.get(key)})


def listed(values: t.Iterable[float]) -> str:
    return ", ".join(number(value) for value in values)


def unmeasured(row: Facts, source: Facts | None) -> Row:
    """A row that no histogram answers."""
    because = "nothing measures it" if source is None else "its source is no histogram"
    name = f"{row['metric']} {percentile(row['quantile'])}"
    return Row(str(row["metric"]), row["quantile"], "", NOT_CHECKED, [], [], f"{name}: {because}", "")


def check(row: Facts, source: Facts, page: str, top: float) -> Row:
    """One row against a page of metrics. `top` is the highest threshold of the metric; a bucket must end above it."""
    name, needed = source["histogram"], wanted(row)
    found = histogram(page, name)
    sets = selected(found, source.get("matchers", ""))
    shown = f"{row['metric']} {percentile(row['quantile'])}"

    def result(kind: str, missing: list[float], because: str, fix: str) -> Row:
        return Row(str(row["metric"]), row["quantile"], name, kind, needed, missing, f"{shown}: {because}", fix)

    if not sets and (found.declared or found.buckets):
        return result(UNKNOWN, [], f"{name} has not measured anything yet", "")
    if not sets:
        fix = f"Export the histogram {name}, with a bucket that ends at each of {listed(needed)} s"
        return result(MISSING, needed, f"there is no histogram {name}", fix)
    if not any(sets.values()):
        why = "is a native histogram" if found.native else "has no buckets"
        fix = f"Export {name} with classic buckets, also beside native ones: {listed([*needed, next_above(top)])}"
        return result(MISSING, [*needed, next_above(top)], f"{name} {why}", fix)
    missing = [value for value in needed if any(not has(finite, value) for finite in sets.values())]
    blind = any(all(value < top or close(value, top) for value in finite) for finite in sets.values())
    missing += [next_above(top)] if blind else []
    if not missing:
        return result(COMPLETE, [], f"{name} has a bucket that ends at each of {listed(needed)} s, and one above", "")
    every = sorted({value for finite in sets.values() for value in finite})
    every = sorted([*every, *(value for value in missing if not has(every, value))])
    lacking = sum(any(not has(finite, value) for value in missing) for finite in sets.values())
    where = "" if lacking == len(sets) else f" in {lacking} of {len(sets)} label sets"
    because = f"{name} has no bucket that ends at {listed(missing)} s{where}"
    return result(MISSING, missing, because, f"Give {name} the buckets {listed(every)}")


def rows(targets: t.Sequence[Facts], sources: t.Mapping[str, Facts], page: str | None) -> list[Row]:
    """Every row of the table. Without a page, those of histograms are unknown."""
    found = []
    for row in targets:
        source = sources.get(row["metric"])
        if source is None or not is_histogram(source):
            found.append(unmeasured(row, source))
        elif page is None:
            name = f"{row['metric']} {percentile(row['quantile'])}"
            says = f"{name}: the metrics could not be read"
            found.append(
                Row(str(row["metric"]), row["quantile"], source["histogram"], UNKNOWN, wanted(row), [], says, "")
            )
        else:
            found.append(check(row, source, page, highest(targets, row["metric"])))
    return found
