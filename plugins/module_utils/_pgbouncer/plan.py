# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commands lead from what PgBouncer shows to what is asked for. Pure functions.

Every command names its database. Without a name, PgBouncer 1.18 refuses DISABLE, ENABLE and KILL, does not show that it
is paused, and PAUSE is an error if it is paused already.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.console import Row, quoted

#: The database that is the admin console itself.
CONSOLE = "pgbouncer"
#: For each state: its command, the column of SHOW DATABASES that shows it, and what that contains then.
STATES = {
    "paused": ("PAUSE", "paused", True),
    "resumed": ("RESUME", "paused", False),
    "disabled": ("DISABLE", "disabled", True),
    "enabled": ("ENABLE", "disabled", False),
}
#: Those that change something that no SHOW command shows.
COMMANDS = {"reload": "RELOAD", "reconnect": "RECONNECT", "kill": "KILL", "wait_close": "WAIT_CLOSE"}
#: Without SHOW STATE (before 1.19), PgBouncer does not show whether PAUSE was used without a database.
UNKNOWN = None


@dataclasses.dataclass(frozen=True)
class Process:
    """What a process shows: its databases with `paused` and `disabled`, and whether it is paused as a whole."""

    socket: str
    version: str
    databases: t.Mapping[str, t.Mapping[str, bool]]
    whole: bool | None = False

    def flag(self, name: str, column: str) -> bool:
        return self.databases.get(name, {}).get(column, False)

    def report(self) -> dict[str, t.Any]:
        return {"socket": self.socket, "version": self.version, "databases": {**self.databases}}


@dataclasses.dataclass(frozen=True)
class Step:
    """A command for a process. `needed`: whether it changes something; `resume`: whether RESUME follows it."""

    socket: str
    verb: str
    database: str = ""
    needed: bool = True
    resume: bool = False

    @property
    def commands(self) -> list[str]:
        verbs = [self.verb, "RESUME"] if self.resume else [self.verb]
        return [f"{verb} {quoted(self.database)}" if self.database else verb for verb in verbs]


def flags(rows: t.Iterable[Row]) -> dict[str, dict[str, bool]]:
    """The databases among the rows of SHOW DATABASES."""
    return {
        str(row["name"]): {column: bool(row.get(column)) for column in ("paused", "disabled")}
        for row in rows
        if row["name"] != CONSOLE
    }


def selected(processes: t.Iterable[Process], database: str | None) -> list[str]:
    """The database, or all that a process shows."""
    return [database] if database else sorted({name for one in processes for name in one.databases})


def plan(asked: str, processes: t.Sequence[Process], database: str | None) -> list[Step]:
    """The commands for `asked`, which is a state or a command."""
    if asked == "reload":
        return [Step(one.socket, "RELOAD") for one in processes]
    names = selected(processes, database)
    if asked in COMMANDS:
        verb, needed, kill = COMMANDS[asked], asked != "wait_close", asked == "kill"
        return [
            # KILL also pauses the database.
            Step(one.socket, verb, name, needed, resume=kill and not one.flag(name, "paused"))
            for one in processes
            for name in names
            if name in one.databases
        ]
    verb, column, value = STATES[asked]
    steps = [Step(one.socket, verb, name, one.flag(name, column) != value) for one in processes for name in names]
    if asked == "paused":
        # Also where it is paused already: the command waits for the transactions that still run.
        return steps
    whole = [Step(one.socket, verb) for one in processes if asked == "resumed" and not database and one.whole]
    return [*whole, *(step for step in steps if step.needed)]


def diff_of(asked: str, steps: t.Sequence[Step]) -> dict[str, str]:
    """What changes, a line for each database of each process; a command that no state shows is a line itself."""
    needed = [step for step in steps if step.needed]
    opposite = {"paused": "resumed", "resumed": "paused", "disabled": "enabled", "enabled": "disabled"}.get(asked)
    if opposite is None:
        return {"before": "", "after": "".join(f"{step.socket}: {', '.join(step.commands)}\n" for step in needed)}

    def lines(word: str) -> str:
        return "".join(f"{step.socket}: {step.database or 'all databases'} {word}\n" for step in needed)

    return {"before": lines(opposite), "after": lines(asked)}


def missing(processes: t.Iterable[Process], names: t.Iterable[str]) -> list[str]:
    """Which of the databases are not shown, and by which process.

    PgBouncer registers one of `*` for a command that names it, but drops it again within a second, with its state, as
    long as no client uses it.
    """
    return [f"{name} at {one.socket}" for one in processes for name in names if name not in one.databases]


def unpaused(processes: t.Iterable[Process], names: t.Iterable[str]) -> list[str]:
    """Which of the databases are not paused, and on which process."""
    return [f"{name} at {one.socket}" for one in processes for name in names if not one.flag(name, "paused")]


def holders(clients: t.Iterable[Row], servers: t.Iterable[Row], names: t.Container[str]) -> list[str]:
    """The clients that have a server connection, and which process of PostgreSQL that is."""
    pids = {row.get("ptr"): row.get("remote_pid") for row in servers}
    found = []
    for row in clients:
        if row.get("link") and row.get("database") in names:
            application = row.get("application_name")
            details = [str(application)] if application else []
            if pid := pids.get(row["link"]):
                details.append(f"process {pid} of PostgreSQL")
            more = f" ({', '.join(details)})" if details else ""
            found.append(f"{row['user']}@{row['addr']}:{row['port']} in {row['database']}{more}")
    return found
