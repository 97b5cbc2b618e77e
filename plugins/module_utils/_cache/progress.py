# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a flush is, for a person who waits for it: written to a file by the module, read by its action plugin."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import typing as t

# Always overwritten in one call of the same size, so that a reader finds neither half a record nor the rest of an old
# one.
SIZE, LONGEST_TEXT = 1024, 300


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a flush is: about `walked` of `total` keys."""

    scanned: int = 0
    deleted: int = 0
    walked: int = 0
    total: int = 0
    seconds: float = 0.0
    check: bool = False
    counting_protected: bool = False  # all walks are done
    waiting_for: str = ""

    def sentence(self) -> str:
        # At most 100: keys that other clients write meanwhile are walked too.
        share = f"{min(100, 100 * self.walked // self.total)} % of {self.total:,} keys: " if self.total else ""
        rate = f", {self.deleted / self.seconds:,.0f} keys/s" if self.seconds else ""
        verb = "to delete" if self.check else "deleted"
        text = f"{share}{self.scanned:,} scanned, {self.deleted:,} {verb}{rate}"
        if self.waiting_for:
            return f"{text}; waiting: {self.waiting_for}"
        return f"{text}; counting the protected keys" if self.counting_protected else text


def not_written(_progress: Progress) -> None:
    """Nobody waits, or there is no file."""


@contextlib.contextmanager
def progress_file(path: str | None) -> t.Iterator[t.Callable[[Progress], None]]:
    """A function that writes the progress to the file `path`, which must not exist yet and is removed at the end."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600) if path else None
    except OSError:
        handle = None  # the flush must not fail because its progress can't be shown
    if handle is None or path is None:
        yield not_written
        return

    def write(progress: Progress) -> None:
        shortened = dataclasses.replace(progress, waiting_for=progress.waiting_for[:LONGEST_TEXT])
        text = json.dumps(dataclasses.asdict(shortened))
        with contextlib.suppress(OSError):
            os.pwrite(handle, text.encode()[: SIZE - 1].ljust(SIZE - 1) + b"\n", 0)

    try:
        yield write
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):
            os.unlink(path)


def how_far(text: str) -> str:
    """The sentence for the text of a progress file; empty if there is nothing in it yet."""
    try:
        return Progress(**json.loads(text)).sentence() if text.strip() else ""
    except (ValueError, TypeError):
        return ""
