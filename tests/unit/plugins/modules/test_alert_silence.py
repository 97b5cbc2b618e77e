"""The module alert_silence: what it refuses, and an Alertmanager that does not answer. What it does with a real one is
tested in tests/integration/test_alerting.py."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

Run = t.Callable[..., dict[str, t.Any]]
NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        pytest.param({"matchers": {}}, "there is no matcher, which would silence everything", id="everything"),
        pytest.param({"matchers": {"instance": ""}}, "instance has no value", id="an empty value"),
        pytest.param({"matchers": {"instance": []}}, "instance has no value", id="no value"),
        pytest.param({"matchers": {"in-stance": "a"}}, "'in-stance' is not the name of a label", id="no label"),
        pytest.param({"matchers": {"a": "b"}, "seconds": 0}, "seconds is 0, and must be from 1 to 86400", id="short"),
        pytest.param({"matchers": {"a": "b"}, "seconds": 86401}, "must be from 1 to 86400", id="long"),
        pytest.param(
            {"matchers": {"a": "b"}, "after_seconds": -1}, "after_seconds is -1, and must be from 0", id="past"
        ),
        pytest.param({"matchers": {"a": "b"}}, "onnection refused", id="nobody answers"),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_what_cannot_be_silenced(run_module: Run, options: dict[str, t.Any], cause: str, check_mode: bool) -> None:
    failed = run_module("alert_silence", {"url": NOBODY, **options}, check_mode=check_mode)
    assert failed["failed"]
    assert cause in failed["error"]["cause"]
    assert failed["error"]["next_step"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_deploy_goes_on_without_alertmanager(run_module: Run, state: str) -> None:
    found = run_module("alert_silence", {"url": NOBODY, "matchers": {"a": "b"}, "required": False, "state": state})
    assert (found["changed"], found["asked"]) == (False, False)


@pytest.mark.parametrize("state", ["present", "absent"])
def test_where_there_is_no_alertmanager_nothing_is_asked(run_module: Run, state: str, tmp_path: pathlib.Path) -> None:
    found = run_module("alert_silence", {"installed": str(tmp_path), "matchers": {"a": "b"}, "state": state})
    assert (found["changed"], found["asked"], found["warnings"]) == (False, False, [])
