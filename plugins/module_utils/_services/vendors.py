# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vendors, and how the lists of each continue. From their API references; never run against the live services."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer
from ansible_collections.nexod.infra.plugins.module_utils._services.vendor import Page, Vendor

#: Sentry's Link header: <https://sentry.io/...&cursor=0:100:0>; rel="next"; results="true"; cursor="0:100:0"
LINK = re.compile(r"<(?P<url>[^>]*)>\s*;(?P<rest>[^<]*)")


def whole(_where: str, answer: Answer) -> Page:
    """A list that comes in one piece."""
    return Page(rows_of(answer))


def by_offset(where: str, answer: Answer) -> Page:
    """Clerk's: `limit` and `offset`, ignored without `paginated`; a full page may be followed by another one."""
    rows = rows_of(answer)
    path, query = _split(where)
    limit = int(query.get("limit", 0))
    if not limit or len(rows) < limit:
        return Page(rows)
    return Page(rows, _joined(path, {**query, "offset": str(int(query.get("offset", 0)) + limit)}))


def by_time(where: str, answer: Answer) -> Page:
    """Vercel's: `pagination.next` is the `until` of the next page."""
    document = answer.document
    pagination = document.get("pagination") if isinstance(document, dict) else None
    following = pagination.get("next") if isinstance(pagination, dict) else None
    path, query = _split(where)
    return Page(rows_of(answer), _joined(path, {**query, "until": str(following)}) if following else "")


def by_link(where: str, answer: Answer) -> Page:
    """Sentry's: the header Link, which names a next page also where it is empty."""
    rows = rows_of(answer)
    path, query = _split(where)
    for found in LINK.finditer(answer.headers.get("link", "")):
        if 'rel="next"' in found["rest"] and 'results="true"' in found["rest"]:
            cursor = urllib.parse.parse_qs(urllib.parse.urlsplit(found["url"]).query).get("cursor", [""])[0]
            return Page(rows, _joined(path, {**query, "cursor": cursor}) if cursor else "")
    return Page(rows)


def by_next(_where: str, answer: Answer) -> Page:
    """AWX's: `next` is the path of the next page, or null."""
    document = answer.document
    following = document.get("next") if isinstance(document, dict) else None
    return Page(rows_of(answer), following or "")


def rows_of(answer: Answer) -> list[t.Any]:
    """The list that an answer is, or has as its only one."""
    document = answer.document
    if isinstance(document, list):
        return document
    lists = [value for value in document.values() if isinstance(value, list)] if isinstance(document, dict) else []
    return lists[0] if len(lists) == 1 else []


def _split(where: str) -> tuple[str, dict[str, str]]:
    path, _mark, query = where.partition("?")
    return path, dict(urllib.parse.parse_qsl(query))


def _joined(path: str, query: t.Mapping[str, str]) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}"


VENDORS: dict[str, Vendor] = {
    # Everybody has an AWX of their own, so its URL is always given.
    "awx": Vendor(
        "AWX",
        "",
        "CONTROLLER_OAUTH_TOKEN",
        "AWX, user, Tokens, with the scope write",
        by_next,
        {"page_size": 200},
    ),
    "clerk": Vendor(
        "Clerk",
        "https://api.clerk.com",
        "CLERK_SECRET_KEY",
        "dashboard.clerk.com, API keys",
        by_offset,
        {"limit": 100},
    ),
    "sentry": Vendor(
        "Sentry", "https://us.sentry.io", "SENTRY_AUTH_TOKEN", "sentry.io, Settings, Custom Integrations", by_link
    ),
    "supabase": Vendor(
        "Supabase", "https://api.supabase.com", "SUPABASE_ACCESS_TOKEN", "supabase.com/dashboard/account/tokens", whole
    ),
    "vercel": Vendor(
        "Vercel",
        "https://api.vercel.com",
        "VERCEL_TOKEN",
        "vercel.com/account/settings/tokens",
        by_time,
        {"limit": 100},
    ),
}
