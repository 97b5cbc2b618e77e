"""Ready at first; some seconds later the process says that it is neither alive nor ready."""

from __future__ import annotations

import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SECONDS = 4.0


class Fault:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.since: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") in ("/health", "/ready"):
            # From the first time that somebody asks: how long it takes to start is not the same everywhere.
            self.since = self.since or time.monotonic()
            if time.monotonic() - self.since >= SECONDS:
                await JSONResponse({"status": "failed", "cause": "planted: fails-later"}, 500)(scope, receive, send)
                return
        await self.app(scope, receive, send)
