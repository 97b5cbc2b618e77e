# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lead new clients past a process of PgBouncer that is about to close its port.

When a listening socket is closed, Linux resets the connections that it has queued, though other processes listen on the
same port (SO_REUSEPORT). From 1.25 on, PgBouncer refuses clients that are logging in when it is asked to end, too. So
no client may be on its way to the process at that moment. A program of the same account may listen on the port as well,
and attach a filter that decides which of the listeners gets a connection: here either another process, or a socket that
drops all packets. A client whose first packet was dropped sends it again after a second. Meanwhile the port has closed,
and the client tries the next host, or another process has it.

This file is copied to hosts, where the role's probe imports it. So it imports nothing but the standard library.
"""

from __future__ import annotations

import array
import contextlib
import socket
import struct
import sys
import typing as t

# Of Linux (asm-generic/socket.h, linux/in.h, linux/in6.h), without names in Python.
ATTACH_FILTER, DETACH_FILTER, MINIMUM_TTL, MINIMUM_HOPS = 51, 68, 21, 73
# A program of one instruction, "return this number": of the listener that a connection is for, in the order they came.
RETURN = 0x06
# Asks whether TLS is offered, which PgBouncer answers with one letter.
REQUEST = struct.pack("!ii", 8, 80877103)
# More listeners than the role can start.
LISTENERS = 130
# How long a connection on the same host takes at most, unless it is dropped.
SECONDS = 0.3
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 compared, not listened on

Address: t.TypeAlias = "tuple[int, str]"
#: Whether the process that is to end has the connection from a port of this host.
Has: t.TypeAlias = "t.Callable[[int], bool]"


class Detour(t.NamedTuple):
    """`others`: every new client gets to another process. Otherwise the first packet of each is dropped."""

    others: bool


def addresses(listen_addr: str, port: int) -> list[Address]:
    """Families and addresses that PgBouncer listens on for its setting of that name."""
    found: list[Address] = []
    for name in (part.strip() for part in listen_addr.split(",")):
        # A name that no longer resolves is no reason not to end.
        with contextlib.suppress(socket.gaierror):
            host = None if name == "*" else name
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE) if name else []
            found += [(int(row[0]), str(row[4][0])) for row in rows]
    return list(dict.fromkeys(found))


def attach(target: socket.socket, number: int) -> None:
    """Lead all new connections of the port to the listener with that number."""
    # Not by ctypes, which may need memory that is writable and executable, as the unit's confinement forbids.
    instruction = array.array("B", struct.pack("=HBBI", RETURN, 0, 0, number))
    target.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("@HP", 1, instruction.buffer_info()[0]))


def listener(address: Address, port: int) -> socket.socket:
    """One more listener of the port, which drops whatever reaches it: nothing is sent with such a lifetime."""
    family, name = address
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            found.setsockopt(socket.IPPROTO_IPV6, MINIMUM_HOPS, 255)
        else:
            found.setsockopt(socket.IPPROTO_IP, MINIMUM_TTL, 255)
        found.bind((name, port))
        found.listen(1)
    except BaseException:
        found.close()
        raise
    return found


def aim(found: socket.socket, address: Address, port: int, has: Has) -> bool:
    """Lead new connections to a listener of another process, or else to `found`; whether it is another one's."""
    family, name = address
    # `found` came last, so it has the highest number. The others may have any.
    for number in range(LISTENERS):
        attach(found, number)
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(SECONDS)
            try:
                client.connect((EVERYWHERE.get(name, name), port))
            except TimeoutError:
                return False
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                # PgBouncer is not given a connection before something was sent (TCP_DEFER_ACCEPT).
                client.sendall(REQUEST)
                if client.recv(1) and not has(client.getsockname()[1]):
                    return True
    return False


@contextlib.contextmanager
def detour(listen_addr: str, port: int, has: Has) -> t.Iterator[Detour]:
    """No new client reaches the process meanwhile. Where that can't be had, it is reported, and clients go on."""
    with contextlib.ExitStack() as opened:
        others = []
        for address in addresses(listen_addr, port):
            try:
                found = opened.enter_context(listener(address, port))
                opened.callback(end, found)
                others.append(aim(found, address, port, has))
            except OSError as error:
                sys.stdout.write(f"New clients at {address[1]}:{port} may still reach it: {error}\n")
        yield Detour(bool(others) and all(others))


def end(found: socket.socket) -> None:
    with contextlib.suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, DETACH_FILTER, 0)
