"""Pins: which lock file wins, what is refused, and what is read from upstream's sums."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._software import lock, options, pinning

A, B, C = "a" * 64, "b" * 64, "c" * 64
URL = "https://host/v{version}/tool-{version}.linux-{arch}.tar.gz"
ROW: dict[str, t.Any] = {"url": URL, "sums": "https://host/v{version}/sums.txt", "versions": {"1.0.0": {"amd64": A}}}


@pytest.mark.parametrize(
    ("source", "locks", "expected"),
    [
        ({}, [{"tool": ROW}], lock.Pin(URL, {"amd64": A})),
        ({"checksums": {"arm64": B}}, [{"tool": ROW}], lock.Pin(URL, {"amd64": A, "arm64": B})),
        ({"checksums": {"amd64": B}}, [{"tool": ROW}], lock.Pin(URL, {"amd64": B})),
        ({"mirror": "http://m:1/p/"}, [{"tool": ROW}], lock.Pin("http://m:1/p" + URL[12:], {"amd64": A})),
        ({"url": "http://own/{arch}"}, [{"tool": ROW}], lock.Pin("http://own/{arch}", {"amd64": A})),
        # The first lock file wins; what it does not have is taken from the other.
        (
            {},
            [{"tool": {"url": "http://first", "versions": {"1.0.0": {"amd64": C}}}}, {"tool": ROW}],
            lock.Pin("http://first", {"amd64": C}),
        ),
        (
            {},
            [{"tool": {**ROW, "versions": {"1.0.0": {"url": "http://of/version", "amd64": A}}}}],
            lock.Pin("http://of/version", {"amd64": A}),
        ),
    ],
)
def test_pins(source: dict[str, t.Any], locks: list[dict[str, t.Any]], expected: lock.Pin) -> None:
    assert lock.resolved("tool", "1.0.0", source, locks) == expected


@pytest.mark.parametrize(
    ("source", "cause", "next_step"),
    [
        ({"url": "http://m"}, "has no version", "nothing asks upstream for the newest"),
        ({"version": "2.0.0"}, "is not pinned", '-e \'{"pin": {"tool": "2.0.0"}}\''),
        ({"version": "2.0.0", "lock": "own.yml"}, "is not pinned", '"pin_lock": "own.yml"'),
        ({"version": "1.0.0", "checksums": {"amd64": "md5"}}, "amd64: md5", "64 hexadecimal digits"),
    ],
)
def test_what_can_not_be_installed(source: dict[str, t.Any], cause: str, next_step: str) -> None:
    found = lock.fault("tool", source, [{"tool": ROW}])
    assert found is not None
    assert cause in found[0]
    assert next_step in found[1]


def test_a_program_without_an_address() -> None:
    found = lock.fault("other", {"version": "1", "checksums": {"amd64": A}}, [{"tool": ROW}])
    assert found == ("has neither url nor file, and no lock file knows other", "Set its url or file.")


def test_the_lock_file_of_the_collection_has_every_program_of_the_roles() -> None:
    found = []
    for path in (lock.LOCK.parent / "roles").glob("*/meta/argument_specs.yml"):
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"] or {}
        names = [
            *rows,
            *(f"exporters_archives.{name}" for name in rows.get("exporters_archives", {}).get("options", {})),
        ]
        found += [software for name in names if (software := options.software_of(name))]
    assert sorted(found) == sorted(lock.read(lock.LOCK))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("- a\n", "not of the form"),
        ("tool: {versions: {}}\n", "not of the form"),
        ("tool: {url: x, versions: {1.0.0: {amd64: abc}}}\n", "no sha256: tool 1.0.0 amd64"),
        ("tool: [\n", "not of the form"),
    ],
)
def test_a_damaged_lock_file(tmp_path: pathlib.Path, text: str, cause: str) -> None:
    (tmp_path / "lock.yml").write_text(text)
    with pytest.raises(InfraError, match=cause):
        lock.read(tmp_path / "lock.yml")


def test_a_version_that_yaml_takes_for_a_number(tmp_path: pathlib.Path) -> None:
    (tmp_path / "lock.yml").write_text(f"tool: {{url: x, versions: {{12.1: {{amd64: {A}}}}}}}\n")
    assert lock.resolved("tool", "12.1", {}, [lock.read(tmp_path / "lock.yml")]).checksums == {"amd64": A}


def test_a_lock_file_that_is_missing_is_named(tmp_path: pathlib.Path) -> None:
    value = {"version": "3.5.0", "lock": str(tmp_path / "gone.yml")}
    found = options.archive_misfit("prometheus_archive", value)
    assert found is not None
    assert "gone.yml" in found[0]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("prometheus_archive", {}),
        ("prometheus_archive", {"mirror": "http://m", "version": ""}),
        ("prometheus_flags", {"version": "x"}),
    ],
)
def test_options_without_an_archive(option: str, value: dict[str, t.Any]) -> None:
    assert options.archive_misfit(option, value) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A}  tool.tar.gz\n{B}  other.tar.gz\n", A),
        (f"{B}  other.tar.gz\n{A} *./tool.tar.gz\n", A),
        (f"{A}\n", A),
        (f"{A.upper()}  tool.tar.gz\n", A),
        (f"{B}  other.tar.gz\n", ""),
        (f"{A}  tool.tar.gz\n{B}  tool.tar.gz\n", ""),
        ("<html>\n", ""),
        ("", ""),
    ],
)
def test_published_sums(text: str, expected: str) -> None:
    assert pinning.sum_in(text, "tool.tar.gz") == expected


def sums(url: str) -> str:
    version = url.split("/v", 1)[1].split("/", maxsplit=1)[0]
    return f"{A if version == '1.0.0' else C}  tool-{version}.linux-amd64.tar.gz\n"


def test_versions_are_added_in_order_and_the_others_stay() -> None:
    after = pinning.pinned({"tool": ROW}, {"tool": ["1.10.0", "1.9.0"]}, ["amd64"], fetch=sums)
    assert list(after["tool"]["versions"]) == ["1.0.0", "1.9.0", "1.10.0"]
    assert after["tool"]["versions"]["1.9.0"] == {"amd64": C}
    assert ROW["versions"] == {"1.0.0": {"amd64": A}}
    assert pinning.pinned(after, {"tool": "1.9.0"}, ["amd64"], fetch=sums) == after


def test_pruning_keeps_what_is_asked_for() -> None:
    after = pinning.pinned({"tool": ROW}, {"tool": "1.9.0"}, ["amd64"], prune=True, fetch=sums)
    assert list(after["tool"]["versions"]) == ["1.9.0"]


@pytest.mark.parametrize(
    ("wanted", "arch", "cause"),
    [
        ({"tool": "latest"}, "amd64", "no version"),
        ({"tool": "1.9.0"}, "arm64", "has no sha256 for tool-1.9.0.linux-arm64.tar.gz"),
        ({"unknown": "1.0.0"}, "amd64", "the lock file knows tool"),
    ],
)
def test_what_is_not_pinned(wanted: dict[str, str], arch: str, cause: str) -> None:
    with pytest.raises(InfraError, match=cause):
        pinning.pinned({"tool": ROW}, wanted, [arch], fetch=sums)


def test_a_release_that_upstream_has_replaced() -> None:
    changed = {"tool": {**ROW, "versions": {"1.0.0": {"amd64": B}}}}
    with pytest.raises(InfraError, match=f"upstream publishes {A}, but {B} is pinned"):
        pinning.pinned(changed, {"tool": "1.0.0"}, ["amd64"], fetch=sums)


def test_what_is_written_is_read_again(tmp_path: pathlib.Path) -> None:
    lockfile = {"tool": {**ROW, "versions": {"12.1": {"amd64": "1" * 64}, "1.0.0": {"amd64": A}}}}
    pinning.write(tmp_path / "new" / "lock.yml", pinning.rendered(lockfile))
    assert lock.read(tmp_path / "new" / "lock.yml") == lockfile
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lock.yml"]


def test_the_lock_file_of_the_collection_is_written_so() -> None:
    assert lock.LOCK.read_text(encoding="utf-8") == pinning.rendered(lock.read(lock.LOCK))
