#!/usr/bin/env python3
"""Build a release of the example application: one archive that installs on every host without an index.

    ./build.py 1.1.0 -o dist/       dist/api-1.1.0.tar
    ./build.py 1.1.1 --fault slow   a release that is made to fail, to see what a deploy does with it
    ./build.py --lock               resolve requirements.in into requirements.lock

The archive holds release.json and wheels/: the application's own wheel and, pinned by requirements.lock, all that it
needs for each of the hosts' Pythons. Nothing is built or downloaded when the sources have not changed since.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "src" / "nexod_api"
FAULTS = HERE / "faults"
LOCK = HERE / "requirements.lock"
CACHE = HERE.parents[1] / ".cache" / "example-api"
NAME = "api"
# What the installed release must be able to import: proof on the host that it is whole, and its byte code is made.
IMPORTS = ["nexod_api.server", "nexod_api.migrations", "alembic.config"]
# What a release with a fault has at the end of its app.py. A sound one holds nothing of it.
PLANT = b"""

# Planted by build.py --fault: this release is made to fail.
from nexod_api.fault import Fault  # noqa: E402

create_sound_app = create_app


def create_app(settings: Settings) -> FastAPI:
    app = create_sound_app(settings)
    app.add_middleware(Fault)
    return app
"""
# Debian 12 and 13.
PYTHONS = ["3.11", "3.13"]
# 1980: the earliest that a zip file can say. A build depends on its sources, not on the hour.
EPOCH = 315532800


class BuildError(Exception):
    """Something foreseeable stands in the way; the text says what to do next."""


def number(version: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise BuildError(f"Cannot build version {version!r}: a version is three numbers, as in 1.1.0.")
    return tuple(int(part) for part in version.split("."))


def left_out(version: str) -> set[str]:
    """Files below src/nexod_api that only later versions bring."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
    since = project["tool"]["nexod"]["since"]
    return {file for first, what in since.items() if number(version) < number(first) for file in what["files"]}


def faults() -> list[str]:
    return sorted(file.stem.replace("_", "-") for file in FAULTS.glob("*.py"))


def source_files(version: str, fault: str | None = None) -> Iterator[tuple[str, bytes]]:
    """The source tree of `version`: path below the project, content; with `fault` planted into it."""
    yield "pyproject.toml", (HERE / "pyproject.toml").read_bytes()
    missing = left_out(version)
    for file in sorted(SOURCES.rglob("*")):
        path = file.relative_to(SOURCES).as_posix()
        if file.is_dir() or "__pycache__" in file.parts or path in missing:
            continue
        content = f'__version__ = "{version}"\n'.encode() if path == "_version.py" else file.read_bytes()
        yield f"src/nexod_api/{path}", content + (PLANT if fault and path == "app.py" else b"")
    if fault:
        yield "src/nexod_api/fault.py", (FAULTS / f"{fault.replace('-', '_')}.py").read_bytes()


def digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def build_key(version: str, pythons: Sequence[str], machine: str, fault: str | None = None) -> str:
    """Names everything that the archive depends on."""
    sources = (part for path, content in source_files(version, fault) for part in (path.encode(), content))
    asked = json.dumps([version, list(pythons), machine]).encode()
    return digest([asked, LOCK.read_bytes(), Path(__file__).read_bytes(), *sources])


def pip(*arguments: str, **environment: str) -> None:
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(
            f"Cannot get what the release is made of: pip {arguments[0]} ended with {done.returncode}:\n"
            f"{done.stderr.strip()[-2000:]}\nCheck that this machine reaches a package index (pip config list)."
        )


def platforms(machine: str) -> list[str]:
    """What Debian 12's C library (2.36) can load, as pip's --platform arguments."""
    return [f"--platform=manylinux_2_{minor}_{machine}" for minor in range(36, 16, -1)] + [
        f"--platform=manylinux2014_{machine}",
        f"--platform=manylinux1_{machine}",
    ]


def wheelhouse(python: str, machine: str) -> Path:
    """The folder with every pinned wheel for `python`, downloaded once."""
    folder = CACHE / f"{digest([LOCK.read_bytes(), python.encode(), machine.encode()])[:16]}-{python}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        where = Path(scratch) / "wheels"
        options = ["--only-binary=:all:", "--no-deps", f"--python-version={python}", *platforms(machine)]
        pip("download", "--quiet", *options, f"--dest={where}", f"--requirement={LOCK}")
        where.rename(folder)
    return folder


def own_wheel(version: str, scratch: Path, fault: str | None) -> Path:
    tree = scratch / "source"
    for path, content in source_files(version, fault):
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    pip("wheel", "--quiet", "--no-deps", f"--wheel-dir={scratch}", str(tree), SOURCE_DATE_EPOCH=str(EPOCH))
    return next(scratch.glob("*.whl"))


def write_archive(target: Path, release: dict[str, object], files: dict[str, Path]) -> None:
    """release.json first, so that a reader needs no more than the head; no times, owners or order that vary."""

    def entry(path: str, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.size, info.mtime, info.mode = size, EPOCH, 0o644
        return info

    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        text = (json.dumps(release, indent=2, sort_keys=True) + "\n").encode()
        archive.addfile(entry("release.json", len(text)), io.BytesIO(text))
        for path, file in sorted(files.items()):
            with file.open("rb") as stream:
                archive.addfile(entry(path, file.stat().st_size), stream)


def build(
    version: str, pythons: Sequence[str], machine: str, folder: Path, fault: str | None = None
) -> tuple[Path, bool]:
    """Path of the release's archive, and whether it had to be built."""
    number(version)
    archive = folder / f"{NAME}-{version}.tar"
    stamp = folder / f".{archive.name}.key"
    key = build_key(version, pythons, machine, fault)
    if archive.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == key:
        return archive, False
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name, concurrent.futures.ThreadPoolExecutor() as pool:
        scratch = Path(name)
        ours = pool.submit(own_wheel, version, scratch, fault)
        houses = dict(zip(pythons, pool.map(lambda python: wheelhouse(python, machine), pythons), strict=True))
        own = f"wheels/{ours.result().name}"
        files = {own: ours.result()}
        needed = {}
        for python, house in houses.items():
            wheels = {f"wheels/{wheel.name}": wheel for wheel in house.iterdir()}
            needed[python] = sorted({own, *wheels})
            files.update(wheels)
        release: dict[str, object] = {
            "schema": 1,
            "name": NAME,
            "version": version,
            "machine": machine,
            "pythons": needed,
            "imports": IMPORTS,
            "files": {path: hashlib.sha256(file.read_bytes()).hexdigest() for path, file in sorted(files.items())},
            **({"fault": fault} if fault else {}),
        }
        write_archive(scratch / archive.name, release, files)
        stamp.unlink(missing_ok=True)
        (scratch / archive.name).replace(archive)
        stamp.write_text(key, encoding="utf-8")
    return archive, True


def lock(pythons: Sequence[str], machine: str) -> None:
    """Resolve requirements.in for every Python; all must agree, for they share one lock.

    pip chooses wheels for the Python asked for, but judges markers (python_version < ...) by the one it runs on:
    what only the hosts' Python needs is named in requirements.in.
    """
    pins: dict[str, str] = {}
    for python in pythons:
        with tempfile.TemporaryDirectory() as name:
            report = Path(name) / "report.json"
            options = ["--only-binary=:all:", f"--python-version={python}", *platforms(machine), f"--target={name}"]
            asked = ["--dry-run", "--ignore-installed", f"--report={report}"]
            pip("install", "--quiet", *options, *asked, f"--requirement={HERE / 'requirements.in'}")
            found = json.loads(report.read_text(encoding="utf-8"))["install"]
        for item in found:
            project = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
            if pins.setdefault(project, item["metadata"]["version"]) != item["metadata"]["version"]:
                raise BuildError(f"Cannot lock {project}: the Pythons {', '.join(pythons)} get different versions.")
    head = f"# Resolved from requirements.in by ./build.py --lock for Python {', '.join(pythons)}.\n"
    LOCK.write_text(head + "".join(f"{project}=={pins[project]}\n" for project in sorted(pins)), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?", help="version to build, such as 1.1.0")
    parser.add_argument("--python", action="append", dest="pythons", help=f"default: {' and '.join(PYTHONS)}")
    parser.add_argument("--machine", default=platform.machine(), help="the hosts' architecture (default: this one's)")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"), help="folder of the archive (default: dist)")
    parser.add_argument("--fault", choices=faults(), help="plant this fault (faults/), for a release that must fail")
    parser.add_argument("--lock", action="store_true", help="write requirements.lock anew")
    arguments = parser.parse_args()
    pythons = arguments.pythons or PYTHONS
    try:
        if arguments.lock:
            lock(pythons, arguments.machine)
            sys.stdout.write(f"{LOCK}\n")
        elif not arguments.version:
            parser.error("which version?")
        else:
            archive, built = build(arguments.version, pythons, arguments.machine, arguments.output, arguments.fault)
            sys.stdout.write(f"{archive} {'built' if built else 'is up to date'}\n")
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
