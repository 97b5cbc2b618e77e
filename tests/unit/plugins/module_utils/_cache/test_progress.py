"""What a person who waits for a flush reads, and the file that it comes from."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._cache.progress import SIZE, Progress, how_far, progress_file

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("state", "said"),
    [
        pytest.param({}, "0 scanned, 0 deleted", id="nothing yet"),
        pytest.param(
            {"scanned": 512_000, "deleted": 511_000, "walked": 520_000, "total": 1_050_000, "seconds": 2.0},
            "49 % of 1,050,000 keys: 512,000 scanned, 511,000 deleted, 255,500 keys/s",
            id="half of it",
        ),
        pytest.param(
            {"scanned": 10, "deleted": 10, "walked": 100, "total": 1000, "seconds": 4.0, "check": True},
            "10 % of 1,000 keys: 10 scanned, 10 to delete, 2 keys/s",
            id="check mode",
        ),
        pytest.param(
            {"scanned": 10, "deleted": 7, "walked": 2000, "total": 1000, "seconds": 1.0, "counting_protected": True},
            "100 % of 1,000 keys: 10 scanned, 7 deleted, 7 keys/s; counting the protected keys",
            id="afterwards, more there than before",
        ),
        pytest.param(
            {
                "scanned": 5,
                "deleted": 5,
                "seconds": 2.0,
                "counting_protected": True,
                "waiting_for": "a:1: closed",
            },
            "5 scanned, 5 deleted, 2 keys/s; waiting: a:1: closed",
            id="no right to DBSIZE, a node away",
        ),
    ],
)
def test_sentence(state: dict[str, t.Any], said: str) -> None:
    assert Progress(**state).sentence() == said
    assert how_far(json.dumps(state)) == said


@pytest.mark.parametrize("text", ["", "\n", '{"scanned": 1', "[1]", '{"other": 1}', '{"deleted": "x"}', "null"])
def test_what_is_no_progress_says_nothing(text: str) -> None:
    assert how_far(text) == ""


def test_the_file_is_overwritten_private_and_gone(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    with pytest.raises(KeyError), progress_file(str(path)) as leave:
        assert path.stat().st_mode & 0o777 == 0o600
        assert how_far(path.read_text()) == ""
        leave(Progress(scanned=123_456, waiting_for="é\x1b\n" * 1000))
        assert path.stat().st_size == SIZE
        leave(Progress(scanned=2))
        assert (path.stat().st_size, how_far(path.read_text())) == (SIZE, "2 scanned, 0 deleted")
        raise KeyError
    assert not path.exists()


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "progress"
    victim.write_text("mine")
    path.symlink_to(victim)
    with progress_file(str(path)) as leave:
        leave(Progress(scanned=1))
    assert (path.is_symlink(), victim.read_text()) == (True, "mine")


def test_nobody_waits() -> None:
    with progress_file(None) as leave:
        leave(Progress())
