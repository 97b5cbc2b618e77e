# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations of resources: validated all at once, ordered by what they refer to, and resolved."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import Facts, Kind

#: @vpc/main is the id of that resource, @vpc/main.arn another of its outputs. What begins with @@ is no reference.
REFERENCE = re.compile(r"@(?P<key>[a-z0-9_]+/[^\s@.][^\s@]*?)(?:\.(?P<output>[a-z_]+))?")
#: The options by which a module takes declarations (fragment declared_resources).
DECLARED: dict[str, t.Any] = {
    "environment": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "resources": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "kind": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "properties": {"type": "dict", "default": {}},
        },
    },
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "lose": {"type": "list", "elements": "str", "default": []},
}
#: Rows of a cycle that a message shows.
SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Declared:
    """One declaration. `key` is kind/name, by which others refer to it and messages name it."""

    kind: Kind
    name: str
    properties: Facts
    needs: frozenset[str]

    @property
    def key(self) -> str:
        return f"{self.kind.name}/{self.name}"


def references(value: t.Any) -> t.Iterator[tuple[str, str]]:
    """Key and output of each reference in a value, however deep."""
    if isinstance(value, str) and (found := REFERENCE.fullmatch(value)):
        yield found["key"], found["output"] or "id"
    elif isinstance(value, t.Mapping):
        for one in value.values():
            yield from references(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from references(one)


def resolved(value: t.Any, outputs: t.Mapping[str, Facts]) -> t.Any:
    """`value` with its references replaced by the outputs of the resources they name."""
    if isinstance(value, str):
        if found := REFERENCE.fullmatch(value):
            return output_of(found["key"], found["output"] or "id", outputs)
        return value[1:] if value.startswith("@@") else value
    if isinstance(value, t.Mapping):
        return {name: resolved(one, outputs) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolved(one, outputs) for one in value]
    return value


def output_of(key: str, name: str, outputs: t.Mapping[str, Facts]) -> t.Any:
    known = outputs[key]
    if name not in known:
        raise InfraError(
            "resolve the reference", f'"@{key}.{name}"', f"{key} has only {', '.join(sorted(known))}", "Correct it."
        )
    return known[name]


def declared(
    rows: t.Sequence[Facts],
    kinds: t.Mapping[str, Kind],
    secrets: t.Mapping[str, t.Any] | None = None,
    *,
    removed: bool = False,
) -> list[Declared]:
    """The declarations in an order in which each follows what it refers to. Raises InfraError with every fault.

    The value of a secret property is a name in `secrets`: so declarations can be logged and shown. For what is to be
    `removed`, nobody needs its secrets.
    """
    faults: list[str] = []
    found: dict[str, Declared] = {}
    for row in rows:
        kind = kinds.get(str(row["kind"]))
        label = f"{row['kind']}/{row['name']}"
        if kind is None:
            faults.append(f"{label}: there is no kind {row['kind']}; there are {', '.join(sorted(kinds))}")
            continue
        if label in found:
            faults.append(f"{label} is declared twice")
        given = {name: value for name, value in (row.get("properties") or {}).items() if value is not None}
        properties, wrong = validated(kind, given)
        unknown = [] if removed else with_secrets(kind, properties, secrets or {})
        faults += [f"{label}: {fault}" for fault in wrong + unknown]
        found[label] = Declared(
            kind, str(row["name"]), properties, frozenset(key for key, _output in references(properties))
        )
    for one in found.values():
        faults += [f"{one.key}: {key} is not declared" for key in sorted(one.needs - found.keys())]
        for key, output in references(one.properties):
            known = found[key].kind.outputs if key in found else (output,)
            if output not in known:
                faults.append(f"{one.key}: {key} has no output {output}; it has {', '.join(known)}")
    if not faults:
        ordered, cycle = in_order(found)
        if not cycle:
            return ordered
        faults.append(f"these refer to each other: {', '.join(cycle[:SHOWN])}")
    count = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
    raise InfraError(
        "accept the declaration of",
        "the resources",
        f"it has {count}",
        "Correct the declaration and run again; nothing was changed.",
        detail="\n".join(f"- {fault}" for fault in faults),
        faults=faults,
    )


def validated(kind: Kind, given: Facts) -> tuple[dict[str, t.Any], list[str]]:
    """The properties with their types and defaults, and what is wrong with them."""
    spec = {
        name: {
            "type": one.type,
            "required": one.required,
            **({} if one.default is None else {"default": one.default}),
            **({"choices": list(one.choices)} if one.choices else {}),
        }
        for name, one in kind.properties.items()
    }
    result = ArgumentSpecValidator(spec).validate(dict(given))
    values = {name: value for name, value in result.validated_parameters.items() if value is not None}
    faults = list(result.error_messages) or out_of_range(kind, values)
    return values, faults or kind.faults(values)


def out_of_range(kind: Kind, values: Facts) -> list[str]:
    found = []
    for name, value in values.items():
        one = kind.properties[name]
        if (one.least is not None and value < one.least) or (one.most is not None and value > one.most):
            bounds = f"from {one.least} to {one.most}" if one.most is not None else f"at least {one.least}"
            found.append(f"{name} is {value}, and must be {bounds}")
    return found


def with_secrets(kind: Kind, properties: dict[str, t.Any], secrets: t.Mapping[str, t.Any]) -> list[str]:
    """Put the secrets in the place of their names; what is wrong with them."""
    faults = []
    for name in [name for name in properties if name in kind.properties and kind.properties[name].secret]:
        value = str(secrets.get(properties[name]) or "")
        if not value:
            faults.append(f"{name} names {properties[name]}, and secrets has no such entry, or an empty one")
        # A secret is never a reference.
        properties[name] = f"@{value}" if value.startswith("@") else value
    for name in [name for name in properties if name in kind.properties]:
        if reveal := kind.properties[name].reveal:
            properties[name], wrong = reveal(properties[name], secrets)
            faults += [f"{name}{fault}" for fault in wrong]
    return faults


def in_order(found: t.Mapping[str, Declared]) -> tuple[list[Declared], list[str]]:
    """Each after what it needs, otherwise as declared; and those that can't be ordered."""
    left, ordered = dict(found), t.cast("list[Declared]", [])
    while ready := [one for one in left.values() if not one.needs & left.keys()]:
        ordered += ready
        for one in ready:
            del left[one.key]
    return ordered, sorted(left)
