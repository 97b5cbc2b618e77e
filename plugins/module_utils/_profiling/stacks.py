# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a profile says: samples of stacks, counted by function. Pure functions over py-spy's formats."""

from __future__ import annotations

import collections
import dataclasses
import json
import math
import re
import typing as t

#: Which work a sample belongs to, by the path of a module in its stack. A sample may belong to several.
KINDS: t.Final[dict[str, tuple[str, ...]]] = {
    "database": ("/sqlalchemy/", "/psycopg/", "/psycopg_pool/", "/psycopg2/", "/asyncpg/", "/alembic/"),
    "cache": ("/redis/", "/hiredis/"),
    "JSON": ("/json/", "/orjson/", "/ujson/", "/simplejson/", "/msgspec/", "/fastapi/encoders.py"),
    "validation": ("/pydantic/", "/pydantic_core/", "/pydantic_settings/"),
    "metrics and error reports": ("/prometheus_client/", "/sentry_sdk/"),
}
#: Functions that wait for something: py-spy takes a thread for active that is just going to wait or has just waited.
WAITS: t.Final = re.compile(
    r"(?:.*\.)?(?:select|poll|wait\w*|join|acquire|get|accept)"
    r" \((?:selectors|threading|queue|socket|psycopg/(?:waiting|connection|connection_async)|psycopg_pool/\w+)\.py\)"
)
#: A function that spends so much of its time in one that it calls only passes it on.
PASSES: t.Final = 0.9
FRAME: t.Final = re.compile(r"(?P<name>.*) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)")
PACKAGES: t.Final = re.compile(r".*/(?:site|dist)-packages/|.*/lib(?:64)?/python3\.\d+/(?:lib-dynload/)?")
#: With fewer samples than this, a share is off by more than 7 points one time in twenty.
ENOUGH: t.Final = 200
#: Standard deviations that a difference must be away from nothing to be called one, when every function is compared.
SURE: t.Final = 3.0


@dataclasses.dataclass(frozen=True)
class Frame:
    """A line of a stack; `line` is 0 where it is not known."""

    name: str
    file: str
    line: int = 0

    @property
    def function(self) -> str:
        """The function, wherever its package is installed: the same in two releases and on two hosts."""
        short = short_file(self.file)
        return f"{self.name} ({short})" if short else self.name

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{self.name} ({where})" if where else self.name


Stack = tuple[Frame, ...]


class Row(t.TypedDict):
    """A function, with the samples in which it ran itself, and those in which it or what it called ran."""

    function: str
    own: int
    total: int
    own_share: float
    total_share: float


class Difference(t.TypedDict):
    """How a function's shares differ between two profiles, in points of a percentage."""

    function: str
    own_before: float
    own_after: float
    total_before: float
    total_after: float
    certain: bool


def short_file(path: str) -> str:
    """The path below the folder of packages; of an application's own file, its last two parts."""
    within = PACKAGES.sub("", path, count=1)
    return within if within != path else "/".join(path.rsplit("/", 2)[-2:])


@dataclasses.dataclass(frozen=True)
class Profile:
    """Stacks, outermost call first, and the number of samples of each."""

    stacks: t.Mapping[Stack, int]

    @property
    def samples(self) -> int:
        return sum(self.stacks.values())

    def raw(self) -> str:
        """As collapsed stacks, the format that py-spy calls raw: the input of most tools for flame graphs."""
        rows = (f"{';'.join(str(frame).replace(';', ':') for frame in stack)} {n}" for stack, n in self.stacks.items())
        return "".join(f"{row}\n" for row in sorted(rows))


def from_raw(text: str) -> Profile:
    """A profile from collapsed stacks. Raises ValueError for a line that is none."""
    stacks: collections.Counter[Stack] = collections.Counter()
    for number, line in enumerate(text.splitlines(), 1):
        frames, _space, count = line.strip().rpartition(" ")
        if not line.strip():
            continue
        if not frames or not count.isdecimal():
            raise ValueError(f"line {number} is no stack with a number of samples")
        stacks[tuple(parsed(frame) for frame in frames.split(";"))] += int(count)
    return Profile(dict(stacks))


def parsed(text: str) -> Frame:
    """A frame as py-spy writes it: `name (file:line)`; of native code sometimes a name only."""
    if match := FRAME.fullmatch(text):
        return Frame(match["name"], match["file"], int(match["line"] or 0))
    return Frame(text, "")


def from_speedscope(text: str) -> Profile:
    """A profile from a speedscope file, all threads together. Raises ValueError for what is none."""
    stacks: collections.Counter[Stack] = collections.Counter()
    try:
        document = json.loads(text)
        frames = [
            Frame(str(row["name"]), str(row.get("file") or ""), int(row.get("line") or 0))
            for row in document["shared"]["frames"]
        ]
        for thread in document["profiles"]:
            for sample in thread["samples"]:
                if sample:
                    stacks[tuple(frames[index] for index in sample)] += 1
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"it is no speedscope file ({type(error).__name__}: {error})") from error
    return Profile(dict(stacks))


def share(part: float, whole: float) -> float:
    """A share in percent, with one digit; 0 of nothing."""
    return round(100 * part / whole, 1) if whole else 0.0


def functions(profile: Profile) -> list[Row]:
    """Every function, by own samples, then by total ones. A function that calls itself counts once in a sample."""
    own: collections.Counter[str] = collections.Counter()
    total: collections.Counter[str] = collections.Counter()
    for stack, count in profile.stacks.items():
        own[stack[-1].function] += count
        for function in {frame.function for frame in stack}:
            total[function] += count
    whole = profile.samples
    rows: list[Row] = [
        {
            "function": function,
            "own": own[function],
            "total": count,
            "own_share": share(own[function], whole),
            "total_share": share(count, whole),
        }
        for function, count in total.items()
    ]
    return sorted(rows, key=lambda row: (-row["own"], -row["total"], row["function"]))


def by_total(rows: t.Iterable[Row]) -> list[Row]:
    """The same rows by total samples."""
    return sorted(rows, key=lambda row: (-row["total"], -row["own"], row["function"]))


def passing(profile: Profile) -> set[str]:
    """Functions that only pass their time on to another one, such as those that start the event loop."""
    total: collections.Counter[str] = collections.Counter()
    below: dict[str, collections.Counter[str]] = {}
    for stack, count in profile.stacks.items():
        names = [frame.function for frame in stack]
        # The innermost of each, as a function may call itself.
        for name, index in {name: index for index, name in enumerate(names)}.items():
            total[name] += count
            if index + 1 < len(names):
                below.setdefault(name, collections.Counter())[names[index + 1]] += count
    return {name for name, calls in below.items() if max(calls.values()) >= PASSES * total[name]}


def kinds(profile: Profile) -> dict[str, float]:
    """The share of samples of each kind of work."""
    counted = dict.fromkeys(KINDS, 0)
    for stack, count in profile.stacks.items():
        paths = {frame.file for frame in stack}
        for kind, parts in KINDS.items():
            if any(part in path for path in paths for part in parts):
                counted[kind] += count
    return {kind: share(count, profile.samples) for kind, count in counted.items()}


def words(profile: Profile, *, seconds: float, rate: int, gil: float | None = None, shown: int = 5) -> list[str]:
    """The profile in sentences. `gil` is the share of time in which a thread held the GIL, if it was measured."""
    if not profile.samples:
        return [f"No thread was active in {seconds:g} s: the process waited. Profile it under load, or with `idle`."]
    rows = functions(profile)
    busy = profile.samples / (seconds * rate)
    text = [f"{profile.samples} samples in {seconds:g} s at {rate} Hz: {busy:.2f} threads were active on average."]
    if profile.samples < ENOUGH:
        text.append(f"Below {ENOUGH} samples, shares are rough. Profile for longer, or under more load.")
    waits = sum(row["own"] for row in rows if WAITS.fullmatch(row["function"]))
    own = [row for row in rows if row["own"] and not WAITS.fullmatch(row["function"])]
    text += [f"Own time: {row['own_share']:g} % in {row['function']}" for row in own[:shown]]
    passed = passing(profile)
    total = [row for row in by_total(rows) if row["function"] not in passed and not WAITS.fullmatch(row["function"])]
    text += [f"Total time: {row['total_share']:g} % in {row['function']}" for row in total[:shown]]
    text += (
        [f"Waiting: {share(waits, profile.samples):g} % in functions that wait, such as for a socket."] if waits else []
    )
    text += [f"The GIL was held {gil:g} % of the time."] if gil is not None else []
    parts = [f"{kind} {part:g} %" for kind, part in kinds(profile).items()]
    return [*text, f"Samples with a module of: {', '.join(parts)}."]


def differ(before: float, after: float, counts: tuple[int, int]) -> bool:
    """Whether two shares (0 to 1) of so many samples differ by more than chance explains."""
    first, second = counts
    if min(counts) < 1:
        return False
    pooled = (before * first + after * second) / (first + second)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / first + 1 / second))
    return abs(after - before) > SURE * deviation > 0 if 0 < pooled < 1 else False


def compare(before: Profile, after: Profile) -> list[Difference]:
    """Each function's shares in both profiles, the largest difference of own time first."""
    first, second = ({row["function"]: row for row in functions(one)} for one in (before, after))
    counts = before.samples, after.samples
    rows: list[Difference] = []
    for function in first.keys() | second.keys():
        own, total = (
            [
                one[function][which] / max(n, 1) if function in one else 0.0
                for one, n in zip((first, second), counts, strict=True)
            ]
            for which in ("own", "total")
        )
        rows.append(
            {
                "function": function,
                "own_before": round(100 * own[0], 1),
                "own_after": round(100 * own[1], 1),
                "total_before": round(100 * total[0], 1),
                "total_after": round(100 * total[1], 1),
                "certain": differ(own[0], own[1], counts) or differ(total[0], total[1], counts),
            }
        )
    return sorted(
        rows,
        key=lambda row: (
            -abs(row["own_after"] - row["own_before"]),
            -abs(row["total_after"] - row["total_before"]),
            row["function"],
        ),
    )


def compared(before: Profile, after: Profile, shown: int = 10) -> list[str]:
    """The comparison in sentences: what takes a larger and what a smaller share, as far as that is no chance."""
    counts = f"{before.samples} samples before, {after.samples} after."
    if min(before.samples, after.samples) < ENOUGH:
        return [f"{counts} Not enough data: both need {ENOUGH}. Profile for longer, or under more load."]
    passed = passing(before) | passing(after)
    certain = [
        row
        for row in compare(before, after)
        # The difference of a function that passes its time on is listed as that of the one that it calls.
        if row["certain"] and (row["function"] not in passed or abs(row["own_after"] - row["own_before"]) >= 1)
    ]
    text = [f"{counts} Shares are of the samples of each profile."]
    if not certain:
        return [*text, "No function's share differs by more than chance explains."]
    for row in certain[:shown]:
        own, total = row["own_after"] - row["own_before"], row["total_after"] - row["total_before"]
        text.append(
            f"{row['function']}: own time {row['own_before']:g} -> {row['own_after']:g} % ({own:+.1f}), "
            f"total {row['total_before']:g} -> {row['total_after']:g} % ({total:+.1f})"
        )
    return [*text, f"{len(certain) - shown} further functions differ."] if len(certain) > shown else text
