"""Data: full_name from name, or from the e-mail address where there is no name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_fill_full_name"
down_revision = "0004_expand_full_name"
branch_labels = None
depends_on = None

BATCH = 1000


def full_name(name: str | None, email: str) -> str:
    """'  ada   lovelace ' -> 'ada lovelace'; without a name 'grace.hopper@x' -> 'Grace Hopper'."""
    words = (name or "").split()
    if words:
        return " ".join(words)
    parts = email.partition("@")[0].replace("_", ".").split(".")
    return " ".join(part.capitalize() for part in parts if part) or email


def upgrade() -> None:
    connection = op.get_bind()
    last = 0
    # By key in batches: memory stays small whatever the table's size.
    while rows := connection.execute(
        sa.text("SELECT id, name, email FROM users WHERE id > :last AND full_name IS NULL ORDER BY id LIMIT :batch"),
        {"last": last, "batch": BATCH},
    ).all():
        connection.execute(
            sa.text("UPDATE users SET full_name = :full_name WHERE id = :id"),
            [{"id": row.id, "full_name": full_name(row.name, row.email)} for row in rows],
        )
        last = rows[-1].id


def downgrade() -> None:
    """Nothing to undo: 0004's downgrade drops the column."""
