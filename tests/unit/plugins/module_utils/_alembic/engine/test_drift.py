"""Whose schema a difference is in."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.drift import schema_of


@dataclasses.dataclass
class Table:
    name: str
    schema: str | None = None


@dataclasses.dataclass
class Index:
    name: str
    table: Table


@dataclasses.dataclass
class Column:
    name: str


@pytest.mark.parametrize(
    ("difference", "schema"),
    [
        (("remove_table", Table("users", "auth")), "auth"),
        (("add_table", Table("users")), None),
        (("remove_index", Index("users_idx", Table("users", "auth"))), "auth"),
        (("add_column", "auth", "users", Column("age")), "auth"),
        (("add_column", None, "users", Column("age")), None),
        (("modify_nullable", "storage", "objects", "name", {}, True, False), "storage"),
        (("something_new",), None),
    ],
)
def test_the_schema_of_a_difference(difference: tuple[t.Any, ...], schema: str | None) -> None:
    assert schema_of(difference) == schema
