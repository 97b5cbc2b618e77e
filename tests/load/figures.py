"""What a load has seen, and what that comes to. Standard library only, no clock: times are told to it, in seconds."""

from __future__ import annotations

import bisect
import dataclasses
import ipaddress
import itertools
import math
import typing as t
import urllib.parse
from collections import Counter

KEPT_FAILURES = 50
# 1001 going away, 1012 service restart: a client that hears one of them connects anew.
GOOD_CLOSES = frozenset({1001, 1012})
ABNORMAL = 1006  # never sent: the connection ended without a close frame (RFC 6455, 7.1.5)
LABS = [ipaddress.ip_network(f"10.213.{number}.0/24") for number in (77, 81)]


def refused_target(url: str) -> str | None:
    """Why no load may go to `url`; None where it may: this machine, or the lab."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "http":
        return f"Cannot load {url}: only http:// is spoken; give the lab's edge or an address of this machine."
    try:
        address = ipaddress.ip_address("127.0.0.1" if parts.hostname == "localhost" else parts.hostname or "")
    except ValueError:
        return f"Cannot load {url}: {parts.hostname!r} is a name; give an address, so that nobody else is ever hit."
    if address.is_loopback or any(address in lab for lab in LABS):
        return None
    labs = ", ".join(map(str, LABS))
    return f"Cannot load {url}: {address} is neither this machine nor a lab ({labs}); nothing else is a target."


def percentile(values: t.Sequence[float], share: float) -> float | None:
    """The value that `share` of the sorted `values` do not exceed (nearest rank)."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else None


def longest_stall(good: t.Sequence[float], begin: float, end: float) -> float:
    """The longest time between two successive good answers that touches `begin`..`end`; `good` is sorted.

    The whole gap counts in each phase that it touches, and so does one that nothing has ended.
    """
    first, after = bisect.bisect_left(good, begin), bisect.bisect_right(good, end)
    chain = [good[first - 1] if first else begin, *good[first:after], good[after] if after < len(good) else end]
    return max(later - earlier for earlier, later in itertools.pairwise(chain))


@dataclasses.dataclass(frozen=True)
class Request:
    """A request: when it was due, when its answer was there. Between them lies what its user has waited.

    `late` is the part of it that the load itself is to blame for: how long after `due` the request was begun.
    """

    due: float
    done: float
    good: bool
    late: float


@dataclasses.dataclass
class Book:
    """What happened, as it happens. Times are of one clock; `began` is where it stood when the load began."""

    began: float
    requests: list[Request] = dataclasses.field(default_factory=list)
    phases: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    ended: float | None = None
    failures: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    failed: int = 0
    sessions: dict[str, int] = dataclasses.field(default_factory=lambda: {"created": 0, "lost": 0})
    slow: dict[str, int] = dataclasses.field(default_factory=lambda: {"begun": 0, "whole": 0})
    versions: Counter[str] = dataclasses.field(default_factory=Counter)
    opened: int = 0
    echoes: int = 0
    closes: Counter[int] = dataclasses.field(default_factory=Counter)
    lived: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    not_opened: int = 0

    def __post_init__(self) -> None:
        self.phases.append(("start", self.began))

    def mark(self, phase: str, now: float) -> None:
        self.phases.append((phase, now))

    def fail(self, now: float, method: str, path: str, what: str) -> None:
        """Keep a failure of any kind; the first ones in full."""
        if len(self.failures) < KEPT_FAILURES:
            at = round(now - self.began, 3)
            self.failures.append({"at": at, "phase": self.phases[-1][0], "method": method, "path": path, "what": what})

    def answered(self, due: float, now: float, method: str, path: str, fault: str | None, late: float = 0) -> None:
        self.requests.append(Request(due, now, fault is None, late))
        if fault is not None:
            self.failed += 1
            self.fail(now, method, path, fault)

    def closed(self, now: float, code: int, seconds: float) -> None:
        """A WebSocket that the other side has closed; ABNORMAL where it just ended."""
        self.closes[code] += 1
        at = round(now - self.began, 3)
        self.lived.append({"at": at, "phase": self.phases[-1][0], "code": code, "seconds": round(seconds, 3)})
        if code not in GOOD_CLOSES:
            self.fail(now, "WS", "/ws", f"closed with {code} after {seconds:.1f} s")

    def phase(self, begin: float, end: float) -> dict[str, t.Any]:
        ours = [request for request in self.requests if begin <= request.due < end]
        waited = sorted(round(request.done - request.due, 4) for request in ours if request.good)
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
        return {
            "seconds": round(end - begin, 3),
            "requests": len(ours),
            "per_second": round(len(ours) / (end - begin), 1) if end > begin else None,
            "failed": sum(not request.good for request in ours),
            **{name: percentile(waited, share) for name, share in shares.items()},
            "longest_stall": round(longest_stall(self.good, begin, end), 3),
            "latest": round(max((request.late for request in ours), default=0.0), 4),
        }

    @property
    def good(self) -> list[float]:
        return sorted(request.done for request in self.requests if request.good)

    def report(self, now: float) -> dict[str, t.Any]:
        """All of it, as JSON has it. Latencies are those of good answers, from when the request was due."""
        end = now if self.ended is None else self.ended
        borders = [*(begin for _name, begin in self.phases[1:]), end]
        bad = sum(number for code, number in self.closes.items() if code not in GOOD_CLOSES)
        return {
            "format": 1,
            "seconds": round(end - self.began, 3),
            "total": self.phase(self.began, math.nextafter(end, math.inf)),
            "phases": [
                {"name": name, **self.phase(begin, until)}
                for (name, begin), until in zip(self.phases, borders, strict=True)
            ],
            "failed": self.failed,
            "failures": self.failures,
            "sessions": self.sessions,
            # Asked for when all have ended: what has not ended whole was cut.
            "slow_calls": {
                **self.slow,
                "cut": self.slow["begun"] - self.slow["whole"],
                "versions": dict(self.versions),
            },
            "websockets": {
                "opened": self.opened,
                "not_opened": self.not_opened,
                "echoes": self.echoes,
                "closed": {str(code): number for code, number in sorted(self.closes.items())},
                "abnormal": bad,
                "lived": self.lived,
            },
        }


def faults(report: t.Mapping[str, t.Any], websockets: bool = True) -> list[str]:
    """What in a report is not "nobody noticed"; empty where nobody did."""
    sockets = report["websockets"]
    counted = {
        "requests failed": report["failed"],
        "sessions were lost": report["sessions"]["lost"],
        "slow calls were cut": report["slow_calls"]["cut"],
        "WebSockets were closed without a going-away code": sockets["abnormal"],
        "WebSockets could not be opened": sockets["not_opened"],
    }
    found = [f"{number} {what}" for what, number in counted.items() if number]
    # A load that asked nothing has proven nothing.
    done = {
        "request was answered": report["total"]["requests"] - report["failed"],
        "session was created": report["sessions"]["created"],
        "slow call ended whole": report["slow_calls"]["whole"],
        # Unless the load was held without any.
        **({"WebSocket was opened": sockets["opened"]} if websockets else {}),
    }
    return found + [f"no {what}" for what, number in done.items() if not number]


def table(report: t.Mapping[str, t.Any]) -> str:
    """The figures for people."""

    def ms(seconds: float | None) -> str:
        return "-" if seconds is None else f"{seconds * 1000:.0f} ms"

    head = f"{'phase':<12}{'s':>7}{'requests':>10}{'a second':>10}{'failed':>8}"
    lines = [head + "".join(f"{name:>10}" for name in ("p50", "p95", "p99", "max", "stall", "late"))]
    for row in [*report["phases"], {"name": "all", **report["total"]}]:
        numbers = f"{row['seconds']:>7.0f}{row['requests']:>10}{row['per_second'] or 0:>10.1f}{row['failed']:>8}"
        times = "".join(f"{ms(row[name]):>10}" for name in ("p50", "p95", "p99", "max", "longest_stall", "latest"))
        lines.append(f"{row['name']:<12}{numbers}{times}")
    slow, sockets, sessions = report["slow_calls"], report["websockets"], report["sessions"]
    closed = ", ".join(f"{number} with {code}" for code, number in sockets["closed"].items()) or "none"
    opened = f"{sockets['opened']} opened, {sockets['not_opened']} not opened"
    lines += [
        f"sessions    {sessions['created']} created, {sessions['lost']} lost",
        f"slow calls  {slow['begun']} begun, {slow['whole']} whole, {slow['cut']} cut",
        f"WebSockets  {opened}, closed by the other side: {closed}",
    ]
    words = "  {at:8.1f} s {phase}: {method} {path}: {what}"
    shown = [words.format(**failure) for failure in report["failures"][:10]]
    return "\n".join([*lines, *(["first failures:", *shown] if shown else [])])
