# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between the database and the models that env.py names."""

from __future__ import annotations

import typing as t


def drift_of(context: t.Any, ignored: t.Collection[str] = ()) -> dict[str, t.Any]:
    """`ignored`: schemas whose tables are somebody else's, which an env.py with include_schemas compares too."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415

    metadata = context.opts.get("target_metadata")
    if metadata is None:
        return {"compared": False, "differences": []}
    found = compare_metadata(context, metadata)
    parts = [one for part in found for one in (part if isinstance(part, list) else [part])]
    return {"compared": True, "differences": [difference(one) for one in parts if schema_of(one) not in ignored]}


def schema_of(one: t.Sequence[t.Any]) -> str | None:
    """`("add_column", "auth", "users", ...)` and `("remove_table", Table("users", schema="auth"))` -> "auth"."""
    subject = one[1] if len(one) > 1 else None
    if subject is None or isinstance(subject, str):
        return subject if len(one) > 2 else None
    table = getattr(subject, "table", subject)
    found = getattr(table, "schema", None)
    return found if isinstance(found, str) else None


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
