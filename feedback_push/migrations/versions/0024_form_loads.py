"""Add the origins whose pages load a form.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feedback_form_load",
        sa.Column("form_key", sa.String(40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("origin", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("form_key", "day", "origin", name=op.f("pk_feedback_form_load")),
    )


def downgrade() -> None:
    op.drop_table("feedback_form_load")
