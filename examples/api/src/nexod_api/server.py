"""`nexod-api serve`: the process that systemd or ECS runs. `nexod-api migrate`: the task before it."""

from __future__ import annotations

import argparse
import importlib.resources
import logging
import os
import signal
import time
from types import FrameType

import uvicorn
from alembic import command
from alembic.config import Config

from nexod_api import __version__
from nexod_api.app import create_app
from nexod_api.lifecycle import Lifecycle
from nexod_api.settings import Settings

# From the WebSockets' close frames to the closed port: time for their clients to answer, so that no frame is lost.
GOODBYE_SECONDS = 0.3

log = logging.getLogger("uvicorn.error")


class DrainingServer(uvicorn.Server):
    """SIGTERM: /ready says no for a moment, WebSockets and the port close, running requests end, it exits with 0."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, notice_seconds: float) -> None:
        super().__init__(config)
        self.lifecycle = lifecycle
        self.notice_seconds = notice_seconds
        self.asked_to_leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (uvicorn's signature)
        if self.asked_to_leave_at is None:
            self.asked_to_leave_at = time.monotonic()
        elif sig == signal.SIGINT:
            self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self.asked_to_leave_at is not None:
            if not self.lifecycle.draining:
                log.info("draining: %d requests are running", len(self.server_state.tasks))
                self.lifecycle.begin_draining()
            noticed = time.monotonic() - self.asked_to_leave_at - self.notice_seconds
            if noticed >= 0:
                self.lifecycle.begin_leaving()
            if noticed >= GOODBYE_SECONDS:
                self.should_exit = True
        return await super().on_tick(counter)


def migrate() -> None:
    """Upgrade the schema to this release. Alembic says on stderr what it runs."""
    with importlib.resources.as_file(importlib.resources.files("nexod_api") / "alembic.ini") as path:
        command.upgrade(Config(str(path)), "head")


def main() -> None:
    parser = argparse.ArgumentParser(prog="nexod-api")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="answer requests until SIGTERM")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    commands.add_parser("migrate", help="upgrade the schema of the database to this release")
    arguments = parser.parse_args()
    if arguments.command == "migrate":
        migrate()
        return

    settings = Settings.read(os.environ)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=arguments.host,
        port=arguments.port,
        # The edge writes the access log.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,
        # Longer than the edge keeps idle connections, so that it is the edge that closes them.
        timeout_keep_alive=75,
    )
    DrainingServer(config, app.state.lifecycle, settings.notice_seconds).run()


if __name__ == "__main__":
    main()
