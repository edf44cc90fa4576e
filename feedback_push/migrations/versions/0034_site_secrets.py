"""Add secrets of the site that outlive SECRET_KEY, and the key of a private link.

Revision ID: 0034
Revises: 0032
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0032"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "site_secret",
        sa.Column("id", _ID, nullable=False),
        sa.Column("purpose", sa.String(80), nullable=False),
        sa.Column("encrypted", sa.Text(), nullable=False),
        sa.Column("made_under", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_secret")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_site_secret_purpose"), "site_secret", ["purpose"])
    op.add_column("feedback_conversation", sa.Column("link_key_id", _ID, nullable=True))


def downgrade() -> None:
    op.drop_column("feedback_conversation", "link_key_id")
    op.drop_table("site_secret")
