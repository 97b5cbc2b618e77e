"""PostgreSQL through PgBouncer, and how long each statement takes."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy
from sqlalchemy import event

from nexod_api import __version__
from nexod_api.metrics import DATABASE_OPERATIONS, DATABASE_SECONDS

STARTED = "nexod_started"


def connect(url: sqlalchemy.URL) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(
        url,
        pool_size=5,
        max_overflow=5,
        pool_timeout=5,
        # The pooler may have been restarted since the connection was last used.
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            # In transaction pooling a statement prepared on one server connection is not known on the next.
            "prepare_threshold": None,
            "connect_timeout": 3,
            "application_name": f"nexod_api {__version__}",
        },
    )
    event.listen(engine, "before_cursor_execute", _started)
    event.listen(engine, "after_cursor_execute", _ended)
    return engine


def _started(connection: Any, *_: Any) -> None:
    connection.info[STARTED] = time.perf_counter()


def _ended(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    word = statement.lstrip()[:6].lower()
    operation = word if word in DATABASE_OPERATIONS else "other"
    DATABASE_SECONDS.labels(operation).observe(time.perf_counter() - connection.info.pop(STARTED))
