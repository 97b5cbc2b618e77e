# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the archive that `release` installs: release.json, and the wheels for every Python of the hosts.

The same inputs give the same bytes. Nothing is built or downloaded if they have not changed since the last build.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import email.parser
import hashlib
import io
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
import zipfile

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run
from ansible_collections.nexod.infra.plugins.module_utils._files.release import DESCRIPTION, NAME, VERSION, file_digest

#: 1980, the earliest that a zip file can state. A build depends on its sources, not on the hour.
EPOCH = 315532800
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
#: Debian 12 and 13.
PYTHONS = ("3.11", "3.13")
#: Debian 12's C library is 2.36: wheels for it and for older ones can be loaded.
NEWEST_GLIBC, OLDEST_GLIBC = 36, 17
#: Left out of a source tree's digest: what tools leave behind there, and what no build reads.
IGNORED = frozenset({".git", ".hg", ".venv", ".tox", ".nox", ".cache", "__pycache__", "build", "dist", "node_modules"})
IGNORED_ENDS = (".pyc", ".egg-info", "_cache")

ARGUMENTS: dict[str, t.Any] = {
    "source": {"type": "path", "required": True},
    "dest": {"type": "path", "required": True},
    "name": {"type": "str"},
    "version": {"type": "str"},
    "requirements": {"type": "path"},
    "imports": {"type": "list", "elements": "str", "default": []},
    "pythons": {"type": "list", "elements": "str", "default": list(PYTHONS)},
    "machine": {"type": "str"},
    "find_links": {"type": "list", "elements": "path", "default": []},
    "index": {"type": "bool", "default": True},
    "build_isolation": {"type": "bool", "default": True},
    "cache": {"type": "path"},
}


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What to build; `name` and `version` None are those of the wheel, `folder` is where the archive goes.

    `source` is a wheel or a folder that pip can build one of. `imports` empty: the wheel's top-level packages.
    `facts` are more keys for release.json.
    """

    source: pathlib.Path
    folder: pathlib.Path
    name: str | None = None
    version: str | None = None
    requirements: pathlib.Path | None = None
    imports: tuple[str, ...] = ()
    pythons: tuple[str, ...] = PYTHONS
    machine: str = dataclasses.field(default_factory=platform.machine)
    find_links: tuple[str, ...] = ()
    index: bool = True
    build_isolation: bool = True
    cache: pathlib.Path | None = None
    facts: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Built:
    """The archive at `path`, and whether it had to be built (in a rehearsal: would have to be)."""

    path: pathlib.Path
    name: str
    version: str
    built: bool


@dataclasses.dataclass(frozen=True)
class Wheel:
    """What a wheel states about itself; `packages` are its importable top-level names, `pure` fits every Python."""

    project: str
    version: str
    packages: tuple[str, ...]
    pure: bool


def wanted_of(options: t.Mapping[str, t.Any]) -> Wanted:
    """A module's options as what to build."""
    return Wanted(
        source=pathlib.Path(options["source"]),
        folder=pathlib.Path(options["dest"]),
        name=options["name"],
        version=options["version"],
        requirements=pathlib.Path(options["requirements"]) if options["requirements"] else None,
        imports=tuple(options["imports"]),
        pythons=tuple(options["pythons"]),
        machine=options["machine"] or platform.machine(),
        find_links=tuple(options["find_links"]),
        index=options["index"],
        build_isolation=options["build_isolation"],
        cache=pathlib.Path(options["cache"]) if options["cache"] else None,
    )


# -- what was asked for ----------------------------------------------------------------------------


def faults(wanted: Wanted) -> list[str]:
    """Everything about the inputs that no build can succeed with."""
    source, requirements = wanted.source, wanted.requirements
    found = []
    if not source.exists():
        found.append(f"source {source} does not exist")
    elif source.is_file() and source.suffix != ".whl":
        found.append(f"source {source} is neither a wheel nor a folder")
    elif source.is_dir() and not any((source / name).is_file() for name in ("pyproject.toml", "setup.py")):
        found.append(f"source {source} has no pyproject.toml, so pip cannot build it")
    if requirements is not None and not requirements.is_file():
        found.append(f"requirements {requirements} is not a file")
    if wanted.name is not None and not NAME.fullmatch(wanted.name):
        found.append(f'name "{wanted.name}" has other characters than small letters, digits, - and _')
    if wanted.version is not None and not VERSION.fullmatch(wanted.version):
        found.append(f'version "{wanted.version}" has other characters than letters, digits and . + _ -')
    odd = [python for python in wanted.pythons if not re.fullmatch(r"3\.\d+", python)]
    if odd or not wanted.pythons:
        found.append(f"pythons are {', '.join(odd) or 'empty'}; give them as 3.11")
    found += [f"find_links {folder} is not a folder" for folder in wanted.find_links if not os.path.isdir(folder)]
    return found


def refuse(wanted: Wanted) -> None:
    if found := faults(wanted):
        raise InfraError("build the release of", f'"{wanted.source}"', "; ".join(found), "Correct the options named.")


def digest_of(parts: t.Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def is_ignored(name: str) -> bool:
    return name in IGNORED or name.endswith(IGNORED_ENDS)


def tree_parts(source: pathlib.Path) -> t.Iterator[bytes]:
    """Every path and content of a source; a file that changes changes the digest."""
    if source.is_file():
        yield from (source.name.encode(), source.read_bytes())
        return
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        for name in sorted(files):
            path = pathlib.Path(folder) / name
            if not is_ignored(name) and path.is_file():
                yield from (path.relative_to(source).as_posix().encode(), path.read_bytes())


def input_key(wanted: Wanted) -> str:
    """Names everything that the archive depends on, so that an unchanged release is not built again."""
    asked = {
        "format": 1,
        "name": wanted.name,
        "version": wanted.version,
        "imports": wanted.imports,
        "pythons": wanted.pythons,
        "machine": wanted.machine,
        "facts": dict(wanted.facts),
        "links": [sorted(os.listdir(folder)) for folder in wanted.find_links],
        "isolated": wanted.build_isolation,
    }
    lock = wanted.requirements.read_bytes() if wanted.requirements else b""
    return digest_of([json.dumps(asked, sort_keys=True).encode(), lock, *tree_parts(wanted.source)])


# -- pip -------------------------------------------------------------------------------------------


def platforms(machine: str) -> list[str]:
    """What the hosts' C library can load, as pip's --platform arguments."""
    named = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    return [f"--platform={name}" for name in [*named, f"manylinux2014_{machine}", f"manylinux1_{machine}"]]


def pip(arguments: t.Sequence[str], what: str, next_step: str) -> None:
    """Run pip of this interpreter; raises InfraError with pip's own words."""
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = run(argv, timeout=1800, environment={"SOURCE_DATE_EPOCH": str(EPOCH), "PIP_NO_COLOR": "1"})
    if done.rc == 0:
        return
    if "No module named pip" in done.stderr:
        cause = f"{sys.executable} has no pip"
        raise InfraError(what, "with pip", cause, "Install pip for it (python3-pip), or run with another interpreter.")
    raise InfraError(
        what, "with pip", f"pip {arguments[0]} ended with {done.rc}", next_step, detail=done.output[-3000:]
    )


def where_from(wanted: Wanted) -> list[str]:
    links = [f"--find-links={folder}" for folder in wanted.find_links]
    return [*links, *([] if wanted.index else ["--no-index"])]


def own_wheel(wanted: Wanted, scratch: pathlib.Path) -> pathlib.Path:
    """The application's own wheel: the source itself, or built from it on a copy."""
    target = scratch / "own"
    target.mkdir()
    if wanted.source.is_file():
        return pathlib.Path(shutil.copy(wanted.source, target))
    # Build back ends write beside what they build.
    tree = scratch / "source"
    shutil.copytree(wanted.source, tree, ignore=lambda _folder, names: [name for name in names if is_ignored(name)])
    options = ["--quiet", "--no-deps", f"--wheel-dir={target}", *where_from(wanted)]
    options += [] if wanted.build_isolation else ["--no-build-isolation"]
    pip(
        ["wheel", *options, str(tree)],
        "build the wheel of the application",
        "Correct what pip names. If it is a build requirement that cannot be downloaded: check the package index"
        " (pip config list), or give find_links.",
    )
    return next(target.glob("*.whl"))


def read_wheel(path: pathlib.Path) -> Wheel:
    """What the wheel's metadata says. Raises InfraError if it is not a wheel."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            info = next(name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
            metadata = email.parser.HeaderParser().parsestr(archive.read(info).decode())
            marks = archive.read(info.replace("METADATA", "WHEEL")).decode()
    except (OSError, KeyError, StopIteration, zipfile.BadZipFile) as error:
        cause = str(error) or "it holds no METADATA"
        raise InfraError("read the wheel", f'"{path.name}"', cause, "Build it again (pip wheel).") from error
    tags = re.findall(r"^Tag: (\S+)", marks, re.MULTILINE)
    tops = (name.partition("/") for name in names if ".dist-info/" not in name and ".data/" not in name)
    modules = {top if slash else top.removesuffix(".py") for top, slash, _rest in tops if slash or top.endswith(".py")}
    return Wheel(
        project=metadata.get("Name", ""),
        version=metadata.get("Version", ""),
        packages=tuple(sorted(module for module in modules if module.isidentifier())),
        pure=bool(tags) and all(tag.endswith("-none-any") and tag.startswith(("py3-", "py2.py3-")) for tag in tags),
    )


def normalized(project: str) -> str:
    return re.sub(r"[-_.]+", "-", project).lower()


def named(wanted: Wanted, wheel: Wheel) -> tuple[str, str]:
    """The release's name and version. Raises InfraError if they are missing or contradict the wheel."""
    name, version = wanted.name or normalized(wheel.project), wanted.version or wheel.version
    what = f'"{wanted.source}"'
    if not name or not NAME.fullmatch(name):
        cause = f"its metadata names it {wheel.project!r}, which cannot be a release's name"
        raise InfraError("build the release of", what, cause, "Give `name`: small letters, digits, - and _.")
    if not version or (version == "0.0.0" and wanted.version is None):
        cause = "its metadata states no version"
        raise InfraError("build the release of", what, cause, "State it in pyproject.toml ([project] version).")
    if version != wheel.version:
        cause = f"`version` is {version}, and the wheel's own is {wheel.version}"
        raise InfraError("build the release of", what, cause, "Change the version in pyproject.toml, or `version`.")
    return name, version


def wheelhouse(wanted: Wanted, own: pathlib.Path, wheel: Wheel, python: str, scratch: pathlib.Path) -> pathlib.Path:
    """The folder with every wheel that the application needs on `python`, beside its own."""
    lock = wanted.requirements
    kept = None
    if lock is not None and wanted.cache is not None:
        key = digest_of([lock.read_bytes(), python.encode(), wanted.machine.encode()])[:16]
        kept = wanted.cache / f"{key}-{python}"
        if kept.is_dir():
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
    target = (kept.parent if kept else scratch) / f".wheels-{os.getpid()}-{python}"
    shutil.rmtree(target, ignore_errors=True)
    options = ["--quiet", "--only-binary=:all:", f"--python-version={python}", *platforms(wanted.machine)]
    options += [f"--dest={target}", *where_from(wanted)]
    next_step = (
        "Check that the requirements have wheels for this Python and machine, and that this machine reaches the"
        " package index (pip config list); without one, give find_links."
    )
    target.mkdir(parents=True)
    what = f"get the wheels for Python {python} on {wanted.machine}"
    if lock is not None:
        pip(["download", *options, "--no-deps", f"--requirement={lock}"], what, next_step)
    if lock is None or not wheel.pure:
        # Also proves that a wheel with compiled code fits this Python: pip judges its tags.
        pip(["download", *options, *(["--no-deps"] if lock else []), str(own)], what, next_step)
        (target / own.name).unlink(missing_ok=True)
    if kept is not None:
        target.rename(kept)
    return kept or target


def pip_wheel(folder: pathlib.Path) -> pathlib.Path:
    """This interpreter's pip as a wheel: hosts need one to install with, and have none.

    Packed again from the installed files, so that it needs no index and the same pip gives the same bytes.
    """
    import importlib.metadata  # noqa: PLC0415 - only where the requirements contain no pip

    try:
        found = importlib.metadata.distribution("pip")
    except importlib.metadata.PackageNotFoundError as error:
        cause = f"{sys.executable} has none"
        raise InfraError("add pip to", "the release", cause, "Add pip to the requirements.") from error
    path = folder / f"pip-{found.version}-py3-none-any.whl"
    rows = {str(file): file.locate() for file in found.files or () if str(file).startswith(("pip/", "pip-"))}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in sorted(rows.items()):
            if "__pycache__" in name or pathlib.PurePath(name).name in ("INSTALLER", "REQUESTED", "direct_url.json"):
                continue
            with contextlib.suppress(FileNotFoundError):
                content = pathlib.Path(str(file)).read_bytes()
                archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content, zipfile.ZIP_DEFLATED)
    return path


# -- the archive -----------------------------------------------------------------------------------


def write_archive(target: pathlib.Path, release: t.Mapping[str, object], files: t.Mapping[str, pathlib.Path]) -> None:
    """release.json first, so that a reader needs no more than the head; no times, owners or order that vary."""

    def entry(path: str, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.size, info.mtime, info.mode = size, EPOCH, 0o644
        return info

    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        text = (json.dumps(release, indent=2, sort_keys=True) + "\n").encode()
        archive.addfile(entry(DESCRIPTION, len(text)), io.BytesIO(text))
        for path, file in sorted(files.items()):
            with file.open("rb") as stream:
                archive.addfile(entry(path, file.stat().st_size), stream)


def standing(wanted: Wanted, key: str) -> Built | None:
    """The archive of an earlier build of the same inputs, or None."""
    for stamp in wanted.folder.glob(".*.tar.key"):
        archive = wanted.folder / stamp.name[1 : -len(".key")]
        try:
            known, name, version = stamp.read_text(encoding="utf-8").split("\n")[:3]
        except ValueError:
            continue
        if known == key and archive.is_file():
            return Built(archive, name, version, built=False)
    return None


def build(wanted: Wanted, rehearsal: bool = False) -> Built:
    """Build the release's archive unless it is there; a rehearsal writes nothing."""
    refuse(wanted)
    key = input_key(wanted)
    there = standing(wanted, key)
    if there is not None:
        return there
    if rehearsal:
        stated = read_wheel(wanted.source) if wanted.source.is_file() else None
        name, version = named(wanted, stated) if stated else (wanted.name or "", wanted.version or "")
        return Built(wanted.folder / f"{name or 'NAME'}-{version or 'VERSION'}.tar", name, version, built=True)
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wanted.folder, prefix=".release-") as scratch:
        return _build(wanted, key, pathlib.Path(scratch))


def _build(wanted: Wanted, key: str, scratch: pathlib.Path) -> Built:
    own = own_wheel(wanted, scratch)
    wheel = read_wheel(own)
    name, version = named(wanted, wheel)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        houses = dict(
            zip(
                wanted.pythons,
                pool.map(lambda python: wheelhouse(wanted, own, wheel, python, scratch), wanted.pythons),
                strict=True,
            )
        )
    files = {f"wheels/{own.name}": own}
    needed = {}
    for python, house in houses.items():
        wheels = {f"wheels/{path.name}": path for path in house.glob("*.whl")}
        if not any(path.startswith("wheels/pip-") for path in wheels):
            with_pip = pip_wheel(scratch)
            wheels[f"wheels/{with_pip.name}"] = with_pip
        files |= wheels
        needed[python] = sorted({f"wheels/{own.name}", *wheels})
    release: dict[str, object] = {
        "schema": 1,
        "name": name,
        "version": version,
        "machine": wanted.machine,
        "pythons": needed,
        "imports": list(wanted.imports or wheel.packages),
        "files": {path: file_digest(file) for path, file in sorted(files.items())},
        **wanted.facts,
    }
    archive = wanted.folder / f"{name}-{version}.tar"
    stamp = wanted.folder / f".{archive.name}.key"
    write_archive(scratch / archive.name, release, files)
    # In this order a build that is killed is done again.
    stamp.unlink(missing_ok=True)
    (scratch / archive.name).replace(archive)
    stamp.write_text(f"{key}\n{name}\n{version}\n", encoding="utf-8")
    return Built(archive, name, version, built=True)
