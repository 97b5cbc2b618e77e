# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prices: a dated file in which each has its source. What the file lacks is an error, and never costs nothing."""

from __future__ import annotations

import datetime
import math
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ACTION = "estimate the cost with"
REFRESH = (
    "Look the prices up again, and set `dated` to the day (docs/cost.md), or name another file (cost_prices_file)."
)
#: By how much a price that no page confirms may be wrong.
DOUBT = 0.1


class Price(t.NamedTuple):
    """What one unit costs."""

    sku: str
    usd: float
    unit: str
    source: str
    verified: bool


class Discount(t.NamedTuple):
    """The share of a price that is saved."""

    share: float
    source: str


class Prices:
    """The contents of a file of prices."""

    def __init__(
        self, path: str, document: t.Mapping[str, t.Any], dated: datetime.date, oldest: datetime.date | None = None
    ) -> None:
        self.path = path
        self.dated = dated
        self._oldest = oldest or datetime.date.min
        self.region = str(document.get("region") or "")
        self._sources: dict[str, str] = dict(document.get("sources") or {})
        self._prices: dict[str, t.Any] = dict(document.get("prices") or {})
        self._discounts: dict[str, t.Any] = dict(document.get("discounts") or {})

    def __contains__(self, sku: str) -> bool:
        return sku in self._prices

    def of(self, sku: str) -> Price:
        """The price, or an error that names what the file lacks."""
        row = self._row(self._prices, sku, "price")
        self._refuse_old(row, sku)
        usd = self._number(row.get("usd"), f"the price of {sku}")
        return Price(sku, usd, str(row.get("unit") or ""), self._source(row, sku), row.get("verified") is True)

    def discount(self, name: str) -> Discount:
        row = self._row(self._discounts, name, "discount")
        return Discount(self._number(row.get("share"), f"the discount {name}", 1.0), self._source(row, name))

    def _row(self, rows: t.Mapping[str, t.Any], name: str, kind: str) -> dict[str, t.Any]:
        row = rows.get(name)
        if isinstance(row, dict):
            return row
        fix = f"Add it to the file with its source, or correct the option of the inventory that asks for {name}."
        raise InfraError(ACTION, f'"{self.path}"', f"it has no {kind} {name}, and what is unknown is not free", fix)

    def _refuse_old(self, row: t.Mapping[str, t.Any], sku: str) -> None:
        """A price may have a day of its own, which says more than that of the file."""
        if "dated" not in row:
            return
        dated = day_of(row["dated"])
        if dated is None or dated < self._oldest:
            cause = f"{sku} is dated {row['dated']}, and prices are good from {self._oldest} on"
            fix = "Look it up again, and set its `dated` to the day, or remove that if the day of the file is its own."
            raise InfraError(ACTION, f'"{self.path}"', cause, fix)

    def _number(self, value: t.Any, what: str, most: float = math.inf) -> float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
        if not good or not math.isfinite(value):
            raise InfraError(ACTION, f'"{self.path}"', f"{what} is {value!r}", "Set it to a number that is at least 0.")
        return float(value)

    def _source(self, row: t.Mapping[str, t.Any], name: str) -> str:
        source = str(row.get("source") or "")
        if source not in self._sources:
            fix = "Name one of the file's `sources`, so that the price can be looked up again."
            raise InfraError(ACTION, f'"{self.path}"', f"{name} has the source {source!r}, which is not listed", fix)
        return self._sources[source]


def day_of(value: t.Any) -> datetime.date | None:
    """A day as YAML reads it, or as a text; None for anything else, and for a time."""
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime) else None


def prices_of(path: str, document: t.Any, today: datetime.date, max_age_days: int) -> Prices:
    """The prices in `document`, read from `path`. Old ones are refused: an estimate of last year is none."""
    if not isinstance(document, dict):
        raise InfraError(ACTION, f'"{path}"', "it holds no mapping", "Write it as docs/cost.md describes.")
    dated = day_of(document.get("dated"))
    if dated is None:
        cause = f"its date is {document.get('dated')!r}"
        raise InfraError(ACTION, f'"{path}"', cause, "Set `dated` to the day on which they were looked up: 2026-11-27.")
    age = (today - dated).days
    if age < 0:
        raise InfraError(ACTION, f'"{path}"', f"it is dated {dated}, which is yet to come", "Correct `dated`.")
    if age > max_age_days:
        cause = f"it is dated {dated}, {age} days ago, and prices are good for {max_age_days} days"
        raise InfraError(ACTION, f'"{path}"', cause, REFRESH)
    return Prices(path, document, dated, today - datetime.timedelta(days=max_age_days))
