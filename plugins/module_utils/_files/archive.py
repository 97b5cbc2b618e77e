# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs from upstream's archives: /opt/NAME/VERSION is the unpacked archive, complete or counted as not there.

Folders, digests, pruning and what is in use are the engine of releases; only what fills a folder differs.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import pathlib
import platform
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import typing as t
import urllib.error
import urllib.parse
import zlib

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.release import DESCRIPTION, Releases, file_digest

ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "software": {"type": "str"},
    "version": {"type": "str"},
    "url": {"type": "str"},
    "mirror": {"type": "str"},
    "file": {"type": "str"},
    "checksums": {"type": "dict", "default": {}},
    "lock": {"type": "str"},
    "programs": {"type": "list", "elements": "str", "default": []},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "keep": {"type": "int", "default": 1},
    "timeout": {"type": "int", "default": 60},
    "root": {"type": "path", "default": "/opt"},
    "sets_root": {"type": "path", "default": "/etc/nexod"},
}
#: For the module: what the action plugin adds.
#: received, the path of the archive on the host once it was sent.
HOST_ARGUMENTS: dict[str, t.Any] = {**ARGUMENTS, "_internal": {"type": "dict"}}
REQUIRED_IF = [("state", "present", ["version"])]

#: What upstream calls a machine.
ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armv7",
    "armv6l": "armv6",
    "i386": "386",
    "i686": "386",
}
#: ELF's e_machine of those, and how it is called in an error.
ELF_MACHINES = {"amd64": 62, "arm64": 183, "armv7": 40, "armv6": 40, "386": 3, "ppc64le": 21, "s390x": 22}
ELF_NAMES = {62: "amd64", 183: "arm64", 40: "arm", 3: "386", 21: "ppc64", 22: "s390x", 243: "riscv64"}
#: Folders in which an archive is downloaded and unpacked, beside the versions.
SCRATCH = ".archive-"
BLOCK = 1 << 20


def architecture(machine: str) -> str:
    """As upstream names it in its archives."""
    return ARCHITECTURES.get(machine, machine)


def description(name: str, version: str, checksum: str) -> str:
    """What is written into the folder last: the archive that it holds."""
    return json.dumps({"schema": 1, "name": name, "version": version, "sha256": checksum}, sort_keys=True) + "\n"


def digest_of(name: str, version: str, checksum: str) -> str:
    """What `Releases.installed` reports of a folder that holds this archive."""
    return hashlib.sha256(description(name, version, checksum).encode()).hexdigest()


def filled_in(text: str, version: str, architecture: str) -> str:
    """A URL or a path, with the version and the architecture in their places."""
    return text.replace("{version}", version).replace("{arch}", architecture)


def shown(url: str) -> str:
    """A URL without user, password and query, for messages."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def checksum_of(options: t.Mapping[str, t.Any], arch: str) -> str:
    """The pin for this host. Raises InfraError where there is none."""
    found = str(options["checksums"].get(arch) or "")
    if not found:
        known = ", ".join(sorted(options["checksums"])) or "no architecture"
        what = f"{options['name']} {options['version']}"
        cause = f"this host is {arch}, and there are checksums for {known} only"
        raise InfraError("install", what, cause, f"Add the archive's sha256 for {arch} to its checksums.")
    return found


def refuse_wrong_sum(found: str, pinned: str, source: str, what: str) -> None:
    """Nothing of an archive is read before this."""
    if found != pinned:
        cause = f"{source} has the sha256 {found}, but {pinned} is pinned"
        next_step = (
            "Do not use this archive before you know why: compare both with the sums that upstream publishes, then "
            "correct the source or the pin."
        )
        raise InfraError("install", what, cause, next_step)


# -- download


def download(url: str, target: pathlib.Path, what: str, timeout: float = 60) -> str:
    """Fetch `url` into `target`, and return its sha256. Uses the proxy of the task's environment."""
    # It imports cryptography, 0.08 s of processor time, which a version that is there already does not need.
    from ansible.module_utils.urls import open_url  # noqa: PLC0415

    next_step = (
        "Check that the host reaches it (curl -I), or set http_proxy in the task's environment; "
        "otherwise give a `mirror`, or the archive as a `file` on the controller."
    )
    total = hashlib.sha256()
    try:
        with open_url(url, timeout=timeout, http_agent="nexod.infra") as answer, target.open("wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                total.update(block)
            if missing := getattr(answer, "length", None):
                raise http.client.IncompleteRead(b"", missing)
    except urllib.error.HTTPError as error:
        if error.code in (403, 404, 410):
            next_step = "Check the version and the URL; a mirror may not have this version."
        cause = f"{shown(url)} answers {error.code} {error.reason}"
        raise InfraError("download", what, cause, next_step) from error
    except http.client.HTTPException as error:
        reason = "the connection was cut off" if isinstance(error, http.client.IncompleteRead) else repr(error)
        raise InfraError(
            "download", what, f"{shown(url)}: {reason}", "Run again; if it repeats, use another `mirror`."
        ) from error
    except urllib.error.URLError as error:
        raise InfraError("download", what, f"{shown(url)}: {error.reason}", next_step) from error
    except OSError as error:
        # A full disk is the edge's; what comes of the network has no file and no number of a file system.
        if error.filename or isinstance(error, PermissionError) or _is_of_disk(error):
            raise
        raise InfraError("download", what, f"{shown(url)}: {error}", next_step) from error
    return total.hexdigest()


def _is_of_disk(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


# -- unpack


def unpack(archive: str, folder: pathlib.Path, what: str) -> None:
    """Write the archive's files into `folder`, without the one folder that upstream wraps around them.

    Only files, folders, and links that stay inside; owner, time and special bits are not the archive's to decide.
    Debian 12's Python has no extraction filters.
    """
    next_step = "Check that the URL or file is upstream's archive for Linux (.tar.gz), and not a page about it."
    try:
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
            wrapped = wrapping_folder([member.name for member in members])
            for member in members:
                write_member(tar, member, folder, inner_path(member.name, wrapped, what), what)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InfraError("unpack", what, f"the archive is no tar file, or damaged: {error}", next_step) from error


def wrapping_folder(names: t.Iterable[str]) -> str:
    """The one folder that holds everything; empty where there is none."""
    tops = {part for name in names if (part := name.removeprefix("./").partition("/")[0]) and part != "."}
    inner = any("/" in name.removeprefix("./").rstrip("/") for name in names)
    return tops.pop() if len(tops) == 1 and inner else ""


def inner_path(name: str, wrapped: str, what: str) -> str:
    """A member's path below the version's folder, empty for that itself. Raises InfraError where it leads out."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name:
        cause = f'its member "{name}" would be written outside of the folder'
        raise InfraError("unpack", what, cause, "Do not use this archive: no release of upstream has such a path.")
    return "/".join(parts[1:] if wrapped and parts[:1] == [wrapped] else parts)


def write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: pathlib.Path, path: str, what: str) -> None:
    if not path:
        return
    target = folder / path
    odd = "Do not use this archive: no release of upstream has such a member."
    # A link that came before must not lead this member elsewhere.
    ways = [place for place in (target, *target.parents) if place != folder and place.is_relative_to(folder)]
    if any(place.is_symlink() for place in ways):
        raise InfraError("unpack", what, f'its member "{member.name}" lies behind a link of the same archive', odd)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        # Where it leads from its own place, without asking the file system.
        landing = os.path.normpath(os.path.join(os.path.dirname(path), member.linkname))
        if member.linkname.startswith("/") or landing == ".." or landing.startswith("../"):
            cause = f'its link "{member.name}" leads outside of the folder, to {member.linkname}'
            raise InfraError("unpack", what, cause, odd)
        target.symlink_to(member.linkname)
        return
    try:
        # A hard link is written as the file that it stands for, which came before.
        stream = tar.extractfile(member) if member.isreg() or member.islnk() else None
    except KeyError:
        stream = None
    if stream is None:
        raise InfraError("unpack", what, f'its member "{member.name}" is neither a file, a folder nor a link', odd)
    with stream, target.open("wb") as file:
        shutil.copyfileobj(stream, file, BLOCK)
    target.chmod(0o755 if member.mode & stat.S_IXUSR else 0o644)


def refuse_unusable(folder: pathlib.Path, programs: t.Sequence[str], arch: str, what: str) -> None:
    """The programs must be there, executable, and for this host."""
    for name in programs:
        path = folder / name
        if not path.is_file():
            found = ", ".join(sorted(item.name for item in folder.iterdir())[:12]) or "nothing"
            next_step = "Check that the URL or file names this program's archive, and not another's."
            raise InfraError("use", f"the archive of {what}", f"it has no {name}, but {found}", next_step)
        machine = elf_machine(path)
        if machine is not None and machine != ELF_MACHINES.get(arch, machine):
            built = ELF_NAMES.get(machine, f"ELF machine {machine}")
            cause = f"its {name} was built for {built}, and this host is {arch}"
            raise InfraError(
                "use", f"the archive of {what}", cause, f"Give the archive for linux-{arch}, and its sha256."
            )
        path.chmod(0o755)


def elf_machine(path: pathlib.Path) -> int | None:
    """What a program was built for; None for a script."""
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return None
    return int(struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])[0])


def install(releases: Releases, options: t.Mapping[str, t.Any], checksum: str, received: str = "") -> None:
    """Make the folder of the version: unpacked beside it, and put in its place by one rename."""
    name, version, arch = releases.name, str(options["version"]), architecture(platform.machine())
    what = f"{name} {version}"
    target = releases.path(version)
    # What killed runs left; the lock is ours.
    for rest in releases.home.glob(f"{SCRATCH}*"):
        shutil.rmtree(rest)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=releases.home) as scratch:
        archive, folder = pathlib.Path(scratch) / "archive", pathlib.Path(scratch) / "folder"
        folder.mkdir()
        if received:
            archive, source = pathlib.Path(received), "the archive that was sent to the host"
            found = file_digest(archive)
        else:
            url = filled_in(options["url"], version, arch)
            source, found = shown(url), download(url, archive, what, options["timeout"])
        refuse_wrong_sum(found, checksum, source, what)
        unpack(str(archive), folder, what)
        refuse_unusable(folder, options["programs"], arch, what)
        (folder / DESCRIPTION).write_text(description(name, version, checksum), encoding="utf-8")
        releases.remove([version] if os.path.lexists(target) else [])
        folder.replace(target)


def refuse_bad_pin(name: str, checksums: t.Mapping[str, t.Any]) -> None:
    for arch, value in checksums.items():
        if not re.fullmatch(r"[0-9a-f]{64}", str(value)):
            cause = f'"{value}" is no sha256'
            raise InfraError(
                "use the checksum of", f"{name} for {arch}", cause, "Write the 64 hexadecimal digits, lowercase."
            )


@contextlib.contextmanager
def world_readable() -> t.Iterator[None]:
    """Services run as accounts of their own."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)
