"""Expand: users.full_name beside users.name, which 0008 removes once nobody reads it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_expand_full_name"
down_revision = "0003_index_tasks_user"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("full_name", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("users", "full_name")
