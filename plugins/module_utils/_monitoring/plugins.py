# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's plugins as one folder for each list of pinned versions, which is complete or absent.

`grafana cli plugins install` overwrites a plugin in place and takes whatever its source has. Here a changed list is
another folder, which grafana.ini names: the one before stays until the new one is proven, and nothing else is loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import typing as t
import zipfile

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Plugin = t.Mapping[str, t.Any]
#: Writes the archive of a plugin to a file.
Get = t.Callable[[Plugin, pathlib.Path], None]

#: A plugin's archive may not unpack to more than this.
LARGEST = 2 << 30
BLOCK = 1 << 20
#: Programs of plugins, for archives that were packed without modes.
PROGRAM = re.compile(r"gpx_[\w.-]+")
STAGING = ".new"


def folder_of(plugins: t.Sequence[Plugin]) -> str:
    """A name for exactly these plugins, whatever their order and wherever they come from."""
    pins = sorted([str(row["id"]), str(row["version"]), str(row["checksum"])] for row in plugins)
    return hashlib.sha256(json.dumps(pins).encode()).hexdigest()[:16]


def outdated(root: pathlib.Path, keep: t.Container[str]) -> list[str]:
    """Folders of other lists, and what a killed run has left."""
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if path.name not in keep)


def referred(home: pathlib.Path, root: pathlib.Path) -> set[str]:
    """Folders that the current set, the live one or the one before it names in grafana.ini."""
    found: set[str] = set()
    for link in ("current", "live", "previous"):
        with contextlib.suppress(OSError):
            text = (home / link / "grafana.ini").read_text(encoding="utf-8")
            found |= set(re.findall(rf"^plugins = {re.escape(str(root))}/(\w+)$", text, re.MULTILINE))
    return found


def install(root: pathlib.Path, plugins: t.Sequence[Plugin], get: Get) -> pathlib.Path:
    """Get, verify and unpack all of them; the folder appears when it is complete. InfraError leaves none."""
    target, staging = root / folder_of(plugins), root / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    root.chmod(0o755)
    staging.chmod(0o755)
    try:
        for row in plugins:
            _install_one(row, staging, get)
        staging.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def _install_one(row: Plugin, staging: pathlib.Path, get: Get) -> None:
    archive = staging / f".{row['id']}.zip"
    get(row, archive)
    verify(row, archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            top = _top_of(row, opened)
            unpack(row, opened, top, staging / str(row["id"]))
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise fault(row, f"it is not a ZIP archive that can be read: {error}", "Download it again.") from error
    finally:
        archive.unlink()


def verify(row: Plugin, archive: pathlib.Path) -> None:
    algorithm, _separator, wanted = str(row["checksum"]).partition(":")
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != wanted.lower():
        raise fault(
            row,
            f"its archive has the checksum {algorithm}:{found} instead of {row['checksum']}",
            "Correct version, url and checksum; if they are right, the archive was replaced where it comes from.",
        )


def _top_of(row: Plugin, opened: zipfile.ZipFile) -> str:
    """The folder of the archive with the plugin: that of the outermost plugin.json, which must be the pinned one."""
    found = [name for name in opened.namelist() if pathlib.PurePosixPath(name).name == "plugin.json"]
    if not found:
        raise fault(row, "its archive contains no plugin.json", "Give the archive of a plugin of Grafana.")
    place = min(found, key=lambda name: name.count("/"))
    try:
        document = json.loads(opened.read(place))
        known = str(document["id"]), str(document["info"]["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise fault(row, f"its plugin.json cannot be read: {error!r}", "Give the archive of a plugin.") from error
    if known != (str(row["id"]), str(row["version"])):
        raise fault(
            row, f"its archive contains {known[0]} {known[1]}", "Correct id and version, or give another archive."
        )
    return place.removesuffix("plugin.json")


def unpack(row: Plugin, opened: zipfile.ZipFile, top: str, target: pathlib.Path) -> None:
    """The files below `top`; nothing outside `target`, no links, and no more than a disk can take."""
    members = [member for member in opened.infolist() if member.filename.startswith(top) and not member.is_dir()]
    if sum(member.file_size for member in members) > LARGEST:
        raise fault(row, f"its archive unpacks to more than {LARGEST >> 20} MiB", "Give the archive of a plugin.")
    target.mkdir()
    target.chmod(0o755)
    for member in members:
        path = pathlib.PurePosixPath(member.filename.removeprefix(top))
        mode = member.external_attr >> 16
        if path.is_absolute() or ".." in path.parts or (mode & 0o170000) == 0o120000:
            raise fault(row, f"its archive contains {member.filename}, which leads out of it", "Do not use it.")
        place = target / path
        for folder in reversed([parent for parent in place.parents if target in parent.parents]):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        with opened.open(member) as source, place.open("wb") as file:
            shutil.copyfileobj(source, file, BLOCK)
        place.chmod(0o755 if mode & 0o111 or PROGRAM.fullmatch(path.name) else 0o644)


def remove(root: pathlib.Path, names: t.Iterable[str]) -> None:
    for name in names:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            os.unlink(path)


def fault(row: Plugin, cause: str, next_step: str) -> InfraError:
    return InfraError("install Grafana's plugin", f"{row['id']} {row['version']}", cause, next_step)
