"""Where a roll-back goes, by table."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.roll_back import Instance, Known, choose

OLD, MIDDLE, NEW = Known("aaa", "0.9.0"), Known("bbb", "1.0.0"), Known("ccc", "1.1.0")
# The same version with another configuration is another set.
NEW_DRAIN = Known("ddd", "1.1.0")


@pytest.mark.parametrize(
    ("first", "second", "wanted", "returned"),
    [
        pytest.param((NEW, MIDDLE, None), (NEW, MIDDLE, None), MIDDLE, ("api-1", "api-2"), id="both are forward"),
        pytest.param((NEW, MIDDLE, None), (MIDDLE, OLD, None), MIDDLE, ("api-1",), id="half a rollout"),
        pytest.param((MIDDLE, OLD, NEW), (MIDDLE, OLD, None), OLD, ("api-1", "api-2"), id="a rollout failed at once"),
        pytest.param((MIDDLE, None, NEW), (NEW, MIDDLE, None), MIDDLE, ("api-2",), id="half a roll-back"),
        pytest.param((MIDDLE, None, NEW), (MIDDLE, None, NEW), MIDDLE, (), id="rolled back already"),
        pytest.param((NEW_DRAIN, NEW, None), (NEW_DRAIN, NEW, None), NEW, ("api-1", "api-2"), id="only configuration"),
        pytest.param((NEW, MIDDLE, None), (None, MIDDLE, None), MIDDLE, ("api-1", "api-2"), id="one lost its set"),
    ],
)
def test_chooses_what_all_ran(
    first: tuple[Known | None, ...], second: tuple[Known | None, ...], wanted: Known, returned: tuple[str, ...]
) -> None:
    target = choose([Instance("api-1", *first), Instance("api-2", *second)])
    assert (target.known, target.instances) == (wanted, returned)


@pytest.mark.parametrize(
    "instances",
    [
        pytest.param([], id="no instances"),
        pytest.param([Instance("api-1", NEW, None, None), Instance("api-2", NEW, None, None)], id="first deploy"),
        pytest.param(
            [Instance("api-1", NEW, OLD, None), Instance("api-2", MIDDLE, None, None)], id="nothing in common"
        ),
        pytest.param([Instance("api-1", None, None, None)], id="nothing deployed"),
    ],
)
def test_refuses_where_there_is_no_way_back(instances: list[Instance]) -> None:
    with pytest.raises(InfraError, match="Cannot roll back"):
        choose(instances)
