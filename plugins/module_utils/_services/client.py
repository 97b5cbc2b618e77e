# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to the vendors' APIs: time limits, patience with their limits, requests recorded, errors with advice.

The vendors' own clients have no check mode, differ in what they retry, and would be a package each on every controller;
they judge our stand-ins in the tests instead.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer, ask
from ansible_collections.nexod.infra.plugins.module_utils._services.vendor import Vendor, message_of, wait_of

#: Seconds for one request, and for all attempts at one with the pauses between them.
TIMEOUT, PATIENCE = 30.0, 120.0
ATTEMPTS = 5
#: Requests to one vendor at the same time. While one of them waits to be repeated, so do those behind it.
LANES = 2
#: Seconds before the second attempt, if the vendor does not say; doubled each time.
PAUSE = 1.0
#: More than any list of ours has: a vendor whose lists never end is not asked forever.
MOST_PAGES = 200
#: Answers after which the same request may succeed. Only 429 says that nothing was done.
LIMITED = 429
BUSY = (0, 500, 502, 503, 504)
SAFE = ("GET", "PUT", "PATCH", "DELETE")
#: Refusals for which every other request to the same vendor fails as well, as when it is down: they are reported once.
EVERYWHERE = (401, LIMITED)
DOWN = "Check that {url} can be reached, and the status page of {name}; then run again."
UNKNOWN = "Whether it was done is unknown; the next run finds out."
CORRECT = "Correct the declaration, then run again."
ADVICE = {
    **dict.fromkeys(BUSY, DOWN),
    401: "Check {token}: it is missing, wrong, or has expired (a new one: {page}).",
    402: "This needs another plan at {name}; change the plan, or do without it.",
    403: "Check that the token in {token} may do this, and that it is of this account ({page}).",
    404: "Check the names in the declaration, and that the token in {token} can see them.",
    410: "{name} has removed this part of its API: update the collection.",
    LIMITED: "Run again {when}: {name} limits how often it may be asked.",
}
Json = t.Any


@dataclasses.dataclass(frozen=True)
class Request:
    """One request as it was sent: `status` 0 where no complete answer came."""

    method: str
    path: str
    status: int


class Client:
    """One account at one vendor. `check`: refuse every request that would change something, whoever asks for it.

    `query` is added to each request, such as the team; `scope` has values for paths, such as the organization. What is
    read is read once, until something is sent or `refresh`. `token` may be several, separated by spaces, while one
    replaces another: the first that the vendor accepts is used.
    """

    def __init__(
        self,
        vendor: Vendor,
        token: str,
        *,
        url: str | None = None,
        query: t.Mapping[str, str] | None = None,
        scope: t.Mapping[str, str] | None = None,
        check: bool = False,
        clock: t.Any = time,
    ) -> None:
        self.vendor, self.check, self.scope = vendor, check, dict(scope or {})
        self.requests: list[Request] = []
        self._tokens, self._using = token.split() or [""], 0
        self._url, self._query = (url or vendor.url).rstrip("/"), dict(query or {})
        self._clock, self._lock, self._lanes = clock, threading.Lock(), threading.Semaphore(LANES)
        self._known: dict[str, tuple[threading.Lock, list[t.Any]]] = {}
        #: Until then (of the clock) the vendor has asked all of us to wait.
        self._not_before = 0.0
        #: Why no other request would succeed.
        self._given_up: InfraError | None = None

    def refresh(self) -> None:
        """Forget what was read."""
        with self._lock:
            self._known = {}

    @property
    def refused_tokens(self) -> str:
        """Which of several tokens the vendor has refused, in words; empty if it accepts the first one."""
        if not self._using:
            return ""
        return (
            f"{self.vendor.name} refuses the first {self._using} of {len(self._tokens)} in "
            f"{self.vendor.token_variable}, and the next one was used. Remove what it refuses from there."
        )

    # -- reading

    def get(self, path: str, *, missing: t.Collection[int] = (404,), **query: t.Any) -> Json:
        """The document at `path`, or None if it answers with a status of `missing`."""
        where = self._with_query(path, query)
        return self._once(where, lambda: self._document("GET", where, missing))

    def share(self, path: str, other: str) -> None:
        """What was read at `path` is also what `other` answers with, so that it is not asked for again."""
        with self._lock:
            if known := self._known.get(self._with_query(path, {})):
                self._known.setdefault(self._with_query(other, {}), known)

    def rows(self, path: str, *, paged: bool = True, **query: t.Any) -> list[Json]:
        """The whole list at `path`, page by page. Raises InfraError also where there is no such list.

        `paged`: whether the vendor takes the size of a page there.
        """
        where = self._with_query(path, {**(self.vendor.paging if paged else {}), **query})
        return t.cast("list[Json]", self._once(where, lambda: self._pages(where)))

    def _pages(self, where: str) -> list[Json]:
        rows: list[Json] = []
        for _number in range(MOST_PAGES):
            page = self.vendor.pages(where, self._attempts("GET", where, None))
            rows += page.rows
            if not page.following or page.following == where:
                return rows
            where = page.following
        raise InfraError(
            "read", self._named("GET", where), f"the list has not ended after {MOST_PAGES} pages", "Report this."
        )

    def _once(self, where: str, read: t.Callable[[], t.Any]) -> t.Any:
        with self._lock:
            lock, known = self._known.setdefault(where, (threading.Lock(), []))
        with lock:
            if not known:
                known.append(read())
            return known[0]

    # -- changing

    def send(
        self, method: str, path: str, document: Json = None, *, missing: t.Collection[int] = (), **query: t.Any
    ) -> Json:
        """Send a request that changes something; its answer as a document, or None.

        A POST is repeated only if the vendor says that it did nothing. If its answer is lost, the next run finds out
        what was made.
        """
        where = self._with_query(path, query)
        if self.check:
            raise InfraError(
                "send",
                self._named(method, where),
                "this is check mode, which changes nothing",
                "Report this: it is a mistake of ours.",
            )
        try:
            return self._document(method, where, missing, document)
        finally:
            self.refresh()

    # -- one request

    def _document(self, method: str, where: str, missing: t.Collection[int], document: Json = None) -> Json:
        answer = self._attempts(method, where, document, missing)
        if answer.status in missing or not answer.body.strip():
            return None
        if answer.document is None:
            raise InfraError(
                "read the answer to",
                self._named(method, where),
                f"{answer.body[:60]!r} is not JSON",
                f"Check that {self._url} is the API of {self.vendor.name}, and that no proxy answers in its place.",
            )
        return answer.document

    def _attempts(self, method: str, where: str, document: Json, missing: t.Collection[int] = ()) -> Answer:
        begun, pause = self._clock.monotonic(), PAUSE
        with self._lanes:
            for number in range(1, ATTEMPTS + 1):
                answer = self._attempt(method, where, document)
                if 200 <= answer.status < 300 or answer.status in missing:
                    return answer
                again = answer.status == LIMITED or (answer.status in BUSY and method in SAFE)
                asked = wait_of(answer, self._clock.time())
                wait, pause = max(pause, asked or 0.0), pause * 2
                if not again or number == ATTEMPTS or self._clock.monotonic() - begun + wait > PATIENCE:
                    break
                self._not_before = max(self._not_before, self._clock.monotonic() + wait)
        refusal = self._refused(method, where, answer, asked, number)
        if refusal.facts["everywhere"]:
            self._given_up = refusal
        raise refusal

    def _attempt(self, method: str, where: str, document: Json) -> Answer:
        while (left := self._not_before - self._clock.monotonic()) > 0 and not self._given_up:
            self._clock.sleep(left)
        if self._given_up:
            raise self._given_up
        using = self._using
        answer = ask(
            self._url + where,
            document=document,
            method=method,
            timeout=TIMEOUT,
            authorization=f"Bearer {self._tokens[using]}",
            proxies=True,
        )
        with self._lock:
            self.requests.append(Request(method, where.partition("?")[0], answer.status))
            again = unknown_token(answer) and using + 1 < len(self._tokens)
            if again:
                self._using = max(self._using, using + 1)
        # Nothing was done with a token that is not known.
        return self._attempt(method, where, document) if again else answer

    # -- words

    def _with_query(self, path: str, query: t.Mapping[str, t.Any]) -> str:
        given = {**self._query, **{name: value for name, value in query.items() if value is not None}}
        return f"{path}?{urllib.parse.urlencode(given, doseq=True)}" if given else path

    def _named(self, method: str, where: str) -> str:
        return f"{method} {where.partition('?')[0]} of {self.vendor.name}"

    def _refused(self, method: str, where: str, answer: Answer, asked: float | None, attempts: int) -> InfraError:
        said, status = message_of(answer), answer.status
        if unknown_token(answer):
            status = 401
        cause = f"HTTP {answer.status}" if status else f"no complete answer ({answer.reason})"
        cause += f": {said}" if status and said else ""
        cause += f", {attempts} times" if attempts > 1 else ""
        cause += f", to each of {len(self._tokens)} tokens" if status == 401 and len(self._tokens) > 1 else ""
        advice = f"{DOWN} {UNKNOWN}" if status in BUSY and method not in SAFE else ADVICE.get(status, CORRECT)
        next_step = advice.format(
            name=self.vendor.name,
            token=self.vendor.token_variable,
            page=self.vendor.token_page,
            url=self._url,
            when=f"in {asked:.0f} s" if asked else "later",
        )
        return InfraError(
            "call",
            self._named(method, where),
            cause,
            next_step,
            status=status,
            everywhere=self.vendor.name if status in EVERYWHERE or (status in BUSY and attempts == ATTEMPTS) else "",
        )


def unknown_token(answer: Answer) -> bool:
    """Vercel answers 403 to a token that it does not know, as to one that may not do this."""
    return answer.status == 401 or (answer.status == 403 and '"invalidToken":true' in answer.body.replace(" ", ""))


class Services:
    """The clients of a run, by the names of the vendors as declarations use them."""

    def __init__(self, clients: t.Mapping[str, Client], *, check: bool = False) -> None:
        self.clients, self.check = dict(clients), check

    def refresh(self) -> None:
        for client in self.clients.values():
            client.refresh()

    def __getitem__(self, name: str) -> Client:
        return self.clients[name]
