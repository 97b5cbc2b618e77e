# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine can be asked for, each command from the plan to the verification."""

from __future__ import annotations

import dataclasses
import math
import time
import typing as t

from . import audit, indexes, rehearsal
from .approval import approved
from .environment import Environment
from .errors import message_of
from .heads import heads_after
from .lock import holder, runner_lock
from .plan import Planner
from .protocol import Fault
from .revisions import about
from .runner import Runner
from .session import Session
from .settings import ConnectionSettings
from .sql import statements_in, table_of
from .statements import StatementHooks


@dataclasses.dataclass(frozen=True)
class Work:
    """The parts that a command uses."""

    session: Session
    environment: Environment
    settings: ConnectionSettings
    planner: Planner
    runner: Runner

    @classmethod
    def on(cls, session: Session, environment: Environment) -> Work:
        settings = ConnectionSettings(session)
        hooks = StatementHooks(session, settings)
        settings.listen()
        hooks.listen()
        planner = Planner(session, environment, hooks)
        return cls(session, environment, settings, planner, Runner(session, environment, hooks, planner))


def upgrade(work: Work) -> None:
    session, request = work.session, work.session.request
    plan = planned(work)
    session.events.emit("plan", **plan)
    invalid = indexes.report_invalid(session, "before")
    refuse_contract(session, plan)
    if plan["pending"]:
        audit.check(session)
    if request.check or (plan["pending"] and request.stop_at_plan):
        return
    linted = request.linted
    if plan["pending"] and request.approval:
        if not approved(request.approval, request.parent, session.events):
            return
        linted = [step["revision"] for step in plan["pending"]]
    rebuild = bool(invalid) and request.rebuild_invalid_indexes
    if plan["pending"] or rebuild:
        with runner_lock(session):
            _upgrade_under_lock(work, linted)
    if not plan["pending"]:
        session.events.emit("final", **plan)
        if rebuild:
            report_invalid_after(session)
        return
    final = final_plan(work)
    session.events.emit("final", **final)
    require_recorded(final)
    report_invalid_after(session)


def planned(work: Work) -> dict[str, t.Any]:
    """The plan; what could not be rendered is taken from the rehearsal, if there is one."""
    session, request, planner = work.session, work.session.request, work.planner
    plan = planner.full_plan()
    refuse_elsewhere(work)
    if not (request.rehearse and plan["pending"] and (request.check or request.stop_at_plan or request.approval)):
        return plan
    original = rehearsal.Original(session, work.settings, request_url(work), plan["heads"], planner.hooks.version_table)
    found = rehearsal.rehearse(original)
    session.events.emit("rehearsal", **found.event)
    return planner.with_tables(rehearsal.with_rehearsed(plan, found))


def request_url(work: Work) -> str:
    request, config = work.session.request, work.environment.config
    return str(config.get_section_option(request.name, request.url_option))


def _upgrade_under_lock(work: Work, linted: t.Sequence[str] | None) -> None:
    """Run what is pending; `linted`: the revisions that the lint has approved, if it was asked."""
    session, request = work.session, work.session.request
    # Another runner may have been here since the first plan: what counts is the plan under the lock.
    plan = work.planner.plan()
    if linted is not None:
        unseen = [step["revision"] for step in plan["pending"] if step["revision"] not in linted]
        if unseen:
            raise Fault("unseen", revisions=unseen)
    session.events.emit("plan", **plan)
    if plan["pending"]:
        run_revisions(work, plan)
    if request.rebuild_invalid_indexes:
        indexes.rebuild_invalid(session)


def downgrade(work: Work) -> None:
    session, request = work.session, work.session.request
    plan = work.planner.full_plan()
    refuse_elsewhere(work)
    session.events.emit("plan", **plan)
    empty = [step["revision"] for step in plan["pending"] if step["empty"]]
    refused = [revision for revision in empty if revision not in request.allow_empty]
    if refused:
        raise Fault("empty_downgrade", revisions=refused)
    if plan["pending"]:
        audit.check(session)
    if request.check:
        return
    if not plan["pending"]:
        session.events.emit("final", **plan)
        return
    with runner_lock(session):
        plan = work.planner.plan()
        session.events.emit("plan", **plan)
        run_revisions(work, plan)
    final = work.planner.plan()
    session.events.emit("final", **final)
    require_recorded(final)


def stamp(work: Work) -> None:
    session, request, script = work.session, work.session.request, work.environment.script
    plan = work.planner.plan()
    refuse_elsewhere(work)
    _here, unknown = work.environment.known(plan["heads"])
    if unknown and not request.purge:
        raise Fault("ahead", heads=sorted(unknown), known=sorted(script.get_heads()))
    heads = () if request.purge else tuple(plan["heads"])
    after = sorted(heads_after(heads, script._stamp_revs(request.revision, heads)))
    session.events.emit("plan", **{**plan, "after": after})
    if request.check:
        return
    if plan["heads"] == after:
        session.events.emit("final", **plan)
        return
    with runner_lock(session), work.settings.writable():
        work.runner.stamp()
    session.events.emit("final", **work.planner.plan())


def info(work: Work) -> None:
    session, script = work.session, work.environment.script
    plan = work.planner.full_plan()
    refuse_elsewhere(work)
    here, unknown = work.environment.known(plan["heads"])
    done = {one.revision for one in script.iterate_revisions(tuple(here), "base")} if here else set()
    revisions = [
        {**about(one), "applied": one.revision in done, "branch_point": one.is_branch_point}
        for one in script.walk_revisions()
    ]
    session.events.emit(
        "info",
        **plan,
        script_heads=sorted(script.get_heads()),
        unknown=sorted(unknown),
        history=list(reversed(revisions)),
        holder=holder(session.admin),
        audit=audit.latest(session),
    )
    indexes.report_invalid(session, "before")


COMMANDS: dict[str, t.Callable[[Work], None]] = {
    "upgrade": upgrade,
    "downgrade": downgrade,
    "stamp": stamp,
    "info": info,
}


def run_revisions(work: Work, plan: t.Mapping[str, t.Any]) -> None:
    """Run what is pending, on connections that may write, and audit it however it ends."""
    audit.prepare(work.session)
    try:
        with work.settings.writable():
            work.runner.run()
    finally:
        audit.record(work.session, work.runner, plan["pending"])


def final_plan(work: Work) -> dict[str, t.Any]:
    """Where the database is now. A comparison that fails does not change how the run has ended."""
    if work.session.request.check_drift:
        try:
            return work.planner.plan(drift=True)
        except Exception as error:
            work.session.events.emit("side_failed", what="compare the schema with the models", detail=message_of(error))
    return work.planner.plan()


def report_invalid_after(session: Session) -> None:
    try:
        indexes.report_invalid(session, "after")
    except Exception as error:
        session.events.emit("side_failed", what="look for invalid indexes", detail=message_of(error))


def refuse_elsewhere(work: Work) -> None:
    """Refuse an env.py that does not connect to the database that the URL names: the lock would be on another one."""
    places = work.settings.places
    if places and work.session.place not in places:
        raise Fault("elsewhere", found=sorted(f'"{key[1]}" at {address}' for key, address in places.items()))


def refuse_contract(session: Session, plan: t.Mapping[str, t.Any]) -> None:
    """Refuse to remove what older code reads, unless it is allowed by now or nothing can be read there yet."""
    if not plan["heads"]:
        return
    refused = []
    for step in plan["pending"]:
        if not step["contract"]:
            continue
        tables = {table_of(statement) for _line, statement in statements_in(step.get("sql") or "")} - {None}
        if step.get("not_rendered") or not tables or not all(plan["tables"][name]["empty"] for name in tables):
            refused.append(step["revision"])
    if refused:
        session.events.emit("contract", revisions=refused)
        if not session.request.allow_contract:
            raise Fault("contract", revisions=refused)
        left = math.ceil(session.request.contract_not_before - time.time())
        if left > 0:
            raise Fault("contract_early", revisions=refused, seconds=left)


def require_recorded(final: t.Mapping[str, t.Any]) -> None:
    """Alembic can end without an error and have committed nothing."""
    if final["pending"]:
        raise Fault("not_recorded", pending=final["pending"])
