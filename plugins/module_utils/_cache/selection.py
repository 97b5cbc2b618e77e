# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a flush deletes and what it keeps, from the module's options."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache import globs
from ansible_collections.nexod.infra.plugins.module_utils._cache.protection import Protection, read_protection
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which of the selected keys are deleted."""

    type: str = ""  # as SCAN takes it; empty for all
    lifetime: str = "any"  # any, none, limited
    longer_than: float = 0.0  # seconds

    @property
    def by_lifetime(self) -> bool:
        return self.lifetime != "any" or self.longer_than > 0

    def passes(self, milliseconds: int) -> bool:
        """Whether a key with this reply to PTTL is deleted: -1 is a key that never expires, -2 one that is gone."""
        if milliseconds == -2:
            return False
        if self.lifetime != "any" and (milliseconds == -1) != (self.lifetime == "none"):
            return False
        return milliseconds == -1 or milliseconds > self.longer_than * 1000 or not self.longer_than


@dataclasses.dataclass(frozen=True)
class Selection:
    """All that is to be flushed, and what is kept."""

    selectors: tuple[globs.Selector, ...]
    protections: tuple[Protection, ...]
    filters: Filters = Filters()

    @property
    def scan(self) -> bytes:
        return globs.superset(self.selectors)

    @property
    def scan_protected(self) -> bytes:
        return globs.superset([selector for one in self.protections for selector in one.selectors])

    @property
    def protected_prefixes(self) -> tuple[bytes, ...]:
        """No key that begins with one of these can be reached by a selector."""
        return tuple(prefix for one in self.protections for prefix in one.prefixes)

    @property
    def protected_globs(self) -> tuple[t.Callable[[bytes], t.Any], ...]:
        """A selected key that matches one of these is kept."""
        return tuple(one.matches for one in self.protections if one.glob is not None)

    def protects(self, key: bytes) -> bool:
        return any(one.matches(key) for one in self.protections)


def read_selection(
    prefixes: t.Sequence[str],
    patterns: t.Sequence[str],
    protect: t.Sequence[str],
    *,
    waived: bool,
    filters: Filters = Filters(),
) -> Selection:
    """What is deleted and what is kept; refuses whatever could match a key under a protected prefix."""
    found = [*selection_faults(prefixes, patterns, protect, waived=waived)]
    if found:
        raise found[0]
    selectors = (*map(globs.prefix_selector, prefixes), *map(globs.pattern_selector, patterns))
    return Selection(selectors, tuple(map(read_protection, protect)), filters)


def selection_faults(
    prefixes: t.Sequence[str], patterns: t.Sequence[str], protect: t.Sequence[str], *, waived: bool
) -> t.Iterator[InfraError]:
    """Each reason not to flush."""
    if not protect and not waived:
        yield InfraError(
            "flush without",
            '"protect"',
            "no prefix is given whose keys must be kept",
            "Set it, for example protect: [session:], or set protect_nothing: true if every key may be deleted.",
        )
    if protect and waived:
        yield InfraError("flush with", '"protect_nothing"', "protect is not empty", "Remove one of the two options.")
    if not prefixes and not patterns:
        yield InfraError("flush", "the cache", "neither prefixes nor patterns are given", "Name the keys to delete.")
    protections: list[Protection] = []
    selectors: list[globs.Selector] = []
    for read, entries, into in (
        (read_protection, protect, protections),
        (globs.prefix_selector, prefixes, selectors),
        (globs.pattern_selector, patterns, selectors),
    ):
        for entry in entries:
            try:
                t.cast("list[t.Any]", into).append(t.cast("t.Callable[[str], t.Any]", read)(entry))
            except InfraError as error:
                yield error
    for selector in selectors:
        for protection in protections:
            if any(globs.reaches(selector.glob, prefix) for prefix in protection.prefixes):
                yield InfraError(
                    "flush prefix" if selector.prefix is not None else "flush pattern",
                    f'"{selector.name}"',
                    f'it matches keys under the protected prefix "{protection.name}"',
                    "Use one that does not match them, or remove it. Nothing was deleted.",
                )


def silent_no_op(selector: globs.Selector) -> str:
    """Why a selector that matched no key may have been meant otherwise; empty if nothing indicates that."""
    name = selector.name
    if name.strip() != name:
        return "it begins or ends with white space"
    if selector.prefix is not None and any(letter in name for letter in "[]\\"):
        return "a prefix is taken literally; globs belong into patterns"
    return ""
