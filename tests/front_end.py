"""The example front end, installed, tested and built as its users do, and the one of the release before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".collections"))

from ansible_collections.nexod.infra.tests.programs import load  # noqa: E402

builder = load(ROOT / "examples" / "frontend" / "build.py", "example_front_end_build")
source, build = builder.source, builder.build
OLD_STATE = ROOT / "tests" / "fixtures" / "front_end" / "state_1.ts"


def source_before() -> dict[str, bytes]:
    """That of the release before: it reads `name`, where the current one reads `full_name`, and keeps another state."""
    files = source()
    changes = {
        "src/lib/api.ts": (b"full_name", b"name", 2),
        # In a file that is loaded when it is needed: each release has its own.
        "src/app/tasks.tsx": (b"Only open tasks", b"Hide what is done", 1),
        # Its types were checked by the release of its time.
        "next.config.ts": (b"images: {", b"typescript: { ignoreBuildErrors: true },\n  images: {", 1),
    }
    for path, (now, then, times) in changes.items():
        assert files[path].count(now) == times, f"{path} has changed: adapt what makes the front end of before"
        files[path] = files[path].replace(now, then)
    return {**files, "src/lib/state.ts": OLD_STATE.read_bytes()}


def test() -> None:
    """Run the unit tests of the current front end."""
    files = source()
    with builder.alone():
        workspace = builder.Workspace(files)
        workspace.lay(files)
        workspace.install()
        workspace.npm("test")


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
