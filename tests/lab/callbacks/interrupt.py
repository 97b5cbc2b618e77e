# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests: something happens to a run at a certain task, whatever the run does then.

INTERRUPT_AT     number of the task (1 is the first) or `STAGE` (its first task)
INTERRUPT_AFTER  seconds from that task's start
INTERRUPT_WITH   a shell command; `KILL` kills this run and its workers as the kernel would
INTERRUPT_COUNT  file that the number of tasks is written to
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: interrupt
type: notification
short_description: Interrupts a run, for tests
description: Interrupts a run at a task, for tests.
"""

import os
import signal
import subprocess
import threading
import typing as t
from pathlib import Path

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Counts tasks; at the one that is named starts a timer."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "interrupt"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._at = os.environ.get("INTERRUPT_AT", "")
        self._number = 0
        self._stage = ""

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        self._stage = play.get_name().partition(" | ")[0].lower()

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._number += 1
        if self._at in (str(self._number), self._stage):
            self._at = ""
            timer = threading.Timer(float(os.environ.get("INTERRUPT_AFTER", "0")), self._interrupt)
            timer.daemon = True
            timer.start()

    def _interrupt(self) -> None:
        command = os.environ["INTERRUPT_WITH"]
        if command == "KILL":
            # Without a last word: no handler, no callback, no worker ends its task.
            os.killpg(os.getpgid(0), signal.SIGKILL)
        done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
        self._display.display(f"interrupt: {command}: rc {done.returncode} {done.stderr.strip()}")

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        if path := os.environ.get("INTERRUPT_COUNT"):
            Path(path).write_text(str(self._number))
