"""full_name is NOT NULL: validated under a weak lock, so that SET NOT NULL needs no scan."""

from __future__ import annotations

from alembic import op

revision = "0007_full_name_required"
down_revision = "0006_full_name_check"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users VALIDATE CONSTRAINT users_full_name_given")
    op.execute("ALTER TABLE users ALTER COLUMN full_name SET NOT NULL")
    op.execute("ALTER TABLE users DROP CONSTRAINT users_full_name_given")


def downgrade() -> None:
    op.execute("ALTER TABLE users ALTER COLUMN full_name DROP NOT NULL")
    op.execute("ALTER TABLE users ADD CONSTRAINT users_full_name_given CHECK (full_name IS NOT NULL) NOT VALID")
