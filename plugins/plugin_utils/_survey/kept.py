# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts' surveys of this run, in the memory of the process that runs the playbook.

The callback nexod.infra.survey keeps and drops them; the workers, which are forks of that process, read them. Where the
callback is not enabled, or workers are no forks, there are none, and every task looks at its host itself.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._files.packed import unpack

#: Seconds after which a survey counts for nothing: a run that lasts has given others time to change a host.
LONGEST = 600.0


@dataclasses.dataclass
class HostSurvey:
    """`services` False: something was changed elsewhere since, on which the services of this host may depend."""

    found: dict[str, t.Any]
    taken: float
    services: bool = True


class Kept:
    """What may still be relied on. Any change drops its host whole, and of all others what was proven of services."""

    def __init__(self) -> None:
        self._hosts: dict[str, HostSurvey] = {}
        self._last_change: float | None = None
        self._by_run: set[str] = set()

    def begin(self, now: float | None = None) -> None:
        """A run begins: nothing is known of any host, and nothing has been changed yet."""
        self._hosts.clear()
        self._by_run.clear()
        self._last_change = time.monotonic() if now is None else now

    def unchanged_seconds(self, now: float | None = None) -> float:
        """Seconds since this run last changed something, or since it began; 0 where nobody has kept that."""
        at = time.monotonic() if now is None else now
        return 0.0 if self._last_change is None else max(0.0, at - self._last_change)

    def keep(self, host: str, packed: str, now: float | None = None, *, by_role: bool = False) -> None:
        """Take the survey of `host`; what can't be read is none. `by_role`: a role has taken it for itself."""
        if not by_role:
            self._by_run.add(host)
        try:
            found = unpack(packed)
        except (OSError, ValueError, EOFError):
            return
        self._hosts[host] = HostSurvey(found, time.monotonic() if now is None else now)

    def left_to_roles(self, host: str) -> bool:
        """Whether each role has to survey `host` itself: surveys are kept here, and the run takes none of this host.

        Between the roles of a run without a preflight of ours, anybody's tasks may change anything unreported. So a
        role does not rely on the survey of another.
        """
        return self._last_change is not None and host not in self._by_run

    def changed(self, host: str, now: float | None = None) -> None:
        """Something was changed on `host`, or may have been: a task failed there, or the host went away."""
        self._note_change(now)
        self._hosts.pop(host, None)
        for other in self._hosts.values():
            other.services = False

    def clear(self, now: float | None = None) -> None:
        """Something was changed that may be anywhere."""
        self._note_change(now)
        self._hosts.clear()

    def _note_change(self, now: float | None) -> None:
        # Where no run has begun here, the moment says nothing of the changes before it.
        if self._last_change is not None:
            self._last_change = time.monotonic() if now is None else now

    def of(self, host: str, *, services: bool = False, now: float | None = None) -> dict[str, t.Any] | None:
        """The survey of `host` as far as it still holds; `services`: what it proved of them is asked for."""
        kept = self._hosts.get(host)
        at = time.monotonic() if now is None else now
        if kept is None or at - kept.taken > LONGEST or (services and not kept.services):
            return None
        return kept.found


KEPT = Kept()


def host_of(delegate: t.Any, variables: t.Mapping[str, t.Any]) -> str:
    """The host that a task is carried out on."""
    return str(delegate or variables.get("inventory_hostname", ""))
