# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the progress of a module while it runs on the host.

A module can return only its result. So it writes its progress to a file on the host, which a second command reads.
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
    action: ActionBase, what: str, said: t.Callable[[str], str | list[str]], *, host: str | None, show: bool
) -> t.Iterator[str | None]:
    """Display the progress of `what` on `host`; yields the name of the file that the module writes it to.

    `said` turns the content of the file into a line for people, or into several, empty if there is nothing to display.
    """
    if not show or action._task.no_log:
        yield None
        return
    # The name cannot be guessed, and the module refuses to write to an existing file.
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

    A connection stores which prompt of sudo it is waiting for: two simultaneous commands would interfere, and the
    module's own command would fail if sudo is slow.
    """
    beside = copy.copy(action)
    beside._connection = copy.copy(action._connection)
    if action._connection.become:
        beside._connection.set_become_plugin(copy.copy(action._connection.become))
    return beside


def _watch(
    action: ActionBase, what: str, said: t.Callable[[str], str | list[str]], file: str, over: threading.Event
) -> None:
    began = time.monotonic()
    while not over.wait(EVERY_SECONDS):
        try:
            answer = action._low_level_execute_command(f"cat {shlex.quote(file)}")
            text = said(answer.get("stdout") or "") if answer.get("rc") == 0 else ""
        except Exception:
            return  # a failed display of the progress must not end the module
        if not text or over.is_set():
            continue
        for line in [text] if isinstance(text, str) else text:
            # It may contain text of a server or a migration: their control characters must not reach the terminal.
            plain = "".join(letter if letter.isprintable() else "?" for letter in line)
            action._display.display(f"{what}: {plain}, {round(time.monotonic() - began)} s")
