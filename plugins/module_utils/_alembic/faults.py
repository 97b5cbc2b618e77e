# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the modules ``alembic_*`` in words: what was attempted, why it failed, what to do next."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Facts = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Situation:
    """What was attempted on which database with which interpreter, and what the run has told before it failed.

    `looked` is false where it failed before the database could be asked where it is.
    """

    what: str
    database: Facts
    python: str
    known: dict[str, t.Any]
    looked: bool = True
    variable: str = ""  # where env.py reads the URL


def place(database: Facts) -> str:
    return f'"{database["name"]}" at {database["host"]}:{database["port"]}'


def lasted(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def fault(event: Facts, situation: Situation) -> InfraError:
    kind, what, where = event["kind"], situation.what, place(situation.database)
    known = situation.known if situation.looked else {}
    if kind in SIMPLE:
        cause, next_step = SIMPLE[kind](event, situation)
        return InfraError(what, where, cause, next_step, **known)
    if kind == "locked":
        return InfraError(
            "take the migration lock on database", where, *held(event.get("holder") or {}), **known,
            lock_holder=event.get("holder") or None,
        )  # fmt: skip
    return failed(what, where, event, known)


def listed(names: t.Any) -> str:
    return ", ".join(names or [])


def connection(event: Facts, situation: Situation) -> tuple[str, str]:
    host, port = situation.database["host"], situation.database["port"]
    cause = f"the connection failed: {event.get('detail') or ''}"
    state = str(event.get("sqlstate") or "")
    text = cause.lower()
    if state == "28P01" or "password authentication failed" in text:
        return cause, "Correct the user or the password in `url`; special characters are written as %XX."
    if state == "3D000" or "does not exist" in text:
        return cause, "Make the database first, or correct its name in `url`."
    if state == "28000" or "pg_hba" in text:
        return cause, f"Let this host in, in pg_hba.conf of {host}, for that user and database."
    if not event.get("listens", True):
        return cause, f"See that PostgreSQL runs on {host} and that no firewall stands before port {port}."
    return cause, f"Check that {host}:{port} is up and lets this host in, and the user and password."


def pooled(_event: Facts, situation: Situation) -> tuple[str, str]:
    host = str(situation.database["host"])
    direct = "the database's own address"
    if "pooler.supabase.com" in host:
        direct = (
            "Supabase's direct address (db.PROJECT.supabase.co:5432), or the session pooler's (port 5432, not 6543)"
        )
    into = f" (env.py reads it from {situation.variable})" if situation.variable else ""
    return (
        "a pooler stands between that shares sessions by transaction: settings would leak to its other clients "
        "and no lock would hold",
        f"Give {direct} in `url`{into}, or set `via_pooler: true`.",
    )


SIMPLE: dict[str, t.Callable[[Facts, Situation], tuple[str, str]]] = {
    "no_alembic": lambda event, here: (
        f"Alembic is not in the environment of {here.python} ({event.get('detail')})",
        "Install the release with its dependencies, or name another interpreter in `python`.",
    ),
    "no_driver": lambda event, here: (
        f"the environment of {here.python} lacks the database driver ({event.get('detail')})",
        "Add it to the release, or name the one that is there in `url` (postgresql+DRIVER://).",
    ),
    "no_package": lambda event, here: (
        f'{here.python} has no package "{event.get("package")}"',
        "Check `config` and that the release is installed.",
    ),
    "no_config": lambda event, _here: (
        f"there is no {event.get('path')}",
        "Check `chdir` and `config`, and that the release holds it.",
    ),
    "no_section": lambda event, _here: (
        f"{event.get('path')} has no section [{event.get('section')}]",
        "Correct `name`.",
    ),
    "config": lambda event, _here: (
        f"{event.get('path')} does not load: {event.get('detail')}",
        "Fix the configuration or the revision it names.",
    ),
    "connect": connection,
    "pooled": pooled,
    "pooled_driver": lambda _event, _here: (
        "a pooler stands between that shares sessions by transaction, and asyncpg before 0.31 prepares each statement "
        "in a session",
        "Give the database's own address in `url`, a URL with the driver psycopg, or a newer asyncpg to the release.",
    ),
    "replica": lambda _event, _here: (
        "it is a replica in recovery and takes no writes",
        "Give the primary's address in `url`.",
    ),
    "settings": lambda event, _here: (
        f"the server did not take {listed(event.get('names'))}, and without limits no revision runs",
        "Give a direct connection, and see that env.py does not set them itself.",
    ),
    "many_heads": lambda event, _here: (
        f"the release has {len(event.get('heads') or [])} heads: {listed(event.get('heads'))}",
        'Join them with "alembic merge heads", or ask for `revision: heads`.',
    ),
    "unknown_revision": lambda event, _here: (
        f"the release has no revision {event.get('revision')} (its head: {listed(event.get('heads'))})",
        "Check `revision` and that the release is the right one.",
    ),
    "ahead": lambda event, _here: (
        f"the database is at {listed(event.get('heads'))}, which this release does not know "
        f"(its head: {listed(event.get('known'))}): a newer release has been here",
        "Deploy a release that holds that revision; to run older code on this schema use roll_back.yml.",
    ),
    "not_below": lambda event, _here: (
        f"{event.get('revision')} is not below where the database is ({listed(event.get('heads')) or 'base'})",
        "Give a revision that the database has passed (nexod.infra.alembic_info lists them).",
    ),
    "no_migrations_run": lambda _event, _here: (
        "env.py never came to context.run_migrations()",
        "See that env.py calls it without an `if` around it that is false here.",
    ),
    "left_out": lambda event, _here: (
        f"env.py failed: {event.get('detail')}; a plan writes nothing and has left out what env.py runs first: "
        f"{'; '.join(event['statements'])}",
        "Where it needs that, let it do without what is not there yet, or run without check mode; else fix env.py.",
    ),
    "unguarded": lambda event, _here: (
        "env.py runs in autocommit, which nothing keeps from writing through a pooler that shares sessions by "
        f"transaction: {' '.join(str(event.get('statement')).split())[:300]}",
        "Give the database's own address in `url`: the plan is made on a read-only connection there.",
    ),
    "contract": lambda event, _here: (
        f"{listed(event.get('revisions'))} takes away what older code reads",
        "Once no release that reads it runs any more, set `allow_contract: true`.",
    ),
    "empty_downgrade": lambda event, _here: (
        f"the downgrade of {listed(event.get('revisions'))} is empty or not implemented: the schema would stay, and "
        "the record say otherwise",
        "Write the step, or name the revision in `allow_empty` where there is nothing to take back.",
    ),
    "unseen": lambda event, _here: (
        f"{listed(event.get('revisions'))} became pending after the plan was looked at",
        "Run again: the new plan is looked at then.",
    ),
    "not_recorded": lambda event, _here: (
        "Alembic ended without an error, but nothing of "
        f"{listed(step['revision'] for step in event['pending'])} is in the database",
        "See that env.py runs no statement on its connection before context.configure(), and commits.",
    ),
}


def held(holder: Facts) -> tuple[str, str]:
    if not holder:
        return "another runner held it", "Run again."
    return (
        f'held by pid {holder["pid"]} ("{holder["program"]}", from {holder["host"]}, '
        f"connected for {lasted(holder['seconds'])})",
        f"Wait for it, or end it with: SELECT pg_terminate_backend({holder['pid']});",
    )


def blocked_by(blockers: t.Sequence[Facts]) -> str:
    """Who stands in the way, in one clause each."""
    return "; ".join(
        f'pid {one["pid"]} ("{one["program"]}" of {one["user"]} from {one["host"]}, {one["state"]}, its transaction '
        f"began {lasted(one['seconds'] or 0)} ago): {' '.join((one['query'] or '').split())[:200]}"
        for one in blockers
    )


NEXT_STEPS = {
    "55P03": "Another transaction held the table all the while: run again when it is quiet, or raise lock_retries.",
    "40P01": "Run again when the tables are quiet.",
    "57014": "The statement took longer than statement_timeout: raise it, or split the revision.",
    "25001": "Put the statement into `with op.get_context().autocommit_block():`.",
    "25006": "env.py writes even when only a plan is asked for. A plan leaves out what only creates and grants, no "
    "more: let a revision do the rest.",
    "42501": "Give the user the right, or run as the schema's owner.",
}


def failed(what: str, where: str, event: Facts, known: dict[str, t.Any]) -> InfraError:
    state, revision = event.get("sqlstate"), event.get("revision")
    after = known.get("revision_after")
    left = f"The database is at {after}" if after else "Its revision is not known"
    if event.get("partial"):
        left += f", and a part of {revision} is committed"
    next_step = NEXT_STEPS.get(state or "", "Fix the revision and run again: it goes on from there.")
    if not revision and state not in NEXT_STEPS:
        next_step = "Fix env.py, or give it what it asks for in `environment` and `x_args`."
    cause = f"revision {revision} failed: {event['detail']}" if revision else f"env.py failed: {event['detail']}"
    if state:
        cause += f" (SQLSTATE {state})"
    statement = " ".join((event.get("statement") or "").split())
    if statement:
        cause += f", in: {statement if len(statement) <= 300 else statement[:297] + '...'}"
    blockers = list(event.get("blockers") or [])
    if blockers:
        cause += f". Blocked by {blocked_by(blockers)}"
    following = f"{left}. {next_step}" if revision else next_step
    failure = {
        "revision": revision,
        "sqlstate": state,
        "statement": event.get("statement"),
        "blockers": blockers,
        "next": following,
    }
    return InfraError(
        what,
        where,
        cause,
        following,
        **known,
        failure=failure,
        failed_revision=revision,
        sqlstate=state,
        statement=event.get("statement"),
        blockers=blockers,
    )
