# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a profile on the host: one at a time, files complete or not there, the process alive afterwards."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import fcntl
import http
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import tempfile
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import ask
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result, run
from ansible_collections.nexod.infra.plugins.module_utils._profiling import calls, flame_graph, plan, stacks, target

LOCK: t.Final = "/run/nexod/profile.lock"
NAME: t.Final = re.compile(r"\.?profile-[0-9TZ]+")
DENIED: t.Final = re.compile(r"[Pp]ermission denied|[Oo]peration not permitted")
FULL: t.Final = re.compile(r"No space left on device|Disk quota exceeded|os error (28|122)\b")
#: Seconds in which py-spy reads the symbols of the interpreter, or a debugger attaches, on a busy host. A debugger
#: that is killed meanwhile leaves breakpoints in the process, which end it.
PATIENCE: t.Final = 300
#: Seconds in which Memray writes what it has recorded, after the time is over.
WRITES: t.Final = 30


@contextlib.contextmanager
def locked(owner: str, what: str, path: str) -> t.Iterator[int]:
    """Hold the host's lock on profiles, whose file names its holder; yields the file, for the profilers to inherit."""
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holds = held_by(os.pread(handle, 4096, 0).decode("utf-8", "replace"))
            cause = f"a profile is taken on this host already: {holds}"
            raise InfraError("profile", what, cause, "Wait for it to end, then run again.") from error
        holder = {"owner": owner or "unknown", "what": what, "since": time.time(), "pid": os.getpid()}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(holder).encode(), 0)
        yield handle
    finally:
        # The lock ends with the last process that has the file open: a profiler that outlives this one keeps it.
        os.close(handle)


def held_by(text: str) -> str:
    """Who holds the lock, by the content of its file."""
    try:
        holder = json.loads(text)
        since = datetime.datetime.fromtimestamp(holder["since"], datetime.UTC).isoformat(timespec="seconds")
        return f"{holder['owner']} profiles {holder['what']} since {since} (process {holder['pid']})"
    except (ValueError, KeyError, TypeError):
        return "its holder is not known"


@contextlib.contextmanager
def new_folder(dest: str) -> t.Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """A folder to write the files to, and the name that it gets once they are complete; after a failure there is none.

    Whoever holds the lock removes what runs that were killed have left: profiles name internals.
    """
    home = pathlib.Path(dest)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in home.iterdir():
        if NAME.fullmatch(old.name) and old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
    name = f"profile-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"
    part = home / f".{name}"
    part.mkdir(mode=0o700)
    try:
        yield part, home / name
        for file in part.iterdir():
            file.chmod(0o600)
        part.rename(home / name)
    finally:
        if part.exists():
            shutil.rmtree(part)


def failure(done: Result, process: target.Process, what: str) -> InfraError:
    """Why a profiler failed. Its own message names a missing process where a right is missing."""
    if not target.same(process):
        return InfraError(
            "profile", what, "it ended while it was profiled", "Look at its log (journalctl), then run again."
        )
    if DENIED.search(done.output):
        return target.no_right(what, "the profiler reports that permission is denied")
    if FULL.search(done.output):
        cause = f"the disk is full: {next(line for line in done.output.splitlines() if FULL.search(line)).strip()}"
        folders = f"{tempfile.gettempdir()} on the host, and in /tmp of the service"
        return InfraError("profile", what, cause, f"Free space in {folders}, then run again.")
    if done.missing:
        return InfraError("profile", what, done.stderr, "Install the profilers with the role profile.")
    cause = "the profiler did not end in time" if done.rc == 124 else f"the profiler ended with {done.rc}"
    return InfraError(
        "profile",
        what,
        cause,
        "Read its message below; `nonblocking` or another worker may help.",
        detail=done.output[-2000:],
    )


def write(folder: pathlib.Path, name: str, text: str) -> None:
    """Write a file that only root can read."""
    handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)


class Meter:
    """Measures processor time: of the process before and during a profile, and of the profilers."""

    def __init__(self, process: target.Process, baseline: int) -> None:
        self.pid, self.baseline = process.pid, baseline
        self.before: float | None = None
        if baseline:
            start = target.processor_seconds(self.pid)
            time.sleep(baseline)
            end = target.processor_seconds(self.pid)
            self.before = end - start if start is not None and end is not None else None

    @contextlib.contextmanager
    def during(self) -> t.Iterator[dict[str, float | None]]:
        """Measure the block; the result is filled in at its end."""
        result: dict[str, float | None] = {}
        began, start, own = time.monotonic(), target.processor_seconds(self.pid) or 0.0, spent_by_children()
        yield result
        end, seconds = target.processor_seconds(self.pid), max(time.monotonic() - began, 0.001)
        spent = spent_by_children() - own
        result.update(plan.overhead(self.before, (end or start) - start, spent, seconds, self.baseline))


def spent_by_children() -> float:
    """Processor time of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sampled(
    asked: plan.Asked, process: target.Process, what: str, handle: int
) -> tuple[stacks.Profile, dict[str, t.Any], str]:
    """Record samples: the profile, the facts about it, and py-spy's speedscope file."""
    meter = Meter(process, asked.baseline_seconds)
    with tempfile.TemporaryDirectory(prefix="nexod-profile-") as scratch:
        files = [os.path.join(scratch, name) for name in ("all.json", "gil.json")]
        commands = [plan.record(asked, process.pid, files[0])]
        if not asked.gil:
            commands.append(plan.record(asked, process.pid, files[1], gil=True))
        limit = asked.seconds + PATIENCE
        before, unread = metrics_of(asked)
        with meter.during() as used, concurrent.futures.ThreadPoolExecutor(2) as pool:
            running = [pool.submit(run, argv, timeout=limit, keep_open=[handle]) for argv in commands]
            done = [one.result() for one in running]
        after, also = metrics_of(asked)
        unread = unread or also
        if done[0].rc != 0 or not os.path.exists(files[0]):
            raise failure(done[0], process, what)
        if not target.same(process):
            raise failure(done[0], process, what)
        text = pathlib.Path(files[0]).read_text(encoding="utf-8")
        profile = stacks.from_speedscope(text)
        gil = None
        if not asked.gil and done[1].rc == 0 and os.path.exists(files[1]):
            held = stacks.from_speedscope(pathlib.Path(files[1]).read_text(encoding="utf-8")).samples
            gil = min(stacks.share(held, asked.seconds * asked.rate), 100.0)
    rows, grown = stacks.functions(profile), {} if unread else calls.counted(asked.counted, before, after)
    facts: dict[str, t.Any] = {
        "samples": profile.samples,
        "unread_samples": plan.counts(done[0].output)["errors"],
        "behind": plan.is_behind(done[0].output),
        "overhead": used,
        "top_own": [row for row in rows[: asked.shown] if row["own"]],
        "top_total": stacks.by_total(rows)[: asked.shown],
        "calls": grown,
        "shares": {**({"GIL": gil} if gil is not None else {}), **stacks.kinds(profile)},
        "summary": [
            *stacks.words(profile, seconds=asked.seconds, rate=asked.rate, gil=gil),
            *calls.words(grown, asked.seconds),
            *([f"Calls were not counted: {asked.metrics_url} could not be read ({unread})."] if unread else []),
            *(["py-spy could not keep its rate. Lower `rate`."] if plan.is_behind(done[0].output) else []),
            *said_of(used),
        ],
    }
    return profile, facts, text


def metrics_of(asked: plan.Asked) -> tuple[str, str]:
    """The application's metrics, or why they could not be read: a profile is worth having without them."""
    if not asked.metrics_url or not asked.counted:
        return "", ""
    answer = ask(asked.metrics_url, timeout=5, accept="text/plain")
    return (answer.body, "") if answer.status == http.HTTPStatus.OK else ("", answer.reason or f"HTTP {answer.status}")


def said_of(used: t.Mapping[str, float | None]) -> list[str]:
    """The overhead in a sentence."""
    before = f"{used['process_before']:g} % before and " if used["process_before"] is not None else ""
    return [
        f"Processor use: the process {before}{used['process_during']:g} % during the profile, the profiler "
        f"{used['profiler']:g} % of one processor."
    ]


def recorded(asked: plan.Asked, process: target.Process, what: str, handle: int) -> dict[str, t.Any]:
    """Record, and write the profile in all formats."""
    with new_folder(asked.dest) as (part, final):
        profile, facts, speedscope = sampled(asked, process, what, handle)
        write(part, "profile.speedscope.json", speedscope)
        write(part, "profile.raw", profile.raw())
        write(part, "profile.svg", flame_graph.svg(profile, f"{what}, {asked.seconds} s at {asked.rate} Hz"))
        return finished(part, final, facts)


def finished(part: pathlib.Path, final: pathlib.Path, facts: dict[str, t.Any]) -> dict[str, t.Any]:
    """Write the facts beside the files, and name them all."""
    write(part, "profile.json", json.dumps(facts, indent=2) + "\n")
    return {**facts, "folder": str(final), "files": sorted(file.name for file in part.iterdir())}


def dumped(asked: plan.Asked, process: target.Process, what: str, handle: int) -> dict[str, t.Any]:
    """What every thread does at this moment."""
    done = run(plan.dump(asked, process.pid), timeout=PATIENCE, keep_open=[handle])
    if done.rc != 0:
        raise failure(done, process, what)
    threads: list[dict[str, t.Any]] = [
        {
            "name": thread.get("thread_name") or str(thread.get("os_thread_id") or thread.get("thread_id")),
            "active": bool(thread.get("active")),
            "owns_gil": bool(thread.get("owns_gil")),
            "stack": [f"{row['name']} ({row['filename']}:{row['line']})" for row in thread["frames"]],
        }
        for thread in json.loads(done.stdout)
    ]
    summary = [
        f"{thread['name']}{' (active)' if thread['active'] else ''}{' (holds the GIL)' if thread['owns_gil'] else ''}: "
        f"{' <- '.join(thread['stack'][:3])}"
        for thread in threads
    ]
    return {"threads": threads, "summary": summary}


@contextlib.contextmanager
def shared_folder(process: target.Process) -> t.Iterator[tuple[pathlib.Path, str]]:
    """A folder in the process's own /tmp for its account alone: as this host sees it, and as the process does."""
    root = pathlib.Path(f"/proc/{process.pid}/root/tmp")
    owner = os.stat(f"/proc/{process.pid}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nexod-profile-", dir=root))
    try:
        os.chown(folder, owner.st_uid, owner.st_gid)
        yield folder, f"/tmp/{folder.name}"  # noqa: S108 - of the process; the name is random and the folder is ours
    finally:
        # Where the process has ended, its private /tmp went with it.
        shutil.rmtree(folder, ignore_errors=True)


def is_open(process: target.Process, path: str) -> bool:
    """Whether the process has the file of that name, as it sees it, open."""
    folder = f"/proc/{process.pid}/fd"
    with contextlib.suppress(OSError):
        for number in os.listdir(folder):
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{number}").endswith(path):
                    return True
    return False


def wake(process: target.Process) -> None:
    """Let the process go on if a debugger has left it stopped."""
    with contextlib.suppress(OSError):
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8", errors="replace")
        if re.search(r"^State:\s+[Tt]", status, re.MULTILINE) and target.same(process):
            os.kill(process.pid, signal.SIGCONT)


def memory(asked: plan.Asked, process: target.Process, what: str, handle: int) -> dict[str, t.Any]:
    """Record allocations with Memray, and write what the peak and the end consist of."""
    if shutil.which(asked.debugger) is None:
        raise InfraError(
            "profile the memory of",
            what,
            f"{asked.debugger}, with which Memray attaches, is not installed",
            f"Install it (apt-get install {asked.debugger}).",
        )
    with new_folder(asked.dest) as (part, final), shared_folder(process) as (folder, seen):
        meter = Meter(process, asked.baseline_seconds)
        capture = folder / "memory.bin"
        with meter.during() as used:
            done = run(plan.attach(asked, process.pid, f"{seen}/memory.bin"), timeout=PATIENCE, keep_open=[handle])
            wake(process)
            if done.rc != 0:
                raise failure(done, process, what)
            time.sleep(asked.seconds)
            end = time.monotonic() + WRITES
            while is_open(process, f"{seen}/memory.bin") and time.monotonic() < end:
                time.sleep(0.2)
        if not target.same(process):
            raise failure(done, process, what)
        if not capture.is_file() or is_open(process, f"{seen}/memory.bin"):
            cause = "Memray has not finished its file"
            raise InfraError("profile the memory of", what, cause, "Look at the log of the process, then run again.")
        # Not what the process could put there meanwhile: a link would be followed as root.
        source = os.open(capture, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(source, "rb") as stream, open(part / "memory.bin", "xb") as file:
            shutil.copyfileobj(stream, file)
        return finished(part, final, {**reported(asked, part, process, what), "overhead": used})


def reported(asked: plan.Asked, part: pathlib.Path, process: target.Process, what: str) -> dict[str, t.Any]:
    """Memray's pages, and the same in numbers."""
    python, capture = f"{asked.profilers}/bin/python", str(part / "memory.bin")
    pages = {"peak.html": [], "left.html": ["--leaks"]}
    for page, options in pages.items():
        output = f"--output={part / page}"
        done = run([python, "-m", "memray", "flamegraph", *options, output, capture], timeout=PATIENCE)
        if done.rc != 0:
            raise failure(done, process, what)
    done = run([python, "-m", "nexod_profilers.memory", capture], timeout=PATIENCE)
    if done.rc != 0:
        raise failure(done, process, what)
    found = json.loads(done.stdout)
    return {"memory": found, "summary": memory_words(found, asked.seconds)}


def memory_words(found: t.Mapping[str, t.Any], seconds: int, shown: int = 5) -> list[str]:
    """What Memray has found, in sentences."""
    text = [
        f"Of what was allocated in {seconds} s, {mib(found['peak']['bytes'])} were in use at the peak, and "
        f"{mib(found['left']['bytes'])} in {found['left']['allocations']} allocations still at the end."
    ]
    for which, rows in (("At the peak", found["peak"]["top"]), ("Still at the end", found["left"]["top"])):
        for row in rows[:shown]:
            where = f" ({stacks.short_file(row['file'])})" if row["file"] else ""
            text.append(f"{which}: {mib(row['bytes'])} by {row['function']}{where}")
    return text


def mib(size: int) -> str:
    """Bytes for people."""
    return f"{size / 2**20:.1f} MiB" if size >= 2**19 else f"{size / 2**10:.1f} KiB"


def profile(asked: plan.Asked, *, check_mode: bool) -> dict[str, t.Any]:
    """Take the profile that the options ask for; in check mode only find the process and refuse what cannot work."""
    plan.refuse(asked)
    if check_mode and asked.pid is None and not target.is_loaded(asked.unit or ""):
        # A bare host: the run that is predicted starts the unit first.
        return {"changed": False, "pid": 0, "process": asked.unit, "summary": []}
    process = target.find(asked.unit, asked.worker, asked.pid)
    what = (
        f'worker {asked.worker} of "{asked.unit}" (process {process.pid})'
        if asked.pid is None
        else f"process {process.pid}"
    )
    short = plan.short_of_memory(
        asked.tool, target.resident_mib(process.pid), target.available_mib(), target.unit_room_mib(process.pid)
    )
    if short:
        raise InfraError("profile", what, short, "Free memory on the host, or profile another instance.")
    facts = {"changed": asked.writes, "pid": process.pid, "process": what}
    if check_mode:
        return {**facts, "summary": []}
    program = f"{asked.profilers}/bin/{'python' if asked.tool == 'memory' else 'py-spy'}"
    if not os.access(program, os.X_OK):
        raise InfraError("profile", what, f"{program} is not installed", "Install the profilers with the role profile.")
    with locked(asked.owner, what, LOCK) as handle:
        if asked.tool == "dump":
            return {**facts, **dumped(asked, process, what, handle)}
        if asked.tool == "memory":
            return {**facts, **memory(asked, process, what, handle)}
        if asked.tool == "record":
            return {**facts, **recorded(asked, process, what, handle)}
        return {**facts, **sampled(asked, process, what, handle)[1]}
