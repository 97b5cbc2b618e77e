# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A resource of a REST API as a declaration: where it is, by what it is found, and which fields are ours."""

from __future__ import annotations

import hashlib
import re
import secrets
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    LATER,
    Facts,
    Kind,
    Property,
    Seen,
    Wanted,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client, Services

#: The property by which a declaration says which of several objects of its name is meant.
ID = Property(about="Its id, if several have its name.")

#: Begins the comment of something whose secret is ours: a salt and a fingerprint follow.
MARK = "nexod.infra"
#: In the place of a value that can't be read back.
UNREADABLE = "(a value that is not the declared one)"


def declared_part(wanted: t.Any, seen: t.Any) -> bool:
    """Whether `seen` has what is declared: vendors add fields to objects, and defaults to what was left out."""
    if isinstance(wanted, t.Mapping):
        return isinstance(seen, t.Mapping) and all(declared_part(value, seen.get(key)) for key, value in wanted.items())
    if isinstance(wanted, (list, tuple)):
        same_length = isinstance(seen, (list, tuple)) and len(wanted) == len(seen)
        return same_length and all(declared_part(one, other) for one, other in zip(wanted, seen, strict=True))
    return bool(wanted == seen)


def declared_rows(wanted: t.Any, seen: t.Any) -> bool:
    """The same of lists whose order the vendor changes: each declared row has one of its own."""
    left = list(seen or ())
    if len(wanted) != len(left):
        return False
    for row in wanted:
        found = next((other for other in left if declared_part(row, other)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def fingerprint(value: str, salt: str) -> str:
    """A text by which a secret is recognized that can't be read back, and from which it can't be guessed quickly."""
    return hashlib.scrypt(value.encode(), salt=salt.encode(), n=1 << 14, r=8, p=1, dklen=16).hex()


def marked(value: str) -> str:
    """The comment, or description, of something with this secret."""
    salt = secrets.token_hex(8)
    return f"{MARK} {salt} {fingerprint(value, salt)}"


def recognized(value: str, comment: str) -> bool:
    """Whether something with this comment has this secret."""
    words = comment.split()
    return len(words) == 3 and words[0] == MARK and secrets.compare_digest(words[2], fingerprint(value, words[1]))


def dig(row: t.Any, path: str) -> t.Any:
    """The value of a field, `a.b` for one within another; None where it is not there."""
    for name in path.split("."):
        row = row.get(name) if isinstance(row, t.Mapping) else None
    return row


def nested(values: t.Iterable[tuple[str, t.Any]]) -> dict[str, t.Any]:
    """The document with these fields, `a.b` within `a`."""
    document: dict[str, t.Any] = {}
    for path, value in values:
        *outer, last = path.split(".")
        place = document
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = value
    return document


class Resource(Kind):
    """A type of resource of a vendor. `api` of the methods is a `Services`.

    Most subclasses are only values: `collection` is the path of its list, where it is also made, `member` that of one,
    with `{id}` and names of properties in braces. Where `by_name`, `member` takes its name, and there is no list to
    search.
    """

    tagged = False
    #: Whose client it uses, as in `Services`.
    service: t.ClassVar[str]
    collection: t.ClassVar[str]
    member: t.ClassVar[str]
    #: The vendor's field with the name of the declaration.
    identity: t.ClassVar[str] = "name"
    by_name: t.ClassVar[bool] = False
    #: The method of a change, and whether it wants the whole object.
    method: t.ClassVar[str] = "PATCH"
    whole: t.ClassVar[bool] = False
    #: The vendor's fields, where they are called otherwise than the properties.
    fields: t.ClassVar[t.Mapping[str, str]] = {}
    #: Properties that are only part of paths, or only say which object is meant.
    places: t.ClassVar[frozenset[str]] = frozenset({"id"})
    #: Outputs and the vendor's fields.
    shows: t.ClassVar[t.Mapping[str, str]] = {"id": "id"}

    # -- what subclasses replace where a vendor is special

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:  # noqa: ARG002 - for subclasses
        """Properties of a found row, beside those whose fields are read as they are."""
        return {}

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:
        """What is sent for these properties."""
        return nested(
            (self.fields.get(name, name), wanted.properties[name]) for name in names if name in self.settable(wanted)
        )

    def waiting(self, row: Facts) -> str:  # noqa: ARG002 - for subclasses
        """Why it can't be used yet; empty when it can."""
        return ""

    # -- the kind

    def read(self, api: t.Any, wanted: Wanted) -> Seen | None:
        row = self.find(self.client(api), wanted)
        if row is None:
            return None
        properties = {name: dig(row, self.fields.get(name, name)) for name in self.settable(wanted)}
        properties |= {name: wanted.properties[name] for name in self.places if name in wanted.properties}
        properties |= self.seen_row(self.client(api), wanted, row)
        outputs = {name: dig(row, field) for name, field in self.shows.items()}
        return Seen(properties, outputs, waiting=self.waiting(row))

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        """Its row in the vendor's words, or None. Raises InfraError if several have the name."""
        if self.within_later(wanted):
            return None
        known = wanted.properties.get("id")
        if known or self.by_name:
            row = client.get(self.path(client, self.member, wanted, known or wanted.name))
            if known and row is None:
                raise InfraError(
                    "find", f"{self.name}/{wanted.name}", f"nothing has the id {known}", "Correct or remove the id."
                )
            return t.cast("Facts | None", row)
        rows = [row for row in self.rows(client, wanted) if dig(row, self.identity) == wanted.name]
        if len(rows) > 1:
            ids = ", ".join(str(dig(row, self.shows["id"])) for row in rows)
            raise InfraError(
                "choose",
                f"{self.name}/{wanted.name}",
                f"{len(rows)} have this name (ids {ids})",
                "Declare the id of the one that is meant, or remove the others. Nothing was done to them.",
            )
        return rows[0] if rows else None

    def rows(self, client: Client, wanted: Wanted) -> list[Facts]:
        """The list in which it is searched."""
        return client.rows(self.path(client, self.collection, wanted))

    def create(self, api: t.Any, wanted: Wanted) -> t.Collection[str] | None:
        document = {**nested([(self.identity, wanted.name)]), **self.document(wanted, list(wanted.properties))}
        client = self.client(api)
        client.send("POST", self.path(client, self.collection, wanted), document)
        return None

    def update(self, api: t.Any, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> t.Collection[str] | None:
        document = self.document(wanted, list(wanted.properties) if self.whole else changed)
        if self.whole:
            document = {**nested([(self.identity, wanted.name)]), **document}
        client = self.client(api)
        client.send(self.method, self._one(client, wanted, seen), document)
        return None

    def delete(self, api: t.Any, wanted: Wanted, seen: Seen) -> None:
        client = self.client(api)
        client.send("DELETE", self._one(client, wanted, seen), missing=(404,))

    # -- paths

    def client(self, api: Services) -> Client:
        return api[self.service]

    def settable(self, wanted: Wanted) -> list[str]:
        return [name for name in wanted.properties if name not in self.places]

    def _one(self, client: Client, wanted: Wanted, seen: Seen) -> str:
        return self.path(client, self.member, wanted, seen.outputs.get("id", ""))

    @staticmethod
    def path(client: Client, template: str, wanted: Wanted, known: t.Any = "") -> str:
        values = {**client.scope, **wanted.properties, "id": known, "name": wanted.name}
        return re.sub(r"\{(\w+)\}", lambda found: urllib.parse.quote(str(values[found[1]]), safe=""), template)

    def within_later(self, wanted: Wanted) -> bool:
        """Whether it is within something that does not exist yet, as only check mode meets it."""
        return any(LATER.fullmatch(str(wanted.properties.get(name, ""))) for name in self.places)
