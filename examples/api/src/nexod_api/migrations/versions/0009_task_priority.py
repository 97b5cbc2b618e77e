"""Expand: tasks.priority, 1 to 3. The constant default rewrites nothing, and is what 1.0.0's rows get."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_task_priority"
down_revision = "0008_contract_name"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("priority", sa.Integer, nullable=False, server_default="2"))


def downgrade() -> None:
    op.drop_column("tasks", "priority")
