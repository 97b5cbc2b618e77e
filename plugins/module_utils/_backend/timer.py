# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead man's timer of a drained server: systemd enables it, if no task has done so in time."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import time

from ansible_collections.nexod.infra.plugins.module_utils._backend import enable
from ansible_collections.nexod.infra.plugins.module_utils._core import transient
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


class Timer:
    """The timer of the server `path` (backend/server) of the HAProxy with that admin socket."""

    def __init__(self, socket: str, path: str, folder: str = transient.FOLDER) -> None:
        self.socket = socket
        self.path = path
        self.folder = folder
        # A name may begin with another server's name, and units are ended by a pattern.
        key = hashlib.sha256(f"{socket}\0{path}".encode()).hexdigest()[:12]
        self.name = f"nexod-haproxy-enable-{key}"
        self.program = f"{folder}/haproxy-enable-{key}.py"
        self.order = f"{folder}/haproxy-enable-{key}.json"

    def unit(self) -> str:
        """The name of its unit; empty where none was started, or where it has enabled the server."""
        try:
            with open(self.order, encoding="utf-8") as file:
                return str(json.load(file)["unit"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return ""

    def armed(self) -> bool:
        unit = self.unit()
        return bool(unit) and transient.is_armed(unit)

    def arm(self, seconds: float) -> None:
        """Let the server be enabled in that many seconds. A timer that is armed already ends only afterwards."""
        before, unit = self.unit(), f"{self.name}-{time.time_ns()}"
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        transient.write(self.program, inspect.getsource(enable))
        self._write(unit)
        words = f"Enable the server {self.path} of HAProxy that a task has drained"
        done = transient.start(unit, seconds, words, self.program, self.order)
        if done.rc:
            if before:
                self._write(before)
            else:
                self._remove()
            raise InfraError(
                "drain the server",
                f'"{self.path}"',
                "the timer that enables it again could not be started with systemd-run",
                "Run the task as root (become: true) on a host that runs systemd, or without `enable_after`.",
                done.output,
            )
        if before:
            transient.stop(before)

    def disarm(self) -> bool:
        """End the timer; whether there was one."""
        if not self.unit():
            return False
        transient.stop(f"{self.name}-*")
        self._remove()
        return True

    def _write(self, unit: str) -> None:
        order = {"unit": unit, "socket": self.socket, "server": self.path, "program": self.program}
        transient.write(self.order, json.dumps(order))

    def _remove(self) -> None:
        for path in (self.order, self.program):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
