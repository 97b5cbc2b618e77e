"""Healthy and ready, and one request of twenty ends with an error."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPERATIONS = frozenset({"/health", "/ready", "/metrics"})
EVERY = 20


class Fault:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPERATIONS:
            self.requests += 1
            if self.requests % EVERY == 0:
                await JSONResponse({"detail": "planted: errors"}, 500)(scope, receive, send)
                return
        await self.app(scope, receive, send)
