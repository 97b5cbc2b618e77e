# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pending revisions, run on a throw-away database that has the real one's schema and none of its rows.

What rendering can't show is seen there: the SQL of a revision that reads first, a missing right or table, an identifier
that is too long, a wrong order. As with the dev database of Atlas, it is given by its own URL.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from .errors import message_of
from .protocol import REHEARSAL_VARIABLE, URL_VARIABLE
from .session import AdminConnection, Session
from .settings import OPTIONS, ConnectionSettings
from .sql import literal

PREFIX = "nexod_rehearsal_"
LOCK = (0x6E65786F, 0x72656873)  # "nexo", "rehs": one rehearsal on a server at a time
TOOLS_SECONDS = 300
LEFT = f"""
SELECT datname::text FROM pg_database
WHERE starts_with(datname::text, '{PREFIX}') AND pg_get_userbyid(datdba) = current_user
"""  # noqa: S608
# SQLAlchemy's query parameters, and asyncpg's, as libpq's variables.
VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "sslmode": "PGSSLMODE",
    "ssl": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "channel_binding": "PGCHANNELBINDING",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
Facts = t.Mapping[str, t.Any]


class Impossible(Exception):  # noqa: N818  not a fault: the plan goes on without the rehearsal
    """Why there was no rehearsal."""


@dataclasses.dataclass
class Rehearsal:
    """`schema`: "copied" with pg_dump, or "replayed" from the first revision."""

    schema: str = ""
    statements: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # of each revision that ran
    failed: dict[str, t.Any] | None = None
    note: str | None = None

    @property
    def event(self) -> dict[str, t.Any]:
        return {"schema": self.schema, "ran": list(self.statements), "failed": self.failed, "note": self.note}


@dataclasses.dataclass(frozen=True)
class Original:
    """What is copied."""

    session: Session
    settings: ConnectionSettings
    url: str
    heads: t.Sequence[str]
    version_table: str


def rehearse(original: Original) -> Rehearsal:
    """Run what is pending on a copy. Whatever prevents that is noted, and the plan is as good as without it."""
    found = Rehearsal()
    try:
        with copy_of(original.url) as target:
            copy_schema(original, target, found)
            run_on(original, target, original.session.request.revision, found)
    except Impossible as error:
        found.note = str(error)
    except Exception as error:
        found.note = message_of(error)
    return found


def with_rehearsed(plan: dict[str, t.Any], found: Rehearsal) -> dict[str, t.Any]:
    """The plan, with the SQL that ran wherever it could not be rendered in full."""

    def step_of(step: dict[str, t.Any]) -> dict[str, t.Any]:
        ran = found.statements.get(step["revision"])
        if ran is None or not step.get("not_rendered"):
            return step
        return {**step, "sql": "".join(f"{one.strip()};\n" for one in ran), "rehearsed": True}

    return {**plan, "pending": [step_of(step) for step in plan["pending"]]}


@contextlib.contextmanager
def copy_of(url: str) -> t.Iterator[str]:
    """An empty database on the server of the rehearsals, and its URL. It is dropped at the end.

    Those that a killed rehearsal has left are dropped first: who holds the lock is the only one who uses any.
    """
    from sqlalchemy.engine import make_url  # noqa: PLC0415

    place = os.environ.pop(REHEARSAL_VARIABLE, "")
    where = make_url(place).set(drivername=make_url(url).drivername)
    admin = AdminConnection(where.render_as_string(hide_password=False), "alembic_rehearsal")
    try:
        # All connections of a process that plans are opened read-only.
        admin.rows("SELECT set_config('default_transaction_read_only', 'off', false)")
        if not admin.value(f"SELECT pg_try_advisory_lock({LOCK[0]}, {LOCK[1]})"):
            raise Impossible("another rehearsal uses the server now")
        left = admin.rows(LEFT)
        for (name,) in left:
            drop(admin, name)
        name = PREFIX + secrets.token_hex(8)
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield where.set(database=name).render_as_string(hide_password=False)
        finally:
            drop(admin, name)
    finally:
        admin.close()


def drop(admin: AdminConnection, name: str) -> None:
    admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {literal(name)}")  # noqa: S608
    admin.execute(f"DROP DATABASE IF EXISTS {name}")


def copy_schema(original: Original, target: str, found: Rehearsal) -> None:
    """The schema and the version table with pg_dump, or if it does not fit, by running the revisions from the first."""
    tools = tools_for(original.session.version)
    why = "pg_dump is not installed here, or older than the server"
    if tools:
        why = dumped(tools, original, target)
    if not why:
        found.schema = "copied"
        return
    found.schema = "replayed"
    for head in original.heads:
        run_on(original, target, head, found)
        if found.failed or found.note:
            reason = found.note or f"revision {found.failed['revision']}: {found.failed['detail']}"  # type: ignore[index]
            found.failed = None
            raise Impossible(f"the schema can't be copied ({why}), nor built from the first revision ({reason})")
    found.statements.clear()


def tools_for(version: int) -> tuple[str, str] | None:
    """pg_dump and psql, from the PATH or where Debian and Red Hat keep those of each release."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    paths = [shutil.which("pg_dump"), *(str(folder / "pg_dump") for folder in folders)]
    for path in filter(None, paths):
        psql = Path(path).with_name("psql")
        if not Path(path).exists() or not psql.exists():
            continue
        words = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
        number = re.search(r"\) (\d+)", words)
        if number and int(number[1]) >= version // 10000:
            return path, str(psql)
    return None


def dumped(tools: tuple[str, str], original: Original, target: str) -> str:
    """Why the schema could not be copied; empty if it was. What the copy refuses (a missing role) is left out."""
    pg_dump, psql = tools
    dump = [pg_dump, "--no-password", "--lock-wait-timeout=5000"]
    parts = [[*dump, "--schema-only"]]
    if original.heads:
        parts.append([*dump, "--data-only", f'--table=*."{original.version_table}"'])
    with tempfile.TemporaryFile() as file:
        for argv in parts:
            environment = libpq(original.url, original.settings.given_options)
            done = subprocess.run(
                argv, stdout=file, stderr=subprocess.PIPE, env=environment, timeout=TOOLS_SECONDS, check=False
            )
            if done.returncode:
                return last_line(done.stderr)
        file.seek(0)
        argv = [psql, "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=0"]
        done = subprocess.run(
            argv,
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=libpq(target, original.settings.given_options),
            timeout=TOOLS_SECONDS,
            check=False,
        )
    return last_line(done.stderr) if done.returncode else ""


def last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"


def libpq(url: str, options: str | None) -> dict[str, str]:
    """The environment for libpq's programs: no secret in their arguments."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415

    parts = make_url(url)
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES.values()}
    kept.pop(OPTIONS, None)
    given = {
        "PGHOST": parts.host,
        "PGPORT": str(parts.port) if parts.port else None,
        "PGUSER": parts.username,
        "PGPASSWORD": parts.password,
        "PGDATABASE": parts.database,
        OPTIONS: options,
    }
    for name, value in parts.query.items():
        if name in VARIABLES:
            given[VARIABLES[name]] = value if isinstance(value, str) else ",".join(value)
    return {**kept, **{name: str(value) for name, value in given.items() if value}}


def run_on(original: Original, target: str, revision: str, found: Rehearsal) -> None:
    """Run the revisions up to `revision` on the copy, in a process of its own, as a deploy runs them."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415

    with tempfile.NamedTemporaryFile(prefix="rehearsal-") as events:
        inner = dataclasses.replace(
            original.session.request,
            revision=revision,
            events=events.name,
            only_database=make_url(target).database,
            check=False,
            rehearse=False,
            stop_at_plan=False,
            approval=None,
            render=False,
            linted=None,
            audit_table=None,
            via_pooler=False,
            allow_contract=True,
            lock_retries=0,
            check_drift=False,
            rebuild_invalid_indexes=False,
        )
        environment = {**os.environ, URL_VARIABLE: target}
        environment.pop(OPTIONS, None)
        if original.settings.given_options is not None:
            environment[OPTIONS] = original.settings.given_options
        done = subprocess.run(
            [sys.executable, str(Path(__file__).parents[1])],
            input=json.dumps(dataclasses.asdict(inner)).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=os.sep,
            check=False,
        )
        rows = [json.loads(line) for line in events.read().splitlines()]
    for row in rows:
        if row["event"] == "done":
            found.statements[row["revision"]] = [one["sql"] for one in row["statements"]]
    fault = next((row for row in reversed(rows) if row["event"] == "fault"), None)
    if fault and fault.get("revision"):
        found.failed = {name: fault.get(name) for name in ("revision", "sqlstate", "detail", "statement")}
    elif fault:
        found.note = str(fault.get("detail") or fault["kind"])
    elif done.returncode:
        found.note = f"the process ended with rc {done.returncode}: {last_line(done.stderr)}"
