# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a roll-back goes: one set for all instances, also when a rollout or a roll-back ended halfway."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


@dataclasses.dataclass(frozen=True)
class Known:
    """A set that an instance knows: `digest` names its files, `label` is the version that it runs."""

    digest: str
    label: str


@dataclasses.dataclass(frozen=True)
class Instance:
    """What an instance runs, ran before, and was returned from, each None where there is no such set.

    `settled` False: its links say so, but a run was killed before its service was proven with it.
    """

    name: str
    current: Known | None
    previous: Known | None
    returned: Known | None
    settled: bool = True


@dataclasses.dataclass(frozen=True)
class Target:
    """What all instances shall run; `instances` are those that have to be returned to it."""

    known: Known
    instances: tuple[str, ...]


def choose(instances: t.Sequence[Instance]) -> Target:
    """The one set that every instance either runs or ran before.

    Digests decide, not the names of links: after half a rollout "previous" means another version on each instance.
    Raises InfraError where there is none.
    """
    # What all ran before comes first; then what some run already, which is half a rollout or half a roll-back.
    candidates = [i.previous for i in instances] + [i.current for i in instances]
    for known in dict.fromkeys(known for known in candidates if known):
        if not all(known.digest in _digests(instance) for instance in instances):
            continue
        behind = tuple(i.name for i in instances if not (i.settled and i.current and i.current.digest == known.digest))
        if behind or any(i.returned for i in instances):
            return Target(known, behind)
    said = "; ".join(f"{i.name} runs {_label(i.current)}, before {_label(i.previous)}" for i in instances)
    raise InfraError(
        "roll back",
        ", ".join(i.name for i in instances) or "the API",
        f"the instances have no set before the present one in common ({said or 'there are none'})",
        "Deploy the version that you want by its number: make deploy VERSION=...",
    )


def _digests(instance: Instance) -> set[str]:
    return {known.digest for known in (instance.current, instance.previous) if known}


def _label(known: Known | None) -> str:
    return known.label if known else "nothing"
