# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys a flush may take: prefixes and globs, read as Redis reads them, and protected keys they must not reach.

A glob is read into places, each the set of bytes that may stand there, or None for any number of any bytes. From that
one reading come the check against the protected prefixes, the test of each key on the client, and what SCAN is asked.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Glob: t.TypeAlias = "tuple[frozenset[int] | None, ...]"
EVERY_BYTE = frozenset(range(256))
SPECIAL = b"\\*?[]^-"
# A class of more first bytes than this says little; SCAN is then asked for every key.
WIDEST_CLASS = 64


@dataclasses.dataclass(frozen=True)
class Want:
    """One thing to flush: its name in the report, how Redis is asked for it, and how a key is tested here."""

    name: str
    text: bytes
    glob: Glob
    prefix: bytes | None
    matches: t.Callable[[bytes], t.Any]


@dataclasses.dataclass(frozen=True)
class Asked:
    """All that is to be flushed, and the prefixes whose keys stay."""

    wants: tuple[Want, ...]
    shields: tuple[bytes, ...]

    @property
    def scan(self) -> bytes:
        return superset(self.wants)

    @property
    def scan_protected(self) -> bytes:
        return superset([_literal("", shield) for shield in self.shields])


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def escaped(literal: bytes) -> bytes:
    r"""`literal` for use in a glob; unescaped, ``cache[1]:`` would match nothing."""
    return b"".join(b"\\" + bytes((byte,)) if byte in SPECIAL else bytes((byte,)) for byte in literal)


def parse(text: bytes) -> Glob:
    """The places of a glob, read as Redis' stringmatchlen does; ValueError where servers may differ about it."""
    places: list[frozenset[int] | None] = []
    at = 0
    while at < len(text):
        letter = text[at : at + 1]
        if letter == b"*":
            if not places or places[-1] is not None:
                places.append(None)
        elif letter == b"?":
            places.append(EVERY_BYTE)
        elif letter == b"[":
            found, at = _class(text, at + 1)
            places.append(found)
        else:
            if letter == b"\\" and at + 1 < len(text):
                at += 1
            places.append(frozenset((text[at],)))
        at += 1
    return tuple(places)


def _class(text: bytes, at: int) -> tuple[frozenset[int], int]:
    """The bytes of the class that begins at `at`, and where its closing bracket stands."""
    negated = text[at : at + 1] == b"^"
    at += negated
    found: set[int] = set()
    while True:
        left = len(text) - at
        if left == 0:
            raise ValueError("a class without its closing bracket")
        if text[at] == ord("\\") and left >= 2:
            found.add(text[at + 1])
            at += 1
        elif text[at] == ord("]"):
            break
        elif left >= 3 and text[at + 1] == ord("-"):
            low, high = sorted((text[at], text[at + 2]))
            if high > 127:
                # Servers compare signed or unsigned characters, as their machine has them.
                raise ValueError("a range of a class ends at a letter beyond ASCII")
            found.update(range(low, high + 1))
            at += 2
        else:
            found.add(text[at])
        at += 1
    return (EVERY_BYTE - found if negated else frozenset(found)), at


def _onwards(glob: Glob, places: t.Iterable[int]) -> frozenset[int]:
    """`places`, and those after an asterisk, which may stand for nothing."""
    return frozenset(then for at in places for then in ((at, at + 1) if at < len(glob) and glob[at] is None else (at,)))


def reaches(glob: Glob, shield: bytes) -> bool:
    """Whether some key that begins with `shield` could match `glob`."""
    places = _onwards(glob, (0,))
    for byte in shield:
        step: set[int] = set()
        for at in places:
            if at == len(glob):
                continue
            allowed = glob[at]
            if allowed is None:
                step.add(at)
            elif byte in allowed:
                step.add(at + 1)
        places = _onwards(glob, step)
    return bool(places)


def tester(glob: Glob) -> t.Callable[[bytes], t.Any]:
    """What says whether a key matches."""
    parts = []
    for allowed in glob:
        if allowed is None:
            parts.append(rb".*")
        elif not allowed:
            parts.append(rb"(?!)")
        elif allowed == EVERY_BYTE:
            parts.append(rb".")
        else:
            parts.append(b"[" + b"".join(rb"\x%02x" % byte for byte in sorted(allowed)) + b"]")
    return re.compile(b"".join(parts), re.DOTALL).fullmatch


def superset(wants: t.Sequence[Want]) -> bytes:
    """One glob that matches every key that one of `wants` does: the keys are walked once, not once for each."""
    if len(wants) == 1:
        return wants[0].text
    common = bytearray()
    while True:
        heads = [want.glob[len(common)] if len(common) < len(want.glob) else None for want in wants]
        if any(head is None for head in heads) or not heads:
            return escaped(bytes(common)) + b"*"
        union = frozenset().union(*(head for head in heads if head is not None))
        if len(union) == 1:
            common.extend(union)
            continue
        if not union or len(union) > WIDEST_CLASS:
            return escaped(bytes(common)) + b"*"
        return escaped(bytes(common)) + b"[" + escaped(bytes(sorted(union))) + b"]*"


def read_asked(
    prefixes: t.Sequence[str], patterns: t.Sequence[str], protect: t.Sequence[str], *, waived: bool
) -> Asked:
    """What is to go and what stays; refused is whatever could take a protected key with it."""
    if not protect and not waived:
        raise InfraError(
            "flush without",
            '"protect"',
            "no prefix is named whose keys must stay",
            "Name them, for example protect: [session:], or say by protect_nothing: true that every key may go.",
        )
    if protect and waived:
        raise InfraError(
            "flush with", '"protect_nothing"', "protect names prefixes as well", "Take one of the two away."
        )
    if not all(protect):
        raise InfraError(
            "protect prefix", '""', "an empty prefix is every key", "Name the prefixes whose keys must stay."
        )
    shields = tuple(raw(shield) for shield in protect)
    wants = (*map(_prefix, prefixes), *map(_pattern, patterns))
    for want in wants:
        for shield, name in zip(shields, protect, strict=True):
            if reaches(want.glob, shield):
                raise InfraError(
                    "flush prefix" if want.prefix is not None else "flush pattern",
                    f'"{want.name}"',
                    f'it reaches keys under the protected "{name}"',
                    "Name a longer prefix beside it, or take it away; nothing was deleted.",
                )
    return Asked(wants, shields)


def _prefix(name: str) -> Want:
    if not name:
        raise InfraError(
            "flush prefix",
            '""',
            "an empty prefix is every key",
            'Name the prefixes that may go, for example api: and user:; the pattern "*" is every key.',
        )
    return _literal(name, raw(name))


def _literal(name: str, literal: bytes) -> Want:
    text = escaped(literal) + b"*"
    return Want(name, text, parse(text), literal, lambda key: key.startswith(literal))


def _pattern(name: str) -> Want:
    try:
        glob = parse(raw(name))
    except ValueError as error:
        raise InfraError(
            "flush pattern", f'"{name}"', f"it holds {error}", "Write it without; nothing was deleted."
        ) from error
    if not glob:
        raise InfraError("flush pattern", '""', "it matches nothing", "Take it away.")
    return Want(name, raw(name), glob, None, tester(glob))


def sorted_out(keys: t.Sequence[bytes], wants: t.Sequence[Want]) -> list[list[bytes]]:
    """For each of `wants` its keys; a key that several match is the first one's, what none matches is nobody's."""
    left: t.Sequence[bytes] = keys
    groups: list[list[bytes]] = []
    for want in wants:
        prefix, matches = want.prefix, want.matches
        if prefix is None:
            mine = [key for key in left if matches(key)]
        else:
            mine = [key for key in left if key.startswith(prefix)]
        groups.append(mine)
        if len(mine) == len(left):
            left = ()
        elif mine:
            taken = set(mine)
            left = [key for key in left if key not in taken]
    return groups
