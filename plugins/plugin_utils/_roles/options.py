# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's options in the types of its specification, also where they were given as text.

``-e pgbouncer_pool_size=30``, AWX surveys and INI inventories give text. Ansible accepts it where an ``int`` is
specified, and leaves it as it is: ``{{ pgbouncer_pool_size + 1 }}`` then fails.
"""

from __future__ import annotations

import functools
import json
import os
import typing as t

import yaml
from ansible.module_utils.common.validation import check_type_bool, check_type_dict, check_type_float, check_type_int
from ansible.template import trust_as_template

Spec = t.Mapping[str, t.Any]
Options = t.Mapping[str, Spec]

#: Names that the overlay adds to the variables.
OPTIONS = "__nexod_options"
GIVEN = "__nexod_given_"
FILTER = "nexod.infra.as_specified"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _to_text(value: t.Any) -> t.Any:
    return value if isinstance(value, bool) else str(value)


def _to_list(value: t.Any) -> t.Any:
    """As Ansible itself, and a JSON list too, which it would split at its commas."""
    if not isinstance(value, str):
        return value if isinstance(value, (list, tuple)) else [value]
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [word.strip() for word in value.split(",")] if value.strip() else []


CASTS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "int": check_type_int,
    "float": check_type_float,
    "bool": check_type_bool,
    "str": _to_text,
    "path": _to_text,
    "list": _to_list,
    "dict": check_type_dict,
}
#: What needs no cast. A bool is an int for Python, and none for a user.
FITTING: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "str": (str,),
    "path": (str,),
    "list": (list, tuple),
    "dict": (dict,),
}


def _kind(spec: Spec) -> str:
    return str(spec.get("type", "str"))


def _elements(spec: Spec) -> Spec:
    """The specification of a list's elements."""
    return {"type": spec.get("elements", "raw"), "options": spec.get("options") or {}}


def as_specified(value: t.Any, spec: Spec) -> t.Any:
    """`value` in the type of `spec`, below it too; what does not fit is left as it is, for the role to refuse."""
    kind = _kind(spec)
    if value is None or kind not in CASTS:
        return value
    if not isinstance(value, FITTING[kind]) or (isinstance(value, bool) and kind != "bool"):
        try:
            value = CASTS[kind](value)
        except (TypeError, ValueError):
            return value
    if kind == "list" and spec.get("elements"):
        below = _elements(spec)
        return [as_specified(element, below) for element in value]
    if kind == "dict" and (options := spec.get("options")):
        return {name: as_specified(item, options.get(name, {"type": "raw"})) for name, item in value.items()}
    return value


def may_need_cast(raw: t.Any, spec: Spec) -> bool:
    """Whether `raw`, a variable before templating, may turn out to be of another type than `spec` says."""
    kind = _kind(spec)
    if raw is None or kind not in CASTS:
        return False
    if not isinstance(raw, FITTING[kind]) or (isinstance(raw, bool) and kind != "bool"):
        # Templates yield what they yield; for text that is always text, or Ansible would have refused it.
        return not (kind in ("str", "path") and isinstance(raw, bool))
    if kind == "list" and spec.get("elements"):
        below = _elements(spec)
        return any(may_need_cast(element, below) for element in t.cast("list[t.Any]", raw))
    if kind == "dict" and (options := spec.get("options")):
        items = t.cast("dict[str, t.Any]", raw).items()
        return any(may_need_cast(item, options[name]) for name, item in items if name in options)
    return False


@functools.lru_cache(maxsize=8)
def specification_of(role_path: str) -> Options:
    """The options of all entry points of the role in that folder, as specified; empty where it specifies none."""
    for name in ("argument_specs.yml", "argument_specs.yaml", "main.yml", "main.yaml"):
        try:
            with open(os.path.join(role_path, "meta", name), "rb") as stream:
                document = yaml.load(stream, Loader=_LOADER)  # noqa: S506 - safe, and in C where that is there
        except (OSError, yaml.YAMLError):
            continue
        specs = (document or {}).get("argument_specs") if isinstance(document, dict) else None
        if isinstance(specs, dict):
            found: dict[str, Spec] = {}
            for entry in sorted(specs, key=lambda entry: entry == "main"):
                found.update((specs[entry] or {}).get("options") or {})
            return found
    return {}


@functools.lru_cache(maxsize=8)
def options_of(role_path: str) -> Options:
    """The same, with nothing but what says which type a value has."""
    return _types(specification_of(role_path))


def _types(options: t.Mapping[str, t.Any]) -> dict[str, Spec]:
    """Of a specification only what says which type a value has."""
    return {
        name: {
            **{key: spec[key] for key in ("type", "elements") if key in spec},
            **({"options": _types(spec["options"])} if spec.get("options") else {}),
        }
        for name, spec in options.items()
    }


def specified(variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Variables to lay over `variables` (a task's), so that its role's options have their specified types.

    Nothing is templated here: each is a template that casts when, and if, somebody reads it.
    """
    parents: t.Any = variables.get("ansible_parent_role_paths") or ()
    options: dict[str, Spec] = {}
    # The role's own options last: they are meant where two roles have one of a name.
    for path in [*parents, variables.get("role_path")]:
        options.update(options_of(str(path)) if path else {})
    cast = [name for name, spec in options.items() if name in variables and may_need_cast(variables[name], spec)]
    if not cast:
        return {}
    overlay: dict[str, t.Any] = {OPTIONS: {name: options[name] for name in cast}}
    for name in cast:
        overlay[GIVEN + name] = variables[name]
        overlay[name] = trust_as_template(f"{{{{ {GIVEN}{name} | {FILTER}({OPTIONS}.{name}) }}}}")
    return overlay
