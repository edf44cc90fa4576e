"""Add conversations: private links, answers and visitors' replies, and the messages that were answered.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ANSWERED = sa.text("deleted_at IS NULL AND state = 'answered'")


def upgrade() -> None:
    op.create_index(
        "ix_feedback_message_answered",
        "feedback_message",
        ["id", "state", "deleted_at"],
        sqlite_where=_ANSWERED,
        postgresql_where=_ANSWERED,
    )
    op.create_table(
        "feedback_conversation",
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=True),
        sa.Column("link_number", sa.Integer(), nullable=False),
        sa.Column("audience_id", _ID, nullable=True),
        _reference("feedback_conversation", "message_id", "feedback_message", "CASCADE"),
        _reference("feedback_conversation", "audience_id", "push_audience", "SET NULL"),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_feedback_conversation")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_feedback_conversation_token_hash")),
        sa.UniqueConstraint("audience_id", name=op.f("uq_feedback_conversation_audience_id")),
    )
    op.create_table(
        "feedback_reply",
        sa.Column("id", _ID, nullable=False),
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("is_answer", sa.Boolean(), nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outbox_id", _ID, nullable=True),
        _reference("feedback_reply", "message_id", "feedback_message", "CASCADE"),
        _reference("feedback_reply", "user_id", "auth_user", "SET NULL"),
        _reference("feedback_reply", "outbox_id", "push_outbox", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback_reply")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "feedback_answered",
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _reference("feedback_answered", "message_id", "feedback_message", "CASCADE"),
        _reference("feedback_answered", "user_id", "auth_user", "SET NULL"),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_feedback_answered")),
    )
    op.create_index(op.f("ix_feedback_answered_user_id"), "feedback_answered", ["user_id"])
    op.create_index("ix_feedback_reply_message_id", "feedback_reply", ["message_id", "id"])
    op.create_index(op.f("ix_feedback_reply_user_id"), "feedback_reply", ["user_id"])
    op.create_index(op.f("ix_feedback_reply_outbox_id"), "feedback_reply", ["outbox_id"])


def downgrade() -> None:
    op.drop_table("feedback_answered")
    op.drop_table("feedback_reply")
    op.drop_table("feedback_conversation")
    op.drop_index("ix_feedback_message_answered", table_name="feedback_message")
    # The earlier release knows no answered messages; it shows them as read.
    op.execute("UPDATE feedback_message SET state = 'read' WHERE state = 'answered'")


def _reference(table: str, column: str, referred: str, ondelete: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{referred}")
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=name, ondelete=ondelete)
