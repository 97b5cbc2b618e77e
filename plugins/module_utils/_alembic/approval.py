# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One engine for the plan and the run: it waits after its plan until the lint has approved or refused it.

The application is imported, its revisions are read and its SQL is rendered once, where two engines would do it twice.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import typing as t
from pathlib import Path

EVERY_SECONDS = 0.02
MARK = b'{"event": "approval"'


class Approval:
    """Waits for the engine's question in `events` and answers it with what `decide` says of the events so far.

    The answer goes through a FIFO, which ends for the engine if this process is killed.
    """

    def __init__(self, fifo: Path, events: Path, decide: t.Callable[[str], bool]) -> None:
        self.fifo, self.events, self.decide = fifo, events, decide
        self.error: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        os.mkfifo(fifo, 0o600)

    def __enter__(self) -> Approval:
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._over.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _wait(self) -> None:
        read = 0
        while not self._over.wait(EVERY_SECONDS):
            with contextlib.suppress(OSError):
                if self.events.stat().st_size == read:
                    continue
                content = self.events.read_bytes()
                read = len(content)
                if MARK in content:
                    self._answer(content.decode(errors="replace"))
                    return

    def _answer(self, text: str) -> None:
        answer = b"stop\n"
        try:
            if self.decide(text):
                answer = b"run\n"
        except BaseException as error:
            self.error = error
        try:
            # The engine has opened it before it asks. If it has ended meanwhile, nobody reads.
            file = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        with contextlib.suppress(BrokenPipeError):
            os.write(file, answer)
        os.close(file)
