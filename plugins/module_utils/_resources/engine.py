# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies declarations of resources: reads, compares, refuses, changes, waits, and looks again.

Nothing is stored anywhere: what exists is read in each run, so a run that was killed is continued by the next.
Independent resources are handled at the same time.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import Declared, resolved
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    OWNER,
    REPLACE,
    UPDATE,
    Facts,
    Kind,
    Property,
    Seen,
    Wanted,
    known_later,
)

WORKERS = 8
#: Seconds between two looks at a resource that is not ready: the first, by which it grows, and the longest.
PAUSE, GROWTH, LONGEST_PAUSE = 0.5, 1.6, 15.0
#: Seconds for which a service may not know everywhere what it has just made.
MOST_LAG = 60.0
HIDDEN = "..."
Tell = t.Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Policy:
    """What a run may do: `environment` is whose resources these are.

    `lose`: keys of resources that may be removed or replaced although they hold data; `adopt`: those that may be taken
    over although no tag marks them as ours.
    """

    environment: str
    tags: Facts = dataclasses.field(default_factory=dict)
    lose: frozenset[str] = frozenset()
    adopt: frozenset[str] = frozenset()

    @property
    def all_tags(self) -> dict[str, str]:
        return {**{str(key): str(value) for key, value in self.tags.items()}, OWNER: self.environment}


@dataclasses.dataclass(frozen=True)
class Change:
    """What was done to a resource, or would be: `action` is create, update, replace or delete."""

    key: str
    action: str
    before: Facts
    after: Facts


@dataclasses.dataclass
class Outcome:
    """`outputs` by key, `changes` and `faults` in the order of the declarations."""

    outputs: dict[str, Facts]
    changes: list[Change]
    faults: list[tuple[str, InfraError]]
    #: What was accepted, or would be, and is applied only later, by key.
    later: dict[str, str] = dataclasses.field(default_factory=dict)


class Door(t.Protocol):
    """The way to what the kinds read and change, which they know more about."""

    #: In check mode, nothing that changes anything may be sent.
    check: bool

    def refresh(self) -> None:
        """What is read from now on must be new; answers of before may be used for several kinds until then."""


class Clock(t.Protocol):
    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


def differences(kind: Kind, wanted: Wanted, seen: Seen) -> list[str]:
    """Names of the declared properties that are not as declared, and `tags` where one of them is missing."""
    names = [
        name
        for name, value in wanted.properties.items()
        if not kind.properties[name].same(value, seen.properties.get(name))
    ]
    return [*names, *(["tags"] if kind.tagged and wanted.tags.items() - seen.tags.items() else [])]


def shown(kind: Kind, names: t.Iterable[str], values: Facts) -> dict[str, t.Any]:
    """The values for a diff, without secrets."""
    return {name: shown_value(kind.properties.get(name), values.get(name)) for name in names if name in values}


def shown_value(known: Property | None, value: t.Any) -> t.Any:
    """`known`: the property; tags are none."""
    if known is None:
        return value
    return HIDDEN if known.secret else known.show(value)


class Engine:
    """Handles declarations. `tell` receives what the engine waits for."""

    def __init__(self, api: Door, policy: Policy, tell: Tell = lambda _text: None, clock: t.Any = time) -> None:
        self.api, self.policy, self.tell, self.clock = api, policy, tell, t.cast("Clock", clock)
        self._changes: dict[str, Change] = {}
        self._outputs: dict[str, Facts] = {}
        self._later: dict[str, str] = {}

    def present(self, rows: t.Sequence[Declared]) -> Outcome:
        """Create and update what is declared; `rows` are in an order in which each follows what it needs."""
        return self._run(rows, {one.key: one.needs for one in rows}, self._apply)

    def absent(self, rows: t.Sequence[Declared]) -> Outcome:
        """Remove what is declared, each before what it needs. Nothing is removed unless all could be read."""
        looked = self._run(rows, {one.key: one.needs for one in rows}, self._look)
        if looked.faults:
            return looked
        before = {one.key: frozenset(other.key for other in rows if one.key in other.needs) for one in rows}
        return self._run(list(reversed(rows)), before, self._remove)

    def _run(
        self,
        rows: t.Sequence[Declared],
        after: t.Mapping[str, t.Collection[str]],
        handle: t.Callable[[Declared], None],
    ) -> Outcome:
        futures: dict[str, concurrent.futures.Future[None]] = {}

        def one_by_one(one: Declared) -> None:
            # Those were handed in before this one, so they are running or have ended, and no worker waits forever.
            failed = [key for key in sorted(after[one.key]) if futures[key].exception()]
            if failed:
                raise SkippedError(one.key, failed)
            handle(one)

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for one in rows:
                futures[one.key] = pool.submit(one_by_one, one)
        faults = []
        for key, future in futures.items():
            error = future.exception()
            if isinstance(error, InfraError):
                faults.append((key, error))
            elif error is not None and not isinstance(error, SkippedError):
                raise error
        changes = [self._changes[one.key] for one in rows if one.key in self._changes]
        return Outcome(dict(self._outputs), changes, faults, dict(self._later))

    # -- one resource

    def _wanted(self, one: Declared) -> Wanted:
        return Wanted(one.name, resolved(one.properties, self._outputs), self.policy.all_tags)

    def _read(self, one: Declared, wanted: Wanted) -> Seen | None:
        """The resource, if it is ours. Where its tags are not shown, when they are, for which check mode waits too."""
        seen = one.kind.read(self.api, wanted)
        if seen is None or seen.tags_known:
            return self._ours(one, seen)
        # What is being removed is only waited for, whosever it is.
        return seen if seen.leaving else self._ours(one, self._await(one, wanted, settled=False))

    def _apply(self, one: Declared) -> None:
        kind, wanted = one.kind, self._wanted(one)
        seen = self._read(one, wanted)
        if seen and seen.leaving:
            if not self.api.check:
                self._await(one, wanted, gone=True)
            seen = None
        if seen is None and kind.permanent and not self.api.check:
            # What it is a part of was perhaps created just now.
            seen = self._await(one, wanted, settled=False)
        changed = differences(kind, wanted, seen) if seen else kind.settable(wanted) if kind.permanent else []
        action = "create" if not (seen or kind.permanent) else self._action(one, seen, changed)
        if action == "create" and self.api.check:
            kind.foresee(self.api, wanted)
        if action == "update" and seen:
            kind.foresee_update(self.api, wanted, seen, changed)
        if action:
            self._note(one, action, wanted, seen, changed)
        if not self.api.check:
            seen = self._change(one, wanted, seen, action, changed)
        if seen and action != "replace":
            sent = changed if self.api.check and action == "update" else ()
            if later := kind.later(wanted, seen, sent):
                self._later[one.key] = later
        # Check mode has only seen what would be replaced.
        predicted = seen is None or (self.api.check and action == "replace")
        self._outputs[one.key] = Later(one.key) if predicted else t.cast("Seen", seen).outputs

    def _change(
        self, one: Declared, wanted: Wanted, seen: Seen | None, action: str, changed: t.Sequence[str]
    ) -> Seen | None:
        kind = one.kind
        if seen and action and seen.waiting:
            # Changes are refused while another one is in progress.
            seen = self._await(one, wanted, settled=False)
        if seen and action == "replace":
            self._delete(one, wanted, seen)
            seen = None
        if seen is None:
            self._create(one, wanted)
        elif action == "update":
            if properties := [name for name in changed if name != "tags"]:
                self._update(one, wanted, seen, properties)
            if "tags" in changed:
                # A change of properties may be in progress, and may have changed tags of the kind's own.
                latest = t.cast("Seen", self._await(one, wanted, settled=False)) if properties else seen
                kind.tag(self.api, latest, {**latest.tags, **wanted.tags})
        return self._await(one, wanted, settled=bool(action)) if action or (seen and seen.waiting) else seen

    def _create(self, one: Declared, wanted: Wanted) -> None:
        """Create it; again for a while, where it is not yet known everywhere what was just made for it."""
        begun, pause = self.clock.monotonic(), PAUSE
        while True:
            try:
                return self._follow(one, wanted, one.kind.create(self.api, wanted))
            except InfraError as error:
                late = self.clock.monotonic() - begun > MOST_LAG
                if late or not any(text in error.cause for text in one.kind.not_yet):
                    raise
                self.tell(f"{one.key}: {error.cause}")
            self.clock.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * GROWTH)

    def _update(self, one: Declared, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._follow(one, wanted, one.kind.update(self.api, wanted, seen, changed))
        if one.kind.finishes & set(changed):
            ended = t.cast("Seen", self._await(one, wanted, settled=False))
            one.kind.finish(self.api, wanted, ended)

    def _follow(self, one: Declared, wanted: Wanted, left: t.Collection[str] | None) -> None:
        """Do what is `left` of a change, when what was done of it has ended."""
        while left:
            seen = t.cast("Seen", self._await(one, wanted, ignored=frozenset({*left, "tags"})))
            left = [name for name in differences(one.kind, wanted, seen) if name in left]
            if left:
                left = one.kind.update(self.api, wanted, seen, left)

    def _delete(self, one: Declared, wanted: Wanted, seen: Seen) -> None:
        if one.kind.retire(self.api, wanted, seen):
            seen = t.cast("Seen", self._await(one, wanted, settled=False))
        one.kind.delete(self.api, wanted, seen)
        self._await(one, wanted, gone=True)

    def _look(self, one: Declared) -> None:
        """Learn what others refer to."""
        seen = None if one.kind.permanent else one.kind.read(self.api, self._wanted(one))
        self._outputs[one.key] = seen.outputs if seen else Later(one.key)

    def _remove(self, one: Declared) -> None:
        kind, wanted = one.kind, self._wanted(one)
        seen = None if kind.stays(wanted) else self._read(one, wanted)
        if seen is None:
            return
        if kind.holds_data and one.key not in self.policy.lose:
            raise self._keeps(one, "remove")
        kind.foresee_removal(self.api, wanted, seen)
        self._note(one, "delete", wanted, seen, list(seen.properties))
        if self.api.check:
            return
        if seen.leaving:
            self._await(one, wanted, gone=True)
        else:
            self._delete(one, wanted, seen)

    def _action(self, one: Declared, seen: Seen | None, changed: t.Sequence[str]) -> str:
        """What is to be done to a resource that exists, or will; refuses what would lose data or can't be done."""
        kind = one.kind
        ways = {name: kind.properties[name].change if name != "tags" else UPDATE for name in changed}
        if seen is None:
            return "update" if changed else ""
        if fixed := [name for name, way in ways.items() if way == FIXED]:
            values = ", ".join(f"{name} is {seen.properties.get(name)!r}" for name in fixed)
            raise InfraError(
                "change",
                one.key,
                f"{values}, and {kind.party} can't change that",
                "Declare it as it is, or remove the resource first. Nothing was done to it.",
            )
        if REPLACE in ways.values():
            if kind.holds_data and one.key not in self.policy.lose:
                names = [name for name, way in ways.items() if way == REPLACE]
                if known := kind.refusal(seen, names):
                    raise InfraError("replace", one.key, known[0], known[1].format(key=one.key))
                raise self._keeps(one, "replace", f" ({', '.join(names)} can't be changed in place)")
            return "replace"
        return "update" if changed else ""

    def _keeps(self, one: Declared, verb: str, why: str = "") -> InfraError:
        return InfraError(
            verb,
            one.key,
            f"it holds data that would be lost{why}",
            f'Make a backup, then allow it by its name: lose: ["{one.key}"]. Nothing was done to it.',
        )

    def _ours(self, one: Declared, seen: Seen | None) -> Seen | None:
        if seen is None or not one.kind.tagged:
            return seen
        owner = seen.tags.get(OWNER)
        if owner == self.policy.environment or (owner is None and one.key in self.policy.adopt):
            return seen
        raise InfraError(
            "manage",
            one.key,
            f"a {one.kind.title} of this name belongs to the environment {owner}"
            if owner
            else f"a {one.kind.title} of this name exists, and its tags don't say that it is ours ({OWNER})",
            "Choose another name"
            + ("." if owner else f', or take it over: adopt: ["{one.key}"].')
            + " Nothing was done to it.",
        )

    def _await(
        self,
        one: Declared,
        wanted: Wanted,
        *,
        gone: bool = False,
        settled: bool = True,
        ignored: t.Collection[str] = frozenset(),
    ) -> Seen | None:
        """Look at a resource until it is gone, or ready and, if `settled`, as declared but for what is `ignored`.

        Raises when patience ends.
        """
        kind, begun, pause, told = one.kind, self.clock.monotonic(), PAUSE, ""
        while True:
            self.api.refresh()
            seen = kind.read(self.api, wanted)
            left = self._left(one, wanted, seen, gone=gone, settled=settled, ignored=ignored)
            if not left:
                return seen
            if left != told:
                self.tell(f"{one.key}: {left}")
                told = left
            if self.clock.monotonic() - begun > kind.patience:
                raise InfraError(
                    "wait for",
                    one.key,
                    f"after {kind.patience:.0f} s {left}",
                    f"See what {kind.party} says of it in the console, then run again: the run goes on where this one "
                    "ended.",
                )
            self.clock.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * GROWTH)

    @staticmethod
    def _left(
        one: Declared, wanted: Wanted, seen: Seen | None, *, gone: bool, settled: bool, ignored: t.Collection[str]
    ) -> str:
        if gone:
            return "" if seen is None else "it still exists"
        if seen is None:
            return "it does not exist yet"
        if seen.waiting:
            return seen.waiting
        left = [name for name in differences(one.kind, wanted, seen) if name not in ignored] if settled else []
        return f"{one.kind.party} does not show the declared {', '.join(left)} yet" if left else ""

    def _note(self, one: Declared, action: str, wanted: Wanted, seen: Seen | None, changed: t.Sequence[str]) -> None:
        names = list(wanted.properties) if action in ("create", "replace") else list(changed)
        before = {} if seen is None else shown(one.kind, names, {**seen.properties, "tags": dict(seen.tags)})
        after = {} if action == "delete" else shown(one.kind, names, {**wanted.properties, "tags": dict(wanted.tags)})
        self._changes[one.key] = Change(one.key, action, before, after)


class Later(dict[str, t.Any]):
    """The outputs of a resource that does not exist, or not yet: each is known when it is created."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def __contains__(self, _name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> t.Any:
        return known_later(self.key)


class SkippedError(Exception):
    """A resource was not handled, because one that it needs failed."""

    def __init__(self, key: str, failed: t.Sequence[str]) -> None:
        super().__init__(f"{key} was not handled: {', '.join(failed)} failed")
