"""Healthy and ready, and every request takes longer than any row of the latency table allows."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

OPERATIONS = frozenset({"/health", "/ready", "/metrics"})
SECONDS = 3.0


class Fault:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPERATIONS:
            await asyncio.sleep(SECONDS)
        await self.app(scope, receive, send)
