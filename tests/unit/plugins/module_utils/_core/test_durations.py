"""One grammar of durations for every option that takes one."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core import durations
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (300, 300),
        (1.5, 1.5),
        ("300", 300),
        ("300s", 300),
        ("1.5 s", 1.5),
        (" 60s ", 60),
        ("5m", 300),
        ("5min", 300),
        ("1h", 3600),
        ("2d", 172_800),
        ("200ms", 0.2),
        ("0", 0),
        (0, 0),
        ("0s", 0),
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert durations.seconds(text, "deadline") == pytest.approx(seconds)
    assert durations.milliseconds(text, "deadline") == round(seconds * 1000)


@pytest.mark.parametrize("text", ["", "s", "soon", "1 week", "-5s", "5 M", "1h30m", "1e3", "None"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InfraError) as caught:
        durations.seconds(text, "deadline")
    assert f'Cannot read the duration deadline: "{text}"' in str(caught.value)
    assert "Write for example 300, 200ms, 60s, 5m or 1h." in str(caught.value)
