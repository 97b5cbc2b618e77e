"""Each fault of the table leads to its messages, in time and at the right receiver, and to no other."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.nexod.infra.tests.lab.chaos import Fault, observe
from ansible_collections.nexod.infra.tests.lab.chaos_table import FAULTS, QUICK


def rows() -> list[object]:
    """One test for each fault, or for faults that are made together."""
    groups: dict[str, list[Fault]] = {}
    for fault in FAULTS:
        groups.setdefault(fault.together or fault.name, []).append(fault)
    marks = {name: () if name in QUICK else (pytest.mark.long,) for name in groups}
    return [pytest.param(tuple(faults), id=name, marks=marks[name]) for name, faults in groups.items()]


@pytest.mark.parametrize("faults", rows())
def test_messages(serving, faults: tuple[Fault, ...]) -> None:
    result = observe(faults)
    sys.stdout.write("".join(f"    {line}\n" for line in result.times))
    assert result.wrong == []
