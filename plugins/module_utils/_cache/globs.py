# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys a flush selects: prefixes and globs, read as Redis reads them, and protected keys they must not reach.

A glob is parsed into places, each the set of bytes allowed there, or None for any number of any bytes. The check
against the protected prefixes, the test of each key on the client, and the pattern for SCAN are all derived from that.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Glob: t.TypeAlias = "tuple[frozenset[int] | None, ...]"
EVERY_BYTE = frozenset(range(256))
SPECIAL = b"\\*?[]^-"
# A class of more first bytes than this excludes little; SCAN then returns every key.
WIDEST_CLASS = 64


@dataclasses.dataclass(frozen=True)
class Selector:
    """One prefix or pattern to flush: its name in the result, its glob, and the test of a key."""

    name: str
    glob_text: bytes
    glob: Glob
    prefix: bytes | None
    matches: t.Callable[[bytes], t.Any]


def raw(text: str, option: str = "the name") -> bytes:
    """The bytes of a name in an option; a surrogate that stands for no byte is refused."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        shown = text.encode("unicode_escape").decode()
        raise InfraError(
            "encode", f'{option} "{shown}"', "it contains half a character (a surrogate)", "Write it in UTF-8."
        ) from error


def escaped(literal: bytes) -> bytes:
    r"""`literal` as a glob; unescaped, ``cache[1]:`` would match nothing."""
    return b"".join(b"\\" + bytes((byte,)) if byte in SPECIAL else bytes((byte,)) for byte in literal)


def parse(text: bytes) -> Glob:
    """The places of a glob, read as Redis' stringmatchlen does; ValueError if servers may differ about it."""
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
    """The bytes of the class that begins at `at`, and the position of its closing bracket."""
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
                # Whether characters are signed, and so their order, depends on the server's machine.
                raise ValueError("a class with a range that ends beyond ASCII")
            found.update(range(low, high + 1))
            at += 2
        else:
            found.add(text[at])
        at += 1
    return (EVERY_BYTE - found if negated else frozenset(found)), at


def _with_empty_asterisks(glob: Glob, places: t.Iterable[int]) -> frozenset[int]:
    """`places`, and those after an asterisk, which may match nothing."""
    return frozenset(then for at in places for then in ((at, at + 1) if at < len(glob) and glob[at] is None else (at,)))


def reaches(glob: Glob, prefix: bytes) -> bool:
    """Whether some key that begins with `prefix` could match `glob`."""
    places = _with_empty_asterisks(glob, (0,))
    for byte in prefix:
        step: set[int] = set()
        for at in places:
            if at == len(glob):
                continue
            allowed = glob[at]
            if allowed is None:
                step.add(at)
            elif byte in allowed:
                step.add(at + 1)
        places = _with_empty_asterisks(glob, step)
    return bool(places)


def prefix_of(glob: Glob) -> bytes | None:
    """The prefix that `glob` is equal to; None if it is more than a prefix."""
    places = [place for place in glob[:-1] if place is not None and len(place) == 1]
    if not glob or glob[-1] is not None or len(places) != len(glob) - 1:
        return None
    return bytes(byte for place in places for byte in place)


def rendered(glob: Glob) -> bytes:
    """`glob` as text."""
    parts = []
    for allowed in glob:
        if allowed is None:
            parts.append(b"*")
        elif allowed == EVERY_BYTE:
            parts.append(b"?")
        elif len(allowed) == 1:
            parts.append(escaped(bytes(allowed)))
        else:
            parts.append(b"[" + escaped(bytes(sorted(allowed))) + b"]")
    return b"".join(parts)


def tester(glob: Glob) -> t.Callable[[bytes], t.Any]:
    """A function that tests whether a key matches."""
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


def superset(selectors: t.Sequence[Selector]) -> bytes:
    """One glob that matches every key of every selector, so that the keys are walked once and not once for each."""
    if len(selectors) == 1:
        return selectors[0].glob_text
    common = bytearray()
    while True:
        heads = [one.glob[len(common)] if len(common) < len(one.glob) else None for one in selectors]
        if any(head is None for head in heads) or not heads:
            return escaped(bytes(common)) + b"*"
        union = frozenset().union(*(head for head in heads if head is not None))
        if len(union) == 1:
            common.extend(union)
            continue
        if not union or len(union) > WIDEST_CLASS:
            return escaped(bytes(common)) + b"*"
        return escaped(bytes(common)) + b"[" + escaped(bytes(sorted(union))) + b"]*"


def prefix_selector(name: str) -> Selector:
    """The keys that begin with `name`, an entry of `prefixes`."""
    if not name:
        raise InfraError(
            "flush prefix",
            '""',
            "an empty prefix matches every key",
            'List the prefixes to flush, for example api: and user:. For every key, use the pattern "*".',
        )
    text = raw(name, "prefixes")
    if wildcards := [letter for letter in "*?" if letter in name]:
        raise InfraError(
            "flush prefix",
            f'"{name}"',
            f'it contains "{wildcards[0]}", and a prefix has no wildcards',
            f'Use the prefix without it, or write it in patterns; there "\\{wildcards[0]}" is the character itself.',
        )
    return literal(name, text)


def literal(name: str, prefix: bytes) -> Selector:
    text = escaped(prefix) + b"*"
    return Selector(name, text, parse(text), prefix, lambda key: key.startswith(prefix))


def pattern_selector(name: str) -> Selector:
    """The keys that match `name`, an entry of `patterns`."""
    text = raw(name, "patterns")
    try:
        glob = parse(text)
    except ValueError as error:
        raise InfraError(
            "flush pattern", f'"{name}"', f"it contains {error}", "Rewrite it without that. Nothing was deleted."
        ) from error
    if not glob:
        raise InfraError("flush pattern", '""', "it matches nothing", "Remove it.")
    return Selector(name, text, glob, None, tester(glob))


def assigned(keys: t.Sequence[bytes], selectors: t.Sequence[Selector]) -> list[list[bytes]]:
    """The keys of each selector; a key that several match belongs to the first of them."""
    left: t.Sequence[bytes] = keys
    groups: list[list[bytes]] = []
    for selector in selectors:
        prefix, matches = selector.prefix, selector.matches
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
