"""What an action plugin says while its module runs."""

from __future__ import annotations

import threading
import types
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._deploy import watch as _watch


class Connection:
    """A connection that becomes another account."""

    def __init__(self) -> None:
        self.become = types.SimpleNamespace(success="what the module's command waits for")

    def set_become_plugin(self, plugin: types.SimpleNamespace) -> None:
        self.become = plugin


class Action:
    """An action plugin whose host answers with `answers`, one after another, and then with the last one."""

    def __init__(self, answers: t.Sequence[object], *, no_log: bool = False, delegate_to: str | None = None) -> None:
        self.answers, self.asked, self.said = list(answers), [], []
        self.enough = threading.Event()
        self._task = types.SimpleNamespace(delegate_to=delegate_to, no_log=no_log)
        self._display = types.SimpleNamespace(display=self.said.append)
        self._connection = Connection()

    def _low_level_execute_command(self, command: str) -> object:
        self.asked.append(command)
        self._connection.become.success = "what this one waits for"
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if len(self.asked) > len(self.answers):
            self.enough.set()
        if isinstance(answer, Exception):
            self.enough.set()
            raise answer
        return answer


FAR = {"rc": 0, "stdout": "half"}


@pytest.mark.parametrize(
    ("answers", "more", "said"),
    [
        pytest.param([FAR], {}, ["[api-1] thing: half, 0 s"], id="told"),
        pytest.param([FAR], {"delegate_to": "other"}, ["[api-1 -> other] thing: half, 0 s"], id="delegated"),
        pytest.param([{"rc": 1, "stdout": "x"}], {}, [], id="no file yet"),
        pytest.param([{"rc": 0, "stdout": ""}], {}, [], id="nothing to say"),
        pytest.param([{"rc": 0, "stdout": "a\x1b[2J\nb"}], {}, ["[api-1] thing: a?[2J?b, 0 s"], id="no control"),
        pytest.param([FAR, OSError("gone")], {}, ["[api-1] thing: half, 0 s"], id="the connection fails"),
    ],
)
def test_watched(
    answers: list[object], more: dict[str, t.Any], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_watch, "EVERY_SECONDS", 0.005)
    action = Action(answers, **more)
    with _watch.watched(t.cast("t.Any", action), "thing", str, host="api-1", show=True) as file:
        assert action.enough.wait(10)
    assert action.said[:1] == said
    assert action._connection.become.success == "what the module's command waits for"
    assert set(action.asked) == {f"cat {file}"}
    assert str(file).startswith("/tmp/.nexod-thing-")


@pytest.mark.parametrize(("show", "no_log"), [(False, False), (True, True)])
def test_not_watched(show: bool, no_log: bool) -> None:
    action = Action([FAR], no_log=no_log)
    with _watch.watched(t.cast("t.Any", action), "thing", str, host="api-1", show=show) as file:
        assert file is None
    assert (action.asked, action.said) == ([], [])
