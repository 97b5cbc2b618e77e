# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of roles that name an archive, and what is wrong with their values."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._software import lock

#: By option, the program in the lock file. All these options have the same keys.
SOFTWARE: t.Final[dict[str, str]] = {
    "prometheus_archive": "prometheus",
    "alertmanager_archive": "alertmanager",
    "grafana_archive": "grafana",
    **{
        f"exporters_archives.{name}": f"{name}_exporter"
        for name in ("node", "postgres", "redis", "pgbouncer", "blackbox")
    },
}


def archive_misfit(option: str, value: t.Mapping[str, t.Any]) -> tuple[str, str] | None:
    """Cause and next step, where `option` names an archive that can't be installed.

    An empty value names none. Nor do a mirror and a lock file alone, which may be the same for all hosts.
    """
    if option not in SOFTWARE or not any(value.get(key) for key in ("version", "url", "file", "checksums")):
        return None
    try:
        return lock.fault(SOFTWARE[option], value, locks_of(value))
    except InfraError as error:
        return f"can't be used: {error.cause}", error.next_step


def locks_of(value: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The lock file that a value names, and the one of the collection."""
    own = [lock.read(str(value["lock"]))] if value.get("lock") else []
    return [*own, lock.read(lock.LOCK)]
