from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils import _cache
from ansible_collections.nexod.infra.plugins.module_utils._errors import InfraError

SESSIONS = ("session:",)


class Fake:
    """A cache of keys with lifetimes; in check mode a deletion is a failure of the test."""

    def __init__(self, keys: dict[bytes, int], *, writable: bool) -> None:
        self.keys = dict(keys)
        self.writable = writable

    def scan(self, cursor: int, match: bytes, count: int) -> tuple[int, list[bytes]]:
        prefix = match.replace(b"\\", b"")[:-1]
        found = sorted(key for key in self.keys if key.startswith(prefix))
        # Every key twice, as SCAN may, and an empty batch in the middle.
        return [(1, found), (2, []), (0, found if not self.writable else [])][cursor]

    def unlink(self, *keys: bytes) -> int:
        assert self.writable, "check mode wrote"
        return sum(self.keys.pop(key, None) is not None for key in keys)

    def pipeline(self, transaction: bool) -> t.Any:
        fake = self

        class Pipeline:
            asked: list[bytes] = []

            def pttl(self, key: bytes) -> None:
                self.asked = [*self.asked, key]

            def execute(self) -> list[int]:
                return [fake.keys.get(key, -2) for key in self.asked]

        return Pipeline()


KEYS = {b"api:1": 300, b"api:2": -1, b"user:1": -1, b"session:1": 3_600_000, b"session:2": -1, b"other": -1}


@pytest.mark.parametrize(
    ("prefixes", "check", "deleted", "left"),
    [
        pytest.param(["api:", "user:"], False, {"api:": 2, "user:": 1}, 3, id="flush"),
        pytest.param(["api:", "user:"], True, {"api:": 2, "user:": 1}, 6, id="check mode"),
        pytest.param(["api:", "api:1"], True, {"api:": 2, "api:1": 0}, 6, id="check mode, overlapping"),
        pytest.param(["api:", "api:1"], False, {"api:": 2, "api:1": 0}, 4, id="overlapping"),
        pytest.param(["none:"], False, {"none:": 0}, 6, id="nothing there"),
        pytest.param([], False, {}, 6, id="nothing asked for"),
    ],
)
def test_flush(prefixes: list[str], check: bool, deleted: dict[str, int], left: int) -> None:
    fake = Fake(KEYS, writable=not check)
    flushed = _cache.flush(fake, prefixes, SESSIONS, batch=10, check=check)
    assert (flushed.deleted, len(fake.keys)) == (deleted, left)
    assert (flushed.kept, flushed.without_lifetime, flushed.ended) == (2, 1, 0)


@pytest.mark.parametrize("prefix", ["", "s", "session", "session:", "session:abc"])
def test_prefixes_that_reach_a_session_are_refused_before_any_call(prefix: str) -> None:
    with pytest.raises(InfraError):
        _cache.flush(t.cast("t.Any", None), ["api:", prefix], SESSIONS, batch=10, check=False)


def test_a_server_that_answers_with_a_protected_key_is_not_obeyed() -> None:
    fake = Fake(KEYS, writable=True)
    fake.scan = lambda cursor, match, count: (0, [b"api:1", b"session:1"])  # type: ignore[method-assign]
    with pytest.raises(InfraError, match="protected key"):
        _cache.delete(fake, "api:", [b"session:"], 10)
    assert fake.keys == KEYS


@pytest.mark.parametrize(
    ("prefix", "glob"),
    [("api:", b"api:*"), ("cache[1]:", b"cache\\[1\\]:*"), ("a*b?", b"a\\*b\\?*"), ("ü", "ü*".encode())],
)
def test_pattern(prefix: str, glob: bytes) -> None:
    assert _cache.pattern(prefix) == glob


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        pytest.param({b"a": 5000}, {b"a": 4000}, 0, id="still there"),
        pytest.param({b"a": 500}, {}, 0, id="ran out"),
        pytest.param({b"a": 5000}, {}, 1, id="logged out"),
        pytest.param({b"a": None}, {}, 1, id="had no lifetime and is gone"),
        pytest.param({}, {b"a": 5000}, 0, id="new"),
    ],
)
def test_ended(before: dict[bytes, int | None], after: dict[bytes, int | None], count: int) -> None:
    assert _cache.ended(_cache.Kept(before, 10.0), _cache.Kept(after, 11.0)) == count


def test_diff_and_warnings_name_no_key() -> None:
    flushed = _cache.Flushed({"api:": 2, "user:": 0}, kept=4, without_lifetime=1, ended=1)
    assert _cache.as_diff(flushed, "cache")["before"] == "api:* 2 keys\n"
    assert len(_cache.warnings_of(flushed, SESSIONS)) == 2
