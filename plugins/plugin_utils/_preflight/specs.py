# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of values against specifications, and suggestions for misspelt names.

Stricter than Ansible's own validation: it finds every problem instead of the first, and never prints a secret.
"""

from __future__ import annotations

import collections.abc as c
import dataclasses
import difflib
import re
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.formats import check_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.limits import limits_of
from ansible_collections.nexod.infra.plugins.plugin_utils._software.options import archive_misfit

Options = t.Mapping[str, t.Mapping[str, t.Any]]

_TRUE = frozenset({"yes", "on", "1", "true", "y", "t"})
_FALSE = frozenset({"no", "off", "0", "false", "n", "f"})


@dataclasses.dataclass(frozen=True)
class Misfit:
    """One way in which a value does not fit: `where` below the variable (``[2].port``), why, and what to do next."""

    where: str
    cause: str
    next_step: str


def did_you_mean(name: str, known: t.Iterable[str], cutoff: float = 0.75) -> str | None:
    """The known name that is closest to `name`, or None."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def is_missing(value: object) -> bool:
    """None, or an empty or blank string (the result of a lookup of an unset environment variable)."""
    return value is None or (isinstance(value, str) and not value.strip())


_SECRET_NAME = re.compile(r"(password|secret|token|credentials?|private_key|dsn)$")


def is_secret(name: str, spec: t.Mapping[str, t.Any]) -> bool:
    """Whether a value must never be shown: its specification is no_log, or its name is that of a secret."""
    return bool(spec.get("no_log")) or _SECRET_NAME.search(name) is not None


def misfits(value: object, spec: t.Mapping[str, t.Any], where: str = "", option: str = "") -> list[Misfit]:
    """All the ways in which `value` does not fit its specification, nested options included.

    `option` is the name of the option, by which the form of a text is checked.
    """
    kind = spec.get("type", "str")
    shown = "" if spec.get("no_log") else _shown(value)
    if not _is_of_type(value, kind):
        expected = _A_VALUE_OF.get(kind, kind)
        return [Misfit(where, f"{shown}must be {expected}", f"Set it to {expected}.")]
    if kind in ("int", "float"):
        limits = limits_of(spec)
        # Not a number (nan) is in no range.
        if limits and not limits.allows(float(str(value))):
            return [Misfit(where, f"{shown}must be {limits.text}", f"Set it to {_A_VALUE_OF[kind]}, {limits.text}.")]
    if kind == "list":
        return _misfits_of_list(value, spec, where, option)
    if kind == "dict" and spec.get("options") and isinstance(value, c.Mapping):
        found = _misfits_of_dict(value, spec["options"], where, option, secret=bool(spec.get("no_log")))
        # What is wrong inside comes first: the whole is only looked at where its parts are right.
        wrong = None if found else archive_misfit(option, t.cast("t.Mapping[str, t.Any]", value))
        return found + ([Misfit(where, *wrong)] if wrong else [])
    return _misfits_of_choice(value, spec, where, shown) or _misfits_of_form(value, where, shown, option)


def _misfits_of_form(value: object, where: str, shown: str, option: str) -> list[Misfit]:
    # A duration may be a number; a boolean is none.
    text = isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != ""
    check = check_of(option) if option and text else None
    expected = check(str(value)) if check else ""
    return [Misfit(where, f"{shown}must be {expected}", f"Set it to {expected}.")] if expected else []


def _misfits_of_choice(value: object, spec: t.Mapping[str, t.Any], where: str, shown: str) -> list[Misfit]:
    choices = spec.get("choices")
    if not choices or str(value) in {str(choice) for choice in choices}:
        return []
    meant = did_you_mean(str(value), [str(choice) for choice in choices])
    allowed = ", ".join(map(str, choices))
    next_step = f"Did you mean {meant}?" if meant else f"Set it to one of: {allowed}."
    return [Misfit(where, f"{shown}must be one of: {allowed}", next_step)]


def _misfits_of_list(value: object, spec: t.Mapping[str, t.Any], where: str, option: str) -> list[Misfit]:
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, c.Sequence) else [value]
    element = {**spec, "type": spec.get("elements", "raw")}
    element.pop("elements", None)
    return [found for index, item in enumerate(items) for found in misfits(item, element, f"{where}[{index}]", option)]


def _misfits_of_dict(
    value: t.Mapping[object, object], options: Options, where: str, option: str, *, secret: bool
) -> list[Misfit]:
    found = []
    known = {alias for name, spec in options.items() for alias in (name, *spec.get("aliases", ()))}
    for key in value:
        if str(key) not in known:
            meant = did_you_mean(str(key), known, cutoff=0.6)
            next_step = f"Did you mean {meant}?" if meant else f"Use one of: {', '.join(sorted(known))}."
            found.append(Misfit(where, f'has an unknown key "{key}"', next_step))
    for name, spec in options.items():
        key = next((alias for alias in (name, *spec.get("aliases", ())) if alias in value), None)
        if key is None:
            if spec.get("required"):
                found.append(Misfit(where, f'has no key "{name}"', _with_summary("Add it", spec)))
        elif spec.get("required") and is_missing(value[key]):
            found.append(Misfit(f"{where}.{key}", "is empty", _with_summary("Set it", spec)))
        elif value[key] is not None:
            below = {**spec, "no_log": secret or is_secret(name, spec)}
            found += misfits(value[key], below, f"{where}.{key}", f"{option}.{name}" if option else "")
    return found


def summary(spec: t.Mapping[str, t.Any]) -> str:
    """The first sentence of an option's description, without Ansible's markup."""
    description = spec.get("description") or ""
    text = description if isinstance(description, str) else str(next(iter(description), ""))
    return re.sub(r"\b(?:[CBIVO]|RV)\(([^)]*)\)", r"\1", text).strip()


def _with_summary(next_step: str, spec: t.Mapping[str, t.Any]) -> str:
    text = summary(spec)
    return f"{next_step}: {text}" if text else f"{next_step}."


def _shown(value: object) -> str:
    """A scalar as it was written; nothing for lists and mappings, which may contain secrets."""
    if not isinstance(value, (str, int, float)):
        return ""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return f"is {text if len(text) <= 60 else text[:57] + '...'}, but "


def _number(value: object, kind: t.Callable[[str], object]) -> bool:
    if isinstance(value, bool):
        return False
    try:
        kind(str(value))
    except ValueError:
        return False
    return True


_SIZE = re.compile(r"^\s*\d+(\.\d+)?\s*[KMGTPEZY]?[Bb]?\s*$")

_A_VALUE_OF = {
    "bool": "true or false",
    "bits": "a size such as 10Mb",
    "bytes": "a size such as 10M",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a path",
    "str": "a string",
}


def _is_of_type(value: object, kind: str) -> bool:
    """Whether `value` is of the type `kind` by Ansible's own rules."""
    fits: dict[str, t.Callable[[], bool]] = {
        "bool": lambda: isinstance(value, bool) or str(value).strip().lower() in _TRUE | _FALSE,
        "bits": lambda: _SIZE.match(str(value)) is not None,
        "bytes": lambda: _SIZE.match(str(value)) is not None,
        "dict": lambda: isinstance(value, c.Mapping),
        "float": lambda: _number(value, float),
        "int": lambda: _number(value, int),
        # Ansible splits a string at its commas and makes a number a list of one; both are usually mistakes.
        "list": lambda: isinstance(value, c.Sequence) and not isinstance(value, (str, bytes)),
        "path": lambda: isinstance(value, str),
        "str": lambda: not isinstance(value, (c.Mapping, list, tuple, set)),
    }
    return kind not in fits or fits[kind]()
