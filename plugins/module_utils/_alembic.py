# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``alembic_upgrade`` decides: the request to the helper, and what its answers mean."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import socket
import tempfile
import typing as t
from pathlib import Path
from urllib.parse import quote, urlencode

from ansible_collections.nexod.infra.plugins.module_utils import _alembic_helper
from ansible_collections.nexod.infra.plugins.module_utils._alembic_archive import (
    history,
    other_interpreter,
    unpack_tree,
)
from ansible_collections.nexod.infra.plugins.module_utils._errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._processes import Result, run

Facts = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run of the helper came to. `looked` is false where check mode found nothing to ask yet.

    `absent`: nothing listens at the database's address, so that the run that is planned makes it first, empty.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    migrations: tuple[dict[str, t.Any], ...] = ()
    warnings: tuple[str, ...] = ()
    looked: bool = True
    absent: bool = False


def database_url(database: Facts, driver: str) -> str:
    """The SQLAlchemy URL of `database`; asyncpg has a word of its own for libpq's sslmode."""
    host = f"[{database['host']}]" if ":" in database["host"] else database["host"]
    user = quote(database["user"], safe="")
    password = quote(database["password"] or "", safe="")
    account = f"{user}:{password}" if password else user
    options = urlencode({"ssl" if driver == "asyncpg" else "sslmode": database["sslmode"]})
    return f"postgresql+{driver}://{account}@{host}:{database['port']}/{quote(database['name'], safe='')}?{options}"


def check_revision(revision: str) -> None:
    """Refuse what names another place every time that it is asked for, or the way back."""
    if revision == "base" or revision[:1] in "+-" or re.search(r"[@:+^~]|-\d", revision):
        raise InfraError(
            "upgrade to revision",
            f'"{revision}"',
            "only head, heads or a revision's own identifier name one place, whatever the database is at",
            "Give the identifier of the revision; this module never downgrades.",
        )


def application_name(label: str, host: str) -> str:
    """How a runner names itself to the server: at most 63 bytes, printable ASCII without quotes."""
    clean = re.sub(r"[^ -~]|['\"%\\]", "?", f"alembic_upgrade {label}".strip() + f" on {host}")
    return clean[:63]


def place(database: Facts) -> str:
    return f'"{database["name"]}" at {database["host"]}:{database["port"]}'


def read_events(text: str) -> list[dict[str, t.Any]]:
    """The helper's answers; a last line cut off by its end is left out."""
    events = []
    for line in text.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            break
    return events


def last(events: t.Sequence[Facts], name: str) -> Facts | None:
    return next((event for event in reversed(events) if event["event"] == name), None)


def lasted(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def revisions(heads: t.Iterable[str]) -> str:
    return ", ".join(heads) or "no revision (empty database)"


def applied(events: t.Sequence[Facts]) -> list[dict[str, t.Any]]:
    """The revisions that the database has recorded: of those that ran, the ones no longer pending at the end.

    A revision that ended may still have been rolled back with a later one: several can share a transaction.
    """
    final = last(events, "final")
    pending = {step["revision"] for step in final["pending"]} if final else set()
    ran = {event["revision"]: event for event in events if event["event"] == "done"}
    return [
        {"revision": event["revision"], "doc": event["doc"], "seconds": event["seconds"]}
        for event in ran.values()
        if event["revision"] not in pending
    ]


def warnings_of(events: t.Sequence[Facts]) -> t.Iterator[str]:
    for event in events:
        if event["event"] == "index_dropped":
            yield (
                f"Index {event['index']} was invalid, left by a run that was killed; "
                f"it was dropped and revision {event['revision']} builds it anew."
            )
        elif event["event"] == "retry":
            yield f"Revision {event['revision']} did not get its lock (SQLSTATE {event['sqlstate']}) and tried again."
        elif event["event"] == "lock_lost":
            yield "The lock between runners was lost during the run: a connection was ended, or went through a pooler."


def outcome(events: t.Sequence[Facts], *, check: bool) -> Outcome:
    """The state before and after, from the answers of a run that came to its end."""
    plan = last(events, "plan") or {"heads": [], "pending": []}
    before = tuple(plan["heads"])
    if check:
        pending = plan["pending"]
        # What is pending replaces what it stands on; with one line of history that is the last one.
        after = (pending[-1]["revision"],) if pending else before
        return Outcome(before, after, tuple({**step, "seconds": None} for step in pending))
    final = last(events, "final") or plan
    return Outcome(before, tuple(final["heads"]), tuple(applied(events)), tuple(dict.fromkeys(warnings_of(events))))


def as_diff(result: Outcome, database: Facts) -> dict[str, str]:
    steps = "".join(f"  {step['revision']} {step['doc']}".rstrip() + "\n" for step in result.migrations)
    header = f"schema of database {place(database)}"
    after = f"at {revisions(result.after)}\n" if result.looked else "at the release's head\n"
    before = f"at {revisions(result.before)}\n" if result.looked else "not to be seen yet\n"
    return {"before_header": header, "after_header": header, "before": before, "after": after + steps}


def fault(event: Facts, events: t.Sequence[Facts], database: Facts, python: str) -> InfraError:
    """The helper's fault in words: what was attempted, why it failed, what mends it."""
    what, where, detail = "upgrade database", place(database), event.get("detail") or ""
    kind = event["kind"]
    simple = {
        "no_alembic": (
            f"Alembic is not in the environment of {python} ({detail})",
            "Install the release with its dependencies, or name another interpreter in `python`.",
        ),
        "no_driver": (
            f"the environment of {python} lacks the database driver ({detail})",
            "Add it to the release, or name the one that is there in `driver`.",
        ),
        "no_package": (
            f'{python} has no package "{event.get("package")}"',
            "Check `config` and that the release is installed.",
        ),
        "no_config": (f"there is no {event.get('path')}", "Check `config` and that the release holds it."),
        "config": (f"{event.get('path')} does not load: {detail}", "Mend the configuration or the revision it names."),
        "connect": (
            f"the connection failed: {detail}",
            f"Check that {database['host']}:{database['port']} is up and lets this host in, and the user and password.",
        ),
        "pooled": (
            "a pooler stands between that shares sessions by transaction: settings would leak to its other clients "
            "and no lock would hold",
            "Give the database's own address in `database` (or a pooler's address in session mode).",
        ),
        "replica": (
            "it is a replica in recovery and takes no writes",
            "Give the primary's address in `database`.",
        ),
        "settings": (
            f"the server did not take {', '.join(event.get('names') or [])}, and without limits no revision runs",
            "Give a direct connection, and see that env.py does not set them itself.",
        ),
        "many_heads": (
            f"the release has {len(event.get('heads') or [])} heads: {', '.join(event.get('heads') or [])}",
            'Join them with "alembic merge heads", or ask for `revision: heads`.',
        ),
        "unknown_revision": (
            f"the release has no revision {event.get('revision')} (its head: {', '.join(event.get('heads') or [])})",
            "Check `revision` and that the release is the right one.",
        ),
        "ahead": (
            f"the database is at {', '.join(event.get('heads') or [])}, which this release does not know "
            f"(its head: {', '.join(event.get('known') or [])}): a newer release has been here",
            "Deploy a release that holds that revision; to run older code on this schema use roll_back.yml.",
        ),
        "no_migrations_run": (
            "env.py never came to context.run_migrations()",
            "See that env.py calls it without an `if` around it that is false here.",
        ),
    }
    if kind in simple:
        return InfraError(what, where, *simple[kind])
    if kind == "locked":
        return InfraError("take the migration lock on database", where, *held(event.get("holder") or {}))
    plan, final = last(events, "plan"), last(events, "final")
    known: dict[str, t.Any] = {
        "revision_before": revisions(plan["heads"]) if plan else None,
        "revision_after": revisions(final["heads"]) if final else None,
        "migrations": applied(events) if final else [],
    }
    if kind == "not_recorded":
        return InfraError(
            what,
            where,
            "Alembic ended without an error, but nothing of "
            f"{', '.join(step['revision'] for step in event['pending'])} is in the database",
            "See that env.py runs no statement on its connection before context.configure(), and commits.",
            **known,
        )
    return failed(what, where, event, known)


def held(holder: Facts) -> tuple[str, str]:
    if not holder:
        return "another runner held it", "Run again."
    return (
        f'held by pid {holder["pid"]} ("{holder["program"]}", from {holder["host"]}, '
        f"connected for {lasted(holder['seconds'])})",
        f"Wait for it, or end it with: SELECT pg_terminate_backend({holder['pid']});",
    )


def failed(what: str, where: str, event: Facts, known: dict[str, t.Any]) -> InfraError:
    state, revision = event.get("sqlstate"), event.get("revision")
    left = f"The database is at {known['revision_after']}" if known["revision_after"] else "Its revision is not known"
    if event.get("partial"):
        left += f", and a part of {revision} is committed"
    mends = {
        "55P03": "Another transaction held the table all the while: run again when it is quiet, or raise lock_retries.",
        "40P01": "Run again when the tables are quiet.",
        "57014": "The statement took longer than statement_timeout: raise it, or split the revision.",
        "25006": "env.py writes even when only a plan is asked for: let it write within its migrations.",
        "42501": "Give the user the right, or run as the schema's owner.",
    }
    mend = mends.get(state or "", "Mend the revision and run again: it goes on from there.")
    cause = f"revision {revision} failed: {event['detail']}" if revision else f"env.py failed: {event['detail']}"
    if state:
        cause += f" (SQLSTATE {state})"
    statement = " ".join((event.get("statement") or "").split())
    if statement:
        cause += f", in: {statement if len(statement) <= 300 else statement[:297] + '...'}"
    return InfraError(
        what,
        where,
        cause,
        f"{left}. {mend}" if revision else mend,
        **known,
        failed_revision=revision,
        sqlstate=state,
        statement=event.get("statement"),
    )


def interpret(
    done: Result, events: t.Sequence[Facts], *, check: bool, database: Facts, python: str, timeout: int
) -> Outcome:
    """What came of the run; raises for a fault, and for a helper that died without a word."""
    told = last(events, "fault")
    # On a host that check mode has not given its release, or before its database: there is nothing to ask yet.
    nobody = told is not None and told["kind"] == "connect" and not told["listens"]
    if check and (done.rc == 127 or nobody):
        why = told["detail"] if told else f"{python} is not there"
        return Outcome(
            looked=False,
            absent=nobody or not listens(database["host"], database["port"]),
            warnings=(f"Cannot yet see which revisions of {place(database)} are pending: {why}.",),
        )
    if told:
        raise fault(told, events, database, python)
    if done.rc == 127:
        raise InfraError(
            "upgrade database",
            place(database),
            f"there is no {python}",
            "Install the release first (nexod.infra.release), or name its interpreter in `python`.",
        )
    if done.rc == 124:
        running = last(events, "start")
        raise InfraError(
            "upgrade database",
            place(database),
            f"it did not end within {timeout} s" + (f", in revision {running['revision']}" if running else ""),
            "Raise `timeout`, or see in pg_stat_activity what it waits for; a further run goes on from there.",
        )
    if done.rc != 0:
        raise InfraError(
            "upgrade database",
            place(database),
            f"the helper ended with rc {done.rc}: {done.output[-1000:] or 'without a word'}",
            "Run again: what is recorded stays, the rest is done then.",
        )
    return outcome(events, check=check)


def redacted(text: str, secrets: t.Iterable[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "********")
    return text


def upgrade(parameters: Facts, *, check: bool, folder: str | None = None) -> Outcome:
    """Run the helper with the application's interpreter, its files in a private folder inside `folder`."""
    check_revision(parameters["revision"])
    database, python = parameters["database"], parameters["python"]
    password = database["password"] or ""
    with tempfile.TemporaryDirectory(prefix="alembic-", dir=folder) as private:
        helper, events = Path(private, "helper.py"), Path(private, "events")
        helper.write_text(inspect.getsource(_alembic_helper), encoding="utf-8")
        events.touch(0o600)
        environment = {
            parameters["url_variable"]: database_url(database, parameters["driver"]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PGCONNECT_TIMEOUT": "10",
        }
        other = other_interpreter(python) if check and parameters["tree"] and not Path(python).exists() else None
        if other:
            unpack_tree(parameters["tree"], Path(private, "release"))
            python, environment["PYTHONPATH"] = other, str(Path(private, "release"))
        request = {
            **{name: parameters[name] for name in PASSED_ON},
            "application_name": application_name(parameters["label"] or "", socket.gethostname()),
            "check": check,
            "events": str(events),
        }
        done = run(
            [python, str(helper)],
            timeout=parameters["timeout"],
            environment=environment,
            stdin=json.dumps(request),
            cwd=os.sep,
        )
        told = redacted(events.read_text(encoding="utf-8"), (password, quote(password, safe="")))
    done = dataclasses.replace(done, stderr=redacted(done.stderr, (password, quote(password, safe=""))), stdout="")
    came = interpret(
        done, read_events(told), check=check, database=database, python=python, timeout=parameters["timeout"]
    )
    if came.absent and parameters["tree"]:
        # A database that the same run makes first is empty: every revision is pending.
        return dataclasses.replace(came, migrations=tuple(history(parameters["tree"])), warnings=())
    return came


def listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=3):
            return True
    except OSError:
        return False


PASSED_ON = (
    "chdir",
    "config",
    "lock_retries",
    "lock_timeout",
    "lock_wait",
    "revision",
    "statement_timeout",
    "url_variable",
)
