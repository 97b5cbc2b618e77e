# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a front end serves: its pages, what they load, their headers, what they were built with, and how quickly."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import html.parser
import math
import re
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._backend.probe import until_right
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer, ask
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.verdict import (
    GAUGE_SAMPLES,
    MISSED,
    judge,
    overall,
)

Facts = t.Mapping[str, t.Any]
Ask = t.Callable[..., Answer]
TIMEOUT = 30.0
#: Requests at the same time.
LANES = 4
#: A page that names more files is checked by the first of them.
MOST_FILES = 200
#: What a file must be, by what a page uses it for. A host that answers every path with its page has none of it.
TYPES = {"script": "javascript", "style": "css"}
LINKS = {"stylesheet": "style", "modulepreload": "script", "icon": "", "manifest": ""}


class _Files(html.parser.HTMLParser):
    """What a page loads: URL as it is written, and what for (a key of `TYPES`, or empty)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "script" and given.get("src"):
            self.found.setdefault(given["src"], "script")
        elif tag == "img" and given.get("src"):
            self.found.setdefault(given["src"], "")
        elif tag == "link" and given.get("href"):
            names = given.get("rel", "").lower().split()
            if "preload" in names:
                self.found.setdefault(given["href"], given.get("as", ""))
            elif uses := [LINKS[name] for name in names if name in LINKS]:
                self.found.setdefault(given["href"], uses[0])


def origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def files_of(url: str, text: str) -> dict[str, str]:
    """The files of a page's own origin that it loads, by URL; others are another host's affair."""
    parser = _Files()
    parser.feed(text)
    found: dict[str, str] = {}
    for name, use in parser.found.items():
        with contextlib.suppress(ValueError):  # what is no URL, no browser loads
            whole = urllib.parse.urldefrag(urllib.parse.urljoin(url, name))[0]
            if origin(whole) == origin(url):
                found.setdefault(whole, use)
    return found


def refused(url: str, answer: Answer) -> str | None:
    """Why an answer can't be used; None if it can."""
    if answer.status == 0:
        return f"{url} does not answer: {answer.reason}"
    if 300 <= answer.status < 400:
        return f"{url} leads to {answer.headers.get('location') or 'nowhere'} (HTTP {answer.status})"
    if answer.status != 200:
        return f"{url} answers HTTP {answer.status}"
    return None


def page_faults(url: str, answer: Answer, headers: Facts) -> list[str]:
    """What is wrong with a page, each of whose `headers` must match its expression."""
    if because := refused(url, answer):
        return [because]
    found = []
    kind = answer.headers.get("content-type", "")
    if "html" not in kind:
        found.append(f"{url} is not a page: its Content-Type is {kind or 'missing'}")
    elif not answer.body.strip():
        found.append(f"{url} is empty")
    for name, wanted in headers.items():
        value = answer.headers.get(name.lower())
        if value is None:
            found.append(f"{url} lacks the header {name}")
        elif not re.search(str(wanted), value, re.IGNORECASE):
            found.append(f"{url} has the header {name}: {value[:200]}, which does not match {wanted}")
    return found


def file_fault(url: str, use: str, answer: Answer) -> str | None:
    """What is wrong with a file that a page loads."""
    if because := refused(url, answer):
        return f"{because}, and a page loads it"
    kind = answer.headers.get("content-type", "")
    if TYPES.get(use, "") not in kind:
        return f"a page loads {url} as {use}, and its Content-Type is {kind or 'missing'}"
    return None


@dataclasses.dataclass
class Site:
    """A front end as it is asked. `headers` are sent to its own origin only, as they may hold a secret."""

    url: str
    paths: t.Sequence[str]
    headers: t.Mapping[str, str]
    proxies: bool = False
    asked: Ask = ask
    #: Files that the pages loaded at the last look.
    files: int = 0

    def get(self, url: str, *, known: bool = True) -> Answer:
        """`known`: with the headers that a protection lets pass."""
        headers = self.headers if known else {}
        return self.asked(url, accept="*/*", timeout=TIMEOUT, proxies=self.proxies, headers=headers, redirects=False)

    def get_all(self, urls: t.Iterable[str]) -> dict[str, Answer]:
        wanted = list(dict.fromkeys(urls))
        with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
            return dict(zip(wanted, pool.map(self.get, wanted), strict=True))

    @property
    def pages(self) -> list[str]:
        return [f"{self.url.rstrip('/')}/{path.lstrip('/')}" for path in self.paths]

    def faults(self, given: Facts) -> list[str]:
        """Everything wrong with it: `headers`, `texts`, `files` and `protected` are as in the module."""
        pages = self.get_all(self.pages)
        found = [one for url, answer in pages.items() for one in page_faults(url, answer, given["headers"])]
        texts = [answer.body for answer in pages.values() if answer.status == 200]
        self.files = 0
        if given["files"]:
            uses: dict[str, str] = {}
            for url, answer in pages.items():
                if answer.status == 200:
                    uses = {**files_of(url, answer.body), **uses}
            loaded = self.get_all(list(uses)[:MOST_FILES])
            self.files = len(loaded)
            found += [one for url, answer in loaded.items() if (one := file_fault(url, uses[url], answer))]
            texts += [answer.body for answer in loaded.values() if answer.status == 200]
        for row in given["texts"] if texts else ():
            if not any(row["text"] in text for text in texts):
                found.append(
                    f"neither the pages nor the {self.files} files that they load contain the "
                    f"{row['name']} {row['text']}"
                )
        if given["protected"] and self.get(self.pages[0], known=False).status == 200:
            found.append(f"{self.pages[0]} is declared to be protected, and anybody can open it")
        return found

    def first_bytes(self, requests: int) -> list[float]:
        """Seconds until the answer of each page begins, one after another, of those that were answered."""
        seconds = []
        for number in range(requests):
            answer = self.get(self.pages[number % len(self.pages)])
            if answer.status == 200:
                seconds.append(answer.seconds)
        return seconds


def quantile_of(values: t.Sequence[float], quantile: float) -> float | None:
    """By nearest rank."""
    return sorted(values)[max(0, math.ceil(quantile * len(values)) - 1)] if values else None


def latency_rows(targets: t.Iterable[Facts], seconds: t.Sequence[float]) -> list[dict[str, t.Any]]:
    """The rows of the latency table about the first byte, judged as those that Prometheus measures."""
    rows = (row for row in targets if row["metric"] == "ttfb")
    measured = {"gauge": "seconds until the first byte"}
    return [
        dataclasses.asdict(judge(row, measured, quantile_of(seconds, float(row["quantile"])), len(seconds), None))
        for row in rows
    ]


def check(given: Facts) -> None:
    """Refuse what can't be looked for."""
    action, object_ = "verify the front end at", str(given["url"])
    if not given["paths"]:
        raise InfraError(action, object_, "no page is named", "Name at least one path.")
    if any(not row["text"] for row in given["texts"]):
        names = ", ".join(row["name"] for row in given["texts"] if not row["text"])
        raise InfraError(
            action, object_, f"the text to look for is empty: {names}", "Set it, or leave that entry of texts out."
        )
    for name, wanted in given["headers"].items():
        try:
            re.compile(str(wanted))
        except re.error as error:
            raise InfraError(
                action, object_, f"the expression for the header {name} is not valid: {error}", "Correct it in headers."
            ) from error


def probe(given: Facts, asked: Ask = ask) -> dict[str, t.Any]:
    """Everything the module returns; raises with all that is wrong when the time is over."""
    check(given)
    site = Site(given["url"], given["paths"], given["request_headers"], proxies=given["proxies"], asked=asked)
    subject = ("verify the front end at", given["url"])
    until_right(lambda: site.faults(given), subject, given["next_step"], given["wait_seconds"], pause=2.0)
    judged = any(row["metric"] == "ttfb" for row in given["latency_targets"])
    # Asked already, so what is started for the first request is not measured.
    rows = latency_rows(given["latency_targets"], site.first_bytes(GAUGE_SAMPLES) if judged else [])
    slow = [row["says"] for row in rows if row["verdict"] == MISSED]
    if slow and given["if_missed"] == "fail":
        raise InfraError(*subject, "\n".join(f"- {line}" for line in slow), given["next_step"], faults=slow)
    pages = f"{len(site.pages)} {'page' if len(site.pages) == 1 else 'pages'}"
    says = f"front end: {pages} and the {site.files} files that they load are in order"
    return {
        "files": site.files,
        "rows": rows,
        "says": "; ".join([says, *(row["says"] for row in rows)]),
        "slow": slow,
        "verdict": overall([row["verdict"] for row in rows]) if rows else "met",
    }
