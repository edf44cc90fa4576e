"""Add message states, and the recipients, preview level per device and receipts of notifications.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Every list has its own index, which contains only its rows in their order. So the other rows cost nothing, whatever
# the query, and neither database reads all rows of a state to sort them.
_LISTS = {
    "inbox": sa.text("deleted_at IS NULL AND state IN ('new', 'read')"),
    "new": sa.text("deleted_at IS NULL AND state = 'new'"),
    "archived": sa.text("deleted_at IS NULL AND state = 'archived'"),
    "spam": sa.text("deleted_at IS NULL AND state = 'spam'"),
}
_DELETED = sa.text("deleted_at IS NOT NULL")
_HELD = sa.text("held_until IS NOT NULL")


def upgrade() -> None:
    op.add_column("auth_user", sa.Column("language", sa.String(8), nullable=True))
    op.add_column("auth_user", sa.Column("time_zone", sa.String(64), nullable=True))

    op.add_column("feedback_message", sa.Column("state", sa.String(10), nullable=False, server_default="new"))
    op.add_column("feedback_message", sa.Column("spam_reason", sa.String(20), nullable=True))
    op.add_column("feedback_message", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE feedback_message SET state = 'read' WHERE read_at IS NOT NULL")
    op.drop_index("ix_feedback_message_unread", table_name="feedback_message")
    for name, where in _LISTS.items():
        _index(f"ix_feedback_message_{name}", "feedback_message", ["id"], where)
    _index("ix_feedback_message_deleted_at", "feedback_message", ["deleted_at"], _DELETED)
    op.create_index("ix_feedback_message_created_at", "feedback_message", ["created_at"])

    op.add_column("push_outbox", sa.Column("kind", sa.String(20), nullable=False, server_default="feedback"))
    op.add_column("push_outbox", sa.Column("counts", sa.Integer(), nullable=False, server_default="1"))
    _refer("push_outbox", user_id=("auth_user", "CASCADE"), subscription_id=("push_subscription", "CASCADE"))
    _index("ix_push_outbox_user_id", "push_outbox", ["user_id"], sa.text("user_id IS NOT NULL"))
    _index("ix_push_outbox_subscription_id", "push_outbox", ["subscription_id"], sa.text("subscription_id IS NOT NULL"))

    op.add_column("push_subscription", sa.Column("language", sa.String(8), nullable=False, server_default="en"))
    op.add_column("push_subscription", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("push_subscription", sa.Column("last_shown_at", sa.DateTime(timezone=True), nullable=True))

    op.add_column("push_delivery", sa.Column("shows", sa.String(10), nullable=False, server_default="all"))
    op.add_column("push_delivery", sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("push_delivery", sa.Column("clicked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("push_delivery", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
    _refer("push_delivery", summary_id=("push_outbox", "SET NULL"))
    _index("ix_push_delivery_held", "push_delivery", ["held_until", "id"], _HELD)
    _index("ix_push_delivery_summary_id", "push_delivery", ["summary_id"], sa.text("summary_id IS NOT NULL"))

    op.create_table(
        "push_preference",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shows", sa.String(10), nullable=False),
        sa.Column("quiet_from", sa.String(5), nullable=True),
        sa.Column("quiet_until", sa.String(5), nullable=True),
        sa.Column("burst_count", sa.Integer(), nullable=False),
        sa.Column("burst_seconds", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_user.id"], name=op.f("fk_push_preference_user_id_auth_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_push_preference")),
    )
    op.create_table(
        "push_muted_kind",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_user.id"], name=op.f("fk_push_muted_kind_user_id_auth_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "kind", name=op.f("pk_push_muted_kind")),
    )


def downgrade() -> None:
    op.drop_table("push_muted_kind")
    op.drop_table("push_preference")

    op.drop_index("ix_push_delivery_summary_id", table_name="push_delivery")
    op.drop_index("ix_push_delivery_held", table_name="push_delivery")
    with op.batch_alter_table("push_delivery", table_kwargs={"sqlite_autoincrement": True}) as delivery:
        for column in ("summary_id", "held_until", "clicked_at", "shown_at", "shows"):
            delivery.drop_column(column)
    for column in ("last_shown_at", "paused_at", "language"):
        op.drop_column("push_subscription", column)

    op.drop_index("ix_push_outbox_subscription_id", table_name="push_outbox")
    op.drop_index("ix_push_outbox_user_id", table_name="push_outbox")
    with op.batch_alter_table("push_outbox", table_kwargs={"sqlite_autoincrement": True}) as outbox:
        for column in ("subscription_id", "user_id", "counts", "kind"):
            outbox.drop_column(column)

    for name in ("created_at", "deleted_at", *_LISTS):
        op.drop_index(f"ix_feedback_message_{name}", table_name="feedback_message")
    for column in ("deleted_at", "spam_reason", "state"):
        op.drop_column("feedback_message", column)
    _index("ix_feedback_message_unread", "feedback_message", ["id"], sa.text("read_at IS NULL"))

    op.drop_column("auth_user", "time_zone")
    op.drop_column("auth_user", "language")


def _index(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _refer(table: str, **columns: tuple[str, str]) -> None:
    """Add columns that refer to another table, each given with the action for when its row is deleted."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    # SQLite can only recreate the table.
    with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch:
        for column, (other, on_delete) in columns.items():
            key = sa.ForeignKey(f"{other}.id", name=op.f(f"fk_{table}_{column}_{other}"), ondelete=on_delete)
            batch.add_column(sa.Column(column, kind, key, nullable=True))
