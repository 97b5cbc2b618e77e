# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time changes an environment: a lock that lies in the environment itself, not on a controller.

A lock names its holder: the process that runs the playbook, and the machine it runs on. On that machine it can be seen
whether the process still lives: a killed run's lock is taken over at once, a living one's never. Other machines can
only go by time: there the lock counts until its lease ends, and a run renews the lease for as long as it lives.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import pathlib
import socket
import tempfile
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

#: Given to a run that another one starts on its own behalf (a plan to compare, the release at the end).
RUN_VARIABLE = "NEXOD_DEPLOY_RUN"


@dataclasses.dataclass(frozen=True)
class Holder:
    """Who holds the lock: `run` names one process of one `machine`; the rest is for people."""

    run: str
    machine: str
    pid: int
    user: str
    host: str
    what: str
    since: float
    until: float

    def sentence(self, now: float) -> str:
        began = datetime.datetime.fromtimestamp(self.since, datetime.UTC).isoformat(timespec="seconds")
        return (
            f"{self.user} on {self.host} (process {self.pid}, {self.what}) holds it since {began}, "
            f"{lasted(now - self.since)} ago"
        )


def lasted(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def machine() -> str:
    """This machine as processes see it: containers of one host number their processes apart."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return "/".join(parts)


def begun(pid: int) -> str:
    """When process `pid` began, in the kernel's ticks; empty where it has ended, or where the kernel does not say."""
    try:
        after_name = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] in "ZX" else after_name[19]


def run_name(pid: int) -> str:
    """A name that no other process of any machine has, now or later."""
    return f"{machine()}/{pid}/{begun(pid)}"


def lives(holder: Holder) -> bool | None:
    """Whether the holder's process still runs; None from a machine that cannot see it."""
    if holder.machine != machine() or not pathlib.Path("/proc/self/stat").exists():
        return None
    return holder.run == f"{holder.machine}/{holder.pid}/{begun(holder.pid)}"


def decide(held: Holder | None, me: Holder, dead: str = "") -> str:
    """The answer to `me` asking for the lock: take, keep (it is ours already), take over, or refuse.

    `dead` is the run that the caller knows to have ended. A lease that is over counts only between machines: on the
    holder's own, the caller can see whether it still lives, and is refused until it says that it does not.
    """
    if held is None:
        return "take"
    if held.run == me.run:
        return "keep"
    if held.run == dead or (held.until <= me.since and held.machine != me.machine):
        return "take over"
    return "refuse"


def has_ended(holder: Holder, now: float) -> bool:
    """Whether the run that holds the lock has ended, as far as this machine can tell."""
    alive = lives(holder)
    return holder.until <= now if alive is None else not alive


def refusal(held: Holder, now: float, path: str) -> InfraError:
    ends = f"the lock expires in {lasted(held.until - now)}" if held.until > now else "its lease is over"
    return InfraError(
        "take the environment's lock",
        f'"{path}"',
        held.sentence(now),
        f"Wait for that run to end. If it was killed together with its machine, {ends}; to remove the lock now, type "
        f"on {socket.gethostname()}: rm {path}",
        holder=dataclasses.asdict(held),
    )


def default_folder() -> str:
    """Root's own, gone with the host's next start; elsewhere the user's."""
    return "/run/nexod" if os.geteuid() == 0 else str(pathlib.Path("~/.cache/nexod").expanduser())


class Lock:
    """The lock of `environment` below `folder` on this host."""

    def __init__(self, environment: str, folder: str = "") -> None:
        self.path = pathlib.Path(folder or default_folder()) / f"{environment}.lock.json"

    def read(self) -> Holder | None:
        """Who holds it, if anybody. A file without a holder was cut off by a crash, and locks nothing."""
        try:
            return Holder(**json.loads(self.path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @contextlib.contextmanager
    def _alone(self) -> t.Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        with open(self.path.with_suffix(".guard"), "w", encoding="utf-8") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def take(self, me: Holder, dead: str) -> tuple[str, Holder | None]:
        """Ask for the lock; returns what became of it and who held it before. A lock that is ours is renewed."""
        with self._alone():
            held = self.read()
            became = decide(held, me, dead)
            if became in ("take", "take over"):
                self._write(me)
            elif became == "keep" and held:
                self._write(dataclasses.replace(held, until=me.until))
            return became, held

    def renew(self, run: str, until: float) -> bool:
        """Extend the lease to `until`, if `run` holds the lock; a lock that is not ours is never taken here."""
        if not self._is_held_by(run):
            # Read first, so that asking leaves no folder behind.
            return False
        with self._alone():
            held = self.read()
            if held is None or held.run != run:
                return False
            self._write(dataclasses.replace(held, until=until))
            return True

    def _write(self, holder: Holder) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(dataclasses.asdict(holder), stream)
            os.replace(temporary, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _is_held_by(self, run: str) -> bool:
        held = self.read()
        return held is not None and held.run == run

    def release(self, run: str) -> bool:
        """Remove the lock, if `run` holds it."""
        if not self._is_held_by(run):
            return False
        with self._alone():
            if not self._is_held_by(run):
                return False
            self.path.unlink()
            return True
