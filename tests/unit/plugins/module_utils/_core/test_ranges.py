from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges


@pytest.mark.parametrize("value", [None, 0, 1, 65535, 0.5])
def test_a_number_in_its_range_passes(value: t.Any) -> None:
    check_ranges({"port": value}, {"port": (0, 65535)})


@pytest.mark.parametrize(
    ("value", "most", "limits"),
    [
        (-1, None, "at least 0"),
        (70000, 65535, "from 0 to 65535"),
        (float("nan"), None, "at least 0"),
        (float("-inf"), 5, "0 to 5"),
    ],
)
def test_another_is_refused_with_its_range(value: float, most: float | None, limits: str) -> None:
    with pytest.raises(InfraError, match=f'"port".*it is {value}.*\n.*{limits}'):
        check_ranges({"port": value}, {"port": (0, most)})
