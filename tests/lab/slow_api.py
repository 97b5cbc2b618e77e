"""Make the example API slow from inside, so that its own metrics show it.

Python imports a module of the name `sitecustomize` at its start. With this one in PYTHONPATH, requests take longer.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import fastapi

SECONDS = float(os.environ.get("CHAOS_SECONDS", "0.6"))
OPERATIONS = frozenset({"/health", "/ready", "/metrics"})
ORIGINAL = fastapi.FastAPI.__init__


class Slow:
    """The innermost middleware: what measures requests is around it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] not in OPERATIONS:
            await asyncio.sleep(SECONDS)
        await self.app(scope, receive, send)


def slowed(self: fastapi.FastAPI, *args: Any, **options: Any) -> None:
    ORIGINAL(self, *args, **options)
    self.add_middleware(Slow)


fastapi.FastAPI.__init__ = slowed  # type: ignore[method-assign]
