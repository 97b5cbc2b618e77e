# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML that is well-formed and escaped by construction: elements are built, never pasted together."""

from __future__ import annotations

import html
import re
import typing as t

VOID = frozenset(["br", "link", "meta"])
# What a terminal takes for colours and cursor movements.
TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
# No characters of a page: controls, half a surrogate pair, and those that turn the order of what is read.
UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Markup(str):
    """Text that is HTML already. Every other text is escaped when it becomes part of an element."""

    __slots__ = ()


Child: t.TypeAlias = "str | float | t.Iterable[Child] | None"


def clean(text: object) -> str:
    """`text` without what a page cannot hold: terminal sequences go, other unfit characters are marked."""
    plain = TERMINAL.sub("", str(text)).replace("\r\n", "\n").replace("\r", "\n")
    return UNFIT.sub("\ufffd", plain)


def join(*children: Child) -> Markup:
    """Children one after another; None and empty lists are nothing."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(str(child))
        elif child is None:
            continue
        elif isinstance(child, (str, int, float)):
            parts.append(html.escape(clean(child)))
        else:
            parts.append(join(*child))
    return Markup("".join(parts))


def el(name: str, attributes: t.Mapping[str, str | None] | None = None, *children: Child) -> Markup:
    """One element. An attribute that is None is left out."""
    given = [(key, value) for key, value in (attributes or {}).items() if value is not None]
    head = "".join(f' {key}="{html.escape(clean(value))}"' for key, value in given)
    return Markup(f"<{name}{head}>") if name in VOID else Markup(f"<{name}{head}>{join(*children)}</{name}>")
