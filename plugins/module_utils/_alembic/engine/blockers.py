# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the lock that a statement waits for."""

from __future__ import annotations

import threading
import time
import typing as t

from .protocol import Events
from .session import AdminConnection

BLOCKERS = """
SELECT pid, usename::text, application_name, coalesce(host(client_addr), 'an address not shown'), state,
       left(query, 500), extract(epoch FROM now() - xact_start)::int
FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids({pid}))
"""
SLOW_SECONDS = 2.0  # how often to ask while a statement goes on waiting
NAMES = ("pid", "user", "program", "host", "state", "query", "seconds")


class BlockerMonitor:
    """Asks while a statement waits: once the server has given up waiting, nothing shows who blocked it."""

    def __init__(self, admin: AdminConnection, lock_timeout_ms: int, events: Events) -> None:
        self._admin = admin
        self._patience = min(max(lock_timeout_ms / 5000, 0.005), 0.25)
        self._events = events
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
            watched, patience = self._watched, self._patience
            time.sleep(patience)
            reported: list[int] = []
            while watched is not None and watched == self._watched:
                try:
                    rows = self._admin.rows(BLOCKERS.format(pid=watched[1]))
                except Exception:
                    return
                if watched[0] != self._count:
                    break
                # Of a statement that waits for one session after another, those that it waits for at the end.
                self.blockers = [dict(zip(NAMES, row)) for row in rows] or self.blockers  # noqa: B905  Python 3.9
                pids = [row[0] for row in rows]
                if pids and pids != reported and patience >= SLOW_SECONDS:
                    self._events.emit("blocked", blockers=self.blockers)
                    reported = pids
                patience = min(patience * 2, SLOW_SECONDS)
                self._wait(watched, patience)

    def _wait(self, watched: tuple[int, int], seconds: float) -> None:
        """Sleep, but no longer than the statement runs."""
        until = time.monotonic() + seconds
        while self._watched == watched and time.monotonic() < until:
            time.sleep(min(self._patience, 0.05))
