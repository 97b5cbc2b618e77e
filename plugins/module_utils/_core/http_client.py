# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only HTTP client of the collection's own code: one request, an answer or a reason, never an exception.

No proxy is used: what is asked is the host itself or its neighbours.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import time
import typing as t
import urllib.error
import urllib.request

JSON = "application/json"
BLOCK = 1 << 16


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back: `status` 0 where nothing complete did, then `reason` says why."""

    status: int
    body: str
    reason: str = ""

    @property
    def document(self) -> t.Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def ask(
    url: str,
    *,
    document: t.Any = None,
    method: str | None = None,
    timeout: float = 10,
    accept: str = JSON,
    authorization: str = "",
) -> Answer:
    """Send one request; with `document` a POST of it as JSON. Redirects are followed, without the `authorization`.

    `timeout` limits each wait for the other side, and the whole answer as well: one that only trickles is given up.
    """
    if not url.startswith(("http://", "https://")):
        return Answer(0, "", "not an http or https URL")
    ends = time.monotonic() + timeout
    try:
        body = None if document is None else json.dumps(document).encode()
        headers = {"Accept": accept, **({"Content-Type": JSON} if body else {})}
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 - checked above
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return Answer(answer.status, _read(answer, ends))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _read(error, ends), str(error.reason))
    except urllib.error.URLError as error:
        return Answer(0, "", str(error.reason))
    # Half an answer (IncompleteRead), another protocol (BadStatusLine) and a URL that is none (InvalidURL) are neither
    # OSError nor ValueError.
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(0, "", _reason(error))


def _read(answer: t.Any, ends: float) -> str:
    parts = []
    while part := answer.read1(BLOCK):
        parts.append(part)
        if time.monotonic() > ends:
            raise TimeoutError(f"its answer was not complete in time ({sum(map(len, parts))} bytes came)")
    content = b"".join(parts)
    # read1 takes a connection that closes early for the end.
    if missing := getattr(answer, "length", None):
        raise http.client.IncompleteRead(content, missing)
    return content.decode(errors="replace")


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "its answer was cut off"
    # A connection that is closed at once is both.
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, OSError):
        return f"its answer is not HTTP: {str(error).strip()[:100]}"
    return str(error) or type(error).__name__
