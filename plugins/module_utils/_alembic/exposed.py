# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that pending revisions would open to a public API, as that of Supabase, and room that they need.

Tables that Alembic creates have no row level security, and in an exposed schema of Supabase they get all rights for the
roles of its REST API, whose key is public.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._alembic.effects import effects_of
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import (
    named,
    search_path_in,
    shape,
    statements_in,
    tables_in,
    tokens,
)

#: The roles of the API, and where unqualified names are unless a revision says otherwise.
ROLES, PUBLIC = ("anon", "authenticated"), "public"

_NAME = r'(?:"(?:[^"]|"")*"|[\w$]+)(?: \. (?:"(?:[^"]|"")*"|[\w$]+))?'
CREATED = re.compile(rf"create (?:unlogged )?table (?:if not exists )?({_NAME})")
DROPPED = re.compile(rf"drop table (?:if exists )?({_NAME})")
SECURED = re.compile(rf"alter table (?:if exists )?(?:only )?({_NAME}) (?:\* )?.*\benable row level security\b")
OPENED = re.compile(rf"alter table (?:if exists )?(?:only )?({_NAME}) (?:\* )?.*\bdisable row level security\b")
MOVED = re.compile(rf"alter table (?:if exists )?({_NAME}) set schema ({_NAME})")
RENAMED = re.compile(rf"alter table (?:if exists )?({_NAME}) rename to ({_NAME})")
REVOKED = re.compile(
    r"revoke (?:all|all privileges) on (?:table )?(?P<what>.+) from (?P<who>.+?)(?: cascade| restrict)?$"
)
IN_SCHEMA = re.compile(rf"all tables in schema ({_NAME}(?: , {_NAME})*)$")
BY_DEFAULT = re.compile(
    r"alter default privileges (?:for (?:role|user) [^ ]+ )?in schema (?P<schemas>.+?) "
    r"revoke (?:all|all privileges) on tables from (?P<who>.+?)(?: cascade| restrict)?$"
)
EXTENSION = re.compile(r"create extension (?:if not exists )?(?P<name>\"[^\"]+\"|[\w$]+)(?P<rest>.*)$")


class Found(t.NamedTuple):
    """A statement that opens something, and the table or extension that it opens."""

    rule: str
    revision: str
    statement: str
    table: str


class _State:
    """Where unqualified names are, and which tables of exposed schemas are open."""

    def __init__(self, schemas: t.Collection[str]) -> None:
        self.schemas, self.schema = schemas, PUBLIC
        self.open: dict[str, Found] = {}
        self.closed_by_default: set[str] = set()

    def full(self, text: str) -> str:
        name = named(text)
        return name if "." in name else f"{self.schema}.{name}"

    def is_exposed(self, name: str) -> bool:
        schema = name.partition(".")[0]
        return schema in self.schemas and schema not in self.closed_by_default


def exposed(sql: t.Mapping[str, str], schemas: t.Collection[str]) -> list[Found]:
    """The tables and extensions in `sql`, by revision, that would be open to the API when all of it has run."""
    if not schemas:
        return []
    state, others = _State(schemas), t.cast("list[Found]", [])
    for revision, text in sql.items():
        state.schema = PUBLIC
        for _line, statement in statements_in(text):
            others += _follow(state, revision, statement)
    return sorted([*others, *state.open.values()], key=lambda one: list(sql).index(one.revision))


def _follow(state: _State, revision: str, statement: str) -> list[Found]:
    """What of `statement` is wrong whatever follows; what later statements may correct is in `state`."""
    path = search_path_in(statement)
    if path:
        state.schema = path[0]
        return []
    text = shape(tokens(statement))
    if found := CREATED.match(text) or OPENED.match(text):
        name = state.full(found[1])
        if state.is_exposed(name):
            state.open[name] = Found("table-without-row-level-security", revision, statement, name)
    elif found := DROPPED.match(text) or SECURED.match(text):
        state.open.pop(state.full(found[1]), None)
    elif found := MOVED.match(text):
        _renamed(state, state.full(found[1]), f"{named(found[2])}.{state.full(found[1]).partition('.')[2]}")
    elif found := RENAMED.match(text):
        _renamed(state, state.full(found[1]), f"{state.full(found[1]).partition('.')[0]}.{named(found[2])}")
    elif found := EXTENSION.match(text):
        where = re.search(r"\bschema (\"[^\"]+\"|[\w$]+)", found["rest"])
        if (named(where[1]) if where else state.schema) in state.schemas:
            return [Found("extension-in-exposed-schema", revision, statement, named(found["name"]))]
    else:
        _rights(state, text)
    return []


def _rights(state: _State, text: str) -> None:
    if (found := BY_DEFAULT.match(text)) and _all_roles(found["who"]):
        state.closed_by_default |= {named(one) for one in found["schemas"].split(",")}
    elif (found := REVOKED.match(text)) and _all_roles(found["who"]):
        _revoked(state, found["what"])


def _all_roles(text: str) -> bool:
    return {*ROLES} <= {named(one) for one in text.split(",")}


def _renamed(state: _State, before: str, after: str) -> None:
    known = state.open.pop(before, None)
    if known and state.is_exposed(after):
        state.open[after] = known._replace(table=after)


def _revoked(state: _State, what: str) -> None:
    if whole := IN_SCHEMA.match(what):
        schemas = {named(one) for one in whole[1].split(",")}
        state.open = {name: one for name, one in state.open.items() if name.partition(".")[0] not in schemas}
        return
    for one in what.split(","):
        state.open.pop(state.full(one.strip()), None)


# An index has the columns of its key, and an entry for each row; half of the table is rather too much than too little.
INDEX_SHARE = 0.5
INDEXED = re.compile(r"create (?:unique )?index\b|alter table .*\badd (?:constraint [^ ]+ )?(?:unique|primary key)\b")


def room_needed(sql: t.Mapping[str, str], tables: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, int]:
    """Bytes by table that rewrites and new indexes of the pending revisions take, by the tables' current sizes.

    A rewrite keeps the old table until it commits.
    """
    found: dict[str, int] = {}
    for text in sql.values():
        for _line, statement in statements_in(text):
            names = tables_in(statement)
            facts = tables.get(names[0]) if names else None
            size = int((facts or {}).get("bytes") or 0)
            if not size:
                continue
            words = shape(tokens(statement))
            share = 1.0 if any(effect.rewrite for effect in effects_of(statement, facts) or ()) else 0.0
            share += 1.0 if re.match(r"update\b(?!.*\bwhere\b)", words) else 0.0
            share += INDEX_SHARE if INDEXED.match(words) else 0.0
            if share:
                name = str((facts or {}).get("name") or names[0])
                found[name] = found.get(name, 0) + int(size * share)
    return found
