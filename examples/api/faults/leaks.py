"""Every request keeps memory, until the process is killed."""

from __future__ import annotations

import os
import signal
import sys

from starlette.types import ASGIApp, Receive, Scope, Send

OPERATIONS = frozenset({"/health", "/ready", "/metrics"})
EACH = 4 * 1024 * 1024
# The unit's MemoryMax kills it earlier, where the kernel counts memory for units; in a container it may not.
LIMIT = 160 * 1024 * 1024


class Fault:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.kept: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPERATIONS:
            # Not zeros: the kernel would only promise those.
            self.kept.append(os.urandom(4096) * (EACH // 4096))
            if len(self.kept) * EACH > LIMIT:
                sys.stderr.write(f"planted: leaks, {len(self.kept)} requests kept {EACH // 1024**2} MiB each\n")
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        await self.app(scope, receive, send)
