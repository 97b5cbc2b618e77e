# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys an entry of `protect` keeps. No entry is taken to mean less than its author may have meant.

An entry is a prefix. If it contains glob characters, it protects what the glob matches and, besides, what begins with
its text as it stands. What would mean something else in a regular expression, a shell or SQL is refused, unless a
backslash makes it an ordinary character.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache import globs
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

GLOB_CHARACTERS = frozenset("*?[]\\")
# Refused wherever they occur without a backslash.
FOREIGN = {
    "^": "an anchor of a regular expression",
    "$": "an anchor of a regular expression or a variable of a shell",
    "|": "an alternative of a regular expression",
    "(": "a group of a regular expression",
    ")": "a group of a regular expression",
    "%": "a wildcard of SQL or an escape of a URL",
    ",": "a separator of a list",
    ";": "a separator of a list",
    '"': "a quotation mark",
    "'": "a quotation mark",
    "`": "a quotation mark",
}
# Refused as the first character.
LEADING = {"~": "the sign of a key pattern in an ACL", "!": "a negation", "+": "the sign of a command in an ACL"}
# Refused wherever they occur.
FOREIGN_PAIRS = {
    ".*": "any text in a regular expression",
    ".+": "any text in a regular expression",
    "{{": "a template that was not rendered",
    "}}": "a template that was not rendered",
}


@dataclasses.dataclass(frozen=True)
class Protection:
    """One entry of `protect`: the prefixes and globs of all its readings."""

    name: str
    prefixes: tuple[bytes, ...]
    glob: globs.Glob | None
    matches: t.Callable[[bytes], t.Any]

    @property
    def selectors(self) -> list[globs.Selector]:
        """What finds its keys."""
        found = [globs.literal(self.name, prefix) for prefix in self.prefixes]
        if self.glob is not None:
            found.append(globs.Selector(self.name, globs.rendered(self.glob), self.glob, None, self.matches))
        return found


def read_protection(entry: str) -> Protection:
    """The entry as a protection; InfraError if it may have been meant in a way that would not be followed."""
    if not entry:
        raise _refused(entry, "an empty prefix matches every key", "List the prefixes whose keys must be kept.")
    _refuse_foreign(entry)
    text = globs.raw(entry, "protect")
    if not GLOB_CHARACTERS & set(entry):
        return Protection(entry, (text,), None, lambda key: key.startswith(text))
    try:
        glob = globs.parse(text)
    except ValueError as error:
        raise _refused(
            entry, f"it contains {error}", 'Complete it, or write an ordinary bracket with a backslash: "\\\\[".'
        ) from error
    if any(place is not None and not place for place in glob):
        raise _refused(entry, "it matches no key", "Name the keys that must be kept.")
    glob = (*glob, None) if not glob or glob[-1] is not None else glob
    prefix = globs.prefix_of(glob)
    if prefix is not None:  # such as session:* or \^session
        return Protection(entry, tuple({text: 0, prefix: 0}), None, lambda key: key.startswith((text, prefix)))
    matches = globs.tester(glob)
    return Protection(entry, (text,), glob, lambda key: key.startswith(text) or bool(matches(key)))


def _refuse_foreign(entry: str) -> None:
    """Refuse what may have been meant in a syntax that is not followed here."""
    reason = _whitespace(entry) or _foreign(entry)
    if reason:
        raise _refused(
            entry,
            reason,
            "Write a prefix such as session: or a glob such as *:session:*. For a key that really contains the "
            "character, put a backslash before it.",
        )


def _whitespace(entry: str) -> str:
    escaped_end = entry[-2:-1] == "\\"
    if entry[0].isspace() or (entry[-1].isspace() and not escaped_end):
        return "it begins or ends with white space"
    return "it contains a control character" if any(letter < " " or letter == "\x7f" for letter in entry) else ""


def _foreign(entry: str) -> str:
    if entry[0] in LEADING:
        return f'it begins with "{entry[0]}", {LEADING[entry[0]]}'
    at, in_class = 0, False
    while at < len(entry):
        letter = entry[at]
        if letter == "\\" and at + 1 < len(entry):
            if entry[at + 1].isalnum():
                return f'it contains "{entry[at : at + 2]}", an escape of a regular expression'
            at += 2
            continue
        negation = letter == "^" and in_class and entry[at - 1] == "["
        if letter in FOREIGN and not negation:
            return f'it contains "{letter}", {FOREIGN[letter]}'
        if (pair := entry[at : at + 2]) in FOREIGN_PAIRS:
            return f'it contains "{pair}", {FOREIGN_PAIRS[pair]}'
        in_class = letter == "[" or (in_class and letter != "]")
        at += 1
    return ""


def _refused(entry: str, cause: str, next_step: str) -> InfraError:
    return InfraError("protect the keys", f'"{shown(entry)}"', cause, f"{next_step} Nothing was deleted.")


def shown(text: str) -> str:
    """`text` on one line, also if it can't be encoded."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
