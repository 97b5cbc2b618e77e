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
import json
import platform
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

# The collection's own builder: the checkout resolves as ansible_collections.nexod.infra below .collections.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))
try:
    from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
    from ansible_collections.nexod.infra.plugins.module_utils._files import release_archive
except ModuleNotFoundError:
    sys.exit("Cannot build a release: .collections is missing. Create it first: make venv")

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
from starlette.middleware import Middleware  # noqa: E402

create_sound_app = create_app


def create_app(settings: Settings) -> FastAPI:
    app = create_sound_app(settings)
    # Innermost, where an application's own faults are: its metrics show them.
    app.user_middleware.append(Middleware(Fault))
    return app
"""
# Debian 12 and 13.
PYTHONS = list(release_archive.PYTHONS)


class BuildError(Exception):
    """A foreseeable fault; the text says how to fix it."""


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


def build(
    version: str, pythons: Sequence[str], machine: str, folder: Path, fault: str | None = None
) -> tuple[Path, bool]:
    """Path of the release's archive, and whether it had to be built."""
    number(version)
    with tempfile.TemporaryDirectory() as scratch:
        for path, content in source_files(version, fault):
            target = Path(scratch) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        wanted = release_archive.Wanted(
            source=Path(scratch),
            folder=folder,
            name=NAME,
            version=version,
            requirements=LOCK,
            imports=tuple(IMPORTS),
            pythons=tuple(pythons),
            machine=machine,
            cache=CACHE,
            facts={"fault": fault} if fault else {},
        )
        done = release_archive.build(wanted)
    return done.path, done.built


def lock(pythons: Sequence[str], machine: str) -> None:
    """Resolve requirements.in for every Python; all must agree, for they share one lock.

    pip chooses wheels for the Python asked for, but judges markers (python_version < ...) by the one it runs on:
    what only the hosts' Python needs is named in requirements.in.
    """
    pins: dict[str, str] = {}
    for python in pythons:
        with tempfile.TemporaryDirectory() as name:
            report = Path(name) / "report.json"
            options = ["--only-binary=:all:", f"--python-version={python}", *release_archive.platforms(machine)]
            asked = [f"--target={name}", "--dry-run", "--ignore-installed", f"--report={report}"]
            release_archive.pip(
                ["install", "--quiet", *options, *asked, f"--requirement={HERE / 'requirements.in'}"],
                "resolve requirements.in",
                "Check that this machine reaches a package index (pip config list).",
            )
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
    except (BuildError, InfraError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
