"""Tasks are listed by user: an index, built while the table is written to."""

from __future__ import annotations

from alembic import op

revision = "0003_index_tasks_user"
down_revision = "0002_tasks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # CONCURRENTLY takes no lock that writers wait for, and can't run in a transaction.
    with op.get_context().autocommit_block():
        op.create_index("tasks_user_id_idx", "tasks", ["user_id", "id"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("tasks_user_id_idx", "tasks", postgresql_concurrently=True)
