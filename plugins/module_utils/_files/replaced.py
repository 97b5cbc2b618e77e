# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service still runs a program that was replaced on disk: an upgrade that restarted nothing."""

from __future__ import annotations

import os
import re
import time
import typing as t

#: What `replaced` needs to know, by systemd's names.
PROPERTIES = "MainPID,ExecStart,ExecMainStartTimestampMonotonic"
#: Where programs lie. A configuration file among a program's arguments may be newer than the process.
PROGRAMS = ("/usr/", "/opt/", "/bin/", "/sbin/", "/lib/")


def replaced(facts: t.Mapping[str, str]) -> bool:
    """Whether the program on disk is newer than the process that runs it: an upgrade that restarted nothing."""
    pid, started = facts.get("MainPID", "0"), facts.get("ExecMainStartTimestampMonotonic", "0")
    if pid == "0" or started == "0":
        # A timer, or a unit that has ended well: no process.
        return False
    if _target(f"/proc/{pid}/exe").endswith(" (deleted)"):
        return True
    # Of a script, /proc names only the interpreter. A time in the future says that the clock was set back.
    now = time.time()
    began = now - (time.monotonic() - int(started) / 1e6)
    return any(began < changed_at(path) <= now for path in programs(facts.get("ExecStart", "")))


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def programs(started: str) -> set[str]:
    """The program and its scripts in systemd's form of ExecStart: { path=/usr/bin/x ; argv[]=/usr/bin/x ... ; ...}."""
    words = re.findall(r"(?:path|argv\[\])=([^;]*);", started)
    return {word for part in words for word in part.split() if word.startswith(PROGRAMS)}


def changed_at(path: str) -> float:
    try:
        found = os.stat(path)
    except OSError:
        return 0.0
    # A folder's time changes with what lies in it.
    return found.st_ctime if os.path.isfile(path) else 0.0
