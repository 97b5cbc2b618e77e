# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target of a rollback: one set for all instances, even if a rollout or rollback was interrupted."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


@dataclasses.dataclass(frozen=True)
class Known:
    """A set on an instance: `digest` identifies its files, `label` is the version."""

    digest: str
    label: str


@dataclasses.dataclass(frozen=True)
class Instance:
    """The sets that an instance runs, ran before, and was rolled back from; None if there is no such set.

    `settled` False: the links name the current set, but a run was killed before its service was verified.
    """

    name: str
    current: Known | None
    previous: Known | None
    returned: Known | None
    settled: bool = True


@dataclasses.dataclass(frozen=True)
class Target:
    """The set that all instances are to run; `instances` are those that must be rolled back to it."""

    known: Known
    instances: tuple[str, ...]


def choose(instances: t.Sequence[Instance]) -> Target:
    """The set that every instance either runs or ran before.

    Digests are compared, not the names of links: after an interrupted rollout, "previous" is a different version on
    each instance. Raises InfraError if there is no such set.
    """
    # First the previous sets, then the current ones, in case a rollout or rollback was interrupted.
    candidates = [i.previous for i in instances] + [i.current for i in instances]
    for known in dict.fromkeys(known for known in candidates if known):
        if not all(known.digest in _digests(instance) for instance in instances):
            continue
        behind = tuple(i.name for i in instances if not (i.settled and i.current and i.current.digest == known.digest))
        if behind or any(i.returned for i in instances):
            return Target(known, behind)
    said = "; ".join(f"{i.name} runs {_label(i.current)}, previously {_label(i.previous)}" for i in instances)
    raise InfraError(
        "roll back",
        ", ".join(i.name for i in instances) or "the API",
        f"the instances have no previous set in common ({said or 'there are no instances'})",
        "Deploy the desired version explicitly: make deploy VERSION=...",
    )


def _digests(instance: Instance) -> set[str]:
    return {known.digest for known in (instance.current, instance.previous) if known}


def _label(known: Known | None) -> str:
    return known.label if known else "nothing"
