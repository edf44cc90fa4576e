"""Let devices belong to visitors, and follow audiences; give notifications a priority, and let them be paused.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AUTOINCREMENT = {"sqlite_autoincrement": True}
_ADMINISTRATORS = "user_id IS NOT NULL"
_NEVER_REACHED = "user_id IS NULL AND last_accepted_at IS NULL AND (failures >= 5 OR state = 'gone')"


def upgrade() -> None:
    with op.batch_alter_table("push_subscription", table_kwargs=_AUTOINCREMENT) as device:
        device.alter_column("user_id", existing_type=_ID, nullable=True)
    _partial_index("ix_push_subscription_administrators", "push_subscription", ["id"], _ADMINISTRATORS)
    _partial_index("ix_push_subscription_never_reached", "push_subscription", ["id"], _NEVER_REACHED)

    op.create_table(
        "push_audience",
        sa.Column("id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_audience")),
        **_AUTOINCREMENT,
    )
    op.create_table(
        "push_follower",
        sa.Column("audience_id", _ID, nullable=False),
        sa.Column("subscription_id", _ID, nullable=False),
        sa.Column("shows", sa.String(10), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["audience_id"],
            ["push_audience.id"],
            name=op.f("fk_push_follower_audience_id_push_audience"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["push_subscription.id"],
            name=op.f("fk_push_follower_subscription_id_push_subscription"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("audience_id", "subscription_id", name=op.f("pk_push_follower")),
    )
    op.create_index(op.f("ix_push_follower_subscription_id"), "push_follower", ["subscription_id"])

    audience = sa.ForeignKey(
        "push_audience.id", name=op.f("fk_push_outbox_audience_id_push_audience"), ondelete="CASCADE"
    )
    op.drop_index("ix_push_outbox_open", table_name="push_outbox")
    with op.batch_alter_table("push_outbox", table_kwargs=_AUTOINCREMENT) as entry:
        entry.add_column(sa.Column("audience_id", _ID, audience, nullable=True))
        entry.add_column(sa.Column("priority", sa.SmallInteger(), nullable=False, server_default="0"))
        entry.add_column(sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    _partial_index("ix_push_outbox_open", "push_outbox", ["priority", "id"], "fanned_out_at IS NULL")
    _partial_index("ix_push_outbox_audience_id", "push_outbox", ["audience_id"], "audience_id IS NOT NULL")

    op.drop_index("ix_push_delivery_due", table_name="push_delivery")
    op.add_column("push_delivery", sa.Column("priority", sa.SmallInteger(), nullable=False, server_default="0"))
    _partial_index(
        "ix_push_delivery_due", "push_delivery", ["service", "priority", "due_at", "id"], "due_at IS NOT NULL"
    )
    _partial_index("ix_push_delivery_paused", "push_delivery", ["outbox_id"], "state = 'paused'")


def downgrade() -> None:
    # The earlier schema has no place for visitors, nor for what was sent to them.
    op.execute(
        "DELETE FROM push_delivery WHERE subscription_id IN (SELECT id FROM push_subscription WHERE user_id IS NULL)"
    )
    op.execute("DELETE FROM push_outbox WHERE audience_id IS NOT NULL")
    op.execute("DELETE FROM push_follower")
    op.execute("DELETE FROM push_subscription WHERE user_id IS NULL")

    op.drop_index("ix_push_delivery_paused", table_name="push_delivery")
    op.drop_index("ix_push_delivery_due", table_name="push_delivery")
    op.drop_column("push_delivery", "priority")
    _partial_index("ix_push_delivery_due", "push_delivery", ["service", "due_at", "id"], "due_at IS NOT NULL")

    op.drop_index("ix_push_outbox_audience_id", table_name="push_outbox")
    op.drop_index("ix_push_outbox_open", table_name="push_outbox")
    with op.batch_alter_table("push_outbox", table_kwargs=_AUTOINCREMENT) as entry:
        for column in ("paused_at", "priority", "audience_id"):
            entry.drop_column(column)
    _partial_index("ix_push_outbox_open", "push_outbox", ["id"], "fanned_out_at IS NULL")

    op.drop_table("push_follower")
    op.drop_table("push_audience")

    op.drop_index("ix_push_subscription_never_reached", table_name="push_subscription")
    op.drop_index("ix_push_subscription_administrators", table_name="push_subscription")
    with op.batch_alter_table("push_subscription", table_kwargs=_AUTOINCREMENT) as device:
        device.alter_column("user_id", existing_type=_ID, nullable=False)


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
