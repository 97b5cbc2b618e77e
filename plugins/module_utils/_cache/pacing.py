# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a flush goes: by the server's latency, a rate, a deadline and a maximum number of keys."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache.connection import (
    Connection,
    DeadlineError,
    Refused,
    Unreachable,
    packed,
)

# Number of keys that one SCAN looks at: from so few that nobody notices, to so many that more is no faster. With 1,000
# a call takes longer than the time slice that Linux gives to a process among others, so that server and client wait for
# their turn in the middle of each call: on a busy machine half as fast as with 250, for the same processor time.
LEAST, FIRST, MOST = 10, 100, 250
# Of keys that are only counted, so many of the latest are remembered, and at most twice as many. SCAN returns a key
# twice if the server's table shrinks, from the bucket that it is at: the second time follows the first closely.
REMEMBERED = 5_000


@dataclasses.dataclass(frozen=True)
class Limits:
    max_latency_ms: float = 5.0
    max_keys_per_second: int = 0
    deadline: float = 300.0  # seconds
    max_keys: int = 0
    patience: float = 60.0  # seconds


class Latency:
    """A histogram in steps of 5 percent: its size does not grow with the number of measurements."""

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
    """How many keys the next SCAN looks at, after a PING took that long: half as many at once, more only slowly."""
    if milliseconds > limit:
        return max(LEAST, count // 2)
    if milliseconds < limit / 3:
        return min(MOST, count + max(1, count // 40))
    return count


class Guard:
    """Measures the server's latency on a connection of its own, and adapts the COUNT of the next SCAN to it."""

    def __init__(self, connection: Connection, limit: float) -> None:
        self.count, self.latency = FIRST, Latency()
        self._connection, self._limit = connection, limit
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="guard", daemon=True)
        self._thread.start()

    def _measure(self) -> None:
        ping = packed(b"PING")
        with contextlib.suppress(
            Unreachable, Refused, DeadlineError
        ):  # the walk itself gets the same error, and reports it
            while True:
                began = time.perf_counter()
                self._connection.send(ping)
                self._connection.answer()
                took = (time.perf_counter() - began) * 1000
                self.latency.add(took)
                self.count = next_count(self.count, took, self._limit)
                if self._over.wait(0.002):
                    return

    def close(self) -> None:
        self._over.set()
        self._connection.interrupt()  # a server that has stopped answering is not waited for
        self._thread.join()
        self._connection.close()


class Unguarded:
    """As fast as possible, without measuring."""

    count, latency = MOST, Latency()

    def close(self) -> None:
        """There is no connection."""


class Budget:
    """What all walks share: the time that is left, and how many more keys may be deleted."""

    def __init__(self, limits: Limits) -> None:
        self.ends = time.monotonic() + limits.deadline if limits.deadline else math.inf
        self.nodes = 1  # that are walked at the same time
        self._rate = limits.max_keys_per_second
        self._limited, self._left = limits.max_keys > 0, limits.max_keys
        self._lock = threading.Lock()

    @property
    def rate(self) -> float:
        return self._rate / self.nodes

    def check(self) -> None:
        if time.monotonic() > self.ends:
            raise DeadlineError

    def reserve(self, desired: int) -> int:
        """How many of the desired keys may be deleted."""
        if not self._limited:
            return desired
        with self._lock:
            given = min(desired, self._left)
            self._left -= given
            return given

    def release(self, count: int) -> None:
        """Reserved keys that were not deleted after all."""
        if self._limited:
            with self._lock:
                self._left += count

    @property
    def used_up(self) -> bool:
        return self._limited and self._left <= 0

    def pause(self, began: float, done: int) -> None:
        """Wait until `done` keys since `began` are within the rate."""
        if not self.rate:
            return
        while (ahead := done / self.rate - (time.monotonic() - began)) > 0:
            self.check()
            time.sleep(min(ahead, 0.2))

    def count(self, guarded: int) -> int:
        """The COUNT of the next SCAN, from the guard's: at most what the rate allows in a tenth of a second."""
        return guarded if not self.rate else max(1, min(guarded, int(self.rate / 10)))


class Distinct:
    """Counts distinct keys in constant memory: only the latest are remembered."""

    def __init__(self) -> None:
        self._now: set[int] = set()
        self._before: set[int] = set()
        self._count = 0

    def new(self, keys: t.Iterable[bytes]) -> int:
        """How many of `keys` are new."""
        fresh = set(map(hash, keys)) - self._now - self._before
        self._now |= fresh
        self._count += len(fresh)
        if len(self._now) >= REMEMBERED:
            self._before, self._now = self._now, set()
        return len(fresh)

    def __len__(self) -> int:
        return self._count
