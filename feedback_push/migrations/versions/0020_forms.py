"""Add forms, with the administrators they notify, and the answers that visitors give to them.

Revision ID: 0020
Revises: 0018
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# None of them refers to another table: SQLite would have to copy all messages, and would lose the search's triggers.
_OF_A_MESSAGE: dict[str, sa.types.TypeEngine[Any]] = {
    "form_key": sa.String(40),
    "category": sa.String(120),
    "rating": sa.String(4),
    "page_url": sa.String(1000),
    "page_title": sa.String(200),
    "answers": sa.JSON(),
}
_INDEXED = ("form_key", "category", "rating", "page_url")


def upgrade() -> None:
    op.create_table(
        "feedback_form",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key", sa.String(40), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("name_field", sa.String(10), nullable=False),
        sa.Column("email_field", sa.String(10), nullable=False),
        sa.Column("rating", sa.String(10), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("questions", sa.JSON(), nullable=False),
        sa.Column("thanks_url", sa.String(500), nullable=False),
        sa.Column("keeps_query", sa.Boolean(), nullable=False),
        sa.Column("notifies_all", sa.Boolean(), nullable=False),
        sa.Column("network_hourly", sa.Integer(), nullable=True),
        sa.Column("form_hourly", sa.Integer(), nullable=True),
        sa.Column("notify_daily", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback_form")),
        sa.UniqueConstraint("key", name=op.f("uq_feedback_form_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "feedback_form_recipient",
        sa.Column("form_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        _reference("form_id", "feedback_form"),
        _reference("user_id", "auth_user"),
        sa.PrimaryKeyConstraint("form_id", "user_id", name=op.f("pk_feedback_form_recipient")),
    )
    op.create_index(op.f("ix_feedback_form_recipient_user_id"), "feedback_form_recipient", ["user_id"])
    op.create_table(
        "feedback_site_limit",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_feedback_site_limit")),
    )
    for name, kind in _OF_A_MESSAGE.items():
        op.add_column("feedback_message", sa.Column(name, kind, nullable=True))
    for name in _INDEXED:
        some = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_feedback_message_{name}", "feedback_message", [name, "id"], sqlite_where=some, postgresql_where=some
        )
    op.add_column("push_outbox", sa.Column("recipients", sa.JSON(), nullable=True))


def downgrade() -> None:
    # The earlier release would notify every administrator.
    op.execute(
        "UPDATE push_outbox SET fanned_out_at = created_at WHERE recipients IS NOT NULL AND fanned_out_at IS NULL"
    )
    op.drop_column("push_outbox", "recipients")
    for name in _INDEXED:
        op.drop_index(f"ix_feedback_message_{name}", table_name="feedback_message")
    for name in reversed(_OF_A_MESSAGE):
        op.drop_column("feedback_message", name)
    op.drop_table("feedback_site_limit")
    op.drop_table("feedback_form_recipient")
    op.drop_table("feedback_form")


def _reference(column: str, referred: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_feedback_form_recipient_{column}_{referred}")
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=name, ondelete="CASCADE")
