"""Add an index to find a device's last failed delivery without reading all deliveries.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_FAILED = sa.text("error IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_push_delivery_failed",
        "push_delivery",
        ["subscription_id", "id"],
        sqlite_where=_FAILED,
        postgresql_where=_FAILED,
    )


def downgrade() -> None:
    op.drop_index("ix_push_delivery_failed", table_name="push_delivery")
