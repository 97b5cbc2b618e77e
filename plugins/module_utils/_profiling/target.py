# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that is profiled: found by its unit and worker, or by its id, and what may be done to it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run

ACTION: t.Final = "profile"
#: Processes that Python starts beside workers.
HELPERS: t.Final = (
    "multiprocessing.resource_tracker",
    "multiprocessing.semaphore_tracker",
    "multiprocessing.forkserver",
)
UNITS: t.Final = (
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
PTRACE_SCOPE: t.Final = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")


@dataclasses.dataclass(frozen=True)
class Process:
    """A process as /proc shows it. `begun`, in the kernel's ticks, tells it from a later one with its id."""

    pid: int
    parent: int
    begun: int
    program: str
    command: str = ""

    @property
    def is_python(self) -> bool:
        name = os.path.basename(self.program)
        return name.startswith(("python", "pypy")) and not any(helper in self.command for helper in HELPERS)


def read_process(pid: int) -> Process | None:
    """The process of that id; None where there is none, or only what is left of one."""
    folder = pathlib.Path(f"/proc/{pid}")
    try:
        fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    program = ""
    with contextlib.suppress(OSError):
        # After an upgrade of the interpreter, the file of a running one is named with this ending.
        program = os.readlink(folder / "exe").removesuffix(" (deleted)")
    return Process(pid, int(fields[1]), int(fields[19]), program, command)


def all_processes() -> list[Process]:
    """Every process that this host shows."""
    numbers = (int(entry) for entry in os.listdir("/proc") if entry.isdecimal())
    return [process for pid in numbers if (process := read_process(pid))]


def workers(main: int, processes: t.Iterable[Process]) -> list[Process]:
    """The processes of a service that answer requests, the oldest first.

    They are the Python processes below the main one; where there are none, the main one is the only worker.
    """
    children: dict[int, list[Process]] = {}
    by_id = {process.pid: process for process in processes}
    for process in by_id.values():
        children.setdefault(process.parent, []).append(process)
    found, waiting = [], [main]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += [process for process in below if process.is_python]
        waiting += [process.pid for process in below]
    found = found or [by_id[main]] if main in by_id else found
    return sorted(found, key=lambda process: (process.begun, process.pid))


def main_process(unit: str) -> int:
    """The id of the unit's main process. Raises InfraError where it does not run."""
    shown = run(["systemctl", "show", unit, "--property=LoadState,ActiveState,MainPID"])
    what = f'the unit "{unit}"'
    if shown.rc != 0:
        cause = shown.output or f"systemctl ended with {shown.rc}"
        raise InfraError(ACTION, what, cause, "Give `pid` on a host without systemd.")
    facts = dict(line.partition("=")[::2] for line in shown.stdout.splitlines())
    loaded = facts.get("LoadState", "unknown")
    if loaded not in ("loaded", "not-found"):
        steps = {"masked": f"Allow it to be started (systemctl unmask {unit}), and start it."}
        raise InfraError(
            ACTION,
            what,
            f"it is {loaded}",
            steps.get(loaded, f"See why systemd does not load it (systemctl status {unit})."),
        )
    if loaded == "not-found":
        next_step = "Correct `unit`; `systemctl list-units --type=service` lists those of the host."
        raise InfraError(ACTION, what, "there is no such unit", next_step)
    if facts.get("MainPID", "0") == "0":
        cause = f"it is {facts.get('ActiveState', 'unknown')} and has no process"
        raise InfraError(
            ACTION, what, cause, f"Start it (systemctl start {unit}), or look at its log (journalctl -u {unit})."
        )
    return int(facts["MainPID"])


def is_loaded(unit: str) -> bool:
    """Whether systemd knows the unit. Read from its files, as the host may have no systemd yet."""
    name = unit if unit.endswith(".service") else f"{unit}.service"
    return any(os.path.lexists(os.path.join(folder, name)) for folder in UNITS)


def chosen(unit: str, worker: int, found: t.Sequence[Process]) -> Process:
    """The worker of that number, counted from 1. Raises InfraError where there are fewer."""
    if worker > len(found):
        listed = ", ".join(f"{number}: process {process.pid}" for number, process in enumerate(found, 1))
        cause = f"it has {len(found)} of them ({listed or 'none'})"
        raise InfraError(ACTION, f'worker {worker} of "{unit}"', cause, "Set `worker` to one of these.")
    return found[worker - 1]


def find(unit: str | None, worker: int, pid: int | None) -> Process:
    """The process that the options name. Raises InfraError where there is none, or one that is not Python's."""
    if pid is not None:
        process, what = read_process(pid), f"process {pid}"
        if process is None:
            raise InfraError(ACTION, what, "there is no such process", "Give `unit` instead: a restart changes the id.")
    else:
        process = chosen(unit or "", worker, workers(main_process(unit or ""), all_processes()))
        what = f'worker {worker} of "{unit}" (process {process.pid})'
    refuse_untraceable(process, what)
    if not process.is_python:
        cause = f"it runs {process.program or 'an unknown program'}, which is not Python"
        raise InfraError(ACTION, what, cause, "Give the unit, worker or id of a Python process.")
    return process


def untraceable(process: Process) -> str:
    """Why this process may not read the memory of the other one; empty where it may."""
    try:
        with open(f"/proc/{process.pid}/mem", "rb"):
            pass
        os.readlink(f"/proc/{process.pid}/exe")
    except (PermissionError, FileNotFoundError) as error:
        return "" if isinstance(error, FileNotFoundError) and read_process(process.pid) is None else str(error.strerror)
    return ""


def no_right(what: str, reason: str) -> InfraError:
    """The error for a missing right to trace: profilers themselves report that the process is not running."""
    scope = ""
    with contextlib.suppress(OSError):
        scope = PTRACE_SCOPE.read_text(encoding="ascii").strip()
    said = f", and kernel.yama.ptrace_scope is {scope}" if scope not in ("", "0") else ""
    return InfraError(
        ACTION,
        what,
        f"its memory cannot be read ({reason}): the capability CAP_SYS_PTRACE is missing{said}",
        "Run as root (become: true). In a container, add the capability SYS_PTRACE (podman run --cap-add). If "
        "kernel.yama.ptrace_scope is 3, nothing can be traced until it is lower after a reboot.",
    )


def refuse_untraceable(process: Process, what: str) -> None:
    if reason := untraceable(process):
        raise no_right(what, reason)


def same(process: Process) -> bool:
    """Whether the process still runs."""
    now = read_process(process.pid)
    return now is not None and now.begun == process.begun


def processor_seconds(pid: int) -> float | None:
    """Processor time that the process has used; None once it has ended."""
    try:
        fields = (
            pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Memory of the process that is in use; 0 once it has ended."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


def available_mib() -> float:
    """Memory that the host can give without swapping, by its own estimate."""
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    return float("inf")


def unit_room_mib(pid: int, root: str = "/sys/fs/cgroup", proc: str = "/proc") -> float:
    """Memory that the process's cgroup may still take, and each that it is in; infinite without a limit."""
    room = float("inf")
    with contextlib.suppress(OSError, IndexError):
        groups = {
            line.split(":", 2)[1]: line.strip().split(":", 2)[2]
            for line in pathlib.Path(proc, str(pid), "cgroup").read_text(encoding="ascii").splitlines()
        }
        # A hybrid hierarchy names both: the controller's own is where the limit is.
        for top, group, files in (
            (pathlib.Path(root), groups.get(""), ("memory.max", "memory.current", "inactive_file")),
            (
                pathlib.Path(root, "memory"),
                groups.get("memory"),
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
            ),
        ):
            if group is not None:
                folder = top / group.lstrip("/")
                above = [one for one in folder.parents if one.is_relative_to(top)]
                room = min([room, *(room_of(one, *files) for one in (folder, *above))])
    return room


def room_of(folder: pathlib.Path, limit: str, used: str, cache: str) -> float:
    """MiB that one cgroup may still take. What only caches files is given up for what is asked for."""
    with contextlib.suppress(OSError, ValueError):
        most = int((folder / limit).read_text(encoding="ascii"))
        taken = int((folder / used).read_text(encoding="ascii"))
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            if line.split()[:1] == [cache]:
                taken -= int(line.split()[1])
        return (most - taken) / 2**20
    return float("inf")
