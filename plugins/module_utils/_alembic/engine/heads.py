# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which heads are recorded once steps have run."""

from __future__ import annotations

import typing as t


def heads_after(heads: t.Iterable[str], steps: t.Iterable[t.Any]) -> set[str]:
    """What Alembic records, by its own rules: branches, merges, and ``depends_on``, which ends another branch."""
    from alembic.runtime.migration import HeadMaintainer  # noqa: PLC0415

    class Recorded(HeadMaintainer):
        """Alembic's own, without its database."""

        def _insert_version(self, version: str) -> None:
            self.heads.add(version)

        def _delete_version(self, version: str) -> None:
            self.heads.remove(version)

        def _update_version(self, from_: str, to_: str) -> None:
            self.heads.remove(from_)
            self.heads.add(to_)

    recorded = Recorded(None, heads)
    for step in steps:
        recorded.update_to_step(step)
    return set(recorded.heads)
