# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enables a server of HAProxy that a task has drained, if no other task has done so in time.

This file is copied to hosts and runs alone there (see timer.py), so it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import sys
import time

#: How often a HAProxy that does not answer is asked, once a second.
ATTEMPTS = 300


def say(path: str, command: str) -> str:
    """What HAProxy answers to a command; nothing, if it has done it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace").strip()


def main(path: str) -> int:
    """Enable the server that the file `path` names, again and again until HAProxy has answered."""
    failed = ""
    for _attempt in range(ATTEMPTS):
        try:
            order = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            # A task has enabled it meanwhile.
            return 0
        try:
            failed = say(order["socket"], f"set server {order['server']} state ready")
            # A server that the configuration no longer has is drained no longer.
            done = not failed or failed.startswith("No such")
        except OSError as error:
            failed, done = error.strerror or str(error), False
        if done:
            for file in (path, order["program"]):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file)
            return 0
        time.sleep(1)
    sys.stderr.write(f"Cannot enable the server that {path} names: {failed}\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
