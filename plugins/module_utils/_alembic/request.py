# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules ``alembic_*`` decide: the request to the helper, and what its answers mean."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import os
import re
import socket
import tempfile
import time
import typing as t
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlencode

from ansible_collections.nexod.infra.plugins.module_utils._alembic import helper as _alembic_helper
from ansible_collections.nexod.infra.plugins.module_utils._alembic.archive import (
    history,
    other_interpreter,
    unpack_tree,
)
from ansible_collections.nexod.infra.plugins.module_utils._alembic.faults import Situation, fault, place
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Account, Result, account_of, run

Facts = t.Mapping[str, t.Any]
# SQLAlchemy's own grammar of a URL: it takes what urllib refuses, such as a password with a slash in it.
URL = re.compile(
    r"(?P<driver>[\w+]+)://(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<six>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>\d*))?(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?$"
)
UNITS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
SHORTEST_SECRET = 8  # where a text is looked for that may be a word like any other
HIDDEN = "********"
# Of what the helper tells, what programs read: no secret is looked for in there.
NAMES = ("event", "kind", "revision", "revisions", "heads", "known", "sqlstate", "after", "script_heads")

# What all of the modules ask for, in Ansible's words; plugins/doc_fragments/alembic.py describes it.
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "chdir": {"type": "path"},
    "python": {"type": "path", "required": True},
    "config": {"type": "str", "default": "alembic.ini"},
    "name": {"type": "str", "default": "alembic"},
    "x_args": {"type": "dict", "default": {}},
    "url": {"type": "str", "required": True, "no_log": True},
    "url_option": {"type": "str", "default": "sqlalchemy.url"},
    "url_env": {"type": "str"},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "user": {"type": "str"},
    "label": {"type": "str", "default": ""},
    "via_pooler": {"type": "bool", "default": False},
    "timeout": {"type": "str", "default": "1h"},
}
LIMITS: dict[str, dict[str, t.Any]] = {
    "lock_timeout": {"type": "str", "default": "200ms"},
    "statement_timeout": {"type": "str", "default": "0"},
    "runner_lock_wait": {"type": "str", "default": "60s"},
    "lock_retries": {"type": "int", "default": 60},
}
AUDIT: dict[str, dict[str, t.Any]] = {
    "audit_table": {"type": "str"},
    "audit_who": {"type": "str"},
    "audit_job": {"type": "str"},
}
# The helper's request where a module does not ask for it.
PLAIN: dict[str, t.Any] = {
    "lock_timeout": "200ms",
    "statement_timeout": "0",
    "runner_lock_wait": "60s",
    "lock_retries": 0,
    "audit_table": None,
    "audit_who": None,
    "audit_job": None,
    "allow_contract": False,
    "allow_empty": [],
    "check_drift": False,
    "linted": None,
    "purge": False,
    "rebuild_invalid_indexes": False,
    "render": False,
    "stop_at_plan": False,
    "transaction": "per_revision",
    "x_args": {},
}
PASSED_ON = (
    *("chdir", "config", "name", "x_args", "url_option", "url_env", "revision", "label", "via_pooler", "transaction"),
    *("lock_retries", "audit_table", "audit_who", "audit_job", "allow_contract", "allow_empty", "check_drift"),
    *("linted", "purge", "rebuild_invalid_indexes", "render", "stop_at_plan"),
)


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
    facts: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Done, or planned; what cannot be seen yet (check mode before the release is there) is not said to be done."""
        touched = bool(self.migrations) or self.before != self.after or bool(self.facts.get("indexes_rebuilt"))
        return touched or not self.looked


def database_url(database: Facts, driver: str) -> str:
    """The SQLAlchemy URL of `database`; asyncpg has a word of its own for libpq's sslmode."""
    host = f"[{database['host']}]" if ":" in database["host"] else database["host"]
    user = quote(database["user"], safe="")
    password = quote(database.get("password") or "", safe="")
    account = f"{user}:{password}" if password else user
    options = urlencode({"ssl" if driver == "asyncpg" else "sslmode": database.get("sslmode") or "prefer"})
    name, port = quote(database["name"], safe=""), database.get("port") or 5432
    return f"postgresql+{driver}://{account}@{host}:{port}/{name}?{options}"


def read_url(url: str) -> dict[str, t.Any]:
    """Host, port, name and driver of a SQLAlchemy URL; nothing of it is in the error, for it may be a secret."""
    found = URL.match(url)
    if found is None or not found["driver"].startswith("postgres"):
        raise InfraError(
            "read the database's address in",
            "`url`",
            "it is not a URL as SQLAlchemy reads it, or not of PostgreSQL",
            "Write it as postgresql+psycopg://USER:PASSWORD@HOST:5432/NAME, with special characters as %XX.",
        )
    asked = parse_qs(found["query"] or "")
    host = found["six"] or found["host"] or next(iter(asked.get("host", [])), "localhost")
    return {
        "host": host,
        "port": int(found["port"] or next(iter(asked.get("port", [])), 5432)),
        "name": unquote(found["name"] or found["user"] or ""),
        "password": found["password"] or "",
    }


def secrets_of(url: str) -> tuple[str, ...]:
    """The texts that must not be seen, the longest first."""
    password = read_url(url)["password"]
    found = {url, url.replace("%", "%%"), password, unquote(password), password.replace("%", "%%")}
    return tuple(sorted((text for text in found if text), key=len, reverse=True))


def duration(text: str | int, option: str) -> int:
    """Milliseconds: "200ms" -> 200, "60s" -> 60000, 0 -> 0. A bare number says nothing: milliseconds or seconds?"""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(text))
    if found and found[2] in UNITS:
        return round(float(found[1]) * UNITS[found[2]])
    if found and float(found[1]) == 0 and not found[2]:
        return 0
    raise InfraError(
        "read the duration",
        f'{option}: "{text}"',
        f"it needs a unit ({', '.join(UNITS)})",
        f'Write "{text}s" or "{text}ms".' if found and not found[2] else 'Write it as "200ms", "60s", "5min" or 0.',
    )


def check_revision(revision: str) -> None:
    """Refuse what names another place every time that it is asked for, or the way back."""
    if revision == "base" or revision[:1] in "+-" or re.search(r"[@:+^~]|-\d", revision):
        raise InfraError(
            "upgrade to revision",
            f'"{revision}"',
            "only head, heads or a revision's own identifier name one place, whatever the database is at",
            "Give the identifier of the revision; this module never downgrades (nexod.infra.alembic_downgrade does).",
        )


def check_target(revision: str, action: str) -> None:
    """As `check_revision`, where base and the way back are meant."""
    if revision != "base":
        try:
            check_revision(revision)
        except InfraError as error:
            raise InfraError(
                action, f'"{revision}"', error.cause, "Give the identifier of the revision, or base."
            ) from error


def check_table(name: str | None) -> None:
    if name and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", name):
        raise InfraError(
            "write the audit to", f'"{name}"', "it is no plain name of a table", 'Write "TABLE" or "SCHEMA.TABLE".'
        )


def application_name(label: str, host: str, command: str = "upgrade") -> str:
    """How a runner names itself to the server: at most 63 bytes, printable ASCII without quotes."""
    clean = re.sub(r"[^ -~]|['\"%\\]", "?", f"alembic_{command} {label}".strip() + f" on {host}")
    return clean[:63]


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


def first(events: t.Sequence[Facts], name: str) -> Facts:
    return next((event for event in events if event["event"] == name), {})


def revisions(heads: t.Iterable[str]) -> str:
    return ", ".join(heads) or "no revision (empty database)"


def recorded(events: t.Sequence[Facts]) -> list[Facts]:
    """What ran and the database has recorded: the ones no longer pending at the end.

    A revision that ended may still have been rolled back with a later one: several can share a transaction.
    """
    final = last(events, "final")
    pending = {step["revision"] for step in final["pending"]} if final else set()
    ran = {event["revision"]: event for event in events if event["event"] == "done"}
    return [event for event in ran.values() if event["revision"] not in pending]


def applied(events: t.Sequence[Facts]) -> list[dict[str, t.Any]]:
    """The revisions that the database has recorded, in short."""
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


def warnings_of(events: t.Sequence[Facts]) -> t.Iterator[str]:
    for event in events:
        if event["event"] == "index_dropped":
            yield (
                f"Index {event['index']} was invalid, left by a run that was killed; "
                f"it was dropped and revision {event['revision']} builds it anew."
            )
        elif event["event"] == "retry":
            yield f"Revision {event['revision']} did not get its lock (SQLSTATE {event['sqlstate']}) and tried again."
        elif event["event"] == "left_out":
            yield f"env.py itself would run this, which the plan has left out: {event['statement']}"
        elif event["event"] == "lock_lost":
            yield "The lock between runners was lost during the run: a connection was ended, or went through a pooler."
    rebuilt = {event["index"] for event in events if event["event"] == "index_rebuilt"}
    left = {found["index"]: found["table"] for found in (last(events, "invalid_indexes") or {}).get("indexes", [])}
    for index, table in left.items():
        if index not in rebuilt:
            yield (
                f"Index {index} on {table} is invalid: writes keep it up, no query uses it. Set "
                f"rebuild_invalid_indexes, or run: REINDEX INDEX CONCURRENTLY {index};"
            )
    drift = (last(events, "final") or last(events, "plan") or {}).get("drift") or {}
    if drift.get("differences"):
        yield f"The schema is not what the models say: {'; '.join(drift['differences'])}."
    elif drift and not drift["compared"]:
        yield "Drift cannot be seen: env.py gives no target_metadata."


def progress(events: t.Sequence[Facts]) -> str:
    """What a run does now, for a person who waits for it; empty where there is nothing to say yet."""
    for event in reversed(events):
        if event["event"] == "start":
            return f"revision {event['number']} of {event['of']}: {event['revision']} {event['doc']}".strip()
        if event["event"] == "retry":
            return f"revision {event['revision']} waits for its table, {event['left']} tries are left"
        if event["event"] == "waiting":
            holder = event["holder"]
            return f"waits for another runner, pid {holder['pid']} ({holder['program']})" if holder else ""
        if event["event"] == "final":
            return "verifies"
    return ""


def facts_of(events: t.Sequence[Facts]) -> dict[str, t.Any]:
    """What a run tells beside the heads: of use whether it ended well or not."""
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
        "retries": len(retries),
        "retried": [{name: event.get(name) for name in ("revision", "sqlstate", "blockers")} for event in retries],
        "lock_wait_seconds": round(waited, 3),
        "settings": dict(first(events, "settings").get("values", {})),
        "invalid_indexes": [found["index"] for found in (scans[-1]["indexes"] if scans else [])],
        "indexes_rebuilt": dropped + [event["index"] for event in events if event["event"] == "index_rebuilt"],
        **({"drift": drift["differences"] if drift["compared"] else None} if drift else {}),
    }


def outcome(events: t.Sequence[Facts], *, check: bool) -> Outcome:
    """The state before and after, from the answers of a run that came to its end."""
    plan: Facts = last(events, "plan") or {"heads": [], "pending": []}
    before = tuple(plan["heads"])
    facts = facts_of(events)
    warnings = tuple(dict.fromkeys(warnings_of(events)))
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
    after = f"at {revisions(result.after)}\n" if result.looked else "at the release's head\n"
    before = f"at {revisions(result.before)}\n" if result.looked else "not to be seen yet\n"
    return {"before_header": header, "after_header": header, "before": before, "after": after + steps}


def with_sql(diff: dict[str, str], facts: Facts) -> dict[str, str]:
    """The diff with the SQL of every revision that runs, and why one can't be shown."""
    text = ""
    for revision, sql in (facts.get("sql") or {}).items():
        why = (facts.get("not_rendered") or {}).get(revision)
        said = f"-- not all of it can be shown, it depends on the data: {why}\n" if why else ""
        text += f"\n-- {revision}\n{said}{sql.strip()}\n"
    return {**diff, "after": diff["after"] + text}


def interpret(
    done: Result,
    events: t.Sequence[Facts],
    *,
    check: bool,
    database: Facts,
    python: str,
    timeout: float,
    verb: str = "upgrade",
    variable: str = "",
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
    what, where = f"{verb} database", place(database)
    if told:
        final, plan = last(events, "final"), last(events, "plan")
        known = {
            **facts_of(events),
            "revision_before": revisions(plan["heads"]) if plan else None,
            "revision_after": revisions(final["heads"]) if final else None,
            "migrations": applied(events) if final else [],
        }
        raise fault(told, Situation(what, database, python, known, looked=plan is not None, variable=variable))
    if done.rc == 127:
        raise InfraError(
            what,
            where,
            f"there is no {python}",
            "Install the release first (nexod.infra.release), or name its interpreter in `python`.",
        )
    if done.rc == 126:
        raise InfraError(
            what,
            where,
            f"{python} can't be run: {done.stderr}",
            "Put the release where the account of `user` can read it, such as /opt; build it for the host's processor.",
        )
    if done.rc == 124:
        running = last(events, "start")
        raise InfraError(
            what,
            where,
            f"it did not end within {timeout:g} s" + (f", in revision {running['revision']}" if running else ""),
            "Raise `timeout`, or see in pg_stat_activity what it waits for; a further run goes on from there.",
        )
    if done.rc != 0:
        raise InfraError(
            what,
            where,
            f"the helper ended with rc {done.rc}: {done.output[-1000:] or 'without a word'}",
            "Run again: what is recorded stays, the rest is done then.",
        )
    return outcome(events, check=check)


def redacted(told: t.Any, secrets: t.Sequence[str], name: str = "") -> t.Any:
    """`told` without the secrets, in every text inside that is not a name for programs."""
    if isinstance(told, str) and name not in NAMES:
        for secret in secrets:
            told = told.replace(secret, HIDDEN)
        return told
    if isinstance(told, dict):
        return {key: redacted(value, secrets, str(key)) for key, value in told.items()}
    if isinstance(told, list):
        return [redacted(value, secrets, name) for value in told]
    return told


def runs_as(user: str | None, *, check: bool) -> Account | None:
    """Whose process the application's code is to be; None for that of the caller."""
    account = account_of(user) if user else None
    # In check mode an account that the run makes first is not there yet, and looking does no harm.
    if user and account is None and not check:
        raise InfraError(
            "run the application's code as", f'"{user}"', "there is no such account", "Make it, or correct `user`."
        )
    if account is None or account.uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise InfraError(
            "run the application's code as",
            f'"{account.name}"',
            "only root can give a process to another account",
            "Run this as root (become), or leave `user` out.",
        )
    return account


def ask_helper(
    command: str, parameters: Facts, *, check: bool, folder: str | None = None
) -> tuple[Result, list[dict[str, t.Any]], str]:
    """Run the helper with the application's interpreter, its files in a private folder inside `folder`.

    Its end, its answers, and which interpreter it was.
    """
    wanted = {**PLAIN, **{name: value for name, value in parameters.items() if value is not None}}
    url, python = parameters["url"], parameters["python"]
    limits = {name: duration(wanted[name], name) for name in ("lock_timeout", "statement_timeout", "runner_lock_wait")}
    timeout = duration(wanted["timeout"], "timeout") / 1000
    check_table(wanted["audit_table"])
    secrets = secrets_of(url)
    account = runs_as(wanted.get("user"), check=check)
    with tempfile.TemporaryDirectory(prefix="alembic-", dir=folder) as private, contextlib.ExitStack() as opened:
        helper, events = Path(private, "helper.py"), Path(private, "events")
        helper.write_text(inspect.getsource(_alembic_helper), encoding="utf-8")
        if wanted.get("progress_file"):
            # Whoever waits reads it meanwhile. The name is a secret of the two; it must not be there yet.
            events = Path(wanted["progress_file"])
            opened.callback(events.unlink, missing_ok=True)
        os.close(os.open(events, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if account:
            for handed_over in (Path(private), helper, events):
                os.chown(handed_over, account.uid, account.gid)
        environment = {
            **{str(name): str(value) for name, value in (wanted.get("environment") or {}).items()},
            _alembic_helper.URL_VARIABLE: url,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PGCONNECT_TIMEOUT": "10",
        }
        other = other_interpreter(python) if check and wanted.get("tree") and not Path(python).exists() else None
        if other:
            unpack_tree(wanted["tree"], Path(private, "release"))
            path = [str(Path(private, "release")), environment.get("PYTHONPATH", "")]
            python, environment["PYTHONPATH"] = other, os.pathsep.join(filter(None, path))
        request = {
            **{name: wanted.get(name) for name in PASSED_ON},
            **limits,
            "runner_lock_wait": limits["runner_lock_wait"] / 1000,
            "application_name": application_name(wanted["label"] or "", socket.gethostname(), command),
            "check": check,
            "command": command,
            "events": str(events),
        }
        done = run(
            [python, str(helper)],
            timeout=timeout,
            environment=environment,
            stdin=json.dumps(request),
            cwd=os.sep,
            account=account,
        )
        told = redacted(read_events(events.read_text(encoding="utf-8")), secrets)
    return dataclasses.replace(done, stderr=redacted(done.stderr, secrets), stdout=""), told, python


def conclude(command: str, parameters: Facts, *, check: bool, folder: str | None = None) -> Outcome:
    done, events, python = ask_helper(command, parameters, check=check, folder=folder)
    return interpret(
        done,
        events,
        check=check,
        database=read_url(parameters["url"]),
        python=python,
        timeout=duration(parameters["timeout"], "timeout") / 1000,
        verb=command,
        variable=parameters.get("url_env") or parameters["url_option"],
    )


def upgrade(parameters: Facts, *, check: bool, folder: str | None = None) -> Outcome:
    """Bring the database to a revision; in check mode, or where the lint has to see it first, only plan that."""
    check_revision(parameters["revision"])
    lint_first = parameters.get("lint", "off") != "off" and parameters.get("linted") is None
    wanted = {**parameters, "render": check or lint_first, "stop_at_plan": lint_first}
    began = time.time()
    try:
        came = conclude("upgrade", wanted, check=check, folder=folder)
    except InfraError as error:
        if not check:
            write_metrics(parameters, began, error.facts, ok=False)
        raise
    if not check and "pending" not in came.facts:
        write_metrics(parameters, began, {**came.facts, "migrations": came.migrations}, ok=True)
    if came.absent and parameters.get("tree"):
        # A database that the same run makes first is empty: every revision is pending.
        return dataclasses.replace(came, migrations=tuple(history(parameters["tree"])), warnings=())
    return came


def downgrade(parameters: Facts, *, check: bool, folder: str | None = None) -> Outcome:
    check_target(parameters["revision"], "downgrade to revision")
    if not parameters["confirm"]:
        raise InfraError(
            "downgrade to revision",
            f'"{parameters["revision"]}"',
            "a downgrade can delete what users have written since",
            "Look at what it would do in check mode, then set `confirm: true`.",
        )
    return conclude("downgrade", {**parameters, "render": check}, check=check, folder=folder)


def stamp(parameters: Facts, *, check: bool, folder: str | None = None) -> Outcome:
    if parameters["revision"] not in ("head", "heads"):
        check_target(parameters["revision"], "stamp with revision")
    return conclude("stamp", parameters, check=check, folder=folder)


def info(parameters: Facts, *, folder: str | None = None) -> dict[str, t.Any]:
    done, events, python = ask_helper("info", {**parameters, "revision": "heads"}, check=True, folder=folder)
    seen = last(events, "info")
    if seen is None:
        timeout = duration(parameters["timeout"], "timeout") / 1000
        database = read_url(parameters["url"])
        interpret(done, events, check=False, database=database, python=python, timeout=timeout, verb="look at")
        raise InfraError("look at database", place(database), "the helper told nothing", "Run again.")
    drift, invalid = seen.get("drift"), last(events, "invalid_indexes") or {}
    return {
        "current": list(seen["heads"]),
        "heads": list(seen["script_heads"]),
        "unknown": list(seen["unknown"]),
        "pending": [
            {name: step.get(name) for name in ("revision", "doc", "contract", "sql", "not_rendered")}
            for step in seen["pending"]
        ],
        "branches": [row for row in seen["history"] if row["branch_point"] or row["branches"]],
        "history": list(seen["history"]),
        "lock_holder": seen["holder"] or None,
        "invalid_indexes": [{"index": row["index"], "table": row["table"]} for row in invalid.get("indexes", [])],
        "server": first(events, "server").get("version"),
        **({"drift": drift["differences"] if drift["compared"] else None} if drift else {}),
    }


def metrics(name: str, began: float, ended: float, facts: Facts, *, ok: bool) -> str:
    """The last run, for the node exporter's text files."""
    values = {
        "last_run_timestamp_seconds": ("When the last run ended.", round(ended)),
        "last_run_success": ("Whether the last run ended well.", int(ok)),
        "last_run_duration_seconds": ("How long the last run took.", round(ended - began, 3)),
        "last_run_revisions": ("How many revisions the last run recorded.", len(facts.get("migrations") or ())),
        "last_run_retries": ("How often the last run tried a revision again.", facts.get("retries") or 0),
        "invalid_indexes": ("Indexes that no query uses.", len(facts.get("invalid_indexes") or ())),
    }
    return exposition(name, values)


def exposition(name: str, values: t.Mapping[str, tuple[str, float]]) -> str:
    """Gauges about the database `name` in Prometheus's text format, each with what it says."""
    label = '{database="' + re.sub(r'(["\\])', r"\\\1", name) + '"}'
    return "".join(
        f"# HELP nexod_alembic_{key} {said}\n# TYPE nexod_alembic_{key} gauge\nnexod_alembic_{key}{label} {value}\n"
        for key, (said, value) in values.items()
    )


def write_metrics(parameters: Facts, began: float, facts: Facts, *, ok: bool) -> None:
    if parameters.get("metrics_file"):
        text = metrics(read_url(parameters["url"])["name"], began, time.time(), facts, ok=ok)
        publish(Path(parameters["metrics_file"]), text)


def publish(path: Path, text: str) -> None:
    """Give the node exporter a whole file at every moment."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(path)
    except OSError as error:
        raise InfraError(
            "write the metrics to", f'"{path}"', str(error), "Make the folder, or correct `metrics_file`."
        ) from error


def listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=3):
            return True
    except OSError:
        return False


def hide(module: t.Any) -> None:
    """Blank every form of the password in what the module says, and not the short words of `environment`.

    All of `environment` is no_log, to stay out of the journal; but "1" or "prod" in there would blank half the result.
    """
    short = {str(value) for value in (module.params["environment"] or {}).values() if len(str(value)) < SHORTEST_SECRET}
    module.no_log_values -= short
    module.no_log_values |= {text for text in secrets_of(module.params["url"]) if len(text) >= SHORTEST_SECRET}


def wire(module: t.Any, act: t.Callable[..., Outcome]) -> None:
    """What the modules that change a database do around their one act."""
    try:
        hide(module)
        result = act(module.params, check=module.check_mode)
    except InfraError as error:
        module.fail_json(**error.report())
        return
    for warning in result.warnings:
        module.warn(warning)
    seen = {"revision_before": ", ".join(result.before), "revision_after": ", ".join(result.after), **result.facts}
    database = read_url(module.params["url"])
    module.exit_json(
        changed=result.changed,
        migrations=list(result.migrations),
        diff=with_sql(as_diff(result, database), result.facts),
        **(seen if result.looked else {}),
    )
