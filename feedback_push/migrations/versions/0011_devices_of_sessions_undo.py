"""Link devices to sessions, and suspend them together; allow an undo once and only in its own session.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BOUND = sa.text("session_id IS NOT NULL")


def upgrade() -> None:
    # Adding a foreign key makes SQLite copy the table, so add all columns in one batch. Existing devices have no known
    # session. They keep working, and get the session of their browser's next visit.
    session = sa.ForeignKey(
        "auth_session.id", name=op.f("fk_push_subscription_session_id_auth_session"), ondelete="SET NULL"
    )
    with op.batch_alter_table("push_subscription", table_kwargs={"sqlite_autoincrement": True}) as device:
        device.add_column(sa.Column("session_id", _ID, session, nullable=True))
        device.add_column(sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
        device.add_column(sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_push_subscription_session_id",
        "push_subscription",
        ["session_id"],
        sqlite_where=_BOUND,
        postgresql_where=_BOUND,
    )

    op.create_table(
        "feedback_undo",
        sa.Column("id", _ID, nullable=False),
        sa.Column("session_id", _ID, nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["auth_session.id"],
            name=op.f("fk_feedback_undo_session_id_auth_session"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback_undo")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_feedback_undo_session_id"), "feedback_undo", ["session_id"])
    op.create_index(op.f("ix_feedback_undo_expires_at"), "feedback_undo", ["expires_at"])


def downgrade() -> None:
    op.drop_table("feedback_undo")

    op.drop_index("ix_push_subscription_session_id", table_name="push_subscription")
    with op.batch_alter_table("push_subscription", table_kwargs={"sqlite_autoincrement": True}) as device:
        for column in ("seen_at", "suspended_at", "session_id"):
            device.drop_column(column)
