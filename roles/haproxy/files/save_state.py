# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what HAProxy knows of its servers to a file, which the process that a reload starts then reads.

    save_state.py ADMIN_SOCKET FILE

So a server that somebody has drained stays drained. The file is below /run, in the unit's own folder: a stop
takes it away, so that a later start never reads an old state.
"""

from __future__ import annotations

import os
import socket
import sys


def save(admin_socket: str, path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(admin_socket)
        connection.sendall(b"show servers state\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    with open(f"{path}.new", "wb") as file:
        file.write(answer)
    os.replace(f"{path}.new", path)


if __name__ == "__main__":
    save(*sys.argv[1:])
