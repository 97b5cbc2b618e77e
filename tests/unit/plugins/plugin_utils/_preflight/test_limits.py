"""Ranges in descriptions, and values in them."""

from __future__ import annotations

import math
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.limits import Limits, limits_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.specs import misfits


@pytest.mark.parametrize(
    ("description", "limits"),
    [
        ("TCP port. From 1 to 65535.", Limits(1, 65535)),
        ("Port of the API, from 1 to 65535.", Limits(1, 65535)),
        (["Seconds.", "At least -1."], Limits(-1)),
        ("Seconds; above 0.", Limits(above=0)),
        ("A fraction, above 0 and below 1.", Limits(above=0, below=1)),
        ("Above 0.5 and below 1.5.", Limits(above=0.5, below=1.5)),
        ("From 0 to 0.5.", Limits(0, 0.5)),
        ("MiB above which the kernel ends it, at least twice as many as before; at least O(x).", None),
        ("Retry, about 0.5 seconds apart, from 10 to.", None),
        ("Raised from 5 to 6 times", None),
        ("", None),
    ],
)
def test_limits_of(description: str | list[str], limits: Limits | None) -> None:
    found = limits_of({"description": description})
    assert (found and found._replace(text="")) == limits


@pytest.mark.parametrize(
    ("kind", "value", "description", "said"),
    [
        ("int", -1, "At least 0.", "is -1, but must be at least 0"),
        ("int", "-1", "At least 0.", "is '-1', but must be at least 0"),
        ("int", 0, "At least 0.", None),
        ("int", 70000, "From 1 to 65535.", "is 70000, but must be from 1 to 65535"),
        ("float", 1, "Above 0 and below 1.", "is 1, but must be above 0 and below 1"),
        ("float", 0.999, "Above 0 and below 1.", None),
        ("float", math.nan, "At least 0.", "is nan, but must be at least 0"),
        ("float", "inf", "From 0 to 5.", "is 'inf', but must be from 0 to 5"),
        ("int", "many", "At least 0.", "is 'many', but must be a whole number"),
    ],
)
def test_a_number_outside_its_range(kind: str, value: t.Any, description: str, said: str | None) -> None:
    found = misfits(value, {"type": kind, "description": description})
    assert [fault.cause for fault in found] == ([said] if said else [])


def test_a_number_of_a_row_is_checked_too() -> None:
    rows = {
        "type": "list",
        "elements": "dict",
        "options": {"pool_size": {"type": "int", "description": "Connections. At least 1."}},
    }
    (fault,) = misfits([{"pool_size": 5}, {"pool_size": -5}], rows)
    assert (fault.where, fault.cause) == ("[1].pool_size", "is -5, but must be at least 1")
    assert fault.next_step == "Set it to a whole number, at least 1."
