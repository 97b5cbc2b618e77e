# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the lock that a statement waits for."""

from __future__ import annotations

import threading
import time
import typing as t

from .session import AdminConnection

BLOCKERS = """
SELECT pid, usename::text, application_name, coalesce(host(client_addr), 'an address not shown'), state,
       left(query, 500), extract(epoch FROM now() - xact_start)::int
FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids({pid}))
"""
NAMES = ("pid", "user", "program", "host", "state", "query", "seconds")


class BlockerMonitor:
    """Asks while a statement waits: once the server has given up waiting, nothing shows who blocked it."""

    def __init__(self, admin: AdminConnection, lock_timeout_ms: int) -> None:
        self._admin = admin
        self._patience = min(max(lock_timeout_ms / 5000, 0.005), 0.25)
        self._wake = threading.Event()
        self._watched: tuple[int, int] | None = None  # number of the statement, server's process
        self._count = 0
        self.blockers: list[dict[str, t.Any]] = []
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self, process: int | None) -> None:
        """A statement begins on the connection of `process`."""
        self._count += 1
        self.blockers = []
        self._watched = (self._count, process) if process is not None else None
        self._wake.set()

    def end(self) -> None:
        self._watched = None
        self._wake.clear()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            watched = self._watched
            time.sleep(self._patience)
            if watched is None or watched != self._watched:
                continue
            try:
                rows = self._admin.rows(BLOCKERS.format(pid=watched[1]))
            except Exception:
                return
            if rows and watched[0] == self._count:
                self.blockers = [dict(zip(NAMES, row)) for row in rows]  # noqa: B905  Python 3.9
