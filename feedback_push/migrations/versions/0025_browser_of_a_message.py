"""Add the size of the window and the language of the browser that sent a message.

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedback_message", sa.Column("viewport", sa.String(11), nullable=True))
    op.add_column("feedback_message", sa.Column("language", sa.String(35), nullable=True))


def downgrade() -> None:
    op.drop_column("feedback_message", "language")
    op.drop_column("feedback_message", "viewport")
