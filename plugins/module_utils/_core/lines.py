# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that a module shows while it runs: written to a file by the module, read by its action plugin."""

from __future__ import annotations

import contextlib
import os
import typing as t

#: Of one line, and of all: who waits does not read more, and the file must not fill a disk.
LONGEST_LINE, LONGEST_FILE = 500, 5_000_000
Tell = t.Callable[[str], None]


def nobody(_text: str) -> None:
    """Nobody waits."""


@contextlib.contextmanager
def told_lines(path: str | None) -> t.Iterator[Tell]:
    """A function that adds a line to the file `path`, which must not exist yet and is removed at the end."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600) if path else None
    except OSError:
        handle = None  # the work must not fail because it can't be shown
    if handle is None or path is None:
        yield nobody
        return
    written = 0

    def tell(text: str) -> None:
        nonlocal written
        line = (" ".join(text.split())[:LONGEST_LINE] + "\n").encode(errors="replace")
        written += len(line)
        if written <= LONGEST_FILE:
            with contextlib.suppress(OSError):
                os.write(handle, line)

    try:
        yield tell
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):
            os.unlink(path)


class NewLines:
    """The complete lines of a growing text that were not returned before."""

    def __init__(self) -> None:
        self.shown = 0

    def __call__(self, text: str) -> list[str]:
        lines = text.split("\n")[:-1]
        new, self.shown = lines[self.shown :], max(self.shown, len(lines))
        return new
