"""`memray attach`, for a process that cannot import Memray: the release of the API does not contain it.

Memray's injected script begins with `import memray`. Here it first appends the folder of this environment's packages to
the process's sys.path, after its own, and removes it once Memray is imported.
"""

from __future__ import annotations

import pathlib
import sys

import memray
from memray import commands
from memray.commands import attach

PACKAGES = str(pathlib.Path(memray.__file__).resolve().parents[1])
STATEMENT = "\nimport memray\n"


def main() -> int:
    """Run `memray attach` with this program's arguments."""
    if attach.PAYLOAD.count(STATEMENT) != 1:
        sys.exit("This version of Memray injects another script than the one that is known.")
    attach.PAYLOAD = attach.PAYLOAD.replace(
        STATEMENT,
        f"\nsys.path.append({PACKAGES!r})\ntry:\n    import memray\nfinally:\n    sys.path.remove({PACKAGES!r})\n",
    )
    return int(commands.main(["attach", *sys.argv[1:]]) or 0)


if __name__ == "__main__":
    sys.exit(main())
