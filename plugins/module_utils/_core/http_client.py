# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to HTTP: one request, an answer or a reason, never an exception. No proxy: what is asked is near."""

from __future__ import annotations

import dataclasses
import http.client
import json
import typing as t
import urllib.error
import urllib.request


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back: `status` 0 where nothing did, then `reason` says why."""

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


def ask(url: str, *, document: t.Any = None, method: str | None = None, timeout: float = 10) -> Answer:
    """Send one request; with `document` a POST of it as JSON."""
    body = None if document is None else json.dumps(document).encode()
    headers = {"Accept": "application/json", **({"Content-Type": "application/json"} if body else {})}
    if not url.startswith(("http://", "https://")):
        return Answer(0, "", "not an http or https URL")
    request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 - checked above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return Answer(answer.status, answer.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode(errors="replace"), str(error.reason))
    except urllib.error.URLError as error:
        return Answer(0, "", str(error.reason))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, "", str(error) or type(error).__name__)
