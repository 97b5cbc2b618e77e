"""Data: open tasks that call themselves urgent become so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_urgent_titles"
down_revision = "0009_task_priority"
branch_labels = None
depends_on = None

BATCH = 1000
URGENT = ("urgent", "asap", "!")


def upgrade() -> None:
    connection = op.get_bind()
    last = 0
    while rows := connection.execute(
        sa.text("SELECT id, title FROM tasks WHERE id > :last AND NOT done ORDER BY id LIMIT :batch"),
        {"last": last, "batch": BATCH},
    ).all():
        urgent = [{"id": row.id} for row in rows if row.title.strip().lower().startswith(URGENT)]
        if urgent:
            connection.execute(sa.text("UPDATE tasks SET priority = 1 WHERE id = :id"), urgent)
        last = rows[-1].id


def downgrade() -> None:
    """Nothing to undo: 0009's downgrade drops the column."""
