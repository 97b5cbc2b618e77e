"""Contract: users.name goes; full_name (0004) has taken its place and no release reads the old column."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_contract_name"
down_revision = "0007_full_name_required"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("users", "name")


def downgrade() -> None:
    op.add_column("users", sa.Column("name", sa.Text, nullable=True))
    op.execute("UPDATE users SET name = full_name")
