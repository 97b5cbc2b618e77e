from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._cache import info, namespace
from ansible_collections.nexod.infra.plugins.module_utils._cache.protection import read_protection
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


@pytest.mark.parametrize(
    ("key", "prefixes", "found"),
    [
        (b"api:1:x", [], b"api:"),
        (b"plain", [], None),
        (b"api:1:x", [b"api:", b"api:1:"], b"api:1:"),
        (b"user:1", [b"api:"], None),
    ],
)
def test_prefix(key: bytes, prefixes: list[bytes], found: bytes | None) -> None:
    assert info.prefix_of(key, prefixes) == found


@pytest.mark.parametrize("prefix", ["api:*", "a?", "\ud800"])
def test_a_prefix_that_could_match_nothing_is_refused(prefix: str) -> None:
    with pytest.raises(InfraError):
        info.Inventory([prefix], largest=0)


def test_a_key_is_shown_on_one_line() -> None:
    assert info.shown(b"a\nb\xff \x1b[0m") == "a\\nb\\xff \\x1b[0m"


def test_rows_the_largest_and_the_table() -> None:
    inventory = info.Inventory([], largest=2, protections=[read_protection("session:")])
    for key, lifetime, size in ((b"api:1", 1000, 100), (b"api:2", 3000, 3000), (b"session:1", -1, 50), (b"x", 5000, 9)):
        inventory.add(key, lifetime, size)
    inventory.total = 8
    found = inventory.report()
    assert list(found["prefixes"]) == ["api:", "session:", "(others)"]
    assert found["prefixes"]["api:"] == {
        "keys": 4,
        "bytes": 6200,
        "without_lifetime": 0,
        "lifetime_s": {"least": 1, "mean": 2, "most": 3},
    }
    assert (found["sampled"], found["protected_without_lifetime"]) == (True, 2)
    assert found["largest"] == [{"name": "api:2", "bytes": 3000}, {"name": "api:1", "bytes": 100}]
    assert found["table"].splitlines()[:3] == [
        "prefix    keys   memory  no expiry  lifetime s (least, mean, most)",
        "api:         4  6.1 KiB          0  1, 2, 3",
        "session:     2    100 B          2  -",
    ]


def test_prefixes_that_were_found_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "MOST_PREFIXES", 3)
    inventory = info.Inventory([], largest=0)
    for number in range(10):
        inventory.add(b"%d:x" % number, -1, 1)
    assert [row.keys for row in inventory.rows.values()] == [1, 1, 1, 7]


@pytest.mark.parametrize(
    ("current", "wanted", "after"),
    [(None, None, "1"), ("7", None, "8"), ("7", "1.1.0", "1.1.0"), ("1.1.0", "1.1.0", "1.1.0"), (None, "x", "x")],
)
def test_next_version(current: str | None, wanted: str | None, after: str) -> None:
    assert namespace.next_version("query:version", current, wanted) == after


def test_a_version_that_is_no_number_is_not_bumped() -> None:
    with pytest.raises(InfraError, match="is not a number"):
        namespace.next_version("query:version", "1.1.0", None)
