"""Whether the process is on its way out, for all who need to know: /ready, open WebSockets."""

from __future__ import annotations

import asyncio


class Lifecycle:
    def __init__(self) -> None:
        self._draining = asyncio.Event()

    @property
    def draining(self) -> bool:
        return self._draining.is_set()

    def begin_draining(self) -> None:
        self._draining.set()

    async def until_draining(self) -> None:
        await self._draining.wait()
