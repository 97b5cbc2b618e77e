# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``cache_flush`` does: walk the keys of all primaries in parallel, and unlink the selected ones.

A walk that was disturbed (connection lost, failover, slots moved) is repeated on the primary that serves the keys then:
SCAN guarantees to return every key only within one walk, and unlinking a key twice does no harm.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache.connection import (
    REDIRECTIONS,
    TRANSIENT,
    Connection,
    DeadlineError,
    Refused,
    Unreachable,
    fault,
    info,
    packed,
)
from ansible_collections.nexod.infra.plugins.module_utils._cache.globs import assigned
from ansible_collections.nexod.infra.plugins.module_utils._cache.info import shown
from ansible_collections.nexod.infra.plugins.module_utils._cache.pacing import (
    Budget,
    Distinct,
    Guard,
    Latency,
    Limits,
    Unguarded,
)
from ansible_collections.nexod.infra.plugins.module_utils._cache.progress import Progress
from ansible_collections.nexod.infra.plugins.module_utils._cache.selection import Selection, silent_no_op
from ansible_collections.nexod.infra.plugins.module_utils._cache.server import Cache, Node, Routed, nobody, rights_of
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

# In a cluster, server.CLUSTER_RIGHTS in addition.
COMMANDS = "+scan +unlink +info +dbsize +ping +hello"
ACTION = "flush the cache at"
REPORT_SECONDS = 1

ReadReplies = t.Callable[[], None]
# Sends what is to be done with some keys; returns for how many, and what reads the replies.
Process = t.Callable[[list[bytes]], "tuple[int, ReadReplies]"]


def no_replies() -> None:
    """Nothing was sent."""


def not_counted(_count: int) -> None:
    """The default of `sweep`."""


def not_reported(_progress: Progress) -> None:
    """The default of `Flush`."""


@dataclasses.dataclass
class Tally:
    """What was found and done on one primary."""

    node: Node
    scanned: int = 0
    matched: int = 0
    deleted: list[int] = dataclasses.field(default_factory=list)  # for each selector
    names: list[list[str]] = dataclasses.field(default_factory=list)  # of some keys, for each selector
    protected: int | None = 0  # None: there was no time left to count them
    protected_by: list[int] = dataclasses.field(default_factory=list)  # for each entry of protect
    walks: int = 0
    walked: int = 0  # about how many keys the current walk has passed
    swept: bool = False  # all keys were walked; the protected ones are still to be counted
    complete: bool = False
    moved_keys: int = 0  # keys whose slot is moving, and that could not be deleted where they are
    stray: int = 0  # keys on a node that does not serve their slot, so that no client can reach them
    seconds: float = 0.0
    latency: Latency = dataclasses.field(default_factory=Latency)
    memory: list[int | None] = dataclasses.field(default_factory=lambda: [None, None])  # before, after
    keys: list[int | None] = dataclasses.field(default_factory=lambda: [None, None])  # before, after

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
    """The result of a flush."""

    deleted: t.Mapping[str, int]
    nodes: t.Sequence[Tally]
    seconds: float
    kept: int | None
    complete: bool
    moves_unknown: bool = False
    protected: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    names: t.Mapping[str, list[str]] = dataclasses.field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.deleted.values())

    @property
    def found_nothing(self) -> bool:
        """Whether the cache held no key at all: not where only some nodes, or none, said how many they have."""
        return not self.total and not self.kept and all(tally.keys[0] == 0 for tally in self.nodes)

    def facts(self) -> dict[str, t.Any]:
        """What the module returns, whether it finished or not."""
        return {
            "deleted": dict(self.deleted),
            "deleted_total": self.total,
            "sessions_kept": self.kept,
            "protected": dict(self.protected),
            "complete": self.complete,
            "nodes": [tally.report() for tally in self.nodes],
            "totals": self.totals(),
            "names": dict(self.names),
        }

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


def any_protected(keys: t.Sequence[bytes], protected_prefixes: tuple[bytes, ...]) -> bool:
    """Whether any of `keys` is protected."""
    # Fast path: if a prefix occurs nowhere in the joined keys, no key can start with it. Much cheaper than testing each
    # key.
    joined = b"".join(keys)
    found = any(prefix in joined for prefix in protected_prefixes)
    return found and any(key.startswith(protected_prefixes) for key in keys)


def sweep(
    connection: Connection,
    match: bytes,
    guard: Guard | Unguarded,
    budget: Budget,
    process: Process,
    *,
    passed: t.Callable[[int], None] = not_counted,
    type: str = "",
) -> None:
    """Walk the keys once. While the server looks for the next ones, those that it has returned are processed.

    `passed` is called with the number of keys that the server looked at; it returns only those that match.
    """
    read_replies: ReadReplies = no_replies
    began, done = time.monotonic(), 0
    count = guard.count
    only = (b"TYPE", type.encode()) if type else ()
    connection.send(packed(b"SCAN", b"0", b"MATCH", match, b"COUNT", b"%d" % count, *only))
    more = True
    while more:
        cursor, keys = connection.answer()
        passed(count)
        more = cursor != b"0" and not budget.used_up
        budget.check()
        if more:
            budget.pause(began, done)
            count = budget.count(guard.count)
            connection.send(packed(b"SCAN", cursor, b"MATCH", match, b"COUNT", b"%d" % count, *only))
        read_replies()
        sent, read_replies = process(keys)
        done += sent
    read_replies()


def count_protected(connection: Connection, selection: Selection, guard: Guard | Unguarded) -> tuple[int, list[int]]:
    """How many protected keys there are, and how many for each entry, in a walk of its own, each counted once."""
    protections = selection.protections
    found, by_entry = Distinct(), [Distinct() for _entry in protections]

    def count(keys: list[bytes]) -> tuple[int, ReadReplies]:
        protected: set[bytes] = set()
        for protection, counted in zip(protections, by_entry, strict=True):
            mine = [key for key in keys if protection.matches(key)]
            counted.new(mine)
            protected.update(mine)
        found.new(protected)
        return 0, no_replies

    if protections:
        sweep(connection, selection.scan_protected, guard, Budget(Limits(deadline=0)), count)
    return len(found), [len(counted) for counted in by_entry]


class Walk:
    """The flush of one primary, once from its first key to its last."""

    def __init__(
        self,
        cache: Cache,
        selection: Selection,
        tally: Tally,
        budget: Budget,
        *,
        limit: float,
        check: bool,
        names: int = 0,
    ) -> None:
        self.cache, self.selection, self.tally, self.budget = cache, selection, tally, budget
        self.limit, self.check, self.names = limit, check, names
        self.found = [Distinct() for _selector in selection.selectors]

    def run(self) -> None:
        began = time.monotonic()
        try:
            with contextlib.ExitStack() as stack:
                self._run(stack)
        finally:
            self.tally.seconds += time.monotonic() - began

    def _run(self, stack: contextlib.ExitStack) -> None:
        tally = self.tally
        tally.walks += 1
        tally.complete, tally.moved_keys, tally.stray, tally.walked, tally.swept = False, 0, 0, 0, False
        if self.check:
            tally.scanned, tally.matched, tally.deleted = 0, 0, [0] * len(self.selection.selectors)
            tally.names = [[] for _selector in self.selection.selectors]
        self.routed = stack.enter_context(contextlib.closing(Routed(self.cache, tally.node)))
        self.connection = self.routed.connection
        guard: Guard | Unguarded = Unguarded()
        if self.limit:
            guard = Guard(self.cache.connection(tally.node), self.limit)
        stack.callback(lambda: tally.latency.merge(guard.latency))
        stack.callback(guard.close)
        self._measure(0)
        if self.selection.selectors:
            process = self._count if self.check else self._unlink
            only = self.selection.filters.type
            sweep(self.connection, self.selection.scan, guard, self.budget, process, passed=self._passed, type=only)
        tally.swept = True
        try:
            tally.protected, tally.protected_by = count_protected(self.connection, self.selection, guard)
            self._measure(1)
        except DeadlineError:
            # All is deleted that was to be; only the figures are missing.
            tally.protected, tally.protected_by = None, []
        # Only now: what disturbs the counting is a disturbance of the walk, and the count is not taken for 0.
        tally.complete = not self.budget.used_up

    def _measure(self, when: int) -> None:
        if self.tally.memory[0] is not None and not when:
            return  # a repeated walk: the state before the flush is known
        memory = (info(self.connection, b"memory") or {}).get("used_memory")
        self.tally.memory[when] = int(memory) if memory else None
        with contextlib.suppress(Refused):
            self.tally.keys[when] = int(self.connection.ask(b"DBSIZE"))

    def _passed(self, count: int) -> None:
        self.tally.walked += count

    def _assigned(self, keys: list[bytes]) -> list[list[bytes]]:
        """The keys of each selector. The last check before keys are deleted."""
        self.tally.scanned += len(keys)
        for protects in self.selection.protected_globs:
            keys = [key for key in keys if not protects(key)]
        groups = assigned(keys, self.selection.selectors)
        if self.selection.filters.by_lifetime:
            groups = [self._by_lifetime(group) for group in groups]
        self.tally.matched += sum(map(len, groups))
        if any(any_protected(group, self.selection.protected_prefixes) for group in groups):
            raise InfraError(
                ACTION,
                self.tally.node.name,
                "a protected key was about to be deleted",
                "Report this as a bug: it must not happen. Nothing of that batch was deleted.",
            )
        return groups

    def _by_lifetime(self, keys: list[bytes]) -> list[bytes]:
        """Those of `keys` that the filters let pass, by what the server says at this moment."""
        lifetimes = self.routed.beside([(b"PTTL", key) for key in keys])
        for lifetime in lifetimes:
            if isinstance(lifetime, Refused):
                raise lifetime
        return [key for key, lifetime in zip(keys, lifetimes, strict=True) if self.selection.filters.passes(lifetime)]

    def _count(self, keys: list[bytes]) -> tuple[int, ReadReplies]:
        for place, (found, group) in enumerate(zip(self.found, self._assigned(keys), strict=True)):
            self.tally.deleted[place] += found.new(group)
            names = self.tally.names[place]
            if len(names) < self.names:
                names += [name for name in map(shown, group) if name not in names][: self.names - len(names)]
        self.tally.matched = sum(self.tally.deleted)
        return 0, no_replies

    def _unlink(self, keys: list[bytes]) -> tuple[int, ReadReplies]:
        groups = self._assigned(keys)
        pending_replies: list[tuple[int, int, list[bytes]]] = []  # number of the selector, of replies, the keys
        parts: list[bytes] = []
        for place, group in enumerate(groups):
            allowed = self.budget.reserve(len(group))
            batch = group[:allowed] if allowed < len(group) else group
            if not batch:
                continue
            if self.cache.clustered:
                # UNLINK refuses keys of several slots (CROSSSLOT).
                parts += [b"*2\r\n$6\r\nUNLINK\r\n$%d\r\n%b\r\n" % (len(key), key) for key in batch]
                pending_replies.append((place, len(batch), batch))
            else:
                parts.append(packed(b"UNLINK", *batch))
                pending_replies.append((place, 1, batch))
        if parts:
            self.connection.send(b"".join(parts))
        sent = sum(len(batch) for _place, _replies, batch in pending_replies)
        return sent, lambda: self._read_replies(pending_replies)

    def _read_replies(self, pending_replies: t.Sequence[tuple[int, int, list[bytes]]]) -> None:
        """Read all replies to UNLINK: what was deleted counts even if another command was refused."""
        refused: Refused | None = None
        read = self.connection.read
        elsewhere: list[tuple[int, bytes, Refused]] = []
        for place, replies, batch in pending_replies:
            gone = 0
            for number in range(replies):
                reply = read()
                if not isinstance(reply, Refused):
                    gone += reply
                elif reply.word in REDIRECTIONS:
                    elsewhere.append((place, batch[number], reply))
                else:
                    refused = refused or reply
            self.tally.deleted[place] += gone
            self.budget.release(len(batch) - gone)
        for place, key, reply in elsewhere:
            gone = self._unlink_elsewhere(key, reply)
            self.tally.deleted[place] += self.budget.reserve(gone) if gone else 0
        if refused:
            raise refused

    def _unlink_elsewhere(self, key: bytes, reply: Refused) -> int:
        """Delete a key whose slot is moving, on whichever node it is now; how many keys that were."""
        try:
            answer = self.routed.followed(reply, (b"UNLINK", key), own=True)
        except Unreachable:
            answer = reply  # the other node is away; the key is looked for again
        if not isinstance(answer, Refused):
            # Moved by its owner to where it was deleted, or left behind here, where no client finds it.
            self.tally.stray += not answer and reply.word == "MOVED"
            return int(answer)
        if answer.word not in TRANSIENT:
            raise answer
        self.tally.moved_keys += 1
        return 0


class Flush:
    """The flush of the whole cache: rounds of walks, until every primary was walked without a disturbance."""

    def __init__(
        self,
        cache: Cache,
        selection: Selection,
        limits: Limits,
        *,
        check: bool,
        report: t.Callable[[Progress], None] = not_reported,
        minimum_protected: int = 0,
        names: int = 0,
    ) -> None:
        self.cache, self.selection, self.limits, self.check = cache, selection, limits, check
        self.report, self.minimum_protected, self.names = report, minimum_protected, names
        self.began = time.monotonic()
        self.tallies: dict[str, Tally] = {}
        self.moves_unknown = False
        self.idle_since = self.began  # when a round last deleted anything
        self.disturbances: dict[str, str] = {}  # in this round, by node
        self.errors: list[BaseException] = []

    def run(self) -> Flushed:
        self.began = time.monotonic()
        # A thread that waits long for Python's lock would take that for the server's latency.
        switch = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)
        try:
            return self._flushed(self._rounds())
        finally:
            sys.setswitchinterval(switch)

    def _flushed(self, nodes: t.Sequence[Node]) -> Flushed:
        selectors = self.selection.selectors
        counts = [sum(tally.deleted[place] for tally in self.tallies.values()) for place in range(len(selectors))]
        deleted: dict[str, int] = {}
        for selector, count in zip(selectors, counts, strict=True):
            deleted[selector.name] = deleted.get(selector.name, 0) + count
        now = [self.tallies[node.name] for node in nodes]
        counted = [tally.protected for tally in now if tally.protected is not None]
        kept = sum(counted) if len(counted) == len(now) else None
        complete = all(tally.complete for tally in now)
        protected = {
            protection.name: sum(tally.protected_by[place] for tally in now if tally.protected_by)
            for place, protection in enumerate(self.selection.protections)
        }
        seconds = time.monotonic() - self.began
        tallies = list(self.tallies.values())
        names = self._names() if self.check and self.names else {}
        return Flushed(deleted, tallies, seconds, kept, complete, self.moves_unknown, protected, names)

    def _names(self) -> dict[str, list[str]]:
        """Some keys that would be deleted, for each selector."""
        found: dict[str, list[str]] = {}
        for place, selector in enumerate(self.selection.selectors):
            names = [name for tally in self.tallies.values() if tally.names for name in tally.names[place]]
            found.setdefault(selector.name, []).extend(names[: self.names])
        return found

    def _rounds(self) -> list[Node]:
        budget = Budget(self.limits)
        self.cache.ends = budget.ends
        nodes = self._first_primaries()
        budget.nodes = len(nodes)
        swept: set[tuple[str, str]] = set()
        while True:
            nodes = self._walked_nodes(nodes, budget)
            if budget.used_up:
                return nodes
            moving = self._moves(nodes) - swept
            if not moving and not self.disturbances:
                return nodes
            if moving and self._swept_in_turn(nodes, moving, budget):
                swept |= moving
            nodes = self._primaries_after_round(budget, nodes)

    def _first_primaries(self) -> list[Node]:
        self.idle_since = time.monotonic()
        try:
            nodes = self.cache.settled_primaries(self.limits.patience)
            if self.minimum_protected:
                self._require_protected(nodes)
        except DeadlineError as error:
            raise self._ended(error) from error
        return nodes

    def _walked_nodes(self, nodes: list[Node], budget: Budget) -> list[Node]:
        """Walk all nodes at the same time, and again those that were disturbed; returns the primaries at the end."""
        while todo := [node for node in nodes if not self._walked(node)]:
            self._walk_all(todo, budget)
            if budget.used_up:
                return [node for node in nodes if node.name in self.tallies]
            nodes = self._primaries_after_round(budget, nodes)
        return nodes

    def _moves(self, nodes: t.Sequence[Node]) -> set[tuple[str, str]]:
        """Between which nodes slots are moving: their keys may have left one before and reached the other after it was
        walked."""
        self.disturbances = {}
        if not self.cache.clustered:
            return set()
        try:
            found = self.cache.moves(nodes)
        except (Unreachable, DeadlineError) as error:
            self.disturbances["the cache"] = str(error)
            return set()
        except Refused as refused:
            if refused.word not in TRANSIENT:
                raise self._ended(refused) from refused
            self.disturbances["the cache"] = str(refused)
            return set()
        self.moves_unknown = found is None
        return found or set()

    def _swept_in_turn(self, nodes: t.Sequence[Node], moving: set[tuple[str, str]], budget: Budget) -> bool:
        """Walk the nodes between which slots move, one after the other, so that each source comes before its target.

        As often as there are nodes, whatever the order: a key may move on. Whether nothing disturbed it.
        """
        involved = [node for node in nodes if any(node.name in pair for pair in moving)]
        for _turn in involved:
            for node in involved:
                self._walk_all([node], budget)
                if self.disturbances or budget.used_up:
                    return False
        return True

    def _require_protected(self, nodes: t.Sequence[Node]) -> None:
        """Fail before the first deletion if there are fewer protected keys than there should be."""
        count = 0
        for node in nodes:
            with contextlib.closing(self.cache.connection(node)) as connection:
                count += count_protected(connection, self.selection, Unguarded())[0]
        if count < self.minimum_protected:
            raise InfraError(
                ACTION,
                self.cache.target.name,
                f"{count} keys are protected, and minimum_protected is {self.minimum_protected}",
                "Check that protect names the keys as the application writes them, or lower minimum_protected. "
                "Nothing was deleted.",
            )

    def _primaries_after_round(self, budget: Budget, nodes: list[Node]) -> list[Node]:
        """The primaries after a round; after a disturbance, once they can be determined again."""
        if not self.cache.clustered and not self.cache.target.sentinels and not self.disturbances:
            return nodes
        reported = 0.0
        hopeless: InfraError | None = None
        while True:
            disturbed = "; ".join(f"{name}: {text}" for name, text in self.disturbances.items())
            if self.disturbances:
                if time.monotonic() - self.idle_since > self.limits.patience:
                    raise self._ended(hopeless or Unreachable(disturbed))
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    self.report(self.progress(disturbed))
                time.sleep(0.3)
            if time.monotonic() > budget.ends:
                raise self._ended(DeadlineError())
            hopeless = None
            # At least a second: a server that answers again is not missed because the patience is almost over.
            self.cache.ends = min(budget.ends, max(time.monotonic() + 1, self.idle_since + self.limits.patience))
            try:
                return self.cache.primaries()
            except (Unreachable, DeadlineError) as error:
                self.disturbances["the cache"] = str(error) or "it does not answer"
            except InfraError as error:  # such as a primary that has become a replica, and may become one again
                self.disturbances["the cache"], hopeless = error.cause, error
            except Refused as refused:
                if refused.word not in TRANSIENT:
                    raise self._ended(refused) from refused
                self.disturbances["the cache"] = str(refused)
            finally:
                self.cache.ends = budget.ends

    def _walked(self, node: Node) -> bool:
        tally = self.tallies.get(node.name)
        return bool(
            tally and tally.complete and not tally.moved_keys and (tally.node.slots or set()) >= (node.slots or set())
        )

    def _deleted(self) -> int:
        return sum(sum(tally.deleted) for tally in self.tallies.values())

    def _walk_all(self, nodes: t.Sequence[Node], budget: Budget) -> None:
        self.disturbances = {}
        before = self._deleted()
        threads = []
        for node in nodes:
            tally = self.tallies.setdefault(node.name, Tally(node, deleted=[0] * len(self.selection.selectors)))
            tally.node = node
            walk = Walk(
                self.cache,
                self.selection,
                tally,
                budget,
                limit=self.limits.max_latency_ms,
                check=self.check,
                names=self.names,
            )
            threads.append(threading.Thread(target=self._walk, args=(walk,), name=node.name, daemon=True))
        for thread in threads:
            thread.start()
        reported = time.monotonic()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    self.report(self.progress())
        if self.errors:
            raise self._ended(self.errors[0])
        if self._deleted() > before:
            self.idle_since = time.monotonic()

    def _walk(self, walk: Walk) -> None:
        name = walk.tally.node.name
        try:
            walk.run()
            if walk.tally.moved_keys:
                self.disturbances[name] = f"{walk.tally.moved_keys} keys were moving to another node"
        except Unreachable as unreachable:
            self.disturbances[name] = str(unreachable)
        except Refused as refused:
            if refused.word in TRANSIENT:
                self.disturbances[name] = str(refused)
            else:
                self.errors.append(refused)
        except Exception as error:  # raised again by the main thread
            self.errors.append(error)

    def progress(self, waiting_for: str = "") -> Progress:
        tallies = list(self.tallies.values())
        return Progress(
            scanned=sum(tally.scanned for tally in tallies),
            deleted=self._deleted(),
            walked=sum(tally.walked for tally in tallies),
            total=sum(tally.keys[0] or 0 for tally in tallies),
            seconds=round(time.monotonic() - self.began, 1),
            check=self.check,
            counting_protected=all(tally.swept for tally in tallies),
            waiting_for=waiting_for,
        )

    def _ended(self, error: BaseException) -> BaseException:
        """`error` as the module reports it: with what was done, and which nodes are left."""
        left = [name for name, tally in self.tallies.items() if not tally.complete or tally.moved_keys]
        flushed = self._flushed([tally.node for tally in self.tallies.values()])
        facts = {**flushed.facts(), "complete": False, "changed": flushed.total > 0 and not self.check, "left": left}
        name = self.cache.target.name
        verb = "would be deleted so far" if self.check else "were deleted"
        done = f"{flushed.total} keys {verb}; not completely walked: {', '.join(left) or 'none'}"
        if isinstance(error, DeadlineError):
            found = InfraError(
                ACTION,
                name,
                f"the deadline of {self.limits.deadline:g} s has passed",
                f"{done}. Run it again, with a longer deadline or a higher max_latency_ms.",
            )
        elif isinstance(error, Unreachable):
            unreachable = nobody(ACTION, self.cache.target, error)
            next_step = f"{done}. {error.next_step or 'Run it again once the server answers.'}"
            found = InfraError(ACTION, name, unreachable.cause, next_step)
        elif isinstance(error, Refused):
            found = fault(ACTION, self.cache.target, error, lambda: rights(self.cache, self.selection))
        elif isinstance(error, InfraError):
            found = InfraError(error.action, error.object, error.cause, f"{error.next_step} {done}.")
            found.facts = error.facts
        else:
            return error
        found.facts = {**found.facts, **facts}
        return found


def rights(cache: Cache, selection: Selection) -> str:
    keys = [selector.glob_text for selector in selection.selectors]
    commands = f"{COMMANDS} +pttl" if selection.filters.by_lifetime else COMMANDS
    return rights_of(cache.target, keys, commands, clustered=cache.clustered)


def warnings_of(flushed: Flushed, limits: Limits, selection: Selection) -> list[str]:
    # Of an empty cache, as at a first deploy, the spelling of an entry can't be told.
    warnings = [
        f'No key is protected by "{name}" of protect. If there should be some, compare its spelling with the keys '
        "(cache_info names their prefixes): what is spelled otherwise is not protected."
        for name, count in flushed.protected.items()
        if not count and flushed.kept is not None and not flushed.found_nothing
    ]
    warnings += [
        f'"{selector.name}" matched no key, and {reason}.'
        for selector in selection.selectors
        if not flushed.deleted.get(selector.name) and (reason := silent_no_op(selector))
    ]
    if flushed.kept is None:
        warnings.append("The protected keys were not counted, because the deadline had passed when all was deleted.")
    if stray := sum(tally.stray for tally in flushed.nodes):
        warnings.append(
            f"{stray} keys lie on nodes that do not serve their slots, where no client finds them and nothing can "
            "delete them. Repair the cluster with redis-cli --cluster fix."
        )
    if flushed.moves_unknown:
        warnings.append(
            "The account lacks +cluster|nodes, so it is not known whether slots were moving between nodes. If they "
            "were, some keys may be left."
        )
    if not flushed.complete:
        warnings.append(f"The flush ended at max_keys ({limits.max_keys}): there may be more keys to delete.")
    median = (flushed.totals()["latency_ms"] or {}).get("p50") or 0
    if limits.max_latency_ms and median > limits.max_latency_ms:
        warnings.append(
            f"The median latency of PING was {median} ms, above max_latency_ms ({limits.max_latency_ms:g}), so the "
            "flush ran as slowly as it can. Check the network to the server, and what else keeps the server busy."
        )
    return warnings


def as_diff(flushed: Flushed, place: str) -> dict[str, str]:
    texts = [f"{name} {count} keys\n" for name, count in flushed.deleted.items() if count]
    return {"before_header": place, "after_header": place, "before": "".join(texts), "after": ""}
