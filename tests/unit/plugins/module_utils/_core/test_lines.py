"""Lines that a module shows while it runs."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core import lines
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import NewLines, told_lines


def test_lines_are_written_as_they_come_and_the_file_is_removed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "said"
    shown = NewLines()
    with told_lines(str(path)) as tell:
        assert path.stat().st_mode & 0o777 == 0o600
        tell("first")
        assert shown(path.read_text()) == ["first"]
        tell("second\nwith another line")
        tell("x" * 1000)
        assert shown(path.read_text()) == ["second with another line", "x" * lines.LONGEST_LINE]
        assert shown(path.read_text()) == []
    assert not path.exists()


def test_half_a_line_is_not_shown_yet() -> None:
    shown = NewLines()
    assert shown("one\ntw") == ["one"]
    assert shown("one\ntwo\n") == ["two"]
    assert shown("") == []


@pytest.mark.parametrize("path", [None, "/nowhere/at/all"])
def test_without_a_file_nothing_is_shown_and_nothing_fails(path: str | None) -> None:
    with told_lines(path) as tell:
        tell("nobody reads it")


def test_a_file_that_exists_is_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mine"
    path.write_text("mine")
    with told_lines(str(path)) as tell:
        tell("theirs")
    assert path.read_text() == "mine"


def test_the_file_does_not_grow_without_end(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_FILE", 12)
    path = tmp_path / "said"
    with told_lines(str(path)) as tell:
        for _number in range(5):
            tell("12345")
        assert path.read_text() == "12345\n12345\n"
