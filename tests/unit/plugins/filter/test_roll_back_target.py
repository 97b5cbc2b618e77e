"""What an instance ran before, read from its links, also where a rollout was killed in a trial."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.filter.roll_back_target import roll_back_target


def links(**names: str) -> dict[str, dict[str, str]]:
    return {link: {"digest": f"d{label}", "content": f"{label}\n"} for link, label in names.items()}


UNTOUCHED = links(current="2", live="2", previous="1")


@pytest.mark.parametrize(
    ("first", "label", "instances"),
    [
        pytest.param(links(current="3", live="3", previous="2"), "2", ["api-1"], id="half a rollout"),
        pytest.param(links(current="bad", live="2", previous="1"), "2", ["api-1"], id="killed in its trial"),
        pytest.param(
            links(current="2", live="2", previous="1", returned="bad"), "1", ["api-1", "api-2"], id="a failed trial"
        ),
        pytest.param(links(current="1", live="2", returned="2"), "1", ["api-1", "api-2"], id="a roll-back killed"),
    ],
)
def test_target(first: dict[str, dict[str, str]], label: str, instances: list[str]) -> None:
    found = roll_back_target({"api-1": first, "api-2": UNTOUCHED})
    assert (found["label"], found["instances"]) == (label, instances)
