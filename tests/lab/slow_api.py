"""Make the example API slow from inside, so that its own metrics show it, or wasteful, so that a profile does.

Python imports a module of the name `sitecustomize` at its start. With this one in PYTHONPATH, requests take
longer: they wait, and, where the environment says so, burn processor time or keep memory as well.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import fastapi

SECONDS = float(os.environ.get("CHAOS_SECONDS", "0.6"))
BURNT_SECONDS = float(os.environ.get("CHAOS_BURNT_SECONDS", "0"))
KEPT_BYTES = int(os.environ.get("CHAOS_KEPT_BYTES", "0"))
OPERATIONS = frozenset({"/health", "/ready", "/metrics"})
ORIGINAL = fastapi.FastAPI.__init__
KEPT: list[bytearray] = []


def burn_time(seconds: float) -> None:
    """Of the processor, however many share it; in this very function, which a profile has to name."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def keep_memory(size: int) -> None:
    KEPT.append(bytearray(size))


class Slow:
    """The innermost middleware: what measures requests is around it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] not in OPERATIONS:
            await asyncio.sleep(SECONDS)
            burn_time(BURNT_SECONDS)
            if KEPT_BYTES:
                keep_memory(KEPT_BYTES)
        await self.app(scope, receive, send)


def slowed(self: fastapi.FastAPI, *args: Any, **options: Any) -> None:
    ORIGINAL(self, *args, **options)
    self.add_middleware(Slow)


fastapi.FastAPI.__init__ = slowed  # type: ignore[method-assign]
