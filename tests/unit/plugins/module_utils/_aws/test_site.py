"""What is uploaded, removed and invalidated, and until when old files are kept: decisions without a bucket."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws import site

NOW = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.UTC)
HASHED, PAGE = "_next/static/a.js", "index.html"


def file(name: str, digest: str = "1") -> site.File:
    header = site.IMMUTABLE if name == HASHED else "no-cache"
    return site.File(name, f"/{name}", digest, "text/plain", header)


def row(name: str, digest: str = "1", days: float | None = None) -> dict[str, str]:
    """As the record has it; `days`: for how long the folder has lacked it."""
    since = {} if days is None else {"since": (NOW - datetime.timedelta(days=days)).isoformat()}
    return {**file(name, digest).row, "seen": "v1", **since}


def planned(
    files: list[site.File], rows: dict[str, dict[str, str]], stored: dict[str, str] | None = None, **more: t.Any
) -> site.Plan:
    given = {"immutable": ["_next/static/*"], "keep_days": 30, "now": NOW}
    there = dict.fromkeys(rows, "v1") if stored is None else stored
    return site.plan(files, there, site.Record(rows, **more), **given)


@pytest.mark.parametrize(
    ("rows", "stored", "uploads", "removals", "paths"),
    [
        pytest.param({}, None, [HASHED, PAGE], [], [], id="nothing there"),
        pytest.param({HASHED: row(HASHED), PAGE: row(PAGE)}, None, [], [], [], id="as it should be"),
        pytest.param({HASHED: row(HASHED), PAGE: row(PAGE, "0")}, None, [PAGE], [], ["/", "/index.html"], id="changed"),
        pytest.param({HASHED: row(HASHED), PAGE: row(PAGE)}, {HASHED: "v1"}, [PAGE], [], [], id="gone from the bucket"),
        pytest.param(
            {HASHED: row(HASHED), PAGE: row(PAGE)},
            {HASHED: "v1", PAGE: "v2"},
            [PAGE],
            [],
            ["/", "/index.html"],
            id="written by somebody else",
        ),
        pytest.param({}, {PAGE: "v1"}, [HASHED, PAGE], [], ["/", "/index.html"], id="not known to the record"),
        pytest.param(
            {HASHED: row(HASHED), PAGE: row(PAGE), "a b%.txt": row("a b%.txt")},
            None,
            [],
            ["a b%.txt"],
            ["/a b%25.txt"],
            id="no longer in the folder",
        ),
        pytest.param(
            {HASHED: row(HASHED), PAGE: row(PAGE), "old.txt": row("old.txt")},
            {HASHED: "v1", PAGE: "v1"},
            [],
            [],
            [],
            id="no longer anywhere",
        ),
        pytest.param({HASHED: row(HASHED, days=3), PAGE: row(PAGE)}, None, [], [], [], id="in the folder again"),
    ],
)
def test_what_is_done(
    rows: dict[str, t.Any], stored: dict[str, str] | None, uploads: list[str], removals: list[str], paths: list[str]
) -> None:
    found = planned([file(HASHED), file(PAGE)], rows, stored)
    assert ([one.name for one in found.uploads], list(found.removals), list(found.paths)) == (uploads, removals, paths)
    assert found.changes == bool(uploads or removals)


@pytest.mark.parametrize(
    ("days", "kept", "new"),
    [(None, True, True), (0, True, False), (29.9, True, False), (30, False, False), (400, False, False)],
)
def test_how_long_an_immutable_file_is_kept(days: float | None, kept: bool, new: bool) -> None:
    found = planned([file(PAGE)], {PAGE: row(PAGE), HASHED: row(HASHED, days=days)})
    assert (HASHED in found.unused, list(found.newly_unused)) == (kept, [HASHED] if new else [])
    assert list(found.removals) == ([] if kept else [HASHED])
    assert found.changes == (new or not kept)


def test_what_is_pending_is_invalidated_in_the_name_of_the_run_that_left_it() -> None:
    pending = {"pending": ("/a", "/b"), "rollout": "yesterday"}
    found = planned([file(PAGE)], {PAGE: row(PAGE)}, **pending)
    assert (found.changes, found.paths, found.rollout) == (True, ("/a", "/b"), "yesterday")
    more = planned([file(PAGE, "2")], {PAGE: row(PAGE)}, **pending)
    assert (more.paths, more.rollout) == (("/", "/a", "/b", "/index.html"), NOW.isoformat())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.HTML", "text/html; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.woff2", "font/woff2"),
        ("site.webmanifest", "application/manifest+json"),
        ("a.csv", "text/csv; charset=utf-8"),
        (".well-known/assetlinks", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
    ],
)
def test_content_types(name: str, expected: str) -> None:
    assert site.content_type(name) == expected


@pytest.mark.parametrize(
    ("name", "wave"), [(HASHED, 0), ("logo.svg", 1), ("docs/index.html", 2), ("404.html", 2), (PAGE, 3)]
)
def test_in_which_order_files_are_uploaded(name: str, wave: int) -> None:
    assert file(name).wave == wave
