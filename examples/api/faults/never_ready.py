"""The process starts and is alive, and never gets ready."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Fault:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/ready":
            await JSONResponse({"status": "not ready", "cause": "planted: never-ready"}, 503)(scope, receive, send)
            return
        await self.app(scope, receive, send)
