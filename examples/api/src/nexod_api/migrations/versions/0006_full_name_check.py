"""full_name is required of new rows at once; NOT VALID reads none of the old ones."""

from __future__ import annotations

from alembic import op

revision = "0006_full_name_check"
down_revision = "0005_fill_full_name"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD CONSTRAINT users_full_name_given CHECK (full_name IS NOT NULL) NOT VALID")


def downgrade() -> None:
    op.drop_constraint("users_full_name_given", "users")
