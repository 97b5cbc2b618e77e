# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start of the engine: one request, carried out or reported as a fault."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import typing as t
from pathlib import Path

from . import backfill, indexes
from .commands import COMMANDS, Work
from .configuration import open_environment
from .errors import driver_error, fault_in, located, sqlstate_of
from .protocol import REHEARSAL_VARIABLE, URL_VARIABLE, Events, Request
from .runner import Failure
from .session import connect
from .tree import rendered_tree


def run(request: Request, url: str) -> int:
    events, work = Events(request.events), None
    provide_backfill(events)
    try:
        environment = open_environment(request, url)
        if request.command == "lint":
            events.emit("tree", revisions=rendered_tree(environment))
            return 0
        work = Work.on(connect(request, url, events), environment)
        COMMANDS[request.command](work)
    except (Exception, SystemExit) as error:
        report_failure(events, work, error)
        return 1
    return 0


def provide_backfill(events: Events) -> None:
    """Let revisions import ``nexod_backfill``, and report how far it is, at most once a second."""
    latest = 0.0

    def report(done: int, of: int, table: str) -> None:
        nonlocal latest
        if time.monotonic() - latest >= 1:
            latest = time.monotonic()
            events.emit("backfill", table=table, done=done, of=of)

    backfill.report = report
    sys.modules["nexod_backfill"] = backfill


def report_failure(events: Events, work: Work | None, error: BaseException) -> None:
    """What happened, and which state it left the database in."""
    failure = (work.runner.failure if work else None) or Failure(None)
    fault = fault_in(error)
    event: dict[str, t.Any] = {
        "event": "fault",
        "kind": "revision" if failure.revision else "environment",
        "revision": failure.revision,
        "partial": failure.partial,
        "sqlstate": sqlstate_of(error),
        "detail": located(error),
        "statement": failure.statement if driver_error(error) else None,
        "blockers": list(failure.blockers),
        "place": dict(failure.place),
        "own": failure.own,
    }
    if work and work.runner.started:
        with contextlib.suppress(Exception):
            events.emit("final", **work.planner.plan())
        with contextlib.suppress(Exception):
            indexes.report_invalid(work.session, "after")
    events.emit(**(fault.event if fault else event))


def start() -> None:
    # The archive that the engine was started from: the application must find its own modules only.
    archive = str(Path(__file__).parents[1])
    sys.path[:] = [folder for folder in sys.path if folder != archive]
    request = Request(**json.load(sys.stdin))
    url = os.environ.pop(URL_VARIABLE)
    for name in request.unset:
        os.environ.pop(name, None)
    if not request.rehearse:
        os.environ.pop(REHEARSAL_VARIABLE, None)
    if request.url_env:
        os.environ[request.url_env] = url
    code = run(request, url)
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread of the application's must not keep a run alive that has ended.
    os._exit(code)
