# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transient timers of systemd, which undo what a task has done if the task that should do so does not come.

Everything about them is in /run and in systemd's memory, so that a reboot leaves nothing of it.
"""

from __future__ import annotations

import os
import sys

from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result, run

FOLDER = "/run/nexod"


def command(unit: str, seconds: float, description: str, program: str, argument: str) -> list[str]:
    """Start a timer that runs a Python program of the standard library after that many seconds."""
    timer = ["--timer-property=AccuracySec=100ms", f"--on-active={seconds:g}s", f"--unit={unit}"]
    # The module's own Python, without the collection: the program needs no more than the standard library.
    return [
        *("systemd-run", "--quiet", f"--description={description}", *timer),
        *("--", sys.executable, "-I", program, argument),
    ]


def start(unit: str, seconds: float, description: str, program: str, argument: str) -> Result:
    """Start the timer of that name."""
    return run(command(unit, seconds, description, program, argument))


def is_armed(unit: str) -> bool:
    """Whether the timer of that name has not elapsed yet."""
    return run(["systemctl", "is-active", "--quiet", f"{unit}.timer"]).rc == 0


def stop(pattern: str) -> None:
    """End timers of that name, which may be a pattern, and the programs that they have started."""
    run(["systemctl", "stop", f"{pattern}.timer", f"{pattern}.service"])
    run(["systemctl", "reset-failed", f"{pattern}.service"])


def write(path: str, text: str) -> None:
    """Write a file that only root changes, whole or not at all."""
    scratch = f"{path}.{os.getpid()}"
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(scratch, path)
