# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as systemd reads them in a unit and in an environment file."""

from __future__ import annotations

import re
import typing as t

_PLAIN = re.compile(r"[A-Za-z0-9_./:@,+=-]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def command_line(argv: t.Sequence[object]) -> str:
    """`argv` as the value of ExecStart=, each word quoted where it has to be.

    See "COMMAND LINES" in systemd.service(5): % introduces specifiers, $ variables, and \\ C escapes.
    Raises ValueError for a program that is not an absolute path: anything before the slash would be a prefix such as
    `-` or `+`, which changes what systemd makes of it.
    """
    if not argv or not str(argv[0]).startswith("/"):
        raise ValueError(f"the program must be an absolute path, not {str(argv[0])!r}" if argv else "it is empty")
    return " ".join(_word(str(word)) for word in argv)


def _word(word: str) -> str:
    escaped = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN.fullmatch(word):
        return escaped
    escaped = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def environment(variables: t.Mapping[str, object]) -> str:
    """`variables` as an EnvironmentFile=; true and false in lower case, nothing where a value is none.

    Raises ValueError that names every variable whose name or value systemd would refuse or leave out in silence.
    """
    if not isinstance(variables, t.Mapping):
        raise ValueError(f"it is {type(variables).__name__}, not names and values")
    bad = [str(name) for name in variables if not _NAME.fullmatch(str(name))]
    if bad:
        raise ValueError(f"not names of environment variables: {', '.join(bad)}")
    nested = [name for name, value in variables.items() if isinstance(value, (t.Mapping, list, tuple, set))]
    if nested:
        raise ValueError(f"not text, a number or a boolean: {', '.join(nested)}")
    return "".join(f"{name}={_value(value)}\n" for name, value in sorted(variables.items()))


def _value(value: object) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if not text or _PLAIN.fullmatch(text):
        return text
    return '"' + re.sub(r'(["\\`$])', r"\\\1", text) + '"'
