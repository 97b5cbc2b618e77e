# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the vendors' APIs: where they are, how lists continue, how a refusal and a limit are written."""

from __future__ import annotations

import dataclasses
import email.utils
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer

#: A number above this is a time (seconds since 1970), one above the other a time in milliseconds.
TIME, MILLISECONDS = 1e9, 1e12
#: AWX repeats the first 100 characters of a key that it does not take, which no filter for whole secrets would find.
QUOTED_SECRET = re.compile(r"(Invalid certificate or key): .*", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Page:
    """A part of a list, and the path and query of the next one; empty after the last."""

    rows: list[t.Any]
    following: str = ""


@dataclasses.dataclass(frozen=True)
class Vendor:
    """An API. `token_variable`: the environment variable with its token; `token_page`: where a token is created.

    `pages` makes a page of an answer, and of the path with its query. `paging` is added to the query of lists.
    """

    name: str
    url: str
    token_variable: str
    token_page: str
    pages: t.Callable[[str, Answer], Page]
    paging: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)


def wait_of(answer: Answer, now: float) -> float | None:
    """Seconds after which to ask again, as the vendor says; None if it does not. `now`: seconds since 1970."""
    given = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", given):
        return float(given)
    if given and (date := email.utils.parsedate_to_datetime(given) if _is_date(given) else None):
        return max(0.0, date.timestamp() - now)
    for name in ("x-sentry-rate-limit-reset", "x-ratelimit-reset"):
        if re.fullmatch(r"\d+(\.\d+)?", value := answer.headers.get(name, "").strip()):
            return _from_now(float(value), now)
    document = answer.document
    error = document.get("error") if isinstance(document, dict) else None
    limit = error.get("limit") if isinstance(error, dict) else None
    reset = limit.get("reset") if isinstance(limit, dict) else None
    return _from_now(float(reset), now) if isinstance(reset, (int, float)) else None


def _is_date(text: str) -> bool:
    return email.utils.parsedate_tz(text) is not None


def _from_now(value: float, now: float) -> float:
    seconds = value / 1000 if value > MILLISECONDS else value
    return max(0.0, seconds - now) if seconds > TIME else seconds


def message_of(answer: Answer) -> str:
    """What the vendor itself says of a refusal, in one line; empty if it says nothing."""
    document = answer.document
    found = "; ".join(dict.fromkeys(_texts(document))) if document is not None else ""
    found = QUOTED_SECRET.sub(r"\1", found)
    # A gateway's page in HTML says nothing that helps.
    plain = "" if answer.body.lstrip().startswith("<") or document is not None else answer.body
    return " ".join((found or plain).split())[:300]


def _texts(value: t.Any, prefix: str = "") -> t.Iterator[str]:
    """The messages of an error document: `message`, `detail`, `long_message`, lists of them, and errors by field."""
    if isinstance(value, str):
        yield f"{prefix}{value}"
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, prefix)
    elif isinstance(value, dict):
        # Clerk's `message` is the short form of its `long_message`.
        known = [name for name in ("long_message", "detail", "message", "error", "errors") if value.get(name)][:1]
        if known:
            yield from _texts(value[known[0]], prefix)
        elif not prefix:
            for name, one in value.items():
                # AWX names a field within a field, as in {"inputs": {"ssh_key_data": ["..."]}}.
                inner = one.items() if isinstance(one, dict) else [("", one)]
                for below, texts in inner:
                    if isinstance(texts, (str, list)):
                        yield from _texts(texts, f"{name}.{below}: " if below else f"{name}: ")
