# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``cache_warm`` does: request URLs, so that the first user does not wait for a cold cache."""

from __future__ import annotations

import concurrent.futures
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer, ask

Row = dict[str, t.Any]


def warm(urls: t.Sequence[str], seconds: float, concurrency: int, request: t.Callable[..., Answer] = ask) -> list[Row]:
    """A row for each URL with its status and how long it took; both None if the time was up before."""
    ends = time.monotonic() + seconds

    def one(url: str) -> Row:
        began = time.monotonic()
        left = ends - began
        if left <= 0:
            return {"url": url, "status": None, "ms": None}
        answer = request(url, timeout=left)
        return {"url": url, "status": answer.status, "ms": round((time.monotonic() - began) * 1000)}

    with concurrent.futures.ThreadPoolExecutor(max(1, concurrency)) as pool:
        return list(pool.map(one, dict.fromkeys(urls)))


def warnings_of(rows: t.Iterable[Row]) -> list[str]:
    results = {None: "was not requested, the time was up", 0: "did not answer"}
    return [
        f"{row['url']} {results.get(row['status'], 'answered HTTP ' + str(row['status']))}: it is not warm."
        for row in rows
        if row["status"] != 200
    ]
