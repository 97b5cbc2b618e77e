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
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core import transient
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer import console


class Timer:
    """The timer of the PgBouncer with its sockets in `socket_dir` and that port."""

    def __init__(self, socket_dir: str, port: int, folder: str = transient.FOLDER) -> None:
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
        unit = self._read().get("unit", "")
        return bool(unit) and transient.is_armed(unit)

    def arm(self, databases: t.Iterable[str], seconds: int) -> None:
        """Let the databases be resumed in that many seconds. A timer that is armed already ends only afterwards."""
        before = self._read()
        unit = f"{self.name}-{time.time_ns()}"
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        transient.write(self.program, inspect.getsource(console))
        self._write(unit, databases)
        words = "Resume the databases of PgBouncer that a task has paused"
        done = transient.start(unit, seconds, words, self.program, self.list)
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
            transient.stop(before["unit"])

    def disarm(self, databases: t.Container[str]) -> None:
        """The databases are resumed: the timer ends, unless it is for others too."""
        before = self._read()
        if not before:
            return
        left = [name for name in before["databases"] if name not in databases]
        if left:
            self._write(before["unit"], left)
            return
        transient.stop(f"{self.name}-*")
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
        transient.write(self.list, json.dumps(content))

    def _restore(self, before: t.Mapping[str, t.Any]) -> None:
        if before:
            self._write(before["unit"], before["databases"])
            return
        for path in (self.list, self.program):
            if os.path.exists(path):
                os.unlink(path)
