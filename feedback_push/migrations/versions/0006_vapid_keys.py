"""Store VAPID keys that were rotated in or retired.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "push_vapid_key",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_key", sa.String(88), nullable=False),
        sa.Column("private_key", sa.String(255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_vapid_key")),
        sa.UniqueConstraint("public_key", name=op.f("uq_push_vapid_key_public_key")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("push_vapid_key")
