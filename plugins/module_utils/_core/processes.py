# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How processes are started: arguments as a list, output captured, always with a time limit."""

from __future__ import annotations

import dataclasses
import os
import pwd
import subprocess
import typing as t


@dataclasses.dataclass(frozen=True)
class Result:
    """What a process left: `stdout`, `stderr`, and `rc`.

    127 where there is no such program, 126 where it can't be run, 124 at the time limit. `missing`: there is no such
    program; any program may end with 127 by itself.
    """

    rc: int
    stdout: str
    stderr: str
    missing: bool = False

    @property
    def output(self) -> str:
        """Both streams, trimmed: what a person wants to read of a failure."""
        return "\n".join(text for text in (self.stdout.strip(), self.stderr.strip()) if text)


@dataclasses.dataclass(frozen=True)
class Account:
    """An account of the host that a process can be given to."""

    name: str
    uid: int
    gid: int
    home: str

    @property
    def environment(self) -> dict[str, str]:
        """With root's HOME, libpq would look for certificates where the account may not look, and give up."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}


def account_of(name: str) -> Account | None:
    """The host's account of that name; None where there is none."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def run(
    argv: t.Sequence[str],
    *,
    timeout: float = 60,
    environment: t.Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: str | None = None,
    account: Account | None = None,
    keep_open: t.Sequence[int] = (),
) -> Result:
    """Run `argv` (no shell) for at most `timeout` seconds; `environment` is added to this process's own.

    `account`: whose process it is to be; only root can give it away.
    `keep_open`: files that it inherits: a lock on them lasts as long as it runs, even if this process is killed.

    Never raises for what the process does: see `Result`.
    Secrets belong into `environment` or `stdin`, never into `argv`, which every user of the host can read.
    """
    try:
        done = subprocess.run(
            list(argv),
            capture_output=True,
            check=False,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(account.environment if account else {}), **(environment or {})},
            errors="replace",
            input=stdin,
            pass_fds=tuple(keep_open),
            stdin=None if stdin is not None else subprocess.DEVNULL,
            text=True,
            timeout=timeout,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except FileNotFoundError as error:
        # A working directory that is not there is another fault.
        gone = cwd is not None and not os.path.isdir(cwd)
        return Result(126, "", str(error)) if gone else Result(127, "", str(error), missing=True)
    except OSError as error:
        # No right to run it, or built for another processor.
        return Result(126, "", str(error))
    except subprocess.TimeoutExpired:
        return Result(124, "", f"no end within {timeout:g} s")
    return Result(done.returncode, done.stdout, done.stderr)
