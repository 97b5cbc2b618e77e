# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specifications read as data: does a value fit, and which name was meant.

Stricter than Ansible's own validation in two ways: it finds every fault instead of the first, and it never repeats a
secret's value.
"""

from __future__ import annotations

import collections.abc as c
import dataclasses
import difflib
import re
import typing as t

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
    """The known name that was probably meant by `name`, or None."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def is_missing(value: object) -> bool:
    """Nothing there: None, or a string of nothing but spaces (what a lookup of an unset environment variable gives)."""
    return value is None or (isinstance(value, str) and not value.strip())


_SECRET_NAME = re.compile(r"(password|secret|token|credentials?|private_key|dsn)$")


def is_secret(name: str, spec: t.Mapping[str, t.Any]) -> bool:
    """Whether a value must never be shown: its specification says so, or its name does and the author forgot."""
    return bool(spec.get("no_log")) or _SECRET_NAME.search(name) is not None


def misfits(value: object, spec: t.Mapping[str, t.Any], where: str = "") -> list[Misfit]:
    """All the ways in which `value` does not fit its specification, nested options included."""
    wanted = spec.get("type", "str")
    fault = _type_fault(value, wanted)
    shown = "" if spec.get("no_log") else _shown(value)
    if fault:
        return [Misfit(where, f"is{shown} {fault}", f"Give it {_A_VALUE_OF.get(wanted, wanted)}.")]
    if wanted == "list":
        return _misfits_of_list(value, spec, where)
    if wanted == "dict" and spec.get("options") and isinstance(value, c.Mapping):
        return _misfits_of_dict(value, spec["options"], where, secret=bool(spec.get("no_log")))
    return _misfits_of_choice(value, spec, where, shown)


def _misfits_of_choice(value: object, spec: t.Mapping[str, t.Any], where: str, shown: str) -> list[Misfit]:
    choices = spec.get("choices")
    if not choices or str(value) in {str(choice) for choice in choices}:
        return []
    meant = did_you_mean(str(value), [str(choice) for choice in choices])
    next_step = f"Did you mean {meant}?" if meant else f"Give it one of: {', '.join(map(str, choices))}."
    return [Misfit(where, f"is{shown} none of its choices ({', '.join(map(str, choices))})", next_step)]


def _misfits_of_list(value: object, spec: t.Mapping[str, t.Any], where: str) -> list[Misfit]:
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, c.Sequence) else [value]
    element = {**spec, "type": spec.get("elements", "raw")}
    element.pop("elements", None)
    return [found for index, item in enumerate(items) for found in misfits(item, element, f"{where}[{index}]")]


def _misfits_of_dict(value: t.Mapping[object, object], options: Options, where: str, secret: bool) -> list[Misfit]:
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
                found.append(Misfit(where, f'lacks the key "{name}"', _with_summary("Add it", spec)))
        elif spec.get("required") and is_missing(value[key]):
            found.append(Misfit(f"{where}.{key}", "is empty", _with_summary("Give it a value", spec)))
        elif value[key] is not None:
            found += misfits(value[key], {**spec, "no_log": secret or is_secret(name, spec)}, f"{where}.{key}")
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
    """A scalar as it was written; nothing of a list or a mapping, which may hold secrets further down."""
    if not isinstance(value, (str, int, float)):
        return ""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return f" {text if len(text) <= 60 else text[:57] + '...'}, which is"


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
    "str": "a text",
}


def _type_fault(value: object, wanted: str) -> str:
    """Why `value` is not of the type `wanted`, by Ansible's own rules of what counts as one; empty when it is."""
    fits: dict[str, t.Callable[[], bool]] = {
        "bool": lambda: isinstance(value, bool) or str(value).strip().lower() in _TRUE | _FALSE,
        "bits": lambda: _SIZE.match(str(value)) is not None,
        "bytes": lambda: _SIZE.match(str(value)) is not None,
        "dict": lambda: isinstance(value, c.Mapping),
        "float": lambda: _number(value, float),
        "int": lambda: _number(value, int),
        # Ansible splits a text at its commas and takes a number as a list of one: both are more often a slip.
        "list": lambda: isinstance(value, c.Sequence) and not isinstance(value, (str, bytes)),
        "path": lambda: isinstance(value, str),
        "str": lambda: not isinstance(value, (c.Mapping, list, tuple, set)),
    }
    return "" if wanted not in fits or fits[wanted]() else f"no {_NAME_OF.get(wanted, wanted)}"


_NAME_OF = {"bool": "boolean", "int": "whole number", "float": "number", "dict": "mapping", "str": "text"}
