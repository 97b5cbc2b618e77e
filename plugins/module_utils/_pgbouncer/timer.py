# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead man's timer: systemd resumes the databases that were paused, if that has not been done in time.

It is a transient timer, whose program and list of databases are in /run, so that a reboot leaves nothing of it. The
list stays when the timer has fired: then a later task notices that the pause had ended before.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer import console

FOLDER = "/run/nexod"


class Timer:
    """The timer of the PgBouncer with its sockets in `socket_dir` and that port."""

    def __init__(self, socket_dir: str, port: int, folder: str = FOLDER) -> None:
        self.socket_dir = socket_dir
        self.port = port
        self.folder = folder
        self.name = f"nexod-pgbouncer-resume-{port}"
        self.program = f"{folder}/pgbouncer-resume-{port}.py"
        self.list = f"{folder}/pgbouncer-resume-{port}.json"

    def databases(self) -> list[str]:
        """What the timer resumes, or has resumed."""
        return list(self._read().get("databases", []))

    def armed(self) -> bool:
        unit = self._read().get("unit")
        return bool(unit) and run(["systemctl", "is-active", "--quiet", f"{unit}.timer"]).rc == 0

    def arm(self, databases: t.Iterable[str], seconds: int) -> None:
        """Let the databases be resumed in that many seconds. A timer that is armed already ends only afterwards."""
        before = self._read()
        unit = f"{self.name}-{time.time_ns()}"
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        write(self.program, inspect.getsource(console))
        self._write(unit, databases)
        timer = ["--timer-property=AccuracySec=100ms", f"--on-active={seconds}s", f"--unit={unit}"]
        words = "--description=Resume the databases of PgBouncer that a task has paused"
        # The module's own Python, without the collection: the program needs no more than the standard library.
        command = [sys.executable, "-I", self.program, self.list]
        done = run(["systemd-run", "--quiet", words, *timer, "--", *command])
        if done.rc:
            self._restore(before)
            raise InfraError(
                "pause PgBouncer",
                self.socket_dir,
                "the timer that resumes it could not be started with systemd-run",
                "Run the task as root (become: true) on a host that runs systemd.",
                done.output,
            )
        if before.get("unit"):
            run(["systemctl", "stop", f"{before['unit']}.timer", f"{before['unit']}.service"])

    def disarm(self, databases: t.Container[str]) -> None:
        """The databases are resumed: the timer ends, unless it is for others too."""
        before = self._read()
        if not before:
            return
        left = [name for name in before["databases"] if name not in databases]
        if left:
            self._write(before["unit"], left)
            return
        run(["systemctl", "stop", f"{self.name}-*.timer", f"{self.name}-*.service"])
        run(["systemctl", "reset-failed", f"{self.name}-*.service"])
        self._restore({})

    def _read(self) -> dict[str, t.Any]:
        try:
            with open(self.list, encoding="utf-8") as file:
                found = json.load(file)
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, unit: str, databases: t.Iterable[str]) -> None:
        content = {"unit": unit, "socket_dir": self.socket_dir, "port": self.port, "databases": sorted({*databases})}
        write(self.list, json.dumps(content))

    def _restore(self, before: t.Mapping[str, t.Any]) -> None:
        if before:
            self._write(before["unit"], before["databases"])
            return
        for path in (self.list, self.program):
            if os.path.exists(path):
                os.unlink(path)


def write(path: str, text: str) -> None:
    """Write a file that only root changes, whole or not at all."""
    scratch = f"{path}.{os.getpid()}"
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(scratch, path)
