"""Puts the application together: connections, features, metrics around every request."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis
import sentry_sdk
import sqlalchemy.exc
from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexod_api import __version__, cache, clerk, database, features, metrics, operations
from nexod_api.lifecycle import Lifecycle
from nexod_api.settings import Settings

# Asked every few seconds by machines: counted in, they would hide what users see.
NOT_COUNTED = frozenset({"/health", "/ready", "/metrics"})


def feature_routers() -> dict[str, APIRouter]:
    """The features that this version brings: a module below features/ each."""
    names = sorted(module.name for module in pkgutil.iter_modules(features.__path__))
    return {name: importlib.import_module(f"{features.__name__}.{name}").router for name in names}


class Measured:
    """Counts and times each request under its route's template: raw paths would make a series for every user."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in NOT_COUNTED:
            await self.app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            route = scope.get("route")
            endpoint = getattr(route, "path", "unmatched")
            method = scope["method"] if route is not None else "any"
            metrics.REQUESTS.labels(method, endpoint, str(status)).inc()
            metrics.REQUEST_SECONDS.labels(method, endpoint).observe(time.perf_counter() - started)


def begin_at_zero(routers: list[APIRouter]) -> None:
    metrics.begin_at_zero()
    for router in routers:
        for route in router.routes:
            if getattr(route, "path", None) in NOT_COUNTED:
                continue
            for method in sorted(getattr(route, "methods", None) or ()):
                for status in (str(getattr(route, "status_code", None) or 200), "500", "503"):
                    metrics.REQUESTS.labels(method, route.path, status)
                metrics.REQUEST_SECONDS.labels(method, route.path)


async def not_reachable(_request: Request, error: Exception) -> JSONResponse:
    """The database or Redis is away: not the caller's fault, and worth another try."""
    sentry_sdk.capture_exception(error)
    return JSONResponse({"detail": "a system behind the API does not answer"}, 503, {"Retry-After": "5"})


def create_app(settings: Settings) -> FastAPI:
    if settings.sentry_dsn:
        sentry_sdk.init(
            dsn=settings.sentry_dsn,
            environment=settings.environment,
            release=settings.sentry_release or f"nexod-api@{__version__}",
            traces_sample_rate=settings.sentry_traces_sample_rate,
            profiles_sample_rate=settings.sentry_profiles_sample_rate,
        )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.engine.dispose()
        app.state.cache.redis.close()

    app = FastAPI(title="nexod API", version=__version__, lifespan=lifespan)
    app.state.lifecycle = Lifecycle()
    app.state.engine = database.connect(settings.database)
    app.state.cache = cache.Cache(cache.connect(settings))
    app.state.clerk = clerk.Clerk(settings)
    routers = feature_routers()
    app.state.features = list(routers)
    for router in (operations.router, *routers.values()):
        app.include_router(router)
    begin_at_zero([operations.router, *routers.values()])
    app.add_middleware(Measured)
    if settings.allowed_origins:
        origins, any_of = list(settings.allowed_origins), ["*"]
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=any_of, allow_headers=any_of)
    app.add_exception_handler(redis.ConnectionError, not_reachable)
    app.add_exception_handler(redis.TimeoutError, not_reachable)
    app.add_exception_handler(clerk.KeysUnknownError, not_reachable)
    app.add_exception_handler(sqlalchemy.exc.OperationalError, not_reachable)
    app.add_exception_handler(sqlalchemy.exc.TimeoutError, not_reachable)
    return app
