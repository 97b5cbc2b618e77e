# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases on a host: /opt/NAME/VERSION is a virtual environment that is complete or counts as not there.

The release's own description, release.json, is written into it last: it is what makes the release complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run

DESCRIPTION = "release.json"
NAME = re.compile(r"[a-z][a-z0-9_-]*")
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]*")
# Names of a file set's generations that a service may run from, or return to.
POINTERS = ("current", "previous", "live")
# A unit or an environment file is far smaller; what is larger names no program.
LARGEST_UNIT = 256 * 1024

#: A release is built beside the one that serves: that one goes first. (nice is of coreutils, on every Debian.)
PATIENTLY = ("nice", "-n", "19")

ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "version": {"type": "str"},
    "archive": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "link": {"type": "str"},
    "keep": {"type": "int", "default": 2},
    "protect": {"type": "list", "elements": "str", "default": []},
    "python": {"type": "path", "default": "/usr/bin/python3"},
    "root": {"type": "path", "default": "/opt"},
    "sets_root": {"type": "path", "default": "/etc/nexod"},
}
#: For the module: what the action plugin adds.
#: description and digest of the archive, and received, its path on the host once it was sent.
HOST_ARGUMENTS: dict[str, t.Any] = {**ARGUMENTS, "_internal": {"type": "dict"}}
REQUIRED_IF = [("state", "present", ["version", "archive"])]


@dataclasses.dataclass(frozen=True)
class Description:
    """What an archive's release.json says; `digest` names its whole content, for it holds every file's sha256."""

    name: str
    version: str
    machine: str
    pythons: dict[str, list[str]]
    imports: list[str]
    files: dict[str, str]
    digest: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Description:
        try:
            data = json.loads(text)
            known = cls(
                name=str(data["name"]),
                version=str(data["version"]),
                machine=str(data["machine"]),
                pythons={str(python): [str(w) for w in wheels] for python, wheels in data["pythons"].items()},
                imports=[str(name) for name in data["imports"]],
                files={str(path): str(digest) for path, digest in data["files"].items()},
                digest=hashlib.sha256(text.encode()).hexdigest(),
                text=text,
            )
            schema = data["schema"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            cause = f"{DESCRIPTION} is incomplete ({type(error).__name__}: {error})"
            raise InfraError("read", "the release", cause, "Build the archive anew.") from error
        odd = [path for path in known.files if not re.fullmatch(r"wheels/[A-Za-z0-9._+-]+\.whl", path)]
        missing = [w for wheels in known.pythons.values() for w in wheels if w not in known.files]
        if schema != 1 or odd or missing:
            cause = f"schema {schema}, odd paths {odd}, files without a checksum {missing}"
            raise InfraError("read", "the release", cause, "Build the archive with this collection's own example.")
        return known


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps: whether to build the desired version, and the versions to remove."""

    build: bool
    remove: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return self.build or bool(self.remove)


def by_version(version: str) -> list[tuple[int, int, str]]:
    """Sorts 1.10.0 after 1.9.0, and 1.0.0 after 1.0.0rc1."""
    parts = re.findall(r"\d+|[A-Za-z]+", version)
    return [(1, int(part), "") if part.isdigit() else (-1, 0, part) for part in parts] + [(0, 0, "")]


def plan_present(
    installed: t.Mapping[str, str | None],
    wanted: str,
    digest: str,
    *,
    keep: int,
    protected: t.Collection[str],
) -> Plan:
    """Build `wanted` unless it is there and complete; of the others keep the `keep` newest and all `protected`.

    What is complete goes only when another one comes. The file set that follows lets go of a version that was still
    protected here, so the same run again would find one more to remove.
    `installed` maps a version to the digest of its content, None where it was never completed.
    Raises InfraError when another build of the same version is in use: a version is one content.
    """
    there = installed.get(wanted)
    if there is not None and there != digest and wanted in protected:
        raise InfraError(
            "install",
            f"version {wanted}",
            "another build of the same version is there and in use",
            "Give the changed build a version of its own.",
        )
    others = sorted((v for v in installed if v != wanted and v not in protected), key=by_version, reverse=True)
    complete = [version for version in others if installed[version] is not None]
    build = there != digest
    kept = complete[:keep] if build else complete
    return Plan(build=build, remove=tuple(version for version in others if version not in kept))


def plan_absent(installed: t.Collection[str], version: str | None, protected: t.Collection[str]) -> Plan:
    """Remove `version`, or all. Raises InfraError when one of them is in use."""
    gone = sorted((v for v in installed if version in (None, v)), key=by_version)
    used = [v for v in gone if v in protected]
    if used:
        raise InfraError(
            "remove",
            f"version {', '.join(used)}",
            "a file set's unit names it or a process runs from it",
            "Remove the service and its file set first.",
        )
    return Plan(build=False, remove=tuple(gone))


@dataclasses.dataclass(frozen=True)
class Linked:
    """A link in the application's folder: the version that it names now (None: there is none) and is to name."""

    name: str
    before: str | None
    after: str

    @property
    def changes(self) -> bool:
        return self.before != self.after


def as_diff(
    name: str,
    installed: t.Mapping[str, str | None],
    plan: Plan,
    wanted: str | None,
    linked: Linked | None = None,
    *,
    thing: str = "releases",
) -> dict[str, str]:
    def listing(versions: t.Iterable[str]) -> str:
        return "".join(f"{version}\n" for version in sorted(versions, key=by_version))

    before = {version for version, digest in installed.items() if digest is not None}
    after = (before | ({wanted} if plan.build and wanted else set())) - set(plan.remove)
    header = f"{thing} of {name}"
    named = (
        [f"{linked.name} -> {version}\n" if linked and version else "" for version in (linked.before, linked.after)]
        if linked
        else ["", ""]
    )
    return {
        "before_header": header,
        "after_header": header,
        "before": listing(before) + named[0],
        "after": listing(after) + named[1],
    }


def read_description(archive: str, name: str, version: str) -> tuple[Description, str]:
    """The description at the archive's head, and the sha256 of the whole archive."""
    next_step = "Build it first, or correct `archive`."
    try:
        with tarfile.open(archive) as tar:
            first = tar.next()
            stream = tar.extractfile(first) if first is not None and first.name == DESCRIPTION else None
            if stream is None:
                raise InfraError("read", f'the archive "{archive}"', f"{DESCRIPTION} is not its first file", next_step)
            description = Description.parse(stream.read().decode())
        digest = file_digest(archive)
    except (OSError, tarfile.TarError) as error:
        raise InfraError("read", f'the archive "{archive}"', str(error), next_step) from error
    if (description.name, description.version) != (name, version):
        cause = f"it holds {description.name} {description.version}, not {name} {version}"
        raise InfraError("use", f'the archive "{archive}"', cause, "Correct `archive`, `name` or `version`.")
    return description, digest


def file_digest(path: str | pathlib.Path) -> str:
    with open(path, "rb") as stream:
        total = hashlib.sha256()
        while block := stream.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def refuse_bad_names(name: str, version: str | None, keep: int) -> None:
    """Both become folders: neither may lead elsewhere."""
    if not NAME.fullmatch(name):
        raise InfraError("use the name", f'"{name}"', "it can't name a folder", "Use a-z, digits, - and _.")
    if version is not None and not VERSION.fullmatch(version):
        next_step = "Use letters, digits and . + _ -, such as 1.1.0."
        raise InfraError("use the version", f'"{version}"', "it can't name a folder", next_step)
    if keep < 0:
        raise InfraError("keep", f"{keep} releases", "the number is negative", "Give 0 or more.")


class Releases:
    """All releases of `name` on this host."""

    def __init__(self, name: str, root: str = "/opt", sets_root: str = "/etc/nexod") -> None:
        self.name = name
        self.home = pathlib.Path(root) / name
        self.sets_root = pathlib.Path(sets_root)

    def path(self, version: str) -> pathlib.Path:
        return self.home / version

    def linked(self, link: str | None, version: str) -> Linked | None:
        """What `link` names now, and what it is to name; None without a link."""
        if not link:
            return None
        if not NAME.fullmatch(link):
            raise InfraError("use the link", f'"{link}"', "it can't name a file", "Use a-z, digits, - and _.")
        path = self.home / link
        if path.exists() and not path.is_symlink():
            raise InfraError(
                "make the link", f'"{path}"', "another file or folder has that name", "Move it, or name another link."
            )
        return Linked(link, os.readlink(path) if path.is_symlink() else None, version)

    def point(self, linked: Linked) -> None:
        """One rename: at no moment is there no link."""
        fresh = self.home / f".{linked.name}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(linked.after)
        fresh.replace(self.home / linked.name)

    def installed(self) -> dict[str, str | None]:
        """Each version's content digest; None where an interrupted run left a part."""
        if not self.home.is_dir():
            return {}
        folders = [f for f in self.home.iterdir() if f.is_dir() and not f.is_symlink() and VERSION.fullmatch(f.name)]
        return {folder.name: self._digest(folder) for folder in folders}

    @staticmethod
    def _digest(folder: pathlib.Path) -> str | None:
        try:
            return hashlib.sha256((folder / DESCRIPTION).read_bytes()).hexdigest()
        except FileNotFoundError:
            return None

    def in_use(self) -> set[str]:
        """Versions that a file set may run or return to, and those that a process runs from."""
        pattern = re.compile(re.escape(f"{self.home}/").encode() + rb"([0-9A-Za-z][0-9A-Za-z.+_-]*)/")
        found: set[str] = set()
        for text in (*self._set_files(), *self._command_lines()):
            found.update(version.decode() for version in pattern.findall(text))
        return found

    def _set_files(self) -> t.Iterator[bytes]:
        generations = {p.resolve() for pointer in POINTERS for p in self.sets_root.glob(f"*/{pointer}") if p.is_dir()}
        for generation in sorted(generations):
            for file in generation.rglob("*"):
                if file.is_file() and file.stat().st_size <= LARGEST_UNIT:
                    yield file.read_bytes()

    @staticmethod
    def _command_lines() -> t.Iterator[bytes]:
        for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            # Processes end while one looks at them.
            with contextlib.suppress(OSError):
                yield file.read_bytes()

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[None]:
        """Two runs at once would build into one folder."""
        self.home.mkdir(parents=True, exist_ok=True)
        with open(self.home / ".lock", "w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                next_step = "Wait for it to end, then run again."
                raise InfraError("change", f"{self.home}", "another run is changing it", next_step) from error
            yield

    def remove(self, versions: t.Iterable[str]) -> None:
        for version in versions:
            # First what makes it complete: a removal that is cut short leaves a part, never a broken whole.
            (self.path(version) / DESCRIPTION).unlink(missing_ok=True)
            shutil.rmtree(self.path(version))

    def remove_home(self) -> None:
        shutil.rmtree(self.home)

    def build(self, description: Description, archive: str, digest: str, python: str) -> None:
        """Make the release from the received archive; complete only when its description is in place."""
        if file_digest(archive) != digest:
            cause = "it is not what the controller sent"
            raise InfraError("use", "the received archive", cause, "Run again; check the host's disk if it repeats.")
        target = self.path(description.version)
        (target / DESCRIPTION).unlink(missing_ok=True)
        # What killed runs left; the lock is ours.
        for folder in (target, *self.home.glob(".wheels-*")):
            if os.path.lexists(folder):
                shutil.rmtree(folder)
        with tempfile.TemporaryDirectory(prefix=".wheels-", dir=self.home) as scratch:
            wheels = unpack(archive, description, wheels_for(description, python), scratch)
            make_environment(target, wheels, python, description.imports)
        part = target / f".{DESCRIPTION}"
        part.write_text(description.text, encoding="utf-8")
        part.replace(target / DESCRIPTION)


def python_version(python: str) -> str:
    """Such as 3.13."""
    if os.path.realpath(python) == os.path.realpath(sys.executable):
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    asked = run([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    if asked.rc != 0:
        raise InfraError("run", f'"{python}"', asked.output, "Install python3 on the host, or correct `python`.")
    return asked.stdout.strip()


def wheels_for(description: Description, python: str) -> list[str]:
    """The archive's wheels for this host. Raises InfraError when it was not built for such a host."""
    what = f"{description.name} {description.version}"
    if platform.machine() != description.machine:
        cause = f"it was built for {description.machine}, and this host is {platform.machine()}"
        raise InfraError("install", what, cause, "Build it for the host's machine.")
    version = python_version(python)
    if version not in description.pythons:
        cause = f"it was built for Python {' and '.join(sorted(description.pythons))}, and {python} is {version}"
        raise InfraError("install", what, cause, f"Build it for Python {version} too.")
    return description.pythons[version]


def unpack(archive: str, description: Description, wanted: t.Sequence[str], folder: str) -> list[str]:
    """Write the wanted wheels into `folder`, each held against its checksum; returns their paths."""
    paths = []
    with tarfile.open(archive) as tar:
        for path in wanted:
            try:
                stream = tar.extractfile(path)
                content = stream.read() if stream else b""
            except (KeyError, tarfile.TarError) as error:
                raise InfraError("use", f'"{path}" of the archive', str(error), "Build the archive anew.") from error
            if hashlib.sha256(content).hexdigest() != description.files[path]:
                cause = f"its checksum is not the one in {DESCRIPTION}"
                raise InfraError("use", f'"{path}" of the archive', cause, "Build the archive anew.")
            paths.append(os.path.join(folder, os.path.basename(path)))
            with open(paths[-1], "wb") as file:
                file.write(content)
    return paths


def make_environment(target: pathlib.Path, wheels: t.Sequence[str], python: str, imports: t.Sequence[str]) -> None:
    """A virtual environment with `wheels` and nothing from an index, proven by importing `imports`."""
    what = f'"{target}"'
    # pip runs from its own wheel: the host needs neither pip nor ensurepip (Debian's python3-venv).
    made = run([python, "-m", "venv", "--without-pip", str(target)], timeout=120)
    if made.rc != 0:
        next_step = "Install the host's python3-venv (apt-get install python3-venv), check the disk, and run again."
        raise InfraError("make the virtual environment", what, made.output or f"rc {made.rc}", next_step)
    interpreter = str(target / "bin" / "python")
    pips = [wheel for wheel in wheels if os.path.basename(wheel).startswith("pip-")]
    if not pips:
        raise InfraError("install into", what, "the archive holds no wheel of pip", "Add pip to its requirements.")
    options = "--isolated --no-index --no-deps --no-compile --no-input --no-cache-dir --disable-pip-version-check"
    packages = [wheel for wheel in wheels if wheel not in pips]
    installed = run(
        [*PATIENTLY, interpreter, f"{pips[0]}/pip", "install", "--quiet", *options.split(), *packages],
        timeout=600,
        environment={"PIP_CONFIG_FILE": os.devnull},
    )
    if installed.rc != 0:
        next_step = "Check the disk (df), then run again; if it repeats, build the archive anew."
        raise InfraError("install into", what, installed.output[-2000:] or f"rc {installed.rc}", next_step)
    # Proof that the release is whole. It also leaves byte code for exactly what is used, which the service,
    # running as nobody who may write here, could never keep: 0.8 s instead of 2.6 s a start.
    statement = "".join(f"import {name}\n" for name in imports)
    proven = run(
        [*PATIENTLY, interpreter, "-c", statement], timeout=120, environment={"PYTHONDONTWRITEBYTECODE": ""}, cwd="/"
    )
    if proven.rc != 0:
        raise InfraError("import from", what, proven.output[-2000:], "Fix the release's code or its requirements.")
