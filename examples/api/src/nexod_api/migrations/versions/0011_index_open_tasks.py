"""Open tasks are listed by priority: a partial index, built while the table is written to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011_index_open_tasks"
down_revision = "0010_urgent_titles"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "tasks_open_priority_idx",
            "tasks",
            ["user_id", "priority", "id"],
            postgresql_concurrently=True,
            postgresql_where=sa.text("NOT done"),
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("tasks_open_priority_idx", "tasks", postgresql_concurrently=True)
