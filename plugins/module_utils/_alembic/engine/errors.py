# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database driver reports, wherever SQLAlchemy or env.py has wrapped it."""

from __future__ import annotations

import re
import sysconfig
import traceback
import typing as t

from .protocol import Fault

READ_ONLY = "25006"
LOCK_NOT_AVAILABLE = "55P03"
RETRIED = (LOCK_NOT_AVAILABLE, "40P01")  # and deadlock_detected: nothing was done, another try may succeed


# Files that are not the application's own, although its interpreter has them.
LIBRARIES = re.compile(
    r"^<|engine\.zip/|/(?:site|dist)-packages/(?:alembic|sqlalchemy|mako|psycopg\w*|asyncpg|greenlet)/"
)
STANDARD_LIBRARY = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))


def chain(error: BaseException) -> t.Iterator[BaseException]:
    """`error` and what it was raised from, the outermost first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def driver_error(error: BaseException) -> BaseException | None:
    """The database driver's exception behind `error`, if there is one."""
    for seen in chain(error):
        original = getattr(seen, "orig", None)
        if isinstance(original, BaseException):
            return original
        if getattr(seen, "sqlstate", None) or getattr(seen, "pgcode", None):
            return seen
    return None


def sqlstate_of(error: BaseException) -> str | None:
    driver = driver_error(error)
    return getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None) if driver else None


def message_of(error: BaseException) -> str:
    """The first line of the message only: further lines may quote rows, and rows may hold personal data."""
    driver = driver_error(error)
    reported = driver or error
    text = getattr(getattr(reported, "diag", None), "message_primary", None) or str(reported)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first if driver else f"{type(error).__name__}: {first}".rstrip(": ")


def located(error: BaseException) -> str:
    """The message, and the line of the application's that an exception of Python's comes from."""
    message, line = message_of(error), line_of(error)
    return f"{message} ({line})" if line and not driver_error(error) else message


def line_of(error: BaseException) -> str:
    for seen in chain(error):
        if isinstance(seen, SyntaxError) and seen.filename:
            return f"{seen.filename}, line {seen.lineno}"
        for frame in reversed(traceback.extract_tb(seen.__traceback__)):
            if not is_library(frame.filename):
                return f"{frame.filename}, line {frame.lineno}"
    return ""


def is_library(path: str) -> bool:
    standard = path.startswith(STANDARD_LIBRARY) and "-packages/" not in path
    return standard or LIBRARIES.search(path) is not None


def fault_in(error: BaseException) -> Fault | None:
    """The engine's own fault behind `error`, if there is one."""
    return next((seen for seen in chain(error) if isinstance(seen, Fault)), None)
