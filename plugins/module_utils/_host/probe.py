# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host, read from /proc and /etc: no program is started, nothing is written."""

from __future__ import annotations

import contextlib
import os
import pathlib
import platform
import re
import time
import typing as t

_LISTEN = "0A"


class Listener(t.TypedDict):
    """A listening TCP port, with its program and unit."""

    port: int
    program: str
    unit: str


def parse_os_release(text: str) -> dict[str, str]:
    """ID, VERSION_ID and so on of /etc/os-release, in lower case and without quotes."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip().lower(): value.strip().strip("\"'") for key, value in pairs}


def parse_listening(text: str) -> dict[str, int]:
    """Socket inode -> port of every listening row of /proc/net/tcp or tcp6."""
    found = {}
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found


def parse_unit(cgroup: str) -> str:
    """The systemd unit in a /proc/PID/cgroup, the innermost one; empty if there is none."""
    for line in cgroup.splitlines():
        hierarchy, controllers, path = [*line.split(":", 2), "", ""][:3]
        if hierarchy == "0" or controllers == "name=systemd":
            units = [part for part in path.split("/") if re.search(r"\.(service|socket|scope)$", part)]
            if units:
                return units[-1]
    return ""


def parse_meminfo(text: str) -> int:
    """MiB of memory in /proc/meminfo; 0 if it is not stated."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def free_mb(path: str) -> int:
    """MiB available to services on the file system of `path`."""
    state = os.statvfs(path)
    return state.f_bavail * state.f_frsize // 2**20


def _read(path: pathlib.Path) -> str:
    """The content of a file; empty if it does not exist or its process has just ended."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _links(folder: pathlib.Path) -> t.Iterator[str]:
    """The targets of the links in a folder, ignoring links that disappear meanwhile."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            yield os.readlink(folder / name)


def _owners(proc: pathlib.Path, inodes: t.Collection[str]) -> dict[str, pathlib.Path]:
    """Socket inode -> folder of its process; the lowest process id if there are several."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, pathlib.Path] = {}
    for folder in sorted((path for path in proc.iterdir() if path.name.isdigit()), key=lambda path: int(path.name)):
        for link in _links(folder / "fd"):
            if link in wanted:
                found.setdefault(wanted[link], folder)
    return found


def listeners(proc: pathlib.Path) -> list[Listener]:
    """All listening TCP ports in order, with program and unit (empty if unknown)."""
    inodes = {**parse_listening(_read(proc / "net/tcp")), **parse_listening(_read(proc / "net/tcp6"))}
    owners = _owners(proc, inodes) if inodes else {}
    rows = set()
    for inode, port in inodes.items():
        folder = owners.get(inode)
        program = _read(folder / "comm").strip() if folder else ""
        unit = parse_unit(_read(folder / "cgroup")) if folder else ""
        rows.add((port, program, unit))
    return [{"port": port, "program": program, "unit": unit} for port, program, unit in sorted(rows)]


def probe(reference_time: float | None, root: pathlib.Path = pathlib.Path("/")) -> dict[str, t.Any]:
    """All facts that preflight needs of a host; `root` contains /proc, /etc and /run."""
    release = parse_os_release(_read(root / "etc/os-release"))
    return {
        "clock_offset_seconds": None if reference_time is None else round(time.time() - reference_time, 1),
        "disk_free_mb": {path: free_mb(str(root / path.lstrip("/"))) for path in ("/", "/var")},
        "init": _read(root / "proc/1/comm").strip(),
        "listeners": listeners(root / "proc") if (root / "proc/net").exists() else [],
        "memory_mb": parse_meminfo(_read(root / "proc/meminfo")),
        "os": {
            "id": release.get("id") or platform.system().lower(),
            "codename": release.get("version_codename", ""),
            "version": release.get("version_id", ""),
            "name": release.get("pretty_name") or platform.platform(),
        },
        "python": platform.python_version(),
        "superuser": os.geteuid() == 0,
        "systemd": (root / "run/systemd/system").is_dir(),
    }


def as_facts(system: t.Mapping[str, str]) -> dict[str, str]:
    """Ansible's own facts of the distribution, so that no role needs to gather them; only where they are certain."""
    names = {"debian": "Debian", "ubuntu": "Ubuntu"}
    if system["id"] not in names or not system["version"]:
        return {}
    return {
        "distribution": names[system["id"]],
        "distribution_major_version": system["version"].partition(".")[0],
        "distribution_release": system["codename"],
    }
