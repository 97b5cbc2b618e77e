# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the modules ``alembic_*``: what was attempted, why it failed, and what to do next."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import CONCURRENTLY
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import place
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Facts = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Situation:
    """What was attempted on which database with which interpreter, and what the run reported before it failed."""

    action: str
    database: Facts
    python: str
    known: dict[str, t.Any]
    inspected: bool = True  # false: it failed before it knew where the database is
    variable: str = ""  # where env.py reads the URL


def elapsed(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def fault(event: Facts, situation: Situation) -> InfraError:
    kind, action, where = event["kind"], situation.action, place(situation.database)
    known = situation.known if situation.inspected else {}
    if kind in MESSAGES:
        cause, next_step = MESSAGES[kind](event, situation)
        return InfraError(action, where, cause, next_step, **known)
    if kind == "locked":
        holder = event.get("holder") or None
        cause, next_step = held_by(holder or {})
        return InfraError(
            "acquire the migration lock on database", where, cause, next_step, **known, lock_holder=holder
        )
    return failed(action, situation.database, event, known)


def listed(names: t.Any) -> str:
    return ", ".join(names or [])


def connection(event: Facts, situation: Situation) -> tuple[str, str]:
    where = situation.database.get("hosts") or f"{situation.database['host']}:{situation.database['port']}"
    cause = f"the connection failed: {event.get('detail') or ''}"
    state = str(event.get("sqlstate") or "")
    text = cause.lower()
    return cause, next((advice for found, advice in CONNECTION if found(state, text)), "").format(where=where) or (
        f"Check that {where} is up and accepts this host, and check the user and password."
        if event.get("listens", True)
        else f"Check that PostgreSQL runs on {where} and that no firewall blocks the port."
    )


# By SQLSTATE where the driver passes it on, otherwise by the server's or libpq's words.
CONNECTION: tuple[tuple[t.Callable[[str, str], bool], str], ...] = (
    (
        lambda state, text: state == "28P01" or "password authentication failed" in text or "no password" in text,
        "Correct the user or the password in `url`. Write special characters as %XX.",
    ),
    (
        lambda state, text: state != "3D000" and 'role "' in text and "does not exist" in text,
        "Create the user, or correct it in `url`.",
    ),
    (
        lambda state, text: state == "3D000" or ("database" in text and "does not exist" in text),
        "Create the database first, or correct its name in `url`.",
    ),
    (
        lambda state, text: state == "28000" or "pg_hba" in text or "peer authentication" in text,
        "Allow this host, user and database in pg_hba.conf of {where}.",
    ),
    (
        lambda state, text: state == "53300" or "too many" in text,
        "End connections that nobody uses, or raise max_connections of {where}.",
    ),
    (
        lambda state, _text: state == "57P03",
        "Wait until {where} has started, and run again.",
    ),
    (
        lambda _state, text: "translate host name" in text or "name or service not known" in text,
        "Correct the host in `url`, or the name server that this host uses.",
    ),
    (
        lambda _state, text: "certificate" in text or "support ssl" in text,
        "Correct sslmode and sslrootcert in `url` (with asyncpg: ssl), or the certificate of {where}.",
    ),
)


def pooled(_event: Facts, situation: Situation) -> tuple[str, str]:
    host = str(situation.database["host"])
    direct = "the database's direct address"
    if "pooler.supabase.com" in host:
        direct = (
            "Supabase's direct address (db.PROJECT.supabase.co:5432), or the session pooler's (port 5432, not 6543)"
        )
    into = f" (env.py reads it from {situation.variable})" if situation.variable else ""
    return (
        "the connection goes through a transaction-mode pooler, where session settings leak to other clients and "
        "advisory locks do not hold",
        f"Set `url`{into} to {direct}, or set `via_pooler: true`.",
    )


MESSAGES: dict[str, t.Callable[[Facts, Situation], tuple[str, str]]] = {
    "no_alembic": lambda event, here: (
        f"Alembic is not installed in the environment of {here.python} ({event.get('detail')})",
        "Install the release with its dependencies, or set `python` to another interpreter.",
    ),
    "unsupported_alembic": lambda event, here: (
        f"Alembic {event.get('version')} in the environment of {here.python} lacks what the migration engine calls: "
        f"{listed(event.get('missing'))}",
        f"Install a release of Alembic that this collection is tested with ({event.get('tested')}), or a newer version "
        "of this collection.",
    ),
    "no_driver": lambda event, here: (
        f"the environment of {here.python} lacks the database driver ({event.get('detail')})",
        "Add it to the release, or name an installed one in `url` (postgresql+DRIVER://).",
    ),
    "no_package": lambda event, here: (
        f'{here.python} has no package "{event.get("package")}"',
        "Check `config`, and that the release is installed.",
    ),
    "no_config": lambda event, _here: (
        f"{event.get('path')} does not exist",
        "Check `chdir` and `config`, and that the release contains it.",
    ),
    "no_section": lambda event, _here: (
        f"{event.get('path')} has no section [{event.get('section')}]",
        "Correct `name`.",
    ),
    "no_pyproject": lambda event, here: (
        f"Alembic {event.get('version')} in the environment of {here.python} can't read {event.get('path')}",
        "Install Alembic 1.16 or newer, or set `config` to an alembic.ini.",
    ),
    "flask": lambda event, _here: (
        f'the Flask application "{event.get("app")}" can\'t be loaded: {event.get("detail")}',
        "Set `flask_app` as FLASK_APP is set for `flask db upgrade`, `chdir` to the folder that it is run in, and in "
        "`environment` what the application reads.",
    ),
    "async_connection": lambda event, _here: (
        f"an asynchronous driver ({event.get('driver')}) can't be used with `pass_connection`",
        "Name another driver in `url` (postgresql+psycopg://), or let env.py connect.",
    ),
    "elsewhere": lambda event, _here: (
        f"env.py does not connect to it, but to {listed(event.get('found'))}",
        "Set `url_env` to the environment variable, or `url_option` to the option, from which env.py or the "
        "application reads its URL. Or correct `url`.",
    ),
    "several_servers": lambda _event, _here: (
        "two connections have reached two servers, and the lock between runners would not be where the revisions run",
        "Add target_session_attrs=read-write to the query of `url`, or name one host.",
    ),
    "config": lambda event, _here: (
        f"{event.get('path')} can't be loaded: {event.get('detail')}",
        "Set script_location in it. For Flask-Migrate, set `flask_app`, as FLASK_APP is set for `flask db upgrade`."
        if "script_location" in str(event.get("detail"))
        else "Fix the configuration, or the revision that the error names.",
    ),
    "connect": connection,
    "pooled": pooled,
    "pooled_driver": lambda _event, _here: (
        "the connection goes through a transaction-mode pooler, and asyncpg before 0.31 prepares each statement in a "
        "session",
        "Set `url` to the database's direct address, use the driver psycopg, or install asyncpg 0.31 or newer.",
    ),
    "replica": lambda _event, _here: (
        "it is a replica in recovery and accepts no writes",
        "Set `url` to the primary's address.",
    ),
    "settings": lambda event, _here: (
        f"the server did not accept {listed(event.get('names'))}, and no revision is run without these limits",
        "Connect directly, and check that env.py does not set them itself.",
    ),
    "many_heads": lambda event, _here: (
        f"the release has {len(event.get('heads') or [])} heads: {listed(event.get('heads'))}",
        'Join them with "alembic merge heads", or set `revision: heads`.',
    ),
    "unknown_revision": lambda event, _here: (
        f"the release has no revision {event.get('revision')} (its head: {listed(event.get('heads'))})",
        "Check `revision`, and that this is the right release.",
    ),
    "ahead": lambda event, _here: (
        f"the database is at {listed(event.get('heads'))}, which this release does not know "
        f"(its head: {listed(event.get('known'))}): a newer release has migrated it",
        "Deploy a release that contains that revision. To run older code on this schema, roll back (roll_back.yml); "
        "the release that the application was rolled back to is accepted. Outside a deploy, set `ahead: accept`.",
    ),
    "not_below": lambda event, _here: (
        f"{event.get('revision')} is not below where the database is ({listed(event.get('heads')) or 'base'})",
        "Give a revision that is applied (nexod.infra.alembic_info lists them).",
    ),
    "no_migrations_run": lambda _event, _here: (
        "env.py did not call context.run_migrations()",
        "Check that env.py calls it, and that no condition around the call is false here.",
    ),
    "left_out": lambda event, _here: (
        f"env.py failed: {event.get('detail')}. A plan writes nothing and skipped what env.py runs first: "
        f"{'; '.join(event['statements'])}",
        "If env.py depends on those statements, make it tolerate their absence or run without check mode. Otherwise "
        "fix env.py.",
    ),
    "unguarded": lambda event, _here: (
        "env.py runs in autocommit mode, and through a transaction-mode pooler nothing prevents it from writing: "
        f"{' '.join(str(event.get('statement')).split())[:300]}",
        "Set `url` to the database's direct address, where the plan is made on a read-only connection.",
    ),
    "contract": lambda event, _here: (
        f"{listed(event.get('revisions'))} removes what older code reads",
        "Once no running release reads it any more, set `allow_contract: true` (for the command: --allow-contract).",
    ),
    "contract_early": lambda event, _here: (
        f"{listed(event.get('revisions'))} removes what older code reads, and pages that were open before the last "
        "release may still read it",
        f"Run again in {event.get('seconds')} s.",
    ),
    "empty_downgrade": lambda event, _here: (
        f"the downgrade of {listed(event.get('revisions'))} is empty or not implemented: Alembic would record a "
        "downgrade that did not happen",
        "Write the downgrade, or list the revision in `allow_empty` if there is nothing to revert.",
    ),
    "unseen": lambda event, _here: (
        f"{listed(event.get('revisions'))} became pending after the plan was checked",
        "Run again to check the new plan.",
    ),
    "audit": lambda event, _here: (
        f"the audit table {event.get('table')} can't be written: {event.get('detail')}"
        + (f" (SQLSTATE {event['sqlstate']})" if event.get("sqlstate") else ""),
        (
            f"Create it first (CREATE SCHEMA {event['schema']}), or correct `audit_table`. No revision was run."
            if event.get("schema")
            else "Rename the table, which is another one, or correct `audit_table`. No revision was run."
            if event.get("sqlstate") in ("42703", "42804", "42809")
            else "Grant the user INSERT on it (and CREATE on its schema if it does not exist), or remove "
            "`audit_table`. No revision was run."
        ),
    ),
    "audit_read": lambda event, _here: (
        f"the audit table {event.get('table')} can't be read: {event.get('detail')}"
        + (f" (SQLSTATE {event['sqlstate']})" if event.get("sqlstate") else ""),
        "Grant the user SELECT on it, or correct `audit_table`.",
    ),
    "not_recorded": lambda event, _here: (
        "Alembic ended without an error, but did not record "
        f"{listed(step['revision'] for step in event['pending'])} in the database",
        "Check that env.py runs no statement on its connection before context.configure(), and that it commits.",
    ),
}


def held_by(holder: Facts) -> tuple[str, str]:
    """Cause and next step for a lock that another runner holds."""
    if not holder:
        return "another runner held it", "Run again."
    return (
        f'held by pid {holder["pid"]} ("{holder["program"]}", from {holder["host"]}, '
        f"connected for {elapsed(holder['seconds'])})",
        f"Wait for it, or end it with: SELECT pg_terminate_backend({holder['pid']});",
    )


def blocked_by(blockers: t.Sequence[Facts]) -> str:
    """The sessions that hold the lock, one clause each."""
    return "; ".join(
        f'pid {one["pid"]} ("{one["program"]}" of {one["user"]} from {one["host"]}, {one["state"]}, its transaction '
        f"began {elapsed(one['seconds'] or 0)} ago): {' '.join((one['query'] or '').split())[:200]}"
        for one in blockers
    )


NEXT_STEPS = {
    "55P03": "Another transaction held a lock on the table the whole time: run again when it has ended, or raise "
    "lock_retries.",
    "40P01": "Run again when the tables are less busy.",
    "57014": "The statement took longer than statement_timeout: raise it, or split the revision.",
    "25001": "Move the statement into `with op.get_context().autocommit_block():`.",
    "25006": "env.py writes while it is only planned, and a plan can only skip statements that create or grant. Move "
    "the others to a revision.",
    "42501": "Grant the user the privilege, or run as the schema's owner.",
    "55P04": "A new value of an enum can be used only once it is committed. Add it in a revision of its own and run "
    "with `transaction: per_revision`, or inside `with op.get_context().autocommit_block():`.",
    "55006": "A statement of the same transaction still uses the table. Move one of them to a revision of its own and "
    "run with `transaction: per_revision`.",
    "22001": "A value is longer than its column. If it is the revision's identifier, shorten that to 32 characters, or "
    "make version_num of Alembic's table wider.",
    "2BP01": "Drop or change what depends on it in an earlier revision.",
    "42P07": "It exists already: if it was created by other means, record the revision with nexod.infra.alembic_stamp.",
    "42701": "It exists already: if it was created by other means, record the revision with nexod.infra.alembic_stamp.",
    "53100": "Free or add disk space on the database's host, and run again.",
    "57P01": "The server ended the session. Run again: the run continues from there.",
    "08006": "The connection was lost. Run again: the run continues from there.",
    "23502": "Rows in the database violate it. Correct the data in an earlier revision, and run again.",
    "23503": "Rows in the database violate it. Correct the data in an earlier revision, and run again.",
    "23505": "Rows in the database violate it. Correct the data in an earlier revision, and run again.",
    "23514": "Rows in the database violate it. Correct the data in an earlier revision, and run again.",
}
OWN_LOCK = (
    "The revision waits for a lock that its own run holds on another connection: it opens a connection of its own. Use "
    "op.get_bind() for its statements, or move them to a revision of its own with `transaction: per_revision`."
)
CONCURRENT_BUILD = (
    "The concurrent statement waited for a transaction that can still see the old state. End that transaction with: "
    "{end} Then run again: an index that is left invalid is built anew. To wait longer, raise concurrent_lock_timeout."
)


def advice_for(event: Facts) -> str:
    """The next step after a revision, or env.py, has failed."""
    state = event.get("sqlstate") or ""
    blockers = event.get("blockers") or []
    if event.get("own"):
        return OWN_LOCK
    if state == "55P03" and CONCURRENTLY.match(event.get("statement") or ""):
        end = " ".join(f"SELECT pg_terminate_backend({one['pid']});" for one in blockers)
        return CONCURRENT_BUILD.format(end=end or "SELECT pg_terminate_backend(PID);")
    if state in NEXT_STEPS:
        return NEXT_STEPS[state]
    if event.get("revision"):
        return "Fix the revision and run again: the run continues from there."
    words = str(event.get("detail"))
    return next((advice for found, advice in ENVIRONMENT if found in words), ENVIRONMENT[-1][1])


# What env.py misses, by a part of its exception's message.
ENVIRONMENT = (
    ("application context", "Set `flask_app` to the application, as FLASK_APP is set for `flask db upgrade`."),
    ("KeyError: 'connection'", "Set `pass_connection: true`, so that env.py finds it in config.attributes."),
    ("", "Fix env.py, or pass what it reads in `environment` and `x_args`."),
)


def where_of(event: Facts, database: Facts) -> str:
    """The tenant that a revision failed in, if env.py has several."""
    place = event.get("place") or {}
    schema = place.get("version_table_schema") or ""
    path = str(place.get("search_path") or "")
    found = []
    if place.get("database") and place["database"] != database.get("name"):
        found.append(f'database "{place["database"]}"')
    if schema:
        found.append(f'schema "{schema}"')
    if path not in ("", '"$user", public', "public", schema):
        found.append(f"search_path {path}")
    return f" in {', '.join(found)}" if found else ""


def failed(action: str, database: Facts, event: Facts, known: dict[str, t.Any]) -> InfraError:
    """A revision, or env.py itself, raised an exception."""
    state, revision = event.get("sqlstate"), event.get("revision")
    after = known.get("revision_after")
    left = f"The database is at {after}" if after else "Its revision is unknown"
    if event.get("partial"):
        left += f", and part of {revision} is committed"
    advice = advice_for(event)
    failed_in = where_of(event, database)
    cause = f"revision {revision} failed{failed_in}" if revision else f"env.py failed{failed_in}"
    cause += f": {event['detail']}"
    if state:
        cause += f" (SQLSTATE {state})"
    statement = " ".join((event.get("statement") or "").split())
    if statement:
        cause += f", in: {statement if len(statement) <= 300 else statement[:297] + '...'}"
    blockers = list(event.get("blockers") or [])
    if blockers:
        cause += f". Blocked by {blocked_by(blockers)}"
    next_step = f"{left}. {advice}" if revision else advice
    failure = {
        "revision": revision,
        "sqlstate": state,
        "statement": event.get("statement"),
        "blockers": blockers,
        "place": dict(event.get("place") or {}),
        "next": next_step,
    }
    return InfraError(
        action,
        place(database),
        cause,
        next_step,
        **known,
        failure=failure,
        failed_revision=revision,
        sqlstate=state,
        statement=event.get("statement"),
        blockers=blockers,
    )
