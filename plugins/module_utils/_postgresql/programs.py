# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's own programs on this host: whether they are installed, and not older than the server."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run

#: Major version of a program, 0 if it reports none; None where there is no such program.
VersionOf: t.TypeAlias = t.Callable[[str], "int | None"]
INSTALL: t.Final = "Install PostgreSQL's client programs of version {least} or later (Debian: postgresql-client)."
#: Of an environment that declares no version.
OLDEST: t.Final = 15


def version_here(program: str) -> int | None:
    """Of a program of this machine."""
    done = run([program, "--version"], timeout=10)
    if done.missing:
        return None
    # psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(found[1]) if found else 0


def unusable(program: str, least: int, version_of: VersionOf = version_here) -> str:
    """Why `program` can't be used with a server of the major version `least`; empty if it can.

    An older pg_dump refuses to dump, and an older pg_restore can't read what a newer pg_dump has written.
    """
    version = version_of(program)
    if version is None:
        return "is not installed here"
    if version >= least:
        return ""
    known = f"is version {version}" if version else "does not report its version"
    return f"{known}, and the database is PostgreSQL {least}"


def refuse_unusable(programs: t.Iterable[str], least: int) -> None:
    for program in programs:
        if cause := unusable(program, least):
            raise InfraError("use", program, f"it {cause}", INSTALL.format(least=least or OLDEST))
