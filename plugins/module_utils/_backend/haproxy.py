# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drain a server of HAProxy and enable it again by the admin socket, as a rolling replacement needs it."""

from __future__ import annotations

import csv
import dataclasses
import socket
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

PAUSE = 0.2
# Of srv_admin_state: forced maintenance, disabled by the configuration, forced drain. Others follow from elsewhere.
TAKEN_OUT = 0x01 | 0x04 | 0x08


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a run asks for: `server` of `backend` in `state` (ready, drain), with `least` others left to serve."""

    backend: str
    server: str
    state: str
    least: int = 1

    @property
    def path(self) -> str:
        return f"{self.backend}/{self.server}"


@dataclasses.dataclass(frozen=True)
class Server:
    """A server as HAProxy sees it: `status` in its words (UP, DOWN 1/2, DRAIN, MAINT), `requests` running now."""

    name: str
    status: str
    requests: int

    @property
    def serving(self) -> bool:
        """It gets new requests: fully up, or not checked at all; one that is on its way up or down counts as well."""
        return self.status.startswith("UP") or self.status == "no check"

    @property
    def proven(self) -> bool:
        """It is up for good: ``UP 1/2`` is one failed check from being down."""
        return self.status in ("UP", "no check")


def read_servers(backend: str, shown: str) -> list[Server]:
    """The servers of `backend` in the output of ``show stat`` (CSV with a commented header).

    A row that was cut off, as by a HAProxy that ends meanwhile, is none: a server of unknown state must not count.
    """
    rows = csv.DictReader(shown.lstrip("# ").splitlines())
    return [
        Server(row["svname"], row["status"], int(row["scur"] or 0))
        for row in rows
        if row.get("pxname") == backend
        and row.get("svname") not in (None, "FRONTEND", "BACKEND")
        and row.get("status")
        and str(row.get("scur") or 0).isdigit()
    ]


def read_taken_out(backend: str, shown: str) -> frozenset[str]:
    """Servers of `backend` that somebody has drained or disabled, in the output of ``show servers state``.

    Their health hides that from ``show stat``: a drained server that is down is only DOWN there.
    """
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    header = next((line[1:] for line in lines if line[0] == "#"), [])
    rows = [dict(zip(header, line, strict=False)) for line in lines if line[0] != "#" and len(line) > 1]
    ours = [row for row in rows if row.get("be_name") == backend]
    states = [(row.get("srv_name", ""), row.get("srv_admin_state", "")) for row in ours]
    return frozenset(name for name, state in states if name and state.isdigit() and int(state) & TAKEN_OUT)


def find(servers: t.Sequence[Server], backend: str, name: str) -> Server:
    for server in servers:
        if server.name == name:
            return server
    known = ", ".join(server.name for server in servers) or "none"
    raise InfraError(
        "find the server",
        f'"{backend}/{name}"',
        f"HAProxy knows {known} in this backend",
        "Configure HAProxy on the edge first: run the stage infrastructure.",
    )


def is_known(haproxy: Haproxy, wanted: Wanted) -> bool:
    """Whether HAProxy runs, as its socket answers, and has the server."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(10)
            connection.connect(haproxy.path)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except OSError:
        # Something else is wrong with it: the command that follows says what.
        return True
    return any(server.name == wanted.server for server in haproxy.servers(wanted.backend))


def plan(wanted: Wanted, servers: t.Sequence[Server], taken_out: frozenset[str]) -> list[str]:
    """Commands for the admin socket that give the server its state; empty if it has it.

    Raises InfraError when it serves and fewer than `least` others would be left to: that would be an outage.
    """
    server = find(servers, wanted.backend, wanted.server)
    if wanted.state == "ready":
        return [f"set server {wanted.path} state ready"] if server.name in taken_out else []
    if server.name in taken_out:
        return []
    others = [other.name for other in servers if other.name != server.name and other.serving]
    if server.serving and len(others) < wanted.least:
        raise InfraError(
            "drain the server",
            f'"{wanted.path}"',
            f"{len(others)} others serve ({', '.join(others) or 'none'}), at least {wanted.least} must",
            "Repair the others first; `show servers state` on the admin socket shows what is wrong with them.",
        )
    return [f"set server {wanted.path} state drain"]


class Haproxy:
    """A running HAProxy behind its admin socket at `path`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def say(self, command: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(10)
                connection.connect(self.path)
                connection.sendall(f"{command}\n".encode())
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as error:
            raise InfraError(
                "ask HAProxy at",
                f'"{self.path}"',
                error.strerror or str(error),
                "Check that HAProxy runs: `systemctl status haproxy`.",
            ) from error
        return answer.decode(errors="replace")

    def servers(self, backend: str) -> list[Server]:
        return read_servers(backend, self.say("show stat"))

    def taken_out(self, backend: str) -> frozenset[str]:
        return read_taken_out(backend, self.say(f"show servers state {backend}"))

    def apply(self, commands: t.Sequence[str]) -> None:
        for command in commands:
            said = self.say(command).strip()
            if said:
                next_step = "Check the name of the backend and of the server."
                raise InfraError("run HAProxy's command", f'"{command}"', said, next_step)

    def wait(self, wanted: Wanted, done: t.Callable[[Server], bool], seconds: float) -> Server:
        """The server once `done` says so of it, or as it is after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            server = find(self.servers(wanted.backend), wanted.backend, wanted.server)
            if done(server) or time.monotonic() >= end:
                return server
            time.sleep(PAUSE)
