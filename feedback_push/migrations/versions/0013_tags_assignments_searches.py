"""Add tags, assignments to administrators, and saved searches.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Tables of their own, not columns of the messages: adding a foreign key makes SQLite copy the table, and with it
    # every text and the search's triggers.
    op.create_table(
        "feedback_tag",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("key", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback_tag")),
        sa.UniqueConstraint("key", name=op.f("uq_feedback_tag_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "feedback_message_tag",
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("tag_id", _ID, nullable=False),
        _reference("feedback_message_tag", "message_id", "feedback_message"),
        _reference("feedback_message_tag", "tag_id", "feedback_tag"),
        sa.PrimaryKeyConstraint("message_id", "tag_id", name=op.f("pk_feedback_message_tag")),
    )
    op.create_index("ix_feedback_message_tag_tag_id", "feedback_message_tag", ["tag_id", "message_id"])
    op.create_table(
        "feedback_assignment",
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        _reference("feedback_assignment", "message_id", "feedback_message"),
        _reference("feedback_assignment", "user_id", "auth_user"),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_feedback_assignment")),
    )
    op.create_index("ix_feedback_assignment_user_id", "feedback_assignment", ["user_id", "message_id"])
    op.create_table(
        "feedback_saved_search",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("query", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _reference("feedback_saved_search", "user_id", "auth_user"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback_saved_search")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_feedback_saved_search_user_id_name")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    for table in ("feedback_saved_search", "feedback_assignment", "feedback_message_tag", "feedback_tag"):
        op.drop_table(table)


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{target}")
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete="CASCADE")
