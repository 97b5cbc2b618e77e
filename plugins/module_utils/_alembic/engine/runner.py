# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running revisions: what Alembic's own commands do, one revision after another, with retries."""

from __future__ import annotations

import dataclasses
import random
import time
import typing as t

from .blockers import BlockerMonitor
from .environment import Environment, require_context
from .errors import LOCK_NOT_AVAILABLE, RETRIED, sqlstate_of
from .plan import Planner
from .revisions import described
from .session import Session
from .sql import CONCURRENTLY
from .statements import Attempt, StatementHooks


@dataclasses.dataclass(frozen=True)
class Failure:
    """Where a run failed. `revision` is None if it failed between revisions."""

    revision: str | None
    partial: bool = False
    statement: str | None = None
    blockers: t.Sequence[dict[str, t.Any]] = ()
    place: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)  # database, search path, version table
    own: bool = False  # whether it waited for another connection of this run


def may_succeed(failure: Failure, state: str) -> bool:
    """Whether another try of what did not get its lock may end otherwise."""
    if failure.partial or failure.own:
        return False
    # A concurrent build has waited for minutes, and leaves an index that another try builds from the beginning.
    return state != LOCK_NOT_AVAILABLE or not CONCURRENTLY.match(failure.statement or "")


class Runner:
    def __init__(self, session: Session, environment: Environment, hooks: StatementHooks, planner: Planner) -> None:
        self.session = session
        self.environment = environment
        self.hooks = hooks
        self.planner = planner
        self.seconds: dict[str, float] = {}  # how long each revision that ended took
        self.started = False  # whether the database may be changed
        self.failure: Failure | None = None
        self._latest: Attempt | None = None
        self._place: dict[str, t.Any] = {}

    def run(self) -> None:
        """Run the pending revisions, again and again while a table stays locked and nothing was committed."""
        request = self.session.request
        self.hooks.monitor = BlockerMonitor(self.session.admin, request.lock_timeout, self.session.events)
        for left in range(request.lock_retries, -1, -1):
            try:
                self._run_revisions()
            except Exception as error:
                state = sqlstate_of(error)
                self.failure = self._failed()
                if state not in RETRIED or not may_succeed(self.failure, state) or not left:
                    raise
            else:
                self.failure = None
                return
            finally:
                self.hooks.attempt = None
            self.session.events.emit(
                "retry", revision=self.failure.revision, sqlstate=state, left=left, blockers=self.failure.blockers
            )
            time.sleep(random.uniform(0.3, 0.7))

    def stamp(self) -> None:
        """Record the requested revision without running anything."""

        def do_stamp(heads: t.Any, _context: t.Any) -> t.Any:
            return self.environment.script._stamp_revs(self.session.request.revision, tuple(heads))

        self.started = True
        self.environment.run(do_stamp, "do_stamp", purge=self.session.request.purge)

    def _failed(self) -> Failure:
        monitor, running, latest = self.hooks.monitor, self.hooks.attempt, self._latest
        if monitor:
            monitor.end()
        blockers = monitor.blockers if monitor else ()
        return Failure(
            revision=running.revision if running else None,
            partial=latest.partial if latest else False,
            statement=latest.statement if latest else None,
            blockers=blockers,
            place=self._place,
            own=any(one["pid"] in self.hooks.settings.processes for one in blockers),
        )

    def _run_revisions(self) -> None:
        self._latest = None
        self._place = {}
        self.started = True
        per_revision = self.session.request.transaction == "per_revision"

        def run_steps(heads: t.Any, context: t.Any) -> t.Iterator[t.Any]:
            """Alembic takes one step after another from here and runs it."""
            require_context(context)
            steps = self.planner.steps(heads)
            for number, step in enumerate(steps, start=1):
                facts = described(step)
                attempt = Attempt(facts["revision"])
                # Where env.py has one transaction for all, what one revision has committed is recorded with the last.
                if context._transaction is not None and not per_revision and self._latest:
                    attempt.partial = self._latest.partial
                self.hooks.attempt = self._latest = attempt
                self._place = {
                    **self.hooks.settings.enforce(context.connection, attempt.revision),
                    "version_table_schema": context.version_table_schema,
                }
                self.session.events.emit("start", **facts, number=number, of=len(steps))
                began = time.monotonic()
                yield step  # resumed when the revision's transaction, if env.py gives it its own, is committed
                if per_revision and context._transaction is not None:
                    # Entering the block commits and begins anew: locks are not held to the end, and a failure does not
                    # undo the record of a revision whose concurrent index stays.
                    with context.autocommit_block():
                        pass
                seconds = self.seconds[attempt.revision] = round(time.monotonic() - began, 3)
                self.session.events.emit(
                    "done", **facts, seconds=seconds, statements=attempt.statements, count=attempt.count
                )
            self.hooks.attempt = None

        self.environment.run(run_steps, self.session.request.command)
