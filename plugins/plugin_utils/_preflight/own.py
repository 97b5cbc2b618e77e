# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role checks of its own options where no preflight has run before it: ranges and forms.

Types, choices and required options are checked by Ansible itself, which has no keys for a range or a form.
"""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.formats import check_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import (
    Fault,
    missing_next_step,
    reached_from,
    scrub,
    secrets_in,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.limits import limits_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.specs import (
    Options,
    is_missing,
    is_secret,
    misfits,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.tables import NEEDED_SECRETS
from ansible_collections.nexod.infra.plugins.plugin_utils._roles.options import as_specified

Spec = t.Mapping[str, t.Any]


def is_bounded(name: str, spec: Spec) -> bool:
    """Whether an option, or one below it, has a range or a form: no others need to be evaluated."""
    number = spec.get("elements", spec.get("type")) in ("int", "float")
    return (
        (number and limits_of(spec) is not None)
        or check_of(name) is not None
        or any(is_bounded(f"{name}.{below}", inner) for below, inner in (spec.get("options") or {}).items())
    )


def own_faults(options: Options, is_given: t.Callable[[str], bool], value_of: t.Callable[[str], object]) -> list[str]:
    """A sentence for each value that is out of its range or not of its form, with what to do."""
    found: list[Fault] = []
    for name, spec in options.items():
        if not is_bounded(name, spec) or not is_given(name):
            continue
        # Text of the command line and of surveys is what Ansible lets it be.
        value = as_specified(value_of(name), spec)
        if value is not None:
            known = {**spec, "no_log": is_secret(name, spec)}
            found += [
                Fault(name + fault.where, fault.cause, fault.next_step) for fault in misfits(value, known, option=name)
            ]
    return [_sentence(fault) for fault in scrub(found, _secrets(options, is_given, value_of) if found else ())]


def empty_secrets(
    names: t.Iterable[str],
    raw: t.Mapping[str, object],
    value_of: t.Callable[[str], object],
    own: t.Iterable[str] = (),
) -> list[str]:
    """A sentence for each secret that the provider needs, that an option of `names` is made of, and that is empty.

    `raw`: the unevaluated variables. Where preflight has run, there is none. `own`: options that must not be empty
    themselves, as an inventory may set them otherwise.
    """
    found = _empty_needed(names, raw, value_of)
    left = () if found else [name for name in own if name in raw and is_missing(value_of(name))]
    return found + [_sentence(Fault(name, "is empty", missing_next_step(raw[name], name))) for name in left]


def _empty_needed(
    names: t.Iterable[str], raw: t.Mapping[str, object], value_of: t.Callable[[str], object]
) -> list[str]:
    needed = NEEDED_SECRETS.get(str(value_of("infra_provider")), ()) if "infra_provider" in raw else ()
    empty = {name for name in needed if name in raw and is_missing(value_of(name))}
    if not empty:
        return []
    # Of the environment only: what Ansible adds has the variables of all hosts in it.
    own = {name: value for name, value in raw.items() if name not in _OF_ANSIBLE}
    reached = {name for option in names if option in own for name in reached_from(option, own)}
    return [
        _sentence(Fault(name, "is empty", missing_next_step(raw[name], name)))
        for name in needed
        if name in empty & reached
    ]


_OF_ANSIBLE: t.Final = frozenset({"ansible_facts", "groups", "hostvars", "vars"})


def _secrets(options: Options, is_given: t.Callable[[str], bool], value_of: t.Callable[[str], object]) -> set[str]:
    """The role's secrets: one may be part of a URL that is shown."""
    given = [(name, spec) for name, spec in options.items() if is_given(name)]
    return {
        secret
        for name, spec in given
        for secret in secrets_in(value_of(name), {**spec, "no_log": is_secret(name, spec)})
    }


def _sentence(fault: Fault) -> str:
    step = fault.next_step.rstrip(".")
    return f"{fault.subject} {fault.cause}; {step[:1].lower()}{step[1:]}"
