"""Store message sizes, so that spam can be limited; count removed and unnotified messages per day.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SPAM = sa.text("deleted_at IS NULL AND state = 'spam'")
_BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_message = sa.table("feedback_message", sa.column("size"))
_POSTGRESQL_SIZE = "octet_length(content)"
_SQLITE_SIZE = "length(CAST(content AS BLOB))"


def upgrade() -> None:
    op.add_column("feedback_message", sa.Column("size", _BigInt, nullable=False, server_default="0"))
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(_message.update().values(size=sa.text(_POSTGRESQL_SIZE if on_postgresql else _SQLITE_SIZE)))
    _index_spam("id", "state", "deleted_at", "size")
    op.create_table(
        "feedback_daily_count",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("count", _BigInt, nullable=False),
        sa.PrimaryKeyConstraint("name", "day", name="pk_feedback_daily_count"),
    )


def downgrade() -> None:
    op.drop_table("feedback_daily_count")
    _index_spam("id", "state", "deleted_at")
    op.drop_column("feedback_message", "size")


def _index_spam(*columns: str) -> None:
    op.drop_index("ix_feedback_message_spam", table_name="feedback_message")
    op.create_index(
        "ix_feedback_message_spam", "feedback_message", [*columns], sqlite_where=_SPAM, postgresql_where=_SPAM
    )
