"""What operators and machines ask: alive, ready, metrics; and the calls that stand for long AI calls."""

from __future__ import annotations

import asyncio
import socket
from typing import Annotated

import redis
import sqlalchemy
from fastapi import APIRouter, Query, Request, Response, WebSocket, WebSocketDisconnect, status
from fastapi.responses import JSONResponse
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from nexod_api import __version__

router = APIRouter()
INSTANCE = socket.gethostname()


@router.get("/")
async def root(request: Request) -> dict[str, object]:
    return {"name": "nexod-api", "version": __version__, "features": request.app.state.features}


@router.get("/health")
async def health() -> dict[str, str]:
    """Alive: the process answers. Says nothing about what lies behind it, so nobody restarts it for a database."""
    return {"status": "alive", "version": __version__, "instance": INSTANCE}


@router.get("/ready")
def ready(request: Request) -> JSONResponse:
    """Whether to send requests here: the database and Redis answer, and the process is not on its way out."""
    state = request.app.state
    checks = {"database": "ok", "redis": "ok"}
    try:
        # Without a transaction, which takes two more answers: a database that answers late is not one that is down.
        with state.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
    except sqlalchemy.exc.SQLAlchemyError as error:
        checks["database"] = f"{type(error).__name__}: does not answer"
    try:
        state.cache.redis.ping()
    except redis.RedisError as error:
        checks["redis"] = f"{type(error).__name__}: does not answer"
    word = "draining" if state.lifecycle.draining else "ready" if set(checks.values()) == {"ok"} else "not ready"
    return JSONResponse(
        {"status": word, "version": __version__, "checks": checks}, status_code=200 if word == "ready" else 503
    )


@router.get("/metrics")
def metrics(request: Request) -> Response:
    request.app.state.cache.count_active_users()
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), headers={"Content-Type": content_type})


@router.get("/slow")
async def slow(seconds: Annotated[float, Query(ge=0, le=600)] = 30) -> dict[str, object]:
    """Stands for an AI call: a deploy must let it end."""
    await asyncio.sleep(seconds)
    return {"slept": seconds, "version": __version__}


@router.websocket("/ws")
async def echo(socket: WebSocket) -> None:
    """Says everything back. On its way out the process closes with 1012 (service restart): clients connect anew."""
    await socket.accept()
    leaving = asyncio.ensure_future(socket.app.state.lifecycle.until_leaving())
    try:
        while True:
            heard = asyncio.ensure_future(socket.receive_text())
            await asyncio.wait({heard, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not heard.done():
                heard.cancel()
                await socket.close(status.WS_1012_SERVICE_RESTART, "restarting, connect anew")
                return
            await socket.send_text(heard.result())
    except WebSocketDisconnect:
        return
    finally:
        leaving.cancel()
