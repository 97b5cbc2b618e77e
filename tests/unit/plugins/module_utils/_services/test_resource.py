"""What a resource of a vendor is compared by: only what is declared counts."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._services.kinds.vercel import marked, recognized
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import (
    declared_part,
    declared_rows,
    dig,
    nested,
)


@pytest.mark.parametrize(
    ("wanted", "seen", "same"),
    [
        (1, 1, True),
        (1, 2, False),
        (None, None, True),
        ({"a": 1}, {"a": 1, "id": "7"}, True),
        ({"a": 1}, {"a": 2, "id": "7"}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": 1}, None, False),
        ([{"a": 1}], [{"a": 1, "id": "7"}], True),
        ([{"a": 1}], [{"a": 1}, {"a": 1}], False),
        ([1, 2], [2, 1], False),
        ([1], "1", False),
    ],
)
def test_what_the_vendor_adds_is_no_difference(wanted: t.Any, seen: t.Any, same: bool) -> None:
    assert declared_part(wanted, seen) is same


@pytest.mark.parametrize(
    ("wanted", "seen", "same"),
    [
        ([{"a": 1}, {"a": 2}], [{"a": 2, "id": 1}, {"a": 1, "id": 2}], True),
        ([{"a": 1}, {"a": 1}], [{"a": 1}, {"a": 2}], False),
        ([{"a": 1}], [], False),
        ([], None, True),
    ],
)
def test_nor_is_another_order(wanted: t.Any, seen: t.Any, same: bool) -> None:
    assert declared_rows(wanted, seen) is same


def test_fields_within_fields() -> None:
    assert dig({"a": {"b": 1}}, "a.b") == 1
    assert dig({"a": None}, "a.b") is None
    assert nested([("a.b", 1), ("a.c", 2), ("d", 3)]) == {"a": {"b": 1, "c": 2}, "d": 3}


def test_a_secret_is_recognized_and_not_shown() -> None:
    comment = marked("canary")
    assert "canary" not in comment
    assert marked("canary") != comment
    assert recognized("canary", comment)
    assert not recognized("another", comment)
    assert not recognized("canary", "written by hand")
