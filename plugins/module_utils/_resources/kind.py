# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine must know of a type of resource: how it is read, compared, made, changed and removed."""

from __future__ import annotations

import dataclasses
import re
import typing as t

Facts = t.Mapping[str, t.Any]
#: The tag by which a resource belongs to an environment, where there are tags. What lacks it is somebody else's, and is
#: not touched.
OWNER = "nexod:environment"
#: What a change of a property means.
UPDATE, REPLACE, FIXED = "update", "replace", "fixed"


class Unknown(str):
    """A value that will be known when the resource it comes from has been created; used in check mode."""


#: Such a value, also as a text that other modules were given.
LATER = re.compile(r"\(known when (?P<key>\S+) is created\)")


def known_later(key: str) -> Unknown:
    return Unknown(f"(known when {key} is created)")


def same(wanted: t.Any, seen: t.Any) -> bool:
    return bool(wanted == seen)


def same_set(wanted: t.Any, seen: t.Any) -> bool:
    """Lists whose order means nothing."""
    return sorted(map(str, wanted or ())) == sorted(map(str, seen or ()))


def at_least(wanted: t.Any, seen: t.Any) -> bool:
    """A value that the other side may have increased by itself, such as storage, and that can't be decreased."""
    return seen is not None and seen >= wanted


def same_number(wanted: t.Any, seen: t.Any) -> bool:
    return seen is not None and float(wanted) == float(seen)


def as_it_is(value: t.Any) -> t.Any:
    return value


@dataclasses.dataclass(frozen=True)
class Property:
    """A property of a declaration.

    `type` is a type of Ansible's argument specifications. `change`: "update" in place; "replace", where only another
    resource can be made in its place; "fixed", where not even that is offered here. `about` is for the documentation.
    A property that contains secrets beside what may be shown has `reveal`, which puts them in the place of their names
    and says what is wrong, and `show`, which makes of a value what a diff shows.
    """

    type: str = "str"
    required: bool = False
    default: t.Any = None
    change: str = UPDATE
    same: t.Callable[[t.Any, t.Any], bool] = same
    secret: bool = False
    reveal: t.Callable[[t.Any, Facts], tuple[t.Any, list[str]]] | None = None
    show: t.Callable[[t.Any], t.Any] = as_it_is
    choices: tuple[t.Any, ...] = ()
    least: int | None = None
    most: int | None = None
    about: str = ""


@dataclasses.dataclass(frozen=True)
class Seen:
    """A resource as it is: `properties` named as in declarations, `outputs` for other resources to refer to.

    `waiting`: why it can't be used or changed yet; empty when it can.
    """

    properties: Facts
    outputs: Facts
    tags: Facts = dataclasses.field(default_factory=dict)
    waiting: str = ""
    leaving: bool = False
    #: False where the tags of what is being changed are not shown.
    tags_known: bool = True


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A declaration with its references resolved: `name` is its name there, or its tag Name where it has none."""

    name: str
    properties: Facts
    tags: Facts

    def __getitem__(self, name: str) -> t.Any:
        return self.properties[name]


class Kind:
    """A type of resource. Subclasses are small: the calls of its API and no decisions."""

    #: Whose resources these are, for the messages.
    party: t.ClassVar[str]
    #: Whether its resources have tags, which say whose they are. Others are ours if they have the name.
    tagged: t.ClassVar[bool] = True
    #: Whether it always exists, so that there is nothing to remove.
    permanent: t.ClassVar[bool] = False

    #: As in declarations, such as rds_instance.
    name: t.ClassVar[str]
    #: For the reports: what a person calls it.
    title: t.ClassVar[str]
    properties: t.ClassVar[t.Mapping[str, Property]]
    #: What others may refer to. `Seen.outputs` can have more, for the kind itself.
    outputs: t.ClassVar[tuple[str, ...]]
    #: Whether its removal or replacement loses data that nothing else has.
    holds_data: t.ClassVar[bool] = False
    #: Seconds until it must be ready, or gone.
    patience: t.ClassVar[float] = 300.0
    #: Words of refusals that pass by themselves: one service does not know yet what another has just made.
    not_yet: t.ClassVar[tuple[str, ...]] = ()

    def faults(self, given: Facts) -> list[str]:  # noqa: ARG002 - for subclasses
        """What is wrong with properties that are each right; references are not resolved yet."""
        return []

    def settable(self, wanted: Wanted) -> list[str]:
        """The declared properties that can differ from what there is: not those that only say where it is."""
        return list(wanted.properties)

    def read(self, api: t.Any, wanted: Wanted) -> Seen | None:
        """The resource as it is, or None."""
        raise NotImplementedError

    def foresee(self, api: t.Any, wanted: Wanted) -> None:
        """In check mode, raise InfraError if what is needed for a creation can be known to be missing."""

    def foresee_update(self, api: t.Any, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        """Raise InfraError if it can be known that an update of these properties would be refused."""

    def foresee_removal(self, api: t.Any, wanted: Wanted, seen: Seen) -> None:
        """The same of a removal. In check mode, what else the run would remove before still exists."""

    def create(self, api: t.Any, wanted: Wanted) -> t.Collection[str] | None:
        """Create it, and name the properties that only an update can set."""
        raise NotImplementedError

    def update(self, api: t.Any, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> t.Collection[str] | None:
        """Bring the properties named in `changed` to the declared values.

        Where only one change is made at a time, those that are left for the next call, when this change has ended.
        """
        raise NotImplementedError

    #: Properties whose change has a last step, which is possible only when the others have ended.
    finishes: t.ClassVar[frozenset[str]] = frozenset()

    def finish(self, api: t.Any, wanted: Wanted, seen: Seen) -> None:
        """Do that last step."""

    def later(self, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> str:  # noqa: ARG002 - for subclasses
        """What is applied only later, and when: of what it has accepted, and of `changed`, which is to be sent."""
        return ""

    def refusal(self, seen: Seen, replaced: t.Collection[str]) -> tuple[str, str] | None:  # noqa: ARG002
        """Cause and next step, where more is known than that a replacement would lose data."""
        return None

    def stays(self, wanted: Wanted) -> bool:  # noqa: ARG002 - for subclasses
        """Whether state absent leaves it."""
        return self.permanent

    def retire(self, api: t.Any, wanted: Wanted, seen: Seen) -> bool:  # noqa: ARG002 - for subclasses
        """Do what must have ended before it can be deleted, such as disabling it; whether there is such a thing."""
        return False

    def delete(self, api: t.Any, wanted: Wanted, seen: Seen) -> None:
        raise NotImplementedError

    def tag(self, api: t.Any, seen: Seen, tags: Facts) -> None:
        """Set the tags, all of which are given. Only for kinds that are `tagged`."""
        raise NotImplementedError
