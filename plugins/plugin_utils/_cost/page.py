# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate as a page: self-contained, without scripts, readable on a phone; charts are SVG in the page."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._report.document import document
from ansible_collections.nexod.infra.plugins.plugin_utils._report.markup import Child, Markup, el
from ansible_collections.nexod.infra.plugins.plugin_utils._report.parts import Facts, badge, number, section, table

WIDTH, BAR = 300.0, 10.0


def dollars(value: t.Any) -> str:
    return "not known" if value is None else f"{number(value):,.2f}"


def signed(value: t.Any) -> str:
    return "" if value is None else f"{number(value):+,.2f}"


def _span(usd: Facts) -> str:
    return f"{dollars(usd.get('min'))} to {dollars(usd.get('max'))}"


def _money(text: str) -> Markup:
    return el("span", {"class": "num"}, text)


def _head(found: Facts) -> Markup:
    total = found["total"]
    return el(
        "header",
        None,
        el(
            "div",
            None,
            el("h1", None, f"{found['environment']}: about {dollars(total['expected'])} US$ a month"),
            el(
                "p",
                {"class": "meta num"},
                el("span", None, f"at least {dollars(total['min'])}, at most {dollars(total['max'])}"),
                el("span", None, f"prices of {found['dated']}"),
            ),
        ),
    )


def _budget(found: Facts) -> Child:
    budget = number(found.get("budget_usd"))
    if not budget:
        return None
    word = badge("bad", "over the budget") if found.get("over_budget") else badge("ok", "within the budget")
    return section("Budget", el("p", None, f"{dollars(budget)} US$ a month: ", word))


def _bar(row: Facts, full: float) -> list[Markup]:
    """The expected value as a bar; a line from the minimum to the maximum."""
    usd, middle = row["usd"], f"{BAR / 2:g}"

    def x(value: t.Any) -> str:
        return f"{min(number(value) / full, 1.0) * WIDTH:.1f}"

    return [
        el("rect", {"class": "point", "x": "0", "y": "0", "width": x(usd["expected"]), "height": f"{BAR:g}"}),
        el("line", {"class": "target", "x1": x(usd["min"]), "x2": x(usd["max"]), "y1": middle, "y2": middle}),
    ]


def chart(rows: t.Sequence[Facts]) -> Markup:
    """A row of the estimate for each figure: one after another on a phone, beside each other elsewhere."""
    full = max((number(row["usd"]["max"]) for row in rows), default=0.0) or 1.0
    figures = []
    for row in rows:
        words = f"{row['name']}: {dollars(row['usd']['expected'])} US$, {_span(row['usd'])}"
        drawn = el("svg", {"viewBox": f"0 0 {WIDTH:g} {BAR:g}", "role": "img", "aria-label": words}, _bar(row, full))
        caption = el("figcaption", None, el("strong", None, row["name"]), " ", _money(dollars(row["usd"]["expected"])))
        figures.append(el("figure", None, caption, drawn))
    return el("div", {"class": "latencies"}, figures)


def _rows(found: Facts) -> Markup:
    rows = sorted(found["rows"], key=lambda row: -number(row["usd"]["expected"]))
    lines = [
        (
            row["name"],
            _money(dollars(row["usd"]["expected"])),
            _money(_span(row["usd"])),
            row["assumes"] or "as declared",
        )
        for row in rows
    ]
    return section(
        "What it costs",
        chart(rows),
        el(
            "p",
            {"class": "small muted"},
            "The bar is the expected value, the dashed line reaches from minimum to maximum.",
        ),
        table(["Row", "Expected", "From, to", "Assumes"], lines, "The rows of the estimate in US dollars a month"),
    )


def _parts(found: Facts) -> Markup:
    lines = [
        (
            f"{row['name']}: {part['what']}",
            part["computation"],
            _money(dollars(part["usd"]["expected"])),
            [part["source"], "" if part["verified"] else " (not verified)"],
        )
        for row in found["rows"]
        for part in row["parts"]
    ]
    heads = ["Part", "Computation", "US$", "Source"]
    shown = table(heads, lines, "The computation of each row")
    return section("How it is computed", el("details", None, el("summary", None, f"{len(lines)} parts"), shown))


def _comparison(found: Facts) -> Child:
    rows = [row for row in found["comparison"] if row["stated_usd"] is not None]
    if not rows:
        return None
    unstated = [row["group"] for row in found["comparison"] if row["stated_usd"] is None]
    lines = [
        (
            row["group"],
            _money(dollars(row["stated_usd"])),
            _money(dollars(row["estimated_usd"])),
            _money(signed(row["difference_usd"])),
        )
        for row in rows
    ]
    note = f"Not stated: {', '.join(unstated)}." if unstated else None
    return section(
        "Against what was stated",
        table(["Group", "Stated", "Estimated", "Difference"], lines, "Stated and estimated US dollars a month"),
        el("p", {"class": "small"}, note) if note else None,
    )


def _actual(found: Facts) -> Child:
    bill = found.get("actual")
    if not bill:
        return None
    kinds = {"within": "ok", "above": "bad"}
    lines = [
        (
            part["part"],
            _money(dollars(part["actual_usd"])),
            _money(_span(part["estimated"]) if part["estimated"] else "not estimated"),
            badge(kinds.get(part["result"], "changed"), part["result"]),
        )
        for part in bill["parts"]
    ]
    return section(
        f"Against the bill from {bill['from']} until {bill['to']}",
        el("p", None, f"AWS has charged {dollars(bill['total_usd'])} US$ for what has the environment's tag."),
        table(["Part", "Charged", "Estimated from, to", "Result"], lines, "Charged and estimated US dollars"),
    )


def _savings(found: Facts) -> Child:
    if not found["savings"]:
        return None
    lines = [
        (
            one["name"],
            _money(dollars(one["usd"])),
            one["computation"],
            one["risk"],
            one["how"],
        )
        for one in found["savings"]
    ]
    return section(
        "What could be saved",
        table(["Saving", "US$ a month", "Computation", "Risk", "How"], lines, "Savings in US dollars a month"),
        el("p", {"class": "small muted"}, "They overlap: what one saves, another can't save again."),
    )


def _limits(found: Facts) -> Markup:
    lines = [f"Not in the estimate: {one}." for one in found["not_priced"]]
    if found["unverified"]:
        lines.append(
            f"Prices that no page confirms, taken as 10 % less to 10 % more: {', '.join(found['unverified'])}."
        )
    return section("What this does not say", el("ul", {"class": "plain"}, [el("li", None, line) for line in lines]))


def page(found: Facts) -> str:
    """The whole page. The same estimate always results in the same page."""
    parts = (_head, _budget, _rows, _actual, _comparison, _savings, _parts, _limits)
    foot = el(
        "footer", None, "Written by nexod.infra.cost. The JSON file next to it has the same content for programs."
    )
    return document(f"Cost of {found['environment']}", [part(found) for part in parts], foot)
