# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame of every page: self-contained, without scripts, readable on a phone, light or dark as the reader has it."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._report.markup import Child, Markup, el
from ansible_collections.nexod.infra.plugins.plugin_utils._report.style import STYLE

# Even if something got past the escaping, it could neither run nor load anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def document(title: str, *main: Child, icon: str = "") -> str:
    """A whole page with that content; `icon` is the address of the icon of the browser tab."""
    head = el(
        "head",
        None,
        el("meta", {"charset": "utf-8"}),
        el("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        el("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        el("meta", {"name": "color-scheme", "content": "light dark"}),
        el("link", {"rel": "icon", "href": icon}) if icon else None,
        el("title", None, title),
        el("style", None, Markup(STYLE)),
    )
    body = el("body", None, el("main", None, *main))
    return f"<!DOCTYPE html>\n{el('html', {'lang': 'en'}, head, body)}\n"
