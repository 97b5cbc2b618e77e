# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock files: for each program its URL, and for each pinned version the sha256 of its archive by architecture.

    prometheus:
      url: https://github.com/prometheus/prometheus/releases/download/v{version}/prometheus-{version}.linux-{arch}.tar.gz
      sums: https://github.com/prometheus/prometheus/releases/download/v{version}/sha256sums.txt
      versions:
        "3.5.0":
          amd64: 0f1e...

A version may have a `url` of its own, for programs whose URLs contain more than the version.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import typing as t
import urllib.parse

import yaml

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import translated
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

#: The one of the collection.
LOCK: t.Final = pathlib.Path(__file__).resolve().parents[3] / "versions.lock.yml"
SHA256: t.Final = re.compile(r"[0-9a-f]{64}")
#: Of a version's keys, those that are no architecture.
NO_ARCHITECTURE: t.Final = ("url",)

Document = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Pin:
    """Where an archive comes from, and its sha256 by architecture."""

    url: str
    checksums: dict[str, str]


def read(path: str | pathlib.Path) -> dict[str, t.Any]:
    """A lock file's content. Raises InfraError where it is none."""
    where = pathlib.Path(path).expanduser()
    with translated("read the lock file", f'"{where}"', str(where)):
        text = where.read_text(encoding="utf-8")
    try:
        # A version such as 12.1 is a number where it was written without quotation marks.
        found = {
            str(name): {
                **row,
                "url": row["url"],
                "versions": {str(v): dict(p) for v, p in (row.get("versions") or {}).items()},
            }
            for name, row in (yaml.safe_load(text) or {}).items()
        }
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        cause = f"it is not of the form of versions.lock.yml ({type(error).__name__}: {error})"
        raise InfraError(
            "read the lock file", f'"{where}"', cause, "Write it with nexod.infra.pin_versions."
        ) from error
    bad = [
        f"{name} {version} {arch}"
        for name, row in found.items()
        for version, pins in row["versions"].items()
        for arch, value in pins.items()
        if arch not in NO_ARCHITECTURE and not SHA256.fullmatch(str(value))
    ]
    if bad:
        cause = f"no sha256: {', '.join(bad)}"
        raise InfraError("read the lock file", f'"{where}"', cause, "Pin these anew with nexod.infra.pin_versions.")
    return found


def pin_of(software: str, version: str, locks: t.Sequence[Document]) -> Pin:
    """What the lock files know of a version, the first one first; without checksums where none does."""
    url, checksums = "", {}
    for lock in reversed(locks):
        row = lock.get(software) or {}
        pinned = (row.get("versions") or {}).get(version) or {}
        url = str(pinned.get("url") or row.get("url") or url)
        checksums.update({arch: str(value) for arch, value in pinned.items() if arch not in NO_ARCHITECTURE})
    return Pin(url, checksums)


def mirrored(url: str, mirror: str) -> str:
    """The URL with the mirror in place of its scheme and host."""
    if not mirror:
        return url
    parts = urllib.parse.urlsplit(url)
    return mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def fault(software: str, source: Document, locks: t.Sequence[Document]) -> tuple[str, str] | None:
    """Why nothing can be installed from `source` (the option of a role): cause and next step."""
    version = str(source.get("version") or "")
    if not version:
        return "has no version", "Set its version, such as 1.2.3; nothing asks upstream for the newest one."
    bad = [
        f"{arch}: {value}"
        for arch, value in (source.get("checksums") or {}).items()
        if not SHA256.fullmatch(str(value))
    ]
    if bad:
        return f"has a checksum that is no sha256 ({', '.join(bad)})", "Write the 64 hexadecimal digits, lowercase."
    pin = pin_of(software, version, locks)
    extra = {"pin": {software: version}, **({"pin_lock": str(source["lock"])} if source.get("lock") else {})}
    if not {**pin.checksums, **(source.get("checksums") or {})}:
        return (
            f"asks for {software} {version}, whose archive is not pinned",
            f"Pin it: ansible-playbook nexod.infra.pin_versions -e '{json.dumps(extra)}', "
            "or give its sha256 in checksums.",
        )
    if not (source.get("file") or source.get("url") or pin.url):
        return f"has neither url nor file, and no lock file knows {software}", "Set its url or file."
    return None


def resolved(software: str, version: str, source: Document, locks: t.Sequence[Document]) -> Pin:
    """What the host must know: the URL to use, and the checksums. Raises InfraError where there is no pin."""
    if wrong := fault(software, {**source, "version": version}, locks):
        raise InfraError("install", f"{software} {version}", f"its archive {wrong[0]}", wrong[1])
    pin = pin_of(software, version, locks)
    url = mirrored(str(source.get("url") or pin.url), str(source.get("mirror") or ""))
    given = {str(arch): str(value) for arch, value in (source.get("checksums") or {}).items()}
    return Pin(url, {**pin.checksums, **given})
