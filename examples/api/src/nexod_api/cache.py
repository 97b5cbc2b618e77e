"""Redis: sessions and the two cache layers, and how long each command takes.

| key                      | holds                                  | lives  |
|--------------------------|----------------------------------------|--------|
| session:{id}             | a signed-in user                       | 3600 s |
| api:{key}                | a response                             | 300 s  |
| user:{id}                | an entity; deleted when it is written  | 3600 s |
| query:{namespace}:{key}  | the result of an expensive query       | 60 s   |
| active_users             | who was seen when, as a sorted set     | 300 s  |
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from nexod_api.metrics import ACTIVE_USERS, REDIS_SECONDS
from nexod_api.settings import Settings

SESSION_SECONDS = 3600
RESPONSE_SECONDS = 300
ENTITY_SECONDS = 3600
QUERY_SECONDS = 60
ACTIVE_SECONDS = 300

log = logging.getLogger("uvicorn.error")


class TimedRedis(redis.Redis):
    def execute_command(self, *args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return super().execute_command(*args, **options)
        finally:
            REDIS_SECONDS.labels(str(args[0]).lower()).observe(time.perf_counter() - started)


def connect(settings: Settings) -> TimedRedis:
    return TimedRedis(
        host=settings.redis_host,
        port=settings.redis_port,
        db=settings.redis_db,
        ssl=settings.redis_tls,
        password=settings.redis_password or None,
        socket_timeout=2,
        socket_connect_timeout=2,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 1),
    )


class Cache:
    """What the features ask of Redis. Caches are allowed to be away: then the answer is made anew."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis = client

    def remember(self, key: str, seconds: int, produce: Callable[[], Any]) -> tuple[Any, bool]:
        """The value under `key`, or what `produce` gives, kept for `seconds`; and whether it was there."""
        try:
            kept = self.redis.get(key)
        except redis.RedisError as error:
            log.warning("cache not read: %s", error)
            return produce(), False
        if kept is not None:
            return json.loads(kept), True
        value = produce()
        try:
            self.redis.set(key, json.dumps(value, default=str), ex=seconds)
        except redis.RedisError as error:
            log.warning("cache not written: %s", error)
        return value, False

    def forget(self, *keys: str) -> None:
        """Write-through invalidation: called after a write is committed. An error is the caller's to answer for:
        a cache that keeps the old value is worse than a refused write."""
        self.redis.unlink(*keys)

    def saw(self, user_id: int) -> None:
        now = time.time()
        self.redis.zadd("active_users", {str(user_id): now})
        self.redis.expire("active_users", ACTIVE_SECONDS)

    def count_active_users(self) -> None:
        try:
            self.redis.zremrangebyscore("active_users", 0, time.time() - ACTIVE_SECONDS)
            ACTIVE_USERS.set(self.redis.zcard("active_users"))
        except redis.RedisError as error:
            # Not a number rather than an old one: a dashboard then shows the gap.
            ACTIVE_USERS.set(float("nan"))
            log.warning("active users not counted: %s", error)
