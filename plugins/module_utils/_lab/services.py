# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Background servers on this machine; a file per server identifies its process."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._lab import plan as _lab


def _begun(pid: int) -> str:
    """Start time of process `pid` in kernel ticks, which together with `pid` identifies it; empty if it has ended."""
    try:
        after_name = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # A zombie with more than one thread has not ended yet: its threads keep its sockets open.
    ended = after_name[0] == "Z" and int(after_name[17]) <= 1
    return "" if ended else after_name[19]


def _running(server: _lab.Server, folder: pathlib.Path) -> tuple[int, tuple[str, ...]] | None:
    """Process number and arguments of `server`, if it is running."""
    try:
        record = json.loads((folder / f"{server.name}.json").read_text())
    except (OSError, ValueError):
        return None
    begun = _begun(record["pid"])
    return (record["pid"], tuple(record["argv"])) if begun and begun == record["begun"] else None


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _stop(pid: int, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while _begun(pid) and time.monotonic() < end:
            time.sleep(0.05)


def _start(server: _lab.Server, folder: pathlib.Path) -> None:
    if _listens(server.port):
        next_step = f"Stop it; find it with: ss -ltnp sport = {server.port}"
        raise InfraError("start", server.name, f"another program listens on port {server.port}", next_step)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{server.name}.log").open("ab") as log:
        process = subprocess.Popen(
            server.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    record = {"pid": process.pid, "begun": _begun(process.pid), "argv": server.argv}
    (folder / f"{server.name}.json").write_text(json.dumps(record))


def _wait(server: _lab.Server, folder: pathlib.Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not _listens(server.port):
        if _running(server, folder) is None or time.monotonic() > end:
            log = folder / f"{server.name}.log"
            last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
            raise InfraError("start", server.name, last[0] if last else "it ended immediately", f"Check {log}.")
        time.sleep(0.1)


def apply_services(
    servers: t.Sequence[_lab.Server], started: bool, folder: pathlib.Path, timeout: float, check_mode: bool
) -> list[_lab.Step]:
    """Start or stop `servers`; returns the steps."""
    found = {server.name: _running(server, folder) for server in servers}
    steps = _lab.plan_servers(servers, {name: seen[1] for name, seen in found.items() if seen}, started)
    if check_mode:
        return steps
    by_name = {server.name: server for server in servers}
    for step in steps:
        seen = found[step.host]
        if step.action in ("stop", "restart") and seen:
            _stop(seen[0])
        if step.action in ("start", "restart"):
            _start(by_name[step.host], folder)
    for step in steps:
        if step.action in ("start", "restart"):
            _wait(by_name[step.host], folder, timeout)
        else:
            (folder / f"{step.host}.json").unlink(missing_ok=True)
    return steps
