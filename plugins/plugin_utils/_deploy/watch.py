# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an action plugin says, while its module runs on the host, how far that is.

A module has one word, its result. So it leaves what it does now in a file on the host, which a second command reads.
"""

from __future__ import annotations

import contextlib
import copy
import secrets
import shlex
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

EVERY_SECONDS = 3


@contextlib.contextmanager
def watched(
    action: ActionBase, what: str, said: t.Callable[[str], str], *, host: str | None, show: bool
) -> t.Iterator[str | None]:
    """Says meanwhile how far `what` is on `host`; gives the file in which the module leaves that, there.

    `said` makes of the file's text what a person reads, empty where there is nothing to say yet.
    """
    if not show or action._task.no_log:
        yield None
        return
    # Not to be guessed, and the module makes it only where it is not there yet.
    file = f"/tmp/.nexod-{what}-{secrets.token_hex(16)}"  # noqa: S108
    over = threading.Event()
    place = " -> ".join(filter(None, (host, action._task.delegate_to)))
    watcher = threading.Thread(
        target=_watch, args=(_beside(action), f"[{place}] {what}", said, file, over), daemon=True
    )
    watcher.start()
    try:
        yield file
    finally:
        over.set()
        watcher.join(timeout=EVERY_SECONDS)


def _beside(action: ActionBase) -> ActionBase:
    """`action` with a connection object of its own.

    A connection remembers which words of sudo's it waits for: two commands at once would take them from each other,
    and the module's own would be given up where sudo is slow.
    """
    beside = copy.copy(action)
    beside._connection = copy.copy(action._connection)
    if action._connection.become:
        beside._connection.set_become_plugin(copy.copy(action._connection.become))
    return beside


def _watch(action: ActionBase, what: str, said: t.Callable[[str], str], file: str, over: threading.Event) -> None:
    began = time.monotonic()
    while not over.wait(EVERY_SECONDS):
        try:
            answer = action._low_level_execute_command(f"cat {shlex.quote(file)}")
            text = said(answer.get("stdout") or "") if answer.get("rc") == 0 else ""
        except Exception:
            return  # what is only said meanwhile must not end what is done
        if text and not over.is_set():
            # A server's or a migration's own words may be in it: no control character of theirs reaches the terminal.
            plain = "".join(letter if letter.isprintable() else "?" for letter in text)
            action._display.display(f"{what}: {plain}, {round(time.monotonic() - began)} s")
