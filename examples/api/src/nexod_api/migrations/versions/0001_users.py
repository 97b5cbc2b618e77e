"""Users, and what Clerk's webhooks have reported of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_users"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("email", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("user_type", sa.Text, nullable=False, server_default="free"),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.CheckConstraint("user_type IN ('free', 'pro', 'team', 'internal')", name="users_user_type_known"),
    )
    op.create_table(
        "clerk_users",
        sa.Column("clerk_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.BigInteger, sa.ForeignKey("users.id", ondelete="SET NULL"), nullable=True, unique=True),
        # Milliseconds, by Clerk's clock: messages arrive in any order.
        sa.Column("changed_at", sa.BigInteger, nullable=False, server_default="0"),
        # The row is kept: a late message must not create the user again.
        sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column(
            "received_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.text("now()"), index=True
        ),
    )


def downgrade() -> None:
    op.drop_table("webhook_messages")
    op.drop_table("clerk_users")
    op.drop_table("users")
