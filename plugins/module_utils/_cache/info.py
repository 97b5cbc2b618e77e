# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``cache_info`` returns: keys, memory and lifetimes by prefix, the largest keys, and a table."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache.connection import Refused, packed
from ansible_collections.nexod.infra.plugins.module_utils._cache.globs import raw
from ansible_collections.nexod.infra.plugins.module_utils._cache.protection import Protection, read_protection
from ansible_collections.nexod.infra.plugins.module_utils._cache.server import Cache, Routed
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ACTION = "inspect the cache at"
COMMANDS = "+scan +pttl +memory|usage +info +dbsize +ping +hello"
REST = "(others)"
BATCH = 250
# Beyond so many prefixes that were found and not given, keys are counted as others.
MOST_PREFIXES = 200


@dataclasses.dataclass
class Row:
    """The inspected keys of one prefix."""

    keys: int = 0
    bytes: int = 0
    without_lifetime: int = 0
    shortest: int | None = None
    longest: int | None = None
    total: int = 0

    def add(self, lifetime: int, size: int) -> None:
        self.keys += 1
        self.bytes += size
        if lifetime < 0:
            self.without_lifetime += 1
            return
        self.total += lifetime
        self.shortest = lifetime if self.shortest is None else min(self.shortest, lifetime)
        self.longest = lifetime if self.longest is None else max(self.longest, lifetime)

    def report(self, factor: float) -> dict[str, t.Any]:
        """The row; of a sample, extrapolated to all keys."""
        lasting = self.keys - self.without_lifetime
        return {
            "keys": round(self.keys * factor),
            "bytes": round(self.bytes * factor),
            "without_lifetime": round(self.without_lifetime * factor),
            "lifetime_s": {
                "least": None if self.shortest is None else round(self.shortest / 1000),
                "mean": round(self.total / lasting / 1000) if lasting else None,
                "most": None if self.longest is None else round(self.longest / 1000),
            },
        }


def prefix_of(key: bytes, prefixes: t.Sequence[bytes]) -> bytes | None:
    """The longest of `prefixes` that `key` begins with; if none are given, the part up to the first colon."""
    if prefixes:
        return max((prefix for prefix in prefixes if key.startswith(prefix)), key=len, default=None)
    head, colon, _rest = key.partition(b":")
    return head + colon if colon else None


def read_prefix(prefix: str) -> bytes:
    if any(letter in prefix for letter in "*?"):
        raise InfraError(
            "sum up the prefix", f'"{prefix}"', "a prefix has no wildcards", "Write the beginning of the keys."
        )
    return raw(prefix, "prefixes")


def shown(key: bytes) -> str:
    """A key as text, on one line."""
    text = key.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


class Inventory:
    """What is collected while the keys are walked."""

    def __init__(self, prefixes: t.Sequence[str], largest: int, protections: t.Sequence[Protection] = ()) -> None:
        self.prefixes = [read_prefix(prefix) for prefix in prefixes]
        self.rows: dict[str, Row] = {prefix: Row() for prefix in prefixes}
        self.largest: list[tuple[int, str]] = []
        self.most = largest
        self.protections = protections
        self.protected_without_lifetime = 0
        self.seen = 0
        self.total = 0
        self.measured = True

    def add(self, key: bytes, lifetime: int, size: int) -> None:
        found = prefix_of(key, self.prefixes)
        name = REST if found is None else shown(found)
        if name not in self.rows and len(self.rows) >= MOST_PREFIXES:
            name = REST
        self.rows.setdefault(name, Row()).add(lifetime, size)
        self.seen += 1
        if lifetime < 0 and any(one.matches(key) for one in self.protections):
            self.protected_without_lifetime += 1
        if self.measured and self.most:
            push = heapq.heappush if len(self.largest) < self.most else heapq.heappushpop
            push(self.largest, (size, shown(key)))

    def report(self) -> dict[str, t.Any]:
        factor = max(1.0, self.total / self.seen) if self.seen else 1.0
        ordered = sorted(self.rows.items(), key=lambda item: (item[0] == REST, -item[1].bytes, -item[1].keys, item[0]))
        rows = {name: row.report(factor) for name, row in ordered}
        largest = [{"name": name, "bytes": size} for size, name in sorted(self.largest, reverse=True)]
        return {
            "keys": self.total,
            "looked_at": self.seen,
            "sampled": factor > 1.0,
            "prefixes": rows,
            "protected_without_lifetime": round(self.protected_without_lifetime * factor),
            "largest": largest,
            "table": table(rows, largest),
        }


def walk(routed: Routed, inventory: Inventory, sample: int) -> None:
    """Every key once, or about the first `sample`: SCAN goes by hash, so its first keys are a random sample."""
    connection = routed.connection
    inventory.total += int(connection.ask(b"DBSIZE"))
    cursor, left, seen = b"0", sample, set()
    while True:
        cursor, keys = connection.ask(b"SCAN", cursor, b"COUNT", b"%d" % BATCH)
        if sample:
            new = [key for key in dict.fromkeys(keys) if key not in seen]
            seen.update(new)
        else:
            new = list(dict.fromkeys(keys))
        _measure(routed, inventory, new)
        left -= len(new)
        if cursor == b"0" or (sample and left <= 0):
            return


def _measure(routed: Routed, inventory: Inventory, keys: t.Sequence[bytes]) -> None:
    """Lifetime and size of each key; of one whose slot is moving, from where it is."""
    asked = [((b"PTTL", key), (b"MEMORY", b"USAGE", key, b"SAMPLES", b"5")) for key in keys]
    routed.connection.send(b"".join(packed(*words) for pair in asked for words in pair))
    read = routed.connection.read
    answers = [(read(), read()) for _key in keys]
    for key, pair, found in zip(keys, asked, answers, strict=True):
        lifetime, size = (routed.followed(answer, words, own=True) for answer, words in zip(found, pair, strict=True))
        if isinstance(lifetime, Refused):
            raise lifetime
        if isinstance(size, Refused):
            inventory.measured, size = False, 0
        if lifetime != -2:  # expired meanwhile
            inventory.add(key, int(lifetime), int(size or 0))


def inspect(
    cache: Cache, prefixes: t.Sequence[str], protect: t.Sequence[str], *, sample: int, largest: int
) -> dict[str, t.Any]:
    inventory = Inventory(prefixes, largest, [read_protection(entry) for entry in protect])
    nodes = cache.settled_primaries(cache.target.timeout, writes=False)
    for node in nodes:
        with contextlib.closing(Routed(cache, node)) as routed:
            walk(routed, inventory, -(-sample // len(nodes)))
    return inventory.report()


def amount(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return ""


def table(rows: t.Mapping[str, t.Mapping[str, t.Any]], largest: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The result as text."""
    lines = [("prefix", "keys", "memory", "no expiry", "lifetime s (least, mean, most)")]
    for name, row in rows.items():
        lifetimes = row["lifetime_s"]
        span = (
            "-" if lifetimes["least"] is None else ", ".join(str(lifetimes[key]) for key in ("least", "mean", "most"))
        )
        lines.append((name, f"{row['keys']:,}", amount(row["bytes"]), f"{row['without_lifetime']:,}", span))
    widths = [max(len(line[at]) for line in lines) for at in range(5)]
    texts = [
        f"{line[0]:<{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:>{widths[2]}}  {line[3]:>{widths[3]}}  {line[4]}"
        for line in lines
    ]
    texts += ["", "largest:"] if largest else []
    return "\n".join([*texts, *(f"  {amount(one['bytes']):>10}  {one['name']}" for one in largest)])
