# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew the lease of a deploy's lock for as long as the run lives, also during one task that takes hours."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import typing as t

#: Renewals within one lease: three may fail before others take the lock over.
RENEWALS = 4

# A process of its own, as a run that waits for a long task does nothing else meanwhile. It ends with the run, however
# that ends: the kernel closes the other end of its standard input.
PROGRAM = """
import select, subprocess, sys
while not select.select([sys.stdin], [], [], float(sys.argv[1]))[0]:
    subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""


class Renewal:
    """Runs `command` every `lease_seconds` / RENEWALS seconds, from now until `stop` or the end of this process."""

    def __init__(self, command: t.Sequence[str], environment: t.Mapping[str, str], lease_seconds: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(lease_seconds / RENEWALS), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            # Ctrl-C is for the run, which may take its time to end.
            start_new_session=True,
        )

    def stop(self) -> None:
        """End it. A renewal that is under way does no harm: one that finds no lock takes none."""
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.kill()
        self._process.wait()
