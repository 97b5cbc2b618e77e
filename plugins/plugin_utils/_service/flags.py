# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command-line flags from options, and words as a systemd unit has them. Pure functions."""

from __future__ import annotations

import re
import typing as t

TRUE, FALSE = "true", "false"
_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")


def pairs(flags: t.Mapping[str, t.Any]) -> list[tuple[str, str | None]]:
    """Name and value of each flag, a list being one flag for each value; None where a flag has no value.

    Booleans given as text are booleans: AWX surveys and INI inventories know no others.
    """
    found: list[tuple[str, str | None]] = []
    for name, value in flags.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            text = str(one).lower() if isinstance(one, bool) else str(one)
            lowered = TRUE if text.lower() == TRUE else FALSE if text.lower() == FALSE else text
            found.append((str(name).lstrip("-"), None if one is None else lowered))
    return found


def words(flags: t.Mapping[str, t.Any], dashes: str = "--") -> list[str]:
    """The flags as words of a command line.

    Programs with two dashes write booleans as `--name` and `--no-name`, those with one (Go's own flag package) as
    `-name=true`.
    """
    found = []
    for name, value in pairs(flags):
        if dashes == "--" and value in (TRUE, FALSE):
            found.append(f"--{name}" if value == TRUE else f"--no-{name}")
        else:
            found.append(f"{dashes}{name}" if value is None else f"{dashes}{name}={value}")
    return found


def reserved(flags: t.Mapping[str, t.Any], owners: t.Mapping[str, str], option: str) -> list[str]:
    """A sentence for each flag of `option` that the role sets itself; `owners` says what to use in its place."""
    return [
        f'{option} contains "{name}", which the role sets itself; {owners[known]}'
        for name, _value in pairs(flags)
        for known in dict.fromkeys((name, name.removeprefix("no-")))
        if known in owners
    ]


def unit_word(word: str) -> str:
    """A word as it stands in ExecStart=, quoted where systemd would read it otherwise.

    Raises ValueError on a line break, which no unit can hold.
    """
    if "\n" in word:
        raise ValueError(f"Cannot write {word!r} into a unit: it contains a line break; remove it")
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
