# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between the database and the models that env.py names."""

from __future__ import annotations

import typing as t


def drift_of(context: t.Any) -> dict[str, t.Any]:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415

    metadata = context.opts.get("target_metadata")
    if metadata is None:
        return {"compared": False, "differences": []}
    found = compare_metadata(context, metadata)
    parts = [one for part in found for one in (part if isinstance(part, list) else [part])]
    return {"compared": True, "differences": [difference(one) for one in parts]}


def difference(one: t.Sequence[t.Any]) -> str:
    """`("add_column", None, "users", Column("age"))` -> "add_column users.age"."""
    words = []
    for part in one[1:]:
        table = getattr(getattr(part, "table", None), "name", None)
        if isinstance(part, str):
            words.append(part)
        elif getattr(part, "name", None):
            words.append(f"{table}.{part.name}" if table and table not in words else str(part.name))
    return f"{one[0]} {'.'.join(words)}".strip()
