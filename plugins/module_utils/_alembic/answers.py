# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine's events mean: the result of a run, its warnings, its progress."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.address import accepts
from ansible_collections.nexod.infra.plugins.module_utils._alembic.faults import Situation, fault
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import place
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result

Facts = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a run, or in check mode of a plan."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    migrations: tuple[dict[str, t.Any], ...] = ()
    warnings: tuple[str, ...] = ()
    inspected: bool = True  # false: in check mode, the release or the database does not exist yet
    database_missing: bool = False  # nothing listens at its address: this deploy creates it first, empty
    facts: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Also true if check mode could not inspect the database: the run will probably change it."""
        touched = bool(self.migrations) or self.before != self.after or bool(self.facts.get("indexes_rebuilt"))
        return touched or not self.inspected


def read_events(text: str) -> list[dict[str, t.Any]]:
    """The engine's events. A last line that was cut off when the engine was killed is ignored."""
    events = []
    for line in text.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            break
    return events


def last(events: t.Sequence[Facts], name: str) -> Facts | None:
    return next((event for event in reversed(events) if event["event"] == name), None)


def first(events: t.Sequence[Facts], name: str) -> Facts:
    return next((event for event in events if event["event"] == name), {})


def revisions(heads: t.Iterable[str]) -> str:
    return ", ".join(heads) or "no revision (empty database)"


def recorded(events: t.Sequence[Facts]) -> list[Facts]:
    """The revisions that ran and are recorded in the database: no longer pending at the end.

    A revision that ended may still have been rolled back with a later one, because several can share a transaction.
    """
    final = last(events, "final")
    pending = {step["revision"] for step in final["pending"]} if final else set()
    ran = {event["revision"]: event for event in events if event["event"] == "done"}
    return [event for event in ran.values() if event["revision"] not in pending]


def applied(events: t.Sequence[Facts]) -> list[dict[str, t.Any]]:
    """The recorded revisions, in short."""
    return [{name: event[name] for name in ("revision", "doc", "seconds")} for event in recorded(events)]


def applied_in_full(events: t.Sequence[Facts]) -> list[dict[str, t.Any]]:
    return [
        {
            "revision": event["revision"],
            "doc": event["doc"],
            "ms": round(event["seconds"] * 1000),
            "statements": event.get("statements", []),
            "statements_total": event.get("count", 0),
        }
        for event in recorded(events)
    ]


def settings_text(found: Facts) -> str:
    return " and ".join(f"{name} to {value}" for name, value in found.items())


EVENT_WARNINGS: dict[str, t.Callable[[Facts], str]] = {
    "index_dropped": lambda event: (
        f"Index {event['index']} was invalid, left by a run that was killed. "
        f"It was dropped, and revision {event['revision']} builds it again."
    ),
    "retry": lambda event: (
        f"Revision {event['revision']} did not get its lock (SQLSTATE {event['sqlstate']}) and was retried."
    ),
    "rehearsal": lambda event: (
        f"The plan could not be rehearsed on a copy of the schema: {event['note']}." if event["note"] else ""
    ),
    "left_out": lambda event: f"env.py itself would run this statement, which the plan skipped: {event['statement']}",
    "lock_lost": lambda _event: (
        "The lock between runners was lost during the run: its connection was closed, or uses a pooler."
    ),
    "overridden": lambda event: (
        f"env.py or an earlier revision had set {settings_text(event['found'])}"
        f"; revision {event['revision']} ran with the limits of this task. Remove the statement, or set the options of "
        "the same name."
    ),
    "unlimited": lambda event: (
        f"Revision {event['revision']} works CONCURRENTLY, through a transaction pooler: concurrent_lock_timeout and "
        "statement_timeout can't be set there, so it may wait for as long as a transaction of somebody else lasts. "
        "Run it on a direct connection."
    ),
    "ahead": lambda event: (
        f"The database is at {', '.join(event['heads'])}, which this release does not know: a newer release has "
        "migrated it. Nothing is run, and the schema stays as it is."
    ),
    "side_failed": lambda event: (
        f"The run could not {event['what']}: {event['detail']}. The migration itself is not affected."
    ),
    "audit_failed": lambda event: f"The audit table {event['table']} could not be written: {event['detail']}.",
}


def event_warning(event: Facts) -> str:
    """What a person should know of this event; empty for most."""
    found = EVENT_WARNINGS.get(event["event"])
    return found(event) if found else ""


def warnings_of(events: t.Sequence[Facts]) -> tuple[str, ...]:
    found = [event_warning(event) for event in events]
    rebuilt = {event["index"] for event in events if event["event"] == "index_rebuilt"}
    invalid = {one["index"]: one["table"] for one in (last(events, "invalid_indexes") or {}).get("indexes", [])}
    found += [
        f"Index {index} on {table} is invalid: it is maintained by every write and used by no query. Set "
        f"rebuild_invalid_indexes, or run: REINDEX INDEX CONCURRENTLY {index};"
        for index, table in invalid.items()
        if index not in rebuilt
    ]
    drift = (last(events, "final") or last(events, "plan") or {}).get("drift") or {}
    if drift.get("differences"):
        found.append(f"The schema differs from the models: {'; '.join(drift['differences'])}.")
    elif drift and not drift["compared"]:
        found.append("The schema can't be compared with the models: env.py sets no target_metadata.")
    return tuple(dict.fromkeys(filter(None, found)))


PROGRESS: dict[str, t.Callable[[Facts], str]] = {
    "start": lambda event: f"revision {event['number']} of {event['of']}: {event['revision']} {event['doc']}".strip(),
    "retry": lambda event: f"revision {event['revision']} waits for a table lock, {event['left']} retries left",
    "backfill": lambda event: f"{event['table']}: {event['done']} of about {event['of']} rows",
    "blocked": lambda event: f"waiting for {', '.join(named_session(one) for one in event['blockers'])}",
    "waiting": lambda event: (
        f"waiting for another runner, pid {event['holder']['pid']} ({event['holder']['program']})"
        if event["holder"]
        else ""
    ),
    "final": lambda _event: "verifying",
}


def progress(events: t.Sequence[Facts]) -> str:
    """What a run is doing now, for a person who waits for it; empty if there is nothing to report yet."""
    shown = next((event for event in reversed(events) if event["event"] in PROGRESS), None)
    return PROGRESS[shown["event"]](shown) if shown else ""


def named_session(one: Facts) -> str:
    return f"pid {one['pid']} ({one['program'] or 'no name'} of {one['user']}, {one['state']})"


def facts_of(events: t.Sequence[Facts]) -> dict[str, t.Any]:
    """What a run reports beside the heads, however it ended."""
    plan, final = last(events, "plan") or {}, last(events, "final")
    shown = first(events, "plan")
    retries = [event for event in events if event["event"] == "retry"]
    dropped = [event["index"] for event in events if event["event"] == "index_dropped"]
    waited = sum(event["seconds"] for event in events if event["event"] == "locked")
    scans = [event for event in events if event["event"] == "invalid_indexes"]
    drift = (final or shown).get("drift")
    return {
        "before": list(plan.get("heads", [])),
        "after": list((final or plan).get("heads" if final else "after", [])),
        "applied": applied_in_full(events),
        "sql": {step["revision"]: step["sql"] for step in shown.get("pending", []) if "sql" in step},
        "not_rendered": {
            step["revision"]: step["not_rendered"] for step in shown.get("pending", []) if step.get("not_rendered")
        },
        "contract": list(first(events, "contract").get("revisions", [])),
        "ahead": list(first(events, "ahead").get("heads", [])),
        **rehearsal_facts(last(events, "rehearsal"), shown),
        "retries": len(retries),
        "retried": [{name: event.get(name) for name in ("revision", "sqlstate", "blockers")} for event in retries],
        "lock_wait_seconds": round(waited, 3),
        "settings": dict(first(events, "settings").get("values", {})),
        "invalid_indexes": [found["index"] for found in (scans[-1]["indexes"] if scans else [])],
        "indexes_rebuilt": dropped + [event["index"] for event in events if event["event"] == "index_rebuilt"],
        **drift_facts(drift),
    }


def rehearsal_facts(event: Facts | None, plan: Facts) -> dict[str, t.Any]:
    """What running the plan on a copy has shown; `shown`: the revisions whose SQL is taken from there."""
    if event is None:
        return {}
    shown = [step["revision"] for step in plan.get("pending", []) if step.get("rehearsed")]
    return {"rehearsal": {**{name: event[name] for name in ("schema", "ran", "failed", "note")}, "shown": shown}}


def drift_facts(drift: Facts | None) -> dict[str, t.Any]:
    return {"drift": drift["differences"] if drift["compared"] else None} if drift else {}


def outcome(events: t.Sequence[Facts], *, check: bool) -> Outcome:
    """The result of a run that ended without a fault."""
    plan: Facts = last(events, "plan") or {"heads": [], "pending": []}
    before = tuple(plan["heads"])
    facts = facts_of(events)
    warnings = warnings_of(events)
    final = last(events, "final")
    if check or (final is None and plan["pending"]):
        shown = first(events, "plan") or plan
        facts["pending"] = [
            {name: step.get(name) for name in ("revision", "doc", "contract")} for step in plan["pending"]
        ]
        facts["tables"] = shown.get("tables", {})
        facts["server"] = first(events, "server").get("version")
        planned = tuple({"revision": step["revision"], "doc": step["doc"], "seconds": None} for step in plan["pending"])
        return Outcome(before, tuple(plan.get("after", before)), planned, warnings, facts=facts)
    return Outcome(before, tuple((final or plan)["heads"]), tuple(applied(events)), warnings, facts=facts)


def as_diff(result: Outcome, database: Facts) -> dict[str, str]:
    steps = "".join(f"  {step['revision']} {step['doc']}".rstrip() + "\n" for step in result.migrations)
    header = f"schema of database {place(database)}"
    after = f"at {revisions(result.after)}\n" if result.inspected else "at the release's head\n"
    before = f"at {revisions(result.before)}\n" if result.inspected else "not known yet\n"
    return {"before_header": header, "after_header": header, "before": before, "after": after + steps}


def with_sql(diff: dict[str, str], facts: Facts) -> dict[str, str]:
    """The diff with the SQL of every revision that runs, and why one can't be shown in full."""
    text = ""
    for revision, sql in (facts.get("sql") or {}).items():
        why = (facts.get("not_rendered") or {}).get(revision)
        note = f"-- incomplete, the rest depends on the data: {why}\n" if why else ""
        text += f"\n-- {revision}\n{note}{sql.strip()}\n"
    return {**diff, "after": diff["after"] + text}


def interpret(
    ended: Result,
    events: t.Sequence[Facts],
    *,
    check: bool,
    database: Facts,
    python: str,
    timeout: float,
    verb: str = "upgrade",
    variable: str = "",
) -> Outcome:
    """The result of the run; raises if it failed, or if the engine died without reporting a fault."""
    failure = last(events, "fault")
    # Check mode on a host that has no release yet, or before its database exists: there is nothing to ask yet.
    unreachable = failure is not None and failure["kind"] == "connect" and not failure["listens"]
    if check and (ended.missing or unreachable):
        why = failure["detail"] if failure else f"{python} does not exist"
        return Outcome(
            inspected=False,
            database_missing=unreachable or not listens(database),
            warnings=(f"Cannot determine yet which revisions of {place(database)} are pending: {why}.",),
        )
    action, where = f"{verb} database", place(database)
    if failure:
        inspected = last(events, "plan") is not None
        known = known_of_failure(events)
        raise fault(failure, Situation(action, database, python, known, inspected=inspected, variable=variable))
    if ended.rc != 0:
        known = known_of_failure(events) if last(events, "plan") else {}
        raise InfraError(action, where, *died(ended, events, python, timeout), **known)
    return outcome(events, check=check)


def known_of_failure(events: t.Sequence[Facts]) -> dict[str, t.Any]:
    """What is known of the database after a run that failed: never what was planned."""
    final, plan = last(events, "final"), last(events, "plan")
    started = any(event["event"] == "start" for event in events)
    # An engine that was killed in the middle could not look again.
    after = final["heads"] if final else plan["heads"] if plan and not started else None
    migrations = applied(events) if final else []
    facts = facts_of(events)
    # Unknown counts as changed: a handler that does too much is better than one that is left out.
    partial = bool((last(events, "fault") or {}).get("partial"))
    changed = bool(migrations or facts["indexes_rebuilt"]) or partial or (started and after is None)
    return {
        **facts,
        "after": None if after is None else list(after),
        "changed": changed or (plan is not None and after is not None and list(plan["heads"]) != list(after)),
        "revision_before": revisions(plan["heads"]) if plan else None,
        "revision_after": None if after is None else revisions(after),
        "migrations": migrations,
        "warnings": list(warnings_of(events)),
    }


def died(ended: Result, events: t.Sequence[Facts], python: str, timeout: float) -> tuple[str, str]:
    """Cause and next step for an engine that ended without reporting a fault."""
    if ended.missing:
        return (
            f"{python} does not exist",
            "Install the release first (nexod.infra.release), or correct `python`.",
        )
    if ended.rc == 126:
        return (
            f"{python} can't be run: {ended.stderr}",
            "Install the release where the account in `user` can read it, such as /opt, and build it for the host's "
            "processor.",
        )
    if ended.rc == 124:
        running = last(events, "start")
        return (
            f"it did not end within {timeout:g} s" + (f", in revision {running['revision']}" if running else ""),
            "Raise `timeout`, or look up in pg_stat_activity what it waits for. The next run continues from there.",
        )
    return (
        f"the engine ended with rc {ended.rc}: {ended.output[-1000:] or 'no output'}",
        "Run again: what is recorded is kept, and the next run does the rest.",
    )


def listens(database: Facts) -> bool:
    """Whether anything accepts connections at one of the database's addresses."""
    return any(accepts(*one) for one in database.get("candidates") or [(database["host"], database["port"])])
