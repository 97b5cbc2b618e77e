"""Whether the process is on its way out, for all who need to know: /ready, open WebSockets.

Draining comes first: /ready says no, and the load balancer hears of it. Only then are WebSockets told to go: a client
connects anew at once, and before that it would come back here, again and again.
"""

from __future__ import annotations

import asyncio


class Lifecycle:
    def __init__(self) -> None:
        self.draining = False
        self._leaving = asyncio.Event()

    def begin_draining(self) -> None:
        self.draining = True

    def begin_leaving(self) -> None:
        self._leaving.set()

    async def until_leaving(self) -> None:
        await self._leaving.wait()
