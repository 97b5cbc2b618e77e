# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a host's PgBouncer: asked, paused and resumed together."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer import console as admin_console
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.console import (
    ClosedError,
    Console,
    RefusedError,
    Row,
    sockets,
    without_logins,
)
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.plan import (
    UNKNOWN,
    Process,
    Step,
    flags,
    holders,
    missing,
    plan,
    selected,
    unpaused,
)
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.timer import Timer

#: Commands that close logins at the server that are under way.
CUTTING = ("PAUSE", "RECONNECT", "RELOAD")
#: What SHOW answers with what is no data: sockets with passwords for the next process, and text.
NOT_DATA = {"fds": "it hands over open connections with their passwords", "help": "it is text"}
NEXT_STEPS = (
    ("no such database", "Correct `database`, or declare it in PgBouncer first. It has: {databases}."),
    # 1.26: already paused, already suspended; before: already suspended/paused.
    ("already ", "It is paused as a whole. Resume it first: state: resumed without `database`."),
    ("shutting down", "Wait until it has been started again, then run the task again."),
    ("for a password", "Run the task as root (become: true) or as the account that PgBouncer runs as."),
)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a task asks for: a state or a command, for a database or (None) for all."""

    what: str
    database: str | None
    seconds: int
    wait_seconds: int

    @property
    def action(self) -> str:
        words = {"paused": "pause", "resumed": "resume", "disabled": "disable", "enabled": "enable"}
        return words.get(self.what, self.what.upper().replace("_", " "))

    @property
    def object(self) -> str:
        return f'the database "{self.database}"' if self.database else "all databases"


@dataclasses.dataclass
class Outcome:
    """What a task did, or would do."""

    steps: list[Step]
    ended_early: list[str] = dataclasses.field(default_factory=list)
    armed: bool = False
    warnings: list[str] = dataclasses.field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.armed or any(step.needed for step in self.steps)


class Pooler:
    """PgBouncer as it runs on this host: every socket in `folder`, or right below it, is a process."""

    def __init__(self, folder: str, port: int) -> None:
        self.folder = folder
        self.port = port
        self.timer = Timer(folder, port)

    def sockets(self) -> list[str]:
        return sockets(self.folder, self.port)

    def required(self, action: str, object: str) -> list[str]:
        """The sockets; an error if there are none."""
        found = self.sockets()
        if not found:
            raise InfraError(
                action,
                object,
                f"there is no socket .s.PGSQL.{self.port} in {self.folder} or in a folder right below it",
                "Start PgBouncer, or correct `socket_dir` and `port` (in pgbouncer.ini: unix_socket_dir, listen_port).",
            )
        return found

    def processes(self, action: str, object: str, *, all_run: bool = True) -> list[Process]:
        """What each process shows; unless `all_run`, those that do not run are left out."""
        found = []
        for path in self.required(action, object):
            try:
                with explained(action, object, path), Console(path) as console:
                    databases = flags(console.ask("SHOW DATABASES"))
                    found.append(Process(path, console.version, databases, paused_as_a_whole(console)))
            except InfraError as error:
                if all_run or not isinstance(error.__cause__, (ConnectionRefusedError, FileNotFoundError, ClosedError)):
                    raise
        return found


def paused_as_a_whole(console: Console) -> bool | None:
    """Whether PAUSE was used without a database. Before SHOW STATE, it is not shown."""
    try:
        rows = console.ask("SHOW STATE")
    except RefusedError:
        return UNKNOWN
    return any(row.get("key") == "paused" and row.get("value") == "yes" for row in rows)


@contextlib.contextmanager
def explained(action: str, object: str, path: str, databases: t.Iterable[str] = ()) -> t.Iterator[None]:
    """Let what a process refuses, or that it does not answer, leave as an InfraError."""
    try:
        yield
    except RefusedError as error:
        known = ", ".join(databases) or "none"
        steps = [step.format(databases=known) for words, step in NEXT_STEPS if words in str(error)]
        step = steps[0] if steps else "Read PgBouncer's log (journalctl -u 'pgbouncer*')."
        raise InfraError(action, object, f"PgBouncer at {path}: {error}", step) from error
    except (ConnectionRefusedError, FileNotFoundError) as error:
        step = "Start it (systemctl start pgbouncer), or remove the socket that it left behind, then run again."
        raise InfraError(action, object, f"PgBouncer at {path} does not run", step) from error
    except ClosedError as error:
        step = "Find out why it was stopped or restarted (journalctl -u 'pgbouncer*'), then run again."
        raise InfraError(action, object, f"PgBouncer at {path} closed the connection", step) from error
    except TimeoutError as error:
        step = "See whether its process hangs (systemctl status 'pgbouncer*'), restart it, then run again."
        raise InfraError(action, object, f"PgBouncer at {path} does not answer", step) from error
    except PermissionError as error:
        step = "Run the task as root (become: true) or as the account that PgBouncer runs as."
        raise InfraError(action, object, f"{path}: {error.strerror}", step) from error


def apply(pooler: Pooler, asked: Asked, *, check: bool) -> tuple[Outcome, list[Process]]:
    """Do what is asked; in check mode only predict it. What was done, and what the processes show afterwards."""
    if check and not pooler.sockets():
        # A bare host: the run that is predicted installs PgBouncer before, and with nothing paused or disabled.
        return Outcome([], armed=asked.what not in ("resumed", "enabled", "wait_close")), []
    try:
        processes = pooler.processes(asked.action, asked.object, all_run=asked.what != "resumed")
    except InfraError:
        if asked.what == "resumed" and not check:
            # A process that does not answer must not keep the others paused. It is left to the timer.
            names = [asked.database] if asked.database else pooler.timer.databases()
            admin_console.resume(pooler.folder, pooler.port, names)
        raise
    steps = plan(asked.what, processes, asked.database)
    outcome = Outcome(steps)
    names = selected(processes, asked.database)
    known = {name for one in processes for name in one.databases} | {*pooler.timer.databases()}
    if asked.what in ("paused", "disabled") and not check:
        refuse_missing(asked, processes, names)
    elif asked.database and asked.database not in known:
        outcome.warnings.append(f'No process of PgBouncer in {pooler.folder} shows a database "{asked.database}".')
    if asked.what == "paused":
        outcome.armed = {*names} - {*pooler.timer.databases()} != set() or not pooler.timer.armed()
    if asked.what == "resumed":
        outcome.ended_early = ended_early(pooler, processes, asked)
    if not check:
        if asked.what == "paused":
            pause(pooler, asked, processes, outcome)
        elif asked.what == "resumed":
            resume(pooler, asked, processes, outcome)
        else:
            run_steps(asked, processes, steps)
        processes = pooler.processes(asked.action, asked.object, all_run=asked.what != "resumed")
    return outcome, processes


def refuse_missing(asked: Asked, processes: t.Sequence[Process], names: t.Sequence[str]) -> None:
    """A state that PgBouncer would forget is no state."""
    left = missing(processes, names)
    if left or not names:
        cause = f"PgBouncer does not show {', '.join(left) or 'any database'}"
        step = "Correct `database`, or declare it in PgBouncer: it keeps no state for one of * that no client uses."
        raise InfraError(asked.action, asked.object, cause, step)


def ended_early(pooler: Pooler, processes: t.Sequence[Process], asked: Asked) -> list[str]:
    """Databases that a task has paused and that something else has resumed: the timer, or a restart."""
    names = [name for name in pooler.timer.databases() if asked.database in (None, name)]
    running = {one.socket for one in processes}
    stopped = [Process(path, "", {}) for path in pooler.sockets() if path not in running]
    return unpaused([*(one for one in processes if not one.whole), *stopped], names)


def run_steps(asked: Asked, processes: t.Sequence[Process], steps: t.Sequence[Step]) -> None:
    """Send the commands, each on a connection of its own, and wait until all have ended."""
    ends = time.monotonic() + asked.wait_seconds
    with contextlib.ExitStack() as opened:
        send(opened, asked, processes, steps, ends)


def send(
    opened: contextlib.ExitStack, asked: Asked, processes: t.Sequence[Process], steps: t.Sequence[Step], ends: float
) -> None:
    """Send all commands before waiting for any, so that no database's clients hold up another one's."""
    known = sorted({name for one in processes for name in one.databases})
    consoles = []
    for step in steps:
        with explained(asked.action, asked.object, step.socket, known):
            console = opened.enter_context(Console(step.socket))
            quiet = without_logins(step.socket, step.database) if step.verb in CUTTING else contextlib.nullcontext()
            with quiet:
                console.send(*step.commands)
            consoles.append(console)
    for step, console in zip(steps, consoles, strict=True):
        waits = step.verb in ("PAUSE", "WAIT_CLOSE")
        with explained(asked.action, asked.object, step.socket, known):
            try:
                for _command in step.commands:
                    console.receive(ends if waits else None)
            except TimeoutError as error:
                if not waits:
                    raise
                raise still_used(asked, step, processes) from error
            except RefusedError as error:
                # The timer was faster.
                if step.verb != "RESUME" or "not paused" not in str(error):
                    raise


def still_used(asked: Asked, step: Step, processes: t.Sequence[Process]) -> InfraError:
    """Why a command did not end in time: the clients that hold connections."""
    found: list[str] = []
    for one in processes:
        with contextlib.suppress(OSError, RefusedError), Console(one.socket) as console:
            found += holders(
                console.ask("SHOW CLIENTS"), console.ask("SHOW SERVERS"), selected(processes, asked.database)
            )
    what = "transactions still run" if step.verb == "PAUSE" else "server connections are still in use"
    undone = "; the databases were resumed" if step.verb == "PAUSE" else ""
    return InfraError(
        asked.action,
        asked.object,
        f"{what} after {asked.wait_seconds} s{undone}",
        "Wait until these clients have ended (in session mode: disconnected), end them, or raise `wait_seconds`.",
        "\n".join(found),
        clients=found,
    )


def pause(pooler: Pooler, asked: Asked, processes: t.Sequence[Process], outcome: Outcome) -> None:
    """Pause all, or none: a timer first, so that nothing stays paused if this program dies."""
    names = selected(processes, asked.database)
    timed = [name for name in pooler.timer.databases() if any(one.flag(name, "paused") for one in processes)]
    with resumed_after_an_error(pooler, asked, outcome.steps):
        pooler.timer.arm([*names, *timed], asked.seconds)
        run_steps(asked, processes, outcome.steps)
        left = unpaused(pooler.processes(asked.action, asked.object), names)
        if left:
            cause = f"it was resumed or restarted meanwhile: {', '.join(left)}"
            step = "Find out what else restarts or resumes it (journalctl -u 'pgbouncer*'), then run again."
            raise InfraError(asked.action, asked.object, cause, step)
    outcome.warnings += short_waits(outcome.steps, asked)


def short_waits(steps: t.Iterable[Step], asked: Asked) -> list[str]:
    """PgBouncer disconnects clients that have waited for query_wait_timeout, also if that is because of a pause."""
    for path in sorted({step.socket for step in steps}):
        with contextlib.suppress(OSError, RefusedError), Console(path) as console:
            settings = {row["key"]: str(row["value"]) for row in console.ask("SHOW CONFIG")}
            limit = float(settings.get("query_wait_timeout") or 0)
            if 0 < limit < asked.seconds:
                return [
                    f"PgBouncer disconnects clients that wait for {limit:g} s (query_wait_timeout), and the pause may"
                    f" last {asked.seconds} s. Lower `seconds` or raise query_wait_timeout."
                ]
    return []


@contextlib.contextmanager
def resumed_after_an_error(pooler: Pooler, asked: Asked, steps: t.Sequence[Step]) -> t.Iterator[None]:
    """Resume what was not paused before, whatever goes wrong. What cannot be resumed is left to the timer."""
    try:
        yield
    except BaseException as error:
        failed = resume_steps(steps)
        if not failed:
            kept = {step.database for step in steps if not step.needed}
            pooler.timer.disarm({step.database for step in steps} - kept)
        elif isinstance(error, InfraError):
            error.cause += f"; {', '.join(failed)} could not be resumed, which the timer does within {asked.seconds} s"
        raise


def resume_steps(steps: t.Iterable[Step]) -> list[str]:
    """Resume what the steps have paused; what failed."""
    failed = []
    for step in steps:
        if not step.needed:
            continue
        try:
            with Console(step.socket) as console:
                console.ask(dataclasses.replace(step, verb="RESUME").commands[0])
        except (RefusedError, ConnectionRefusedError, FileNotFoundError, ClosedError):
            # It was not paused, is not known, or does not run: then it is not paused.
            continue
        except OSError:
            failed.append(f"{step.database} at {step.socket}")
    return failed


def resume(pooler: Pooler, asked: Asked, processes: t.Sequence[Process], outcome: Outcome) -> None:
    """Resume, and end the timer."""
    for one in processes:
        if one.whole is UNKNOWN and not asked.database:
            outcome.steps += resumed_as_a_whole(one)
    run_steps(asked, processes, outcome.steps)
    pooler.timer.disarm([asked.database] if asked.database else pooler.timer.databases())


def resumed_as_a_whole(process: Process) -> list[Step]:
    """Whether PAUSE was used without a database is not shown by this version: it shows in what RESUME answers."""
    with contextlib.suppress(OSError, RefusedError), Console(process.socket) as console:
        console.ask("RESUME")
        return [Step(process.socket, "RESUME")]
    return []


def show(pooler: Pooler, names: t.Sequence[str], *, check: bool) -> list[dict[str, t.Any]]:
    """What SHOW answers for each name, by process."""
    action = "show"
    for name in names:
        if not re.fullmatch("[a-z_]+", name) or name in NOT_DATA:
            cause = NOT_DATA.get(name, "that is not a word of letters and underscores")
            raise InfraError(
                action, f'"{name}"', cause, "Use what SHOW HELP lists, such as databases, pools or clients."
            )
    found = []
    for path in pooler.sockets() if check else pooler.required(action, ", ".join(names)):
        with explained(action, ", ".join(names), path), Console(path) as console:
            found.append(
                {"socket": path, "version": console.version, "show": {name: rows(console, name) for name in names}}
            )
    return found


def rows(console: Console, name: str) -> list[Row]:
    try:
        return console.ask(f"SHOW {name.upper()}")
    except RefusedError as error:
        if "invalid command" not in str(error):
            raise
        console.ask("SHOW HELP")
        cause = f"PgBouncer {console.version} at {console.path} has no SHOW {name.upper()}"
        names = ", ".join(listed(console.notices))
        raise InfraError("show", f'"{name}"', cause, f"Use one of those that it has: {names}.") from error


def listed(notices: t.Iterable[str]) -> list[str]:
    """Names in the text of SHOW HELP."""
    words = re.findall(r"^\s*SHOW ([A-Z_|]+)$", "\n".join(notices), re.MULTILINE)
    return sorted({name.lower() for line in words for name in line.split("|")} - {*NOT_DATA})
