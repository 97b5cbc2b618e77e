# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module and the engine exchange: one request as JSON on stdin, events as JSON lines in a file.

The database's URL is passed in the environment and nowhere else. Events are written unbuffered: whatever happens to
the engine's process, the module can read how far it came.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

URL_VARIABLE = "NEXOD_ALEMBIC_URL"
REHEARSAL_VARIABLE = "NEXOD_ALEMBIC_REHEARSAL_URL"
# "nexo", "alem": one advisory lock for all runners on a database, whatever their release.
LOCK = (0x6E65786F, 0x616C656D)


@dataclasses.dataclass(frozen=True)
class Request:
    """What the engine is asked to do; the names are those of the modules' options."""

    command: str  # a key of commands.COMMANDS
    revision: str
    events: str  # path of the file for the events
    check: bool = False
    application_name: str = "alembic"
    chdir: str | None = None
    config: str = "alembic.ini"
    name: str = "alembic"
    x_args: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    url_option: str = "sqlalchemy.url"
    url_env: str | None = None
    label: str = ""
    via_pooler: bool = False
    flask_app: str | None = None
    pass_connection: bool = False
    ahead: str = "refuse"
    transaction: str = "per_revision"
    lock_timeout: int = 200  # milliseconds, as PostgreSQL takes them
    statement_timeout: int = 0  # milliseconds
    runner_lock_wait: float = 60.0  # seconds
    concurrent_lock_timeout: int = 300000  # milliseconds
    lock_retries: int = 0
    audit_table: str | None = None
    audit_who: str | None = None
    audit_job: str | None = None
    allow_contract: bool = False
    contract_not_before: int = 0  # Unix time
    allow_empty: list[str] = dataclasses.field(default_factory=list)
    check_drift: bool = False
    ignored_schemas: list[str] = dataclasses.field(default_factory=list)
    linted: list[str] | None = None  # the revisions that the lint has approved; None: it was not asked
    purge: bool = False
    rebuild_invalid_indexes: bool = False
    render: bool = False
    stop_at_plan: bool = False
    approval: str | None = None  # FIFO in which the lint's answer to the plan comes; None: it is not waited for
    parent: int = 0  # the process that gives it
    rehearse: bool = False  # whether to run what is pending on a copy first; its URL is passed in the environment
    since: list[str] = dataclasses.field(default_factory=list)  # of a lint without a database: where it begins
    only_database: str | None = None  # of a rehearsal: the copy, the only database that may be written to
    unset: list[str] = dataclasses.field(default_factory=list)  # inherited variables that name another server


class Fault(Exception):  # noqa: N818  the name FaultError would suggest an InfraError, which the engine does not have
    """Ends the run. `kind` selects the message on the module's side (faults.py), `facts` fill it in."""

    def __init__(self, kind: str, **facts: t.Any) -> None:
        super().__init__(kind)
        self.event = {"event": "fault", "kind": kind, **facts}


class Events:
    """The engine's answers."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)

    def emit(self, event: str, **facts: t.Any) -> None:
        os.write(self._file, (json.dumps({"event": event, **facts}, default=str) + "\n").encode())
