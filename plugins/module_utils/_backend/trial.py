# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new instance on trial: asked by nobody but us, watched all the while, and only then given to users.

Whether it starts and says that it is ready is proven before. What shows only under requests or after some time is
what the trial is for: errors, slowness, a health that does not last, memory that only grows, a process that ends.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import pathlib
import threading
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._backend.probe import fault_of
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer, ask
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run
from ansible_collections.nexod.infra.plugins.module_utils._files.live_service import last_log_lines
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import rules, verdict

Facts = t.Mapping[str, t.Any]
Ask = t.Callable[..., Answer]

#: Between two looks at the instance; as often as the entry point's own checks when something is wrong.
PAUSE = 0.5
#: Bad looks in a row after which it is unwell: what the entry point takes a server out for.
FALL = 2
REQUEST_SECONDS = 10.0
FAILURES_SHOWN = 5
CGROUPS = pathlib.Path("/sys/fs/cgroup")
MIB = 1024 * 1024
#: What verdict.judge takes for a source that counts single requests: there are no buckets to fall between.
COUNTED = {"histogram": "the trial"}


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request: how long its answer took, and what was wrong with it (`fault`, None where nothing was)."""

    seconds: float
    fault: str | None = None


@dataclasses.dataclass(frozen=True)
class Look:
    """The instance at one moment, `at` seconds after the trial began.

    `memory` is what its processes hold for themselves, in bytes (None: not known); `fault` what its health says.
    """

    at: float
    active: bool
    restarts: int
    memory: int | None
    fault: str | None = None


def quantile(seconds: t.Sequence[float], which: float) -> float | None:
    """The smallest time that `which` of all are not above."""
    ranked = sorted(seconds)
    return ranked[max(0, math.ceil(which * len(ranked)) - 1)] if ranked else None


def judge(targets: t.Sequence[Facts], asked: t.Sequence[Asked], requests: int) -> list[verdict.Row]:
    """The verdict on each row for an API; a request that failed was not within any target."""
    rows = []
    for target in targets:
        if target["metric"] != "api":
            continue
        within = sum(1 for one in asked if one.fault is None and one.seconds <= target["target_seconds"])
        rows.append(verdict.judge(target, COUNTED, within / len(asked) if asked else None, len(asked), requests))
    return rows


def lost(targets: t.Sequence[Facts], asked: t.Sequence[Asked], requests: int) -> list[str]:
    """Rows that are missed whatever the remaining `requests` yield."""
    said = []
    for target in targets:
        limit, slow = target["target_seconds"], sum(1 for one in asked if one.seconds > target["target_seconds"])
        if target["metric"] == "api" and requests - slow < target["quantile"] * requests - 1e-9:
            name = f"api {rules.percentile(float(target['quantile']))} within {limit:g} s"
            said.append(f"{name}: missed ({slow} of the {requests} requests took longer, after {len(asked)})")
    return said


def memory_growth(looks: t.Sequence[Look]) -> float | None:
    """MiB by which its memory grew after the first third, in which an application fills its pools and caches."""
    known = [(look.at, look.memory) for look in looks if look.memory is not None]
    settled = [memory for at, memory in known if at >= looks[-1].at / 3]
    return round((max(settled) - settled[0]) / MIB, 1) if settled else None


def unwell(looks: t.Sequence[Look]) -> str | None:
    """What is wrong with its unit or its health, or None."""
    first, last = looks[0], looks[-1]
    if last.restarts > first.restarts:
        return f"it ended, and systemd restarted it ({last.restarts - first.restarts} times)"
    if not last.active:
        return "it ended: its unit is not active"
    tail = [look.fault for look in looks[-FALL:]]
    return f"{tail[-1]} ({FALL} times in a row)" if len(tail) == FALL and all(tail) else None


def failed(options: Facts, asked: t.Sequence[Asked]) -> str | None:
    """What to say of requests that failed, where there are more than the trial allows for."""
    faults = [one.fault for one in asked if one.fault]
    if len(faults) <= options["maximum_error_ratio"] * max(options["requests"], len(asked)):
        return None
    return f"{len(faults)} of {len(asked)} requests failed: {'; '.join(dict.fromkeys(faults[:FAILURES_SHOWN]))}"


def hopeless(options: Facts, asked: t.Sequence[Asked], looks: t.Sequence[Look]) -> bool:
    """Whether the trial cannot be passed any more: then it ends at once."""
    return bool(unwell(looks) or failed(options, asked) or lost(options["targets"], asked, options["requests"]))


def faults(options: Facts, asked: t.Sequence[Asked], looks: t.Sequence[Look]) -> list[str]:
    """All for which the trial is not passed, the gravest first."""
    rows = judge(options["targets"], asked, options["requests"])
    missed = [row.says for row in rows if row.verdict == verdict.MISSED]
    grown = memory_growth(looks)
    allowed = options["maximum_memory_growth_mb"]
    enough = len(asked) >= options["requests"]
    found = [
        unwell(looks),
        failed(options, asked),
        *(missed or lost(options["targets"], asked, options["requests"])),
        f"its memory grew by {grown:g} MiB, at most {allowed} MiB are allowed"
        if allowed and grown and grown > allowed
        else "",
    ]
    said = [fault for fault in found if fault]
    # An early end is the reason for too few, not the other way round.
    return said or ([] if enough else [f"only {len(asked)} of {options['requests']} requests were answered in time"])


def look_at(options: Facts, began: float, asked: Ask = ask) -> Look:
    """Ask systemd, the kernel and the instance itself."""
    properties = "ActiveState,NRestarts,ControlGroup"
    shown = run(["systemctl", "show", options["unit"], f"--property={properties}"], timeout=10)
    facts = dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)
    base, paths = options["url"].rstrip("/"), filter(None, (options["health_path"], options["ready_path"]))
    wrong = [fault for path in paths if (fault := fault_of(path, asked(base + path, timeout=5), None))]
    return Look(
        time.monotonic() - began,
        facts.get("ActiveState") in ("active", "reloading", "refreshing"),
        int(facts.get("NRestarts") or 0),
        held(facts.get("ControlGroup", "")),
        wrong[0] if wrong else None,
    )


def held(group: str, root: pathlib.Path = CGROUPS, proc: pathlib.Path = pathlib.Path("/proc")) -> int | None:
    """Bytes that the processes of a control group hold for themselves, or None where that cannot be read.

    Not the group's own account (MemoryCurrent): that counts the page cache, and needs a controller that a container
    may not have.
    """
    for base in (root, root / "unified", root / "systemd"):
        try:
            pids = (base / group.lstrip("/") / "cgroup.procs").read_text(encoding="ascii").split()
        except OSError:
            continue
        return sum(_anonymous(proc / pid / "status") for pid in pids) if group and pids else None
    return None


def _anonymous(status: pathlib.Path) -> int:
    try:
        lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        # It ended between the two readings.
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def started(unit: str) -> float | None:
    """When systemd started the unit, as Unix time."""
    shown = run(["systemctl", "show", unit, "--property=ActiveEnterTimestamp", "--timestamp=unix"], timeout=10)
    said = shown.stdout.strip().rpartition("=@")[2]
    return float(said) if said.isdigit() else None


def figures(found: Facts) -> str:
    """The trial in one line, for people."""
    times = ", ".join(f"{name} {found[name]:.3g} s" for name in ("p50", "p95", "p99") if found[name] is not None)
    return (
        f"After {found['seconds']:.0f} s: {found['requests']} requests{f', {times}' if times else ''}; restarted"
        f" {found['restarts']} times; memory grew by {found['memory_growth_mb'] or 0:g} MiB."
    )


def request(options: Facts, number: int, asked: Ask) -> Asked:
    """The request of this number, timed. A GET: whatever it finds, it is safe to ask."""
    path = options["paths"][number % len(options["paths"])]
    began = time.perf_counter()
    answer = asked(options["url"].rstrip("/") + path, timeout=REQUEST_SECONDS)
    return Asked(time.perf_counter() - began, fault_of(path, answer, None))


def stand(
    options: Facts, asked: Ask = ask, look: t.Callable[[Facts, float], Look] = look_at
) -> tuple[list[Asked], list[Look]]:
    """Hold the trial: all requests, spread over its time, and a look every moment.

    Ends when both are done, when it cannot be passed any more, or at the time limit.
    """
    began = time.monotonic()
    over = threading.Event()
    done: list[Asked] = []
    pause = options["seconds"] / max(1, options["requests"])
    # The first of each path finds nothing ready yet, no connection and no plan: it must be right, but may be slow.
    first = [request(options, number, asked) for number in range(len(options["paths"]) if options["requests"] else 0)]
    done += [one for one in first if one.fault]

    def one(number: int) -> None:
        if not over.wait(max(0.0, began + number * pause - time.monotonic())):
            done.append(request(options, number, asked))

    looks: list[Look] = []
    with concurrent.futures.ThreadPoolExecutor(options["concurrency"]) as pool:
        sent = [pool.submit(one, number) for number in range(options["requests"])]
        while True:
            looks.append(look(options, began))
            # A single bad look is neither good nor bad: another one decides.
            ends = time.monotonic() - began >= options["seconds"] and all(each.done() for each in sent)
            late = time.monotonic() - began >= options["timeout"]
            if hopeless(options, list(done), looks) or late or (ends and not looks[-1].fault):
                break
            time.sleep(PAUSE)
        over.set()
    if failed(options, done) and not unwell(looks):
        # Where a process was killed, its callers hear of it before systemd does.
        time.sleep(PAUSE)
        looks.append(look(options, began))
    return done, looks


def trial(options: Facts) -> dict[str, t.Any]:
    """Everything the module returns; raises with all that was wrong and the instance's last log lines."""
    began = time.time()
    # What it logged when it started belongs to it as well.
    since = started(options["unit"]) or began
    asked, looks = stand(options)
    times = [one.seconds for one in asked if one.fault is None]
    p50, p95, p99 = (
        None if found is None else round(found, 4) for found in (quantile(times, q) for q in (0.5, 0.95, 0.99))
    )
    result = {
        "requests": len(asked),
        "failures": [one.fault for one in asked if one.fault][:FAILURES_SHOWN],
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "rows": [dataclasses.asdict(row) for row in judge(options["targets"], asked, options["requests"])],
        "memory_growth_mb": memory_growth(looks),
        "restarts": looks[-1].restarts - looks[0].restarts,
        "seconds": round(time.time() - began, 3),
    }
    wrong = faults(options, asked, looks)
    if wrong:
        raise InfraError(
            "accept the instance at",
            options["url"],
            "; ".join(wrong),
            "Fix the release, or what it needs, and deploy again.",
            detail=f"{figures(result)}\nIts last log lines:\n{last_log_lines(options['unit'], since)}",
            faults=wrong,
            **result,
        )
    return result
