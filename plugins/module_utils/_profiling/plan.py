# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is run for a profile: the options that fit together, and the command lines. Pure functions."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import Ranges, check_ranges

RANGES: t.Final[Ranges] = {
    "seconds": (1, 300),
    "baseline_seconds": (0, 60),
    "rate": (1, 1000),
    "worker": (1, 256),
    "shown": (1, 50),
    "pid": (1, None),
}
#: Samples are kept in memory until the end, on a host that serves.
MOST_SAMPLES: t.Final = 60_000
#: MiB that py-spy may use, and the debugger, which loads the symbols of the interpreter.
SPY_MIB: t.Final = 128
DEBUGGER_MIB: t.Final = 400
#: MiB that Memray's records take within the process: a part of what is allocated already, within limits.
TRACKER_PART: t.Final = 0.25
TRACKER_MIB: t.Final = (64, 512)
COUNTS: t.Final = re.compile(r"Samples: (\d+) Errors: (\d+)")


@dataclasses.dataclass(frozen=True)
class Asked:
    """The options of the module."""

    tool: str
    unit: str | None
    worker: int
    pid: int | None
    seconds: int
    baseline_seconds: int
    rate: int
    nonblocking: bool
    gil: bool
    native: bool
    idle: bool
    debugger: str
    shown: int
    profilers: str
    dest: str
    owner: str
    metrics_url: str | None = None
    counted: t.Sequence[t.Mapping[str, t.Any]] = ()

    @property
    def writes(self) -> bool:
        """Whether files are the result."""
        return self.tool in ("record", "memory")


def faults(asked: Asked) -> list[str]:
    """Options that do not fit together."""
    found = []
    if asked.native and asked.nonblocking and asked.tool != "memory":
        found.append(
            "native stacks can only be read while the process is paused; set `nonblocking` to false with `native`"
        )
    if asked.gil and asked.idle:
        found.append("a thread that waits does not hold the GIL; set `gil` or `idle`, not both")
    if asked.tool in ("record", "top") and asked.rate * asked.seconds > MOST_SAMPLES:
        found.append(
            f"{asked.rate} Hz for {asked.seconds} s are {asked.rate * asked.seconds} samples, and the most is "
            f"{MOST_SAMPLES}; lower `rate` or `seconds`"
        )
    if asked.tool in ("dump", "memory") and (asked.gil or asked.idle):
        found.append(f"`gil` and `idle` are of samples, and {asked.tool} takes none")
    if not asked.dest.startswith("/"):
        found.append(f"`dest` is {asked.dest}; give an absolute path")
    return found


def refuse(asked: Asked) -> None:
    """Raise InfraError for options that are out of range or do not fit together."""
    check_ranges(dataclasses.asdict(asked), RANGES)
    if found := faults(asked):
        raise InfraError("profile with", f"the tool {asked.tool}", "; ".join(found), "Correct the options named.")


def record(asked: Asked, pid: int, output: str, *, gil: bool = False) -> list[str]:
    """py-spy's recording as speedscope: of its formats the one that keeps threads and order, so others follow from it.

    `gil`: the second recording, which only counts when a thread holds the GIL. It never pauses the process, because
    two programs cannot trace one.
    """
    options = {
        "--gil": asked.gil or gil,
        "--idle": asked.idle and not gil,
        "--native": asked.native and not gil,
        "--nonblocking": asked.nonblocking or gil,
    }
    return [
        f"{asked.profilers}/bin/py-spy",
        "record",
        f"--pid={pid}",
        f"--duration={asked.seconds}",
        f"--rate={asked.rate}",
        "--format=speedscope",
        "--full-filenames",
        f"--output={output}",
        *(option for option, used in options.items() if used),
    ]


def dump(asked: Asked, pid: int) -> list[str]:
    """py-spy's dump of all stacks. Never with local variables: they hold passwords and what users have sent."""
    options = {"--native": asked.native, "--nonblocking": asked.nonblocking}
    return [
        f"{asked.profilers}/bin/py-spy",
        "dump",
        f"--pid={pid}",
        "--json",
        *(option for option, used in options.items() if used),
    ]


def attach(asked: Asked, pid: int, output: str) -> list[str]:
    """Memray's attach. Aggregated: then the size of the capture depends on the code that allocates, not on time."""
    return [
        f"{asked.profilers}/bin/python",
        "-m",
        "nexod_profilers.attach",
        f"--method={asked.debugger}",
        f"--duration={asked.seconds}",
        "--aggregate",
        "--no-compress",
        f"--output={output}",
        *(["--native"] if asked.native else []),
        str(pid),
    ]


def needed_mib(tool: str, resident: float) -> tuple[float, float]:
    """MiB that the host and, of these, the process itself need for the profile: an estimate, within limits."""
    if tool != "memory":
        return SPY_MIB, 0
    least, most = TRACKER_MIB
    tracker = min(max(resident * TRACKER_PART, least), most)
    return DEBUGGER_MIB + tracker, tracker


def short_of_memory(tool: str, resident: float, available: float, room: float) -> str:
    """Why the host has too little memory for the profile; empty where it has enough."""
    whole, within = needed_mib(tool, resident)
    if available < whole:
        return f"it needs about {whole:.0f} MiB, and the host has {available:.0f} MiB available"
    if room < within:
        return (
            f"it needs about {within:.0f} MiB within the process, and its unit may use {room:.0f} MiB more (MemoryMax)"
        )
    return ""


def counts(output: str) -> dict[str, int]:
    """py-spy's own count of samples, and of those that it could not read."""
    match = COUNTS.search(output)
    return {"samples": int(match[1]), "errors": int(match[2])} if match else {"samples": 0, "errors": 0}


def is_behind(output: str) -> bool:
    """Whether py-spy could not keep its rate."""
    return "behind in sampling" in output


def overhead(
    before: float | None, during: float, spent: float, seconds: float, baseline: float
) -> dict[str, float | None]:
    """Processor use in percent of one processor: of the process before and during the profile, and of the profiler."""
    return {
        "process_before": round(100 * before / baseline, 1) if before is not None and baseline else None,
        "process_during": round(100 * during / seconds, 1),
        "profiler": round(100 * spent / seconds, 1),
    }
