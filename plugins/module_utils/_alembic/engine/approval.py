# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's question whether to run what it has planned."""

from __future__ import annotations

import os
import select

from .protocol import Events

EVERY_SECONDS = 1


def approved(fifo: str, parent: int, events: Events) -> bool:
    """Wait for the answer of the process that has started this one (`parent`); no, if that process has ended."""
    file = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        events.emit("approval")
        while os.getppid() == parent:
            if select.select([file], [], [], EVERY_SECONDS)[0]:
                return os.read(file, 16) == b"run\n"
        return False
    finally:
        os.close(file)
