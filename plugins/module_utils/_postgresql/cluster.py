# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides how to create a PostgreSQL cluster's data directory: not at all, by initdb, or as a copy of its primary."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Mapping

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


@dataclasses.dataclass(frozen=True)
class Local:
    """The data directory on the host.

    `started` tells whether a server ever ran on it: only postmaster writes postmaster.opts, and never removes it.
    What never ran and is no copy is what the package made at its installation, and holds nothing.
    """

    configured: bool = False
    exists: bool = False
    started: bool = False
    standby: bool = False
    running: bool = False
    system: str = ""
    timeline: int = 0
    position: int = 0

    @property
    def empty(self) -> bool:
        return not self.exists or (not self.started and not self.standby)


@dataclasses.dataclass(frozen=True)
class Upstream:
    """The primary, according to its replication protocol.

    `slot` is ``missing``, ``kept`` or ``lost`` (it fell out of max_slot_wal_keep_size).
    """

    system: str
    timeline: int
    position: int
    slot: str = "kept"


# How to make the slot usable, by its state.
RENEW: dict[str, list[str]] = {"kept": [], "missing": ["create_slot"], "lost": ["drop_slot", "create_slot"]}

STEPS = {
    "stop": "stop the server",
    "initdb": "make an empty database cluster (UTF-8, checksums)",
    "drop_slot": "drop the lost replication slot on the primary",
    "create_slot": "create the replication slot on the primary",
    "copy": "copy the primary (pg_basebackup)",
    "register": "register the cluster with the distribution (pg_createcluster)",
    "drop": "drop the cluster and its data (pg_dropcluster)",
}


def parse_lsn(text: str) -> int:
    """A write-ahead log position such as ``0/3000060`` as a number; 0 if there is none."""
    high, slash, low = text.strip().partition("/")
    return (int(high, 16) << 32) + int(low, 16) if slash else 0


def parse_controldata(text: str) -> tuple[str, int, int]:
    """System identifier, timeline and last known position in the output of pg_controldata (LC_ALL=C)."""
    rows = {
        name.strip(): value.strip()
        for name, colon, value in (line.partition(":") for line in text.splitlines())
        if colon
    }
    positions = [rows.get(name, "") for name in ("Latest checkpoint location", "Minimum recovery ending location")]
    timelines = [
        rows.get(name, "0") for name in ("Latest checkpoint's TimeLineID", "Min recovery ending loc's timeline")
    ]
    return (
        rows.get("Database system identifier", ""),
        max(int(value or 0) for value in timelines),
        max(parse_lsn(value) for value in positions),
    )


def parse_upstream(identity: str, slot: str) -> Upstream:
    """Parse the answers to IDENTIFY_SYSTEM (system|timeline|position|) and READ_REPLICATION_SLOT (type|position|)."""
    system, timeline, position = identity.strip().split("|")[:3]
    kind, _bar, rest = slot.strip().partition("|")
    state = "missing" if not kind else "kept" if rest.partition("|")[0] else "lost"
    return Upstream(system=system, timeline=int(timeline), position=parse_lsn(position), slot=state)


def divergence(local: Local, upstream: Upstream) -> str:
    """Why the data of `local` can't follow `upstream`; empty if it can."""
    if not local.standby:
        return "it holds the data of a primary of its own (it was promoted, or was a primary before)"
    if local.system != upstream.system:
        return (
            f"it is the copy of another primary (system identifier {local.system}, the primary has {upstream.system})"
        )
    if local.timeline > upstream.timeline:
        return f"it is on timeline {local.timeline}, the primary on {upstream.timeline}"
    if local.timeline == upstream.timeline and local.position > upstream.position:
        return "it holds changes that the primary doesn't have"
    return ""


def plan(local: Local, *, host: str, replica: bool, upstream: Upstream | None, rebuild: bool) -> list[str]:
    """Names of STEPS from `local` to the desired state.

    `upstream` is None where it could not be asked, which only check mode allows. Data that may be the last
    of its kind is never given up unless `rebuild` allows it.
    """
    steps: list[str] = []
    if not replica:
        if not local.empty and local.standby:
            raise InfraError(
                "make a primary of",
                f'"{host}"',
                "its cluster is a standby of another server",
                f"Promote it (pg_ctlcluster VERSION CLUSTER promote), or list {host} as a replica.",
            )
        steps = ["initdb"] if local.empty else []
    elif local.empty:
        slot = upstream.slot if upstream else "missing"
        steps = [*RENEW[slot], "copy"]
    elif upstream:
        reason = divergence(local, upstream)
        if reason and not rebuild:
            raise InfraError(
                "make a replica of",
                f'"{host}"',
                f"its data can't follow the primary: {reason}",
                "Check its data. If it may be deleted, set rebuild (postgresql_rebuild) for this host only.",
                host=host,
            )
        if reason or upstream.slot == "lost":
            # A standby that has lost its slot has no data that the primary lacks, so it is copied again without asking.
            steps = [*(["stop"] if local.running else []), *RENEW[upstream.slot], "copy"]
        else:
            steps = [*RENEW[upstream.slot]]
    if not local.configured:
        steps.append("register")
    return steps


def describe(local: Local, steps: list[str]) -> dict[str, str]:
    """The diff: the data directory and the planned steps."""
    if not local.exists:
        before = "no cluster"
    elif local.empty:
        before = "an empty cluster that never ran"
    else:
        before = "a standby" if local.standby else "a primary"
    after = "".join(f"- {STEPS[step]}\n" for step in steps)
    return {"before": f"{before}\n", "after": f"{before}\n{after}"}


def as_local(facts: Mapping[str, t.Any], controldata: str) -> Local:
    """`Local` from the files and the output of pg_controldata."""
    system, timeline, position = parse_controldata(controldata)
    return Local(**facts, system=system, timeline=timeline, position=position)
