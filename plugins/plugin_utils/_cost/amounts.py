# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts of which the least, the expected and the most are known, and the rows of an estimate made of them."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._cost.prices import DOUBT, Price, Prices


class Span(t.NamedTuple):
    """The least, the expected and the most of something."""

    least: float
    expected: float
    most: float

    def times(self, factor: float) -> Span:
        return Span(self.least * factor, self.expected * factor, self.most * factor)

    def plus(self, other: Span) -> Span:
        return Span(self.least + other.least, self.expected + other.expected, self.most + other.most)

    def rounded(self) -> dict[str, float]:
        """In dollars and cents, as a module returns it."""
        return {name: round(value, 2) for name, value in zip(("min", "expected", "max"), self, strict=True)}


NOTHING: t.Final = Span(0, 0, 0)


def exactly(amount: float) -> Span:
    """What is declared, and does not depend on use."""
    return Span(amount, amount, amount)


def about(amount: float, spread: float) -> Span:
    """What depends on use, as much as the inventory assumes."""
    return Span(amount * (1 - spread), amount, amount * (1 + spread))


class Part(t.NamedTuple):
    """A quantity of something that has a price."""

    what: str
    sku: str
    quantity: Span


class Row(t.NamedTuple):
    """A line of the estimate. `group`: what the stated figures call it."""

    name: str
    group: str
    parts: tuple[Part, ...]
    assumes: str = ""


def cost_of(part: Part, price: Price) -> Span:
    """A price that no page confirms makes the estimate wider."""
    doubt = 0.0 if price.verified else DOUBT
    least, expected, most = part.quantity.times(price.usd)
    return Span(least * (1 - doubt), expected, most * (1 + doubt))


def priced(row: Row, prices: Prices) -> tuple[Span, dict[str, t.Any]]:
    """What a row costs, and the row with its computation as a module returns it."""
    total, lines = NOTHING, []
    for part in row.parts:
        price = prices.of(part.sku)
        usd = cost_of(part, price)
        total = total.plus(usd)
        lines.append(
            {
                "what": part.what,
                "sku": part.sku,
                "quantity": {name: round(value, 3) for name, value in part.quantity._asdict().items()},
                "unit": price.unit,
                "price_usd": price.usd,
                "computation": f"{part.quantity.expected:,.10g} x {price.usd:g} USD per {price.unit}",
                "source": price.source,
                "verified": price.verified,
                "usd": usd.rounded(),
            }
        )
    return total, {"name": row.name, "group": row.group, "assumes": row.assumes, "usd": total.rounded(), "parts": lines}
