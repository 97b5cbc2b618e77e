# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of roles that name an archive, and what is wrong with their values."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._software import lock

#: Options that name an archive. All have the same keys.
OPTION: t.Final = re.compile(r"(prometheus|alertmanager|grafana)_archive|exporters_archives\.(\w+)")


def software_of(option: str) -> str:
    """The program in the lock file; empty for an option that names no archive."""
    found = OPTION.fullmatch(option)
    return "" if found is None else found[1] or f"{found[2]}_exporter"


def archive_misfit(option: str, value: t.Mapping[str, t.Any]) -> tuple[str, str] | None:
    """Cause and next step, where `option` names an archive that can't be installed.

    An empty value names none. Nor do a mirror and a lock file alone, which may be the same for all hosts.
    """
    software = software_of(option)
    if not software or not any(value.get(key) for key in ("version", "url", "file", "checksums")):
        return None
    try:
        return lock.fault(software, value, locks_of(value))
    except InfraError as error:
        return f"can't be used: {error.cause}", error.next_step


def locks_of(value: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The lock file that a value names, and the one of the collection."""
    own = [lock.read(str(value["lock"]))] if value.get("lock") else []
    return [*own, lock.read(lock.LOCK)]
