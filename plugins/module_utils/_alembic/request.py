# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that all modules ``alembic_*`` have, and the engine that is asked with them."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pkgutil
import re
import socket
import tempfile
import typing as t
import zipfile
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._alembic import engine

# Named, so that Ansible sends it along; with it comes all that it imports.
from ansible_collections.nexod.infra.plugins.module_utils._alembic.answers import read_events
from ansible_collections.nexod.infra.plugins.module_utils._alembic.approval import Approval
from ansible_collections.nexod.infra.plugins.module_utils._alembic.archive import other_interpreter, unpack_tree
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine import main as _engine_main  # noqa: F401
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.address import VARIABLES, normal_url
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.protocol import (
    REHEARSAL_VARIABLE,
    URL_VARIABLE,
    Request,
)
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import (
    address_of,
    redacted,
    secrets_in,
    secrets_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import milliseconds, seconds
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import translated
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Account, Result, account_of, run

Facts = t.Mapping[str, t.Any]
# The engine's name in the application's interpreter, and what starts it there.
PACKAGE = "nexod_alembic_engine"
START = f"from {PACKAGE}.main import start\n\nstart()\n"
LONG_LOCK_SECONDS = 60

# The options of all modules; plugins/doc_fragments/alembic.py describes them.
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
    "flask_app": {"type": "str"},
    # Without no_log, Ansible warns in each run that a name with `pass` may be a password.
    "pass_connection": {"type": "bool", "default": False, "no_log": False},
    "timeout": {"type": "str", "default": "1h"},
}
LIMITS: dict[str, dict[str, t.Any]] = {
    "lock_timeout": {"type": "str", "default": "200ms"},
    "statement_timeout": {"type": "str", "default": "0"},
    "runner_lock_wait": {"type": "str", "default": "60s"},
    "concurrent_lock_timeout": {"type": "str", "default": "5min"},
    "lock_retries": {"type": "int", "default": 60},
}
AUDIT: dict[str, dict[str, t.Any]] = {
    "audit_table": {"type": "str"},
    "audit_who": {"type": "str"},
    "audit_job": {"type": "str"},
}
# What the action plugin and the command `migrate` add to a user's options: `linted`, the revisions that the lint has
# approved; `tree`, the migrations of a release that is not on the host; `progress_file`, where they read the progress.
INTERNAL: dict[str, dict[str, t.Any]] = {"_internal": {"type": "dict"}}
DURATIONS = {
    "lock_timeout": milliseconds,
    "concurrent_lock_timeout": milliseconds,
    "statement_timeout": milliseconds,
    "runner_lock_wait": seconds,
}


def internal(parameters: Facts, name: str) -> t.Any:
    return (parameters.get("_internal") or {}).get(name)


def check_revision(revision: str) -> None:
    """Refuse what names another revision on every run, or an earlier one."""
    if re.fullmatch(r"\w[\w.-]*@heads?", revision):
        return
    if revision == "base" or revision[:1] in "+-" or re.search(r"[@:+^~]|-\d", revision):
        raise InfraError(
            "upgrade to revision",
            f'"{revision}"',
            "only head, heads, LABEL@head or a revision's identifier name the same revision wherever the database is",
            "Give the identifier of the revision. This module never downgrades; nexod.infra.alembic_downgrade does.",
        )


def check_target(revision: str, action: str) -> None:
    """The same for commands that may go to an earlier revision, or to base."""
    if revision != "base" and not re.fullmatch(r"\w[\w.-]*@base", revision):
        try:
            check_revision(revision)
        except InfraError as error:
            raise InfraError(
                action, f'"{revision}"', error.cause, "Give the identifier of the revision, or base."
            ) from error


def check_table(name: str | None) -> None:
    if name and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", name):
        raise InfraError(
            "write the audit to",
            f'"{name}"',
            "it is not a plain table name",
            'Set `audit_table` to "TABLE" or "SCHEMA.TABLE".',
        )


def check_variables(url: str, environment: Facts | None) -> None:
    """Refuse variables by which libpq would connect to another server than the URL names."""
    named = [name for name in ("PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE") if (environment or {}).get(name)]
    if named and address_of(url).hosts:
        raise InfraError(
            "connect to the host in",
            "`url`",
            f"`environment` has {named[0]}, from which libpq takes another address",
            f"Remove {named[0]} from `environment`, or write the address into `url`.",
        )


def application_name(label: str, host: str, command: str = "upgrade") -> str:
    """How a runner identifies itself to the server: at most 63 bytes, printable ASCII without quotes."""
    clean = re.sub(r"[^ -~]|['\"%\\]", "?", f"alembic_{command} {label}".strip() + f" on {host}")
    return clean[:63]


def runs_as(user: str | None, *, check: bool) -> Account | None:
    """The account that the application's code runs as; None for that of the caller."""
    account = account_of(user) if user else None
    # In check mode an account that this deploy creates first does not exist yet, and planning writes nothing.
    if user and account is None and not check:
        raise InfraError(
            "run the application's code as", f'"{user}"', "there is no such account", "Create it, or correct `user`."
        )
    if account is None or account.uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise InfraError(
            "run the application's code as",
            f'"{account.name}"',
            "only root can start a process as another account",
            "Run this as root (become), or omit `user`.",
        )
    return account


def request_of(command: str, parameters: Facts, *, check: bool, events: str) -> Request:
    """The engine's request; an option that the module does not have keeps the engine's default."""
    own = {field.name for field in dataclasses.fields(Request)}
    given = {name: value for name, value in parameters.items() if name in own and value is not None}
    durations = {name: read(given[name], name) for name, read in DURATIONS.items() if name in given}
    return Request(
        **{
            **given,
            **durations,
            "application_name": application_name(given.get("label") or "", socket.gethostname(), command),
            "check": check,
            "command": command,
            "events": events,
            "linted": internal(parameters, "linted"),
            "rehearse": bool(parameters.get("rehearsal_url")) and command == "upgrade",
            "unset": [name for name in VARIABLES if name not in (parameters.get("environment") or {})],
        }
    )


def engine_archive() -> bytes:
    """The engine as a zip file that Python can run. Not compressed: the application's Python may lack zlib."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("__main__.py", START)
        for name in ("__init__", *sorted(module.name for module in pkgutil.iter_modules(engine.__path__))):
            archive.writestr(f"{PACKAGE}/{name}.py", pkgutil.get_data(engine.__name__, f"{name}.py") or b"")
    return packed.getvalue()


Decide = t.Callable[[list[dict[str, t.Any]]], bool]


def ask_engine(
    command: str, parameters: Facts, *, check: bool, folder: str | None = None, decide: Decide | None = None
) -> tuple[Result, list[dict[str, t.Any]], str]:
    """Run the engine with the application's interpreter, from a private folder inside `folder`.

    `decide`: asked with the events of the plan whether to run it. Returns how it ended, its events, and the interpreter
    that was used.
    """
    request = request_of(command, parameters, check=check, events="")
    environment = parameters.get("environment")
    check_variables(parameters["url"], environment)
    secrets = (*secrets_of(parameters["url"]), *secrets_in(environment))
    if request.rehearse:
        secrets = (*secrets, *secrets_of(parameters["rehearsal_url"]))
    timeout = seconds(parameters.get("timeout") or "1h", "timeout")
    check_table(request.audit_table)
    account = runs_as(parameters.get("user"), check=check)
    where = folder or tempfile.gettempdir()
    with translated("start the migration engine in", f'"{where}"', where), contextlib.ExitStack() as opened:
        home = tempfile.TemporaryDirectory(prefix="alembic-", dir=folder, ignore_cleanup_errors=True)
        private = Path(opened.enter_context(home))
        program, events = private / "engine.zip", private / "events"
        program.write_bytes(engine_archive())
        if internal(parameters, "progress_file"):
            # Read meanwhile by whoever waits. Its name can't be guessed, and it must not exist yet.
            events = Path(internal(parameters, "progress_file"))
        os.close(os.open(events, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        opened.callback(remove, events)
        fifo = private / "approval"
        if decide:
            answer = decide

            def approve(text: str) -> bool:
                return answer(redacted(read_events(text), secrets))

            asked = Approval(fifo, events, approve)
            request = dataclasses.replace(request, approval=str(fifo), parent=os.getpid())
        if account:
            for path in (private, program, events, *([fifo] if decide else [])):
                os.chown(path, account.uid, account.gid)
        rehearsal = {REHEARSAL_VARIABLE: normal_url(parameters["rehearsal_url"])} if request.rehearse else {}
        python, environment = interpreter(parameters, private, check=check)
        with asked if decide else contextlib.nullcontext():
            ended = run(
                [python, str(program)],
                timeout=timeout,
                environment={**environment, URL_VARIABLE: normal_url(parameters["url"]), **rehearsal},
                stdin=json.dumps(dataclasses.asdict(dataclasses.replace(request, events=str(events)))),
                cwd=os.sep,
                account=account,
            )
        found = redacted(read_events(events.read_text(encoding="utf-8")), secrets)
    return dataclasses.replace(ended, stderr=redacted(ended.stderr, secrets), stdout=""), found, python


def remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def interpreter(parameters: Facts, private: Path, *, check: bool) -> tuple[str, dict[str, str]]:
    """The application's interpreter, and the environment variables that it runs with.

    In check mode, the migrations of a release that is not installed yet run in the environment of another one.
    """
    python, tree = parameters["python"], internal(parameters, "tree")
    environment = {
        **{str(name): str(value) for name, value in (parameters.get("environment") or {}).items()},
        "PYTHONDONTWRITEBYTECODE": "1",
        "PGCONNECT_TIMEOUT": "10",
    }
    other = other_interpreter(python) if check and tree and not Path(python).exists() else None
    if other is None:
        return python, environment
    release = private / "release"
    unpack_tree(tree, release)
    path = [str(release), environment.get("PYTHONPATH", "")]
    return other, {**environment, "PYTHONPATH": os.pathsep.join(filter(None, path))}
