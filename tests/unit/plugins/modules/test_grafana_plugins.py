# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of Grafana's plugins is installed as a whole or not at all, and is what was pinned."""

from __future__ import annotations

import hashlib
import json
import pathlib
import stat
import typing as t
import zipfile

import pytest

from ansible_collections.nexod.infra.plugins.filter.grafana_plugins import grafana_plugins
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import plugins as engine

Run = t.Callable[..., dict[str, t.Any]]
CLOCK = "grafana-clock-panel"


def archive(folder: pathlib.Path, name: str = CLOCK, version: str = "2.1.8", **more: str) -> dict[str, t.Any]:
    """A plugin's archive, and its row."""
    path = folder / f"{name}-{version}.zip"
    files = {
        "plugin.json": json.dumps({"id": name, "type": "panel", "info": {"version": version}}),
        "MANIFEST.txt": "signature",
        "gpx_clock_linux_amd64": "program",
        "img/logo.svg": "<svg/>",
        # An app has plugins within.
        "child/plugin.json": json.dumps({"id": "child", "type": "panel", "info": {"version": "0"}}),
        **more,
    }
    with zipfile.ZipFile(path, "w") as opened:
        for place, text in files.items():
            opened.writestr(f"{name}/{place}", text)
    return pinned(path, name, version)


def pinned(path: pathlib.Path, name: str = CLOCK, version: str = "2.1.8") -> dict[str, t.Any]:
    checksum = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return {"id": name, "version": version, "checksum": checksum, "file": str(path)}


def from_url(row: dict[str, t.Any], url: str) -> dict[str, t.Any]:
    return {key: value for key, value in row.items() if key != "file"} | {"url": url}


def options(folder: pathlib.Path, *rows: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"plugins": list(rows), "root": str(folder / "opt"), "files": str(folder / "set")}


def test_a_list_is_installed_once(run_module: Run, tmp_path: pathlib.Path) -> None:
    given = options(tmp_path, archive(tmp_path), archive(tmp_path, "other-panel", "1.0.0"))
    predicted = run_module("grafana_plugins", given, check_mode=True)
    assert (predicted["changed"], (tmp_path / "opt").exists()) == (True, False)
    result = run_module("grafana_plugins", given)
    assert (result["changed"], result["installed"], result["path"]) == (True, True, predicted["path"])
    home = pathlib.Path(result["path"])
    assert sorted(path.name for path in home.iterdir()) == [CLOCK, "other-panel"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home / CLOCK).iterdir()}
    assert (modes["gpx_clock_linux_amd64"], modes["plugin.json"], modes["img"]) == (0o755, 0o644, 0o755)
    assert run_module("grafana_plugins", given)["changed"] is False
    # The order of a list means nothing.
    given["plugins"].reverse()
    assert run_module("grafana_plugins", given)["changed"] is False


def test_the_list_before_stays_while_a_set_refers_to_it(run_module: Run, tmp_path: pathlib.Path) -> None:
    first = run_module("grafana_plugins", options(tmp_path, archive(tmp_path)))["path"]
    (tmp_path / "set/current").mkdir(parents=True)
    (tmp_path / "set/current/grafana.ini").write_text(f"[paths]\nplugins = {first}\n")
    (tmp_path / "opt/.new").mkdir()
    second = options(tmp_path, archive(tmp_path, version="2.1.9"))
    result = run_module("grafana_plugins", second)
    assert (result["removed"], sorted(path.name for path in (tmp_path / "opt").iterdir())) == (
        [".new"],
        sorted(pathlib.Path(path).name for path in (first, result["path"])),
    )
    (tmp_path / "set/current/grafana.ini").write_text(f"[paths]\nplugins = {result['path']}\n")
    assert run_module("grafana_plugins", second, check_mode=True)["removed"] == [pathlib.Path(first).name]
    assert pathlib.Path(first).is_dir()
    assert run_module("grafana_plugins", second)["changed"] is True
    assert not pathlib.Path(first).exists()
    assert run_module("grafana_plugins", second)["changed"] is False


def test_no_plugins_remove_what_nothing_refers_to(run_module: Run, tmp_path: pathlib.Path) -> None:
    assert run_module("grafana_plugins", options(tmp_path))["changed"] is False
    run_module("grafana_plugins", options(tmp_path, archive(tmp_path)))
    result = run_module("grafana_plugins", options(tmp_path))
    assert (result["changed"], result["path"], list((tmp_path / "opt").iterdir())) == (True, "", [])


def corrupt(folder: pathlib.Path) -> dict[str, t.Any]:
    path = folder / "corrupt.zip"
    path.write_bytes(b"PK\x03\x04 and nothing else")
    return pinned(path)


def escaping(folder: pathlib.Path) -> dict[str, t.Any]:
    row = archive(folder, **{"../../../escaped": "x"})
    return pinned(pathlib.Path(row["file"]))


def linking(folder: pathlib.Path) -> dict[str, t.Any]:
    row = archive(folder)
    link = zipfile.ZipInfo(f"{CLOCK}/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(row["file"], "a") as opened:
        opened.writestr(link, "/etc/shadow")
    return pinned(pathlib.Path(row["file"]))


def empty(folder: pathlib.Path) -> dict[str, t.Any]:
    path = folder / "empty.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("README.md", "")
    return pinned(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(
            lambda folder: {**archive(folder), "checksum": "sha256:" + "0" * 64},
            ["has the checksum sha256:", "Correct version, url and checksum"],
            id="another checksum",
        ),
        pytest.param(
            lambda folder: {**archive(folder), "version": "9.9.9"},
            ["its archive contains grafana-clock-panel 2.1.8"],
            id="another version",
        ),
        pytest.param(
            lambda folder: {**archive(folder), "id": "x-panel"}, ["its archive contains"], id="another plugin"
        ),
        pytest.param(
            lambda folder: {**archive(folder), "file": str(folder / "gone.zip")}, ["gone.zip"], id="no such file"
        ),
        pytest.param(
            lambda folder: from_url(archive(folder), (folder / "gone.zip").as_uri()),
            ["gone.zip", "Nothing was changed"],
            id="no such URL",
        ),
        pytest.param(
            lambda folder: from_url(archive(folder), "http://127.0.0.1:1/clock.zip"),
            ["http://127.0.0.1:1/clock.zip", "refused", "Check the URL from the host"],
            id="no server",
        ),
        pytest.param(corrupt, ["not a ZIP archive"], id="no archive"),
        pytest.param(empty, ["contains no plugin.json"], id="no plugin"),
        pytest.param(escaping, ["leads out of it"], id="a path that leads out"),
        pytest.param(linking, ["leads out of it"], id="a link"),
    ],
)
def test_what_fails_changes_nothing(
    run_module: Run, tmp_path: pathlib.Path, make: t.Callable[[pathlib.Path], dict[str, t.Any]], words: list[str]
) -> None:
    first = run_module("grafana_plugins", options(tmp_path, archive(tmp_path, "first-panel", "1.0.0")))["path"]
    (tmp_path / "set/live").mkdir(parents=True)
    (tmp_path / "set/live/grafana.ini").write_text(f"plugins = {first}\n")
    result = run_module("grafana_plugins", options(tmp_path, make(tmp_path)))
    assert result["failed"]
    assert all(word in result["msg"] for word in words), result["msg"]
    assert [path.name for path in (tmp_path / "opt").iterdir()] == [pathlib.Path(first).name]
    assert not (tmp_path.parent / "escaped").exists()


def test_an_archive_from_a_url(run_module: Run, tmp_path: pathlib.Path) -> None:
    row = archive(tmp_path)
    given = options(tmp_path, from_url(row, pathlib.Path(row["file"]).as_uri()))
    result = run_module("grafana_plugins", given)
    assert result["installed"] is True


def test_an_archive_that_would_fill_the_disk(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LARGEST", 10)
    row = archive(tmp_path)
    with pytest.raises(engine.InfraError, match="unpacks to more than"):
        engine.install(
            tmp_path / "opt", [row], lambda given, place: place.write_bytes(pathlib.Path(given["file"]).read_bytes())
        )


def test_the_filter_names_the_folder_of_the_module(run_module: Run, tmp_path: pathlib.Path) -> None:
    row = archive(tmp_path)
    given = {key: row[key] for key in ("id", "version", "checksum")}
    found = grafana_plugins([{**given, "path": row["file"]}], str(tmp_path / "opt"), "/archives")
    assert found["plugins"] == [{**given, "file": f"/archives/{CLOCK}-2.1.8.zip"}]
    assert found["folder"] == run_module("grafana_plugins", options(tmp_path, row))["path"]
    assert json.loads(found["pinned"]) == {"folder": found["folder"], "plugins": {CLOCK: "2.1.8"}}
    # Another archive of the same version is another folder, and so another set.
    other = grafana_plugins(
        [{**given, "checksum": "sha256:0", "url": "https://h/x"}], str(tmp_path / "opt"), "/archives"
    )
    assert other["pinned"] != found["pinned"]
    assert other["plugins"][0]["url"] == "https://h/x"
    assert grafana_plugins([], "/opt", "/archives")["folder"] == ""
