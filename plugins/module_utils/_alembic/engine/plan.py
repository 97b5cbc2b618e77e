# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the database is and which revisions are pending. Planning writes nothing, not even the version table."""

from __future__ import annotations

import typing as t

from .drift import drift_of
from .environment import Environment, require_context
from .errors import READ_ONLY, fault_in, message_of, sqlstate_of
from .heads import heads_after
from .protocol import Fault
from .render import rendered
from .revisions import described, is_contract
from .session import Session
from .sql import CONCURRENTLY, statements_in
from .statements import StatementHooks
from .tables import Names, names_on, tables_of


def no_step(_step: t.Any) -> bool:
    return False


class Planner:
    def __init__(self, session: Session, environment: Environment, hooks: StatementHooks) -> None:
        self.session = session
        self.environment = environment
        self.hooks = hooks
        self._env_writes = False  # whether env.py has to write before it comes to its migrations
        self._rendered: dict[str, dict[str, t.Any]] = {}  # upgrade() may do more than SQL, so it is called once
        self._contexts: list[Names] = []  # how names are resolved in each of env.py's databases or schemas

    def plan(self, *, render: t.Callable[[t.Any], bool] = no_step, drift: bool = False) -> dict[str, t.Any]:
        """The plan; `render`: of which steps the SQL is needed, `drift`: whether to compare schema and models."""
        settings = self.hooks.settings
        was, settings.read_only = settings.read_only, not self._env_writes
        try:
            return self._plan(render, drift=drift)
        except Exception as error:
            if self._env_writes or not self._stopped_by_planning(error):
                raise
            if self.session.request.check:
                if sqlstate_of(error) == READ_ONLY:
                    raise
                raise Fault("left_out", statements=self.hooks.skipped, detail=message_of(error)) from error
        finally:
            settings.read_only = was
        # env.py writes something first that can't be skipped. In check mode it must not; before a run it may, as it
        # does under the alembic command.
        self._env_writes = True
        return self.plan(render=render, drift=drift)

    def full_plan(self) -> dict[str, t.Any]:
        """The plan with its tables, and with the SQL that was asked for or that shows what a contract removes."""
        request = self.session.request
        plan = self.plan(
            render=lambda step: request.render or (step.is_upgrade and is_contract(step.revision)),
            drift=request.check_drift,
        )
        self._name_unlimited(plan["pending"])
        return self.with_tables(plan)

    def _name_unlimited(self, pending: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """A statement outside a transaction has no limits through a transaction pooler: they would leak to others."""
        for step in pending if self.session.pooled else ():
            if any(CONCURRENTLY.match(one) for _line, one in statements_in(step.get("sql", ""))):
                self.session.events.emit("unlimited", revision=step["revision"])

    def with_tables(self, plan: dict[str, t.Any]) -> dict[str, t.Any]:
        return {**plan, "tables": tables_of(self.session, plan["pending"], list(dict.fromkeys(self._contexts)))}

    def _stopped_by_planning(self, error: Exception) -> bool:
        return sqlstate_of(error) == READ_ONLY or (bool(self.hooks.skipped) and fault_in(error) is None)

    def _plan(self, render: t.Callable[[t.Any], bool], *, drift: bool) -> dict[str, t.Any]:
        seen: dict[str, t.Any] = {}
        all_heads: set[str] = set()
        pending: dict[str, dict[str, t.Any]] = {}

        def inspect(heads: t.Any, context: t.Any) -> list[t.Any]:
            """Called by env.py, once for each of its databases; the empty list makes Alembic run nothing."""
            require_context(context)
            self.environment.check_target()
            self.hooks.version_table = context.version_table
            all_heads.update(heads)
            steps = self.steps(heads)
            for step in steps:
                if step.revision.revision not in pending:
                    facts = described(step)
                    sql = self._sql(context, step) if render(step) else {}
                    pending[facts["revision"]] = {**facts, **sql}
            if any("sql" in step for step in pending.values()):
                self._contexts.append(names_on(context.connection))
            seen["after"] = sorted(set(seen.get("after", ())) | heads_after(heads, steps))
            # The models of a release that the database is ahead of differ from the schema, and should.
            if drift and not self.environment.known(heads)[1]:
                seen["drift"] = drift_of(context, self.session.request.ignored_schemas)
            return []

        command = "downgrade" if self.session.request.command == "downgrade" else "upgrade"
        self.environment.run(inspect, command, dont_mutate=True)
        if not seen:
            raise Fault("no_migrations_run")
        return {**seen, "heads": sorted(all_heads), "pending": list(pending.values())}

    def _sql(self, context: t.Any, step: t.Any) -> dict[str, t.Any]:
        key = f"{step.revision.revision} {step.is_upgrade}"
        if key not in self._rendered:
            self._rendered[key] = rendered(self.environment, context, step)
        return self._rendered[key]

    def steps(self, heads: t.Iterable[str]) -> list[t.Any]:
        """Alembic's steps from `heads` to the requested revision."""
        command, target, script = (
            self.session.request.command, self.session.request.revision, self.environment.script,
        )  # fmt: skip
        if command == "stamp":
            return []
        here, unknown = self.environment.known(heads)
        if unknown and command == "info":
            return []
        if unknown and command == "upgrade" and self.session.request.ahead == "accept":
            self.session.events.emit("ahead", heads=sorted(unknown), known=sorted(script.get_heads()))
            return []
        if unknown:
            raise Fault("ahead", heads=sorted(unknown), known=sorted(script.get_heads()))
        if command != "downgrade":
            return list(script._upgrade_revs(target, tuple(here)))
        try:
            return list(script._downgrade_revs(target, tuple(here)))
        except Exception as error:
            raise Fault("not_below", revision=target, heads=sorted(here)) from error
