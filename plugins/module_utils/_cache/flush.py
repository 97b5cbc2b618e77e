# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``cache_flush`` does: walk the keys of every primary at the same time, and unlink what was asked for.

A walk that was disturbed (a connection cut, a failover, slots that moved) begins anew on the primary that is there
then: SCAN promises to name every key only within one walk, and to unlink a key twice does no harm.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import sys
import threading
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache.globs import Asked, sorted_out
from ansible_collections.nexod.infra.plugins.module_utils._cache.progress import Progress
from ansible_collections.nexod.infra.plugins.module_utils._cache.server import (
    PASSING,
    Away,
    Cache,
    Node,
    Refused,
    Wire,
    fault,
    info,
    packed,
    rights_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

# Keys to look at in one call: from so few that nobody notices, to so many that more is no quicker. Under a guard
# fewer: they are unlinked in one stretch with the next ones being looked for.
LEAST, FIRST, MOST_GUARDED, MOST = 10, 100, 250, 1000
# Of keys that are only counted, so many of the last ones are remembered, and at most twice as many. SCAN names a key
# twice where the server's table shrinks, from the one bucket that it stands at: the second time follows the first.
REMEMBERED = 5_000
COMMANDS = "+scan +unlink +info +dbsize +ping +hello"
ACTION = "flush the cache at"
TELL_SECONDS = 1
UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclasses.dataclass(frozen=True)
class Limits:
    max_latency_ms: float = 5.0
    max_keys_per_second: int = 0
    deadline: float = 300.0
    max_keys: int = 0
    patience: float = 60.0


def seconds(text: str) -> float:
    """``300s``, ``5m``, ``1h`` or a number of seconds."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|)\s*", str(text))
    if not found:
        raise InfraError(
            "read the time", f'"{text}"', "it is not a number with a unit", "Write for example 300s, 5m or 1h."
        )
    return float(found[1]) * UNITS[found[2]]


class Latency:
    """How long answers took, in steps of 5 percent: as large after an hour as after a second."""

    STEP = math.log(1.05)

    def __init__(self) -> None:
        self.steps: dict[int, int] = {}
        self.longest = 0.0

    def add(self, milliseconds: float) -> None:
        step = math.ceil(math.log(max(milliseconds, 0.001)) / self.STEP)
        self.steps[step] = self.steps.get(step, 0) + 1
        self.longest = max(self.longest, milliseconds)

    def merge(self, other: Latency) -> None:
        for step, count in other.steps.items():
            self.steps[step] = self.steps.get(step, 0) + count
        self.longest = max(self.longest, other.longest)

    def quantile(self, part: float) -> float | None:
        left = part * sum(self.steps.values())
        for step, count in sorted(self.steps.items()):
            left -= count
            if left <= 0:
                return min(round(math.exp(step * self.STEP), 3), round(self.longest, 3))
        return None

    def report(self) -> dict[str, float | None] | None:
        if not self.steps:
            return None
        return {"p50": self.quantile(0.5), "p99": self.quantile(0.99), "max": round(self.longest, 3)}


def next_count(count: int, milliseconds: float, limit: float) -> int:
    """How many keys to look at in the next call, after a PING took so long: fewer at once, more bit by bit."""
    if milliseconds > limit:
        return max(LEAST, count // 2)
    if milliseconds < limit / 3:
        return min(MOST_GUARDED, count + max(1, count // 40))
    return count


class Guard:
    """Asks the server again and again how quickly it answers, on a connection of its own, and sets COUNT by that."""

    def __init__(self, wire: Wire, limit: float) -> None:
        self.count, self.seen = FIRST, Latency()
        self._wire, self._limit = wire, limit
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="guard", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        ping = packed(b"PING")
        with contextlib.suppress(Away, Refused):  # the walk itself meets what is wrong, and tells it
            while True:
                begun = time.perf_counter()
                self._wire.send(ping)
                self._wire.answer()
                took = (time.perf_counter() - begun) * 1000
                self.seen.add(took)
                self.count = next_count(self.count, took, self._limit)
                if self._over.wait(0.002):
                    return

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._wire.close()


class Unguarded:
    count, seen = MOST, Latency()

    def close(self) -> None:
        pass


class DeadlineError(Exception):
    pass


class Budget:
    """What all walks share: the time that is left, and how many keys may still go."""

    def __init__(self, limits: Limits, nodes: int = 1) -> None:
        self.ends = time.monotonic() + limits.deadline if limits.deadline else math.inf
        self.rate = limits.max_keys_per_second / nodes
        self._limited, self._left = limits.max_keys > 0, limits.max_keys
        self._lock = threading.Lock()

    def check(self) -> None:
        if time.monotonic() > self.ends:
            raise DeadlineError

    def take(self, wanted: int) -> int:
        if not self._limited:
            return wanted
        with self._lock:
            given = min(wanted, self._left)
            self._left -= given
            return given

    def give_back(self, count: int) -> None:
        if self._limited:
            with self._lock:
                self._left += count

    @property
    def used_up(self) -> bool:
        return self._limited and self._left <= 0


class Distinct:
    """How many different keys there were, in as much memory for many as for some: of old ones it knows the number."""

    def __init__(self) -> None:
        self._now: set[int] = set()
        self._before: set[int] = set()
        self._count = 0

    def new(self, keys: t.Iterable[bytes]) -> int:
        fresh = set(map(hash, keys)) - self._now - self._before
        self._now |= fresh
        self._count += len(fresh)
        if len(self._now) >= REMEMBERED:
            self._before, self._now = self._now, set()
        return len(fresh)

    def __len__(self) -> int:
        return self._count


@dataclasses.dataclass
class Tally:
    """What was seen and done on one primary."""

    node: Node
    scanned: int = 0
    matched: int = 0
    deleted: list[int] = dataclasses.field(default_factory=list)  # of each thing that was asked for
    protected: int = 0
    walks: int = 0
    walked: int = 0  # about how many keys the walk that is under way has behind it
    swept: bool = False
    complete: bool = False
    strays: int = 0  # keys whose slot had moved away, or was about to
    seconds: float = 0.0
    latency: Latency = dataclasses.field(default_factory=Latency)
    memory: list[int | None] = dataclasses.field(default_factory=lambda: [None, None])
    keys: list[int | None] = dataclasses.field(default_factory=lambda: [None, None])

    def report(self) -> dict[str, t.Any]:
        return {
            "node": self.node.name,
            "walks": self.walks,
            "scanned": self.scanned,
            "matched": self.matched,
            "deleted": sum(self.deleted),
            "protected": self.protected,
            "ms": round(self.seconds * 1000),
            "keys_per_second": round(sum(self.deleted) / self.seconds) if self.seconds else 0,
            "latency_ms": self.latency.report(),
            "memory_before": self.memory[0],
            "memory_after": self.memory[1],
            "dbsize_before": self.keys[0],
            "dbsize_after": self.keys[1],
        }


@dataclasses.dataclass(frozen=True)
class Flushed:
    deleted: t.Mapping[str, int]
    nodes: t.Sequence[Tally]
    seconds: float
    kept: int
    complete: bool

    @property
    def total(self) -> int:
        return sum(self.deleted.values())

    def totals(self) -> dict[str, t.Any]:
        latency = Latency()
        for tally in self.nodes:
            latency.merge(tally.latency)
        rows = [tally.report() for tally in self.nodes]
        summed = ("scanned", "matched", "protected", "memory_before", "memory_after", "dbsize_before", "dbsize_after")
        return {
            **{key: None if any(row[key] is None for row in rows) else sum(row[key] for row in rows) for key in summed},
            "deleted": self.total,
            "ms": round(self.seconds * 1000),
            "keys_per_second": round(self.total / self.seconds) if self.seconds else 0,
            "latency_ms": latency.report(),
        }


Take = t.Callable[[list[bytes]], tuple[int, t.Callable[[], object]]]


def shielded(keys: t.Sequence[bytes], shields: tuple[bytes, ...]) -> bool:
    """Whether any of `keys` is a protected one."""
    # Nowhere in all of them is at the beginning of none, and asked for much quicker than one by one.
    joined = b"".join(keys)
    return any(shield in joined for shield in shields) and any(key.startswith(shields) for key in keys)


def sweep(
    wire: Wire,
    match: bytes,
    guard: Guard | Unguarded,
    budget: Budget,
    take: Take,
    *,
    passed: t.Callable[[int], object] = int,
) -> None:
    """Walk the keys once. While the server looks for the next ones, those it has named are sorted and unlinked.

    `take` sends what is to be done with some keys; it returns for how many, and what reads the answers. `passed` hears
    how many keys the server was told to look at: it names only those that match.
    """
    owed: t.Callable[[], object] = int
    begun, done = time.monotonic(), 0
    count = guard.count
    wire.send(packed(b"SCAN", b"0", b"MATCH", match, b"COUNT", b"%d" % count))
    more = True
    while more:
        cursor, keys = wire.answer()
        passed(count)
        more = cursor != b"0" and not budget.used_up
        budget.check()
        if more:
            if budget.rate:
                while (ahead := done / budget.rate - (time.monotonic() - begun)) > 0:
                    budget.check()
                    time.sleep(min(ahead, 0.2))
            count = guard.count if not budget.rate else max(1, min(guard.count, int(budget.rate / 10)))
            wire.send(packed(b"SCAN", cursor, b"MATCH", match, b"COUNT", b"%d" % count))
        owed()
        sent, owed = take(keys)
        done += sent
    owed()


class Walk:
    """The flush of one primary, once from its first key to its last."""

    def __init__(self, cache: Cache, asked: Asked, tally: Tally, budget: Budget, *, limit: float, check: bool) -> None:
        self.cache, self.asked, self.tally, self.budget = cache, asked, tally, budget
        self.limit, self.check = limit, check
        self.found = [Distinct() for _want in asked.wants]

    def run(self) -> None:
        begun = time.monotonic()
        try:
            with contextlib.ExitStack() as stack:
                self._run(stack)
        finally:
            self.tally.seconds += time.monotonic() - begun

    def _run(self, stack: contextlib.ExitStack) -> None:
        tally = self.tally
        tally.walks += 1
        tally.complete, tally.strays, tally.walked, tally.swept = False, 0, 0, False
        if self.check:
            tally.scanned, tally.matched, tally.deleted = 0, 0, [0] * len(self.asked.wants)
        self.wire = stack.enter_context(contextlib.closing(self.cache.wire(tally.node)))
        guard: Guard | Unguarded = Unguarded()
        if self.limit:
            guard = Guard(self.cache.wire(tally.node), self.limit)
        stack.callback(lambda: tally.latency.merge(guard.seen))
        stack.callback(guard.close)
        self._measure(0)
        if self.asked.wants:
            take = self._counted if self.check else self._taken
            sweep(self.wire, self.asked.scan, guard, self.budget, take, passed=self._passed)
        tally.swept = True
        tally.protected = self._protected(guard)
        self._measure(1)
        tally.complete = not self.budget.used_up

    def _measure(self, when: int) -> None:
        if self.tally.memory[0] is not None and not when:
            return  # a walk that begins anew: what was before is known
        memory = (info(self.wire, b"memory") or {}).get("used_memory")
        self.tally.memory[when] = int(memory) if memory else None
        with contextlib.suppress(Refused):
            self.tally.keys[when] = int(self.wire.ask(b"DBSIZE"))

    def _passed(self, count: int) -> None:
        self.tally.walked += count

    def _sorted(self, keys: list[bytes]) -> list[list[bytes]]:
        groups = sorted_out(keys, self.asked.wants)
        self.tally.scanned += len(keys)
        self.tally.matched += sum(map(len, groups))
        if any(shielded(group, self.asked.shields) for group in groups):
            raise InfraError(
                ACTION,
                self.tally.node.name,
                "a protected key was about to be deleted",
                "Report this: it must not happen. Nothing of that batch was deleted.",
            )
        return groups

    def _counted(self, keys: list[bytes]) -> tuple[int, t.Callable[[], object]]:
        for place, (found, group) in enumerate(zip(self.found, self._sorted(keys), strict=True)):
            self.tally.deleted[place] += found.new(group)
        self.tally.matched = sum(self.tally.deleted)
        return 0, int

    def _taken(self, keys: list[bytes]) -> tuple[int, t.Callable[[], object]]:
        groups = self._sorted(keys)
        owed: list[tuple[int, int, int]] = []
        parts: list[bytes] = []
        for place, group in enumerate(groups):
            may = self.budget.take(len(group))
            gone = group[:may] if may < len(group) else group
            if not gone:
                continue
            if self.cache.clustered:
                # Keys of several slots in one UNLINK are refused: CROSSSLOT.
                parts += [b"*2\r\n$6\r\nUNLINK\r\n$%d\r\n%b\r\n" % (len(key), key) for key in gone]
                owed.append((place, len(gone), len(gone)))
            else:
                parts.append(packed(b"UNLINK", *gone))
                owed.append((place, 1, len(gone)))
        if parts:
            self.wire.send(b"".join(parts))
        return sum(sent for _place, _answers, sent in owed), lambda: self._settled(owed)

    def _settled(self, owed: t.Sequence[tuple[int, int, int]]) -> None:
        """Read the answers to UNLINK, all of them: what was deleted counts even where another one was refused."""
        fault_said: Refused | None = None
        read = self.wire.read
        for place, answers, sent in owed:
            gone = 0
            for _answer in range(answers):
                answer = read()
                if not isinstance(answer, Refused):
                    gone += answer
                elif answer.word in ("MOVED", "ASK", "TRYAGAIN"):
                    self.tally.strays += 1
                else:
                    fault_said = fault_said or answer
            self.tally.deleted[place] += gone
            self.budget.give_back(sent - gone)
        if fault_said:
            raise fault_said

    def _protected(self, guard: Guard | Unguarded) -> int:
        """How many protected keys are there: asked for by themselves, each counted once."""
        found, shields = Distinct(), self.asked.shields

        def count(keys: list[bytes]) -> tuple[int, t.Callable[[], object]]:
            found.new(key for key in keys if key.startswith(shields))
            return 0, int

        if shields:
            sweep(self.wire, self.asked.scan_protected, guard, Budget(Limits(deadline=0)), count)
        return len(found)


class Flush:
    """The flush of the whole cache: rounds of walks, until each primary that there is has been walked in peace."""

    def __init__(
        self,
        cache: Cache,
        asked: Asked,
        limits: Limits,
        *,
        check: bool,
        tell: t.Callable[[Progress], object] | None = None,
    ) -> None:
        self.cache, self.asked, self.limits, self.check = cache, asked, limits, check
        self.tell = tell or id
        self.begun = time.monotonic()
        self.tallies: dict[str, Tally] = {}
        self.said: dict[str, str] = {}
        self.errors: list[BaseException] = []

    def run(self) -> Flushed:
        self.begun = time.monotonic()
        # Threads that wait for Python's lock for long would take it for the server's latency.
        switch = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)
        try:
            return self._flushed(self._rounds())
        finally:
            sys.setswitchinterval(switch)

    def _flushed(self, nodes: t.Sequence[Node]) -> Flushed:
        counts = [
            sum(tally.deleted[place] for tally in self.tallies.values()) for place in range(len(self.asked.wants))
        ]
        deleted: dict[str, int] = {}
        for want, count in zip(self.asked.wants, counts, strict=True):
            deleted[want.name] = deleted.get(want.name, 0) + count
        now = [self.tallies[node.name] for node in nodes]
        kept = sum(tally.protected for tally in now)
        complete = all(tally.complete for tally in now)
        return Flushed(deleted, list(self.tallies.values()), time.monotonic() - self.begun, kept, complete)

    def _rounds(self) -> list[Node]:
        nodes = self.cache.primaries()
        budget = Budget(self.limits, len(nodes))
        quiet = time.monotonic()  # since when nothing has come of it
        while todo := [node for node in nodes if not self._walked(node)]:
            before = self._deleted()
            self._walk_all(todo, budget)
            if self.errors:
                raise self._ended(self.errors[0])
            if budget.used_up:
                return [node for node in nodes if node.name in self.tallies]
            if self._deleted() > before:
                quiet = time.monotonic()
            nodes = self._again(quiet, budget, nodes)
        return nodes

    def _again(self, quiet: float, budget: Budget, nodes: list[Node]) -> list[Node]:
        """The primaries after a round; where something is amiss, after a moment."""
        if not self.cache.clustered and not self.cache.target.sentinels and not self.said:
            return nodes
        told = 0.0
        while True:
            amiss = "; ".join(f"{name}: {text}" for name, text in self.said.items())
            if self.said:
                if time.monotonic() - quiet > self.limits.patience:
                    raise self._ended(Away(amiss))
                if time.monotonic() - told > TELL_SECONDS:
                    told = time.monotonic()
                    self.tell(self.progress(amiss))
                time.sleep(0.3)
            if time.monotonic() > budget.ends:
                raise self._ended(DeadlineError())
            try:
                return self.cache.primaries()
            except Away as away:
                self.said["the cache"] = str(away)
            except Refused as refused:
                if refused.word not in PASSING:
                    raise self._ended(refused) from refused
                self.said["the cache"] = str(refused)

    def _walked(self, node: Node) -> bool:
        tally = self.tallies.get(node.name)
        return bool(
            tally and tally.complete and not tally.strays and (tally.node.slots or set()) >= (node.slots or set())
        )

    def _deleted(self) -> int:
        return sum(sum(tally.deleted) for tally in self.tallies.values())

    def _walk_all(self, nodes: t.Sequence[Node], budget: Budget) -> None:
        self.said = {}
        threads = []
        for node in nodes:
            tally = self.tallies.setdefault(node.name, Tally(node, deleted=[0] * len(self.asked.wants)))
            tally.node = node
            walk = Walk(self.cache, self.asked, tally, budget, limit=self.limits.max_latency_ms, check=self.check)
            threads.append(threading.Thread(target=self._walk, args=(walk,), name=node.name, daemon=True))
        for thread in threads:
            thread.start()
        told = time.monotonic()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
                if time.monotonic() - told > TELL_SECONDS:
                    told = time.monotonic()
                    self.tell(self.progress())

    def _walk(self, walk: Walk) -> None:
        name = walk.tally.node.name
        try:
            walk.run()
            if walk.tally.strays:
                self.said[name] = f"{walk.tally.strays} keys were on their way to another node"
        except Away as away:
            self.said[name] = str(away)
        except Refused as refused:
            if refused.word in PASSING:
                self.said[name] = str(refused)
            else:
                self.errors.append(refused)
        except Exception as error:  # a thread's fault is the main one's to raise
            self.errors.append(error)

    def progress(self, waits: str = "") -> Progress:
        tallies = list(self.tallies.values())
        return Progress(
            scanned=sum(tally.scanned for tally in tallies),
            deleted=self._deleted(),
            walked=sum(tally.walked for tally in tallies),
            there=sum(tally.keys[0] or 0 for tally in tallies),
            seconds=round(time.monotonic() - self.begun, 1),
            check=self.check,
            counts=all(tally.swept for tally in tallies),
            waits=waits,
        )

    def _ended(self, error: BaseException) -> BaseException:
        """`error` as what leaves the module: with what was done, and what is left."""
        left = [name for name, tally in self.tallies.items() if not tally.complete or tally.strays]
        flushed = self._flushed([tally.node for tally in self.tallies.values()])
        facts: dict[str, t.Any] = {
            "deleted": dict(flushed.deleted),
            "deleted_total": flushed.total,
            "nodes": [tally.report() for tally in flushed.nodes],
            "totals": flushed.totals(),
            "left": left,
        }
        name = self.cache.target.name
        gone = "would go so far" if self.check else "are gone"
        done = f"{flushed.total} keys {gone}; not walked to the end: {', '.join(left) or 'nothing'}"
        if isinstance(error, DeadlineError):
            return InfraError(
                ACTION,
                name,
                f"the deadline of {self.limits.deadline:g} s is over",
                f"{done}. Run it again, with a longer deadline or a higher max_latency_ms.",
                **facts,
            )
        if isinstance(error, Away):
            return InfraError(ACTION, name, str(error).rstrip("."), f"{done}. Run it again once it answers.", **facts)
        if isinstance(error, Refused):
            found = fault(ACTION, self.cache.target, error, lambda: rights(self.cache, self.asked))
            found.facts = {**found.facts, **facts}
            return found
        return error


def rights(cache: Cache, asked: Asked) -> str:
    return rights_of(cache.target, [want.text for want in asked.wants], COMMANDS, clustered=cache.clustered)


def warnings_of(flushed: Flushed, limits: Limits) -> list[str]:
    told = []
    if not flushed.complete:
        told.append(f"max_keys ({limits.max_keys}) ended the flush: there may be more keys to delete.")
    median = (flushed.totals()["latency_ms"] or {}).get("p50") or 0
    if limits.max_latency_ms and median > limits.max_latency_ms:
        told.append(
            f"Half of all PINGs took longer than {median} ms, over max_latency_ms ({limits.max_latency_ms:g}): the "
            "flush went as slowly as it can. Is the network that slow, or the server busy with something else?"
        )
    return told


def as_diff(flushed: Flushed, place: str) -> dict[str, str]:
    texts = [f"{name} {count} keys\n" for name, count in flushed.deleted.items() if count]
    return {"before_header": place, "after_header": place, "before": "".join(texts), "after": ""}
