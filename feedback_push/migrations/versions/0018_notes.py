"""Add notes to the writers of many messages at once.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AUTOINCREMENT = {"sqlite_autoincrement": True}
_TIME = sa.DateTime(timezone=True)
_UNFINISHED = sa.text("sent_at IS NOT NULL AND finished_at IS NULL")
_WAITING = sa.text("outcome IS NULL")
_OF_NOTE = sa.text("note_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "feedback_note",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("marks_answered", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("sent_at", _TIME, nullable=True),
        sa.Column("finished_at", _TIME, nullable=True),
        _reference("feedback_note", "user_id", "auth_user", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback_note")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "feedback_note_recipient",
        sa.Column("note_id", _ID, nullable=False),
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("outcome", sa.String(10), nullable=True),
        _reference("feedback_note_recipient", "note_id", "feedback_note", "CASCADE"),
        _reference("feedback_note_recipient", "message_id", "feedback_message", "CASCADE"),
        sa.PrimaryKeyConstraint("note_id", "message_id", name=op.f("pk_feedback_note_recipient")),
    )
    op.create_index(op.f("ix_feedback_note_user_id"), "feedback_note", ["user_id"])
    op.create_index("ix_feedback_note_recipient_message_id", "feedback_note_recipient", ["message_id"])
    _partial_index("ix_feedback_note_unfinished", "feedback_note", ["id"], _UNFINISHED)
    _partial_index("ix_feedback_note_recipient_waiting", "feedback_note_recipient", ["note_id", "message_id"], _WAITING)
    note = sa.ForeignKey("feedback_note.id", name=op.f("fk_feedback_reply_note_id_feedback_note"), ondelete="SET NULL")
    with op.batch_alter_table("feedback_reply", table_kwargs=_AUTOINCREMENT) as reply:
        reply.add_column(sa.Column("note_id", _ID, note, nullable=True))
    once = ["note_id", "message_id"]
    _partial_index("uq_feedback_reply_note_id_message_id", "feedback_reply", once, _OF_NOTE, unique=True)


def downgrade() -> None:
    op.drop_index("uq_feedback_reply_note_id_message_id", table_name="feedback_reply")
    with op.batch_alter_table("feedback_reply", table_kwargs=_AUTOINCREMENT) as reply:
        reply.drop_constraint(op.f("fk_feedback_reply_note_id_feedback_note"), type_="foreignkey")
        reply.drop_column("note_id")
    op.drop_table("feedback_note_recipient")
    op.drop_table("feedback_note")


def _partial_index(name: str, table: str, columns: list[str], where: sa.TextClause, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _reference(table: str, column: str, referred: str, ondelete: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{referred}")
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=name, ondelete=ondelete)
