# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a flush is, for a person who waits for it: left in a file by the module, read there by its action plugin."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import typing as t

# Written over itself in one call of one size, so that who reads it meanwhile finds neither half of it nor an old rest.
SIZE, LONGEST_WORDS = 1024, 300


@dataclasses.dataclass(frozen=True)
class Progress:
    """What a flush has come to. `walked` of `there` keys are behind it; `waits` says for what it stands still."""

    scanned: int = 0
    deleted: int = 0
    walked: int = 0
    there: int = 0
    seconds: float = 0.0
    check: bool = False
    counts: bool = False  # all walks are done, the protected keys are counted
    waits: str = ""

    def sentence(self) -> str:
        # What other clients write meanwhile is walked too.
        share = f"{min(100, 100 * self.walked // self.there)} % of {self.there:,} keys: " if self.there else ""
        rate = f", {self.deleted / self.seconds:,.0f} keys/s" if self.seconds else ""
        said = f"{share}{self.scanned:,} scanned, {self.deleted:,} {'would go' if self.check else 'deleted'}{rate}"
        if self.waits:
            return f"{said}; waits: {self.waits}"
        return f"{said}; counts the protected keys" if self.counts else said


@contextlib.contextmanager
def left_in(path: str | None) -> t.Iterator[t.Callable[[Progress], None]]:
    """Gives what leaves the progress in the file `path`, which must not be there yet and is gone afterwards."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600) if path else None
    except OSError:
        handle = None  # what is only said meanwhile must not end what is done
    if handle is None or path is None:
        yield lambda _progress: None
        return

    def leave(progress: Progress) -> None:
        text = json.dumps(dataclasses.asdict(dataclasses.replace(progress, waits=progress.waits[:LONGEST_WORDS])))
        with contextlib.suppress(OSError):
            os.pwrite(handle, text.encode()[: SIZE - 1].ljust(SIZE - 1) + b"\n", 0)

    try:
        yield leave
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):
            os.unlink(path)


def how_far(text: str) -> str:
    """The sentence of what a flush has left; empty where it has left nothing yet."""
    try:
        return Progress(**json.loads(text)).sentence() if text.strip() else ""
    except (ValueError, TypeError):
        return ""
