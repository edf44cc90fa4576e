"""Tell webhooks of visitors' replies and of programs' notifications, and store the chosen interval of drills.

Revision ID: 0037
Revises: 0036
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DELIVERIES = "webhooks_delivery"
_REPLIES = "uq_webhooks_delivery_reply_id_target_id_event"
_WITHOUT_NEW_EVENTS = """
DELETE FROM webhooks_delivery WHERE event IN ('reply.created', 'reply.unseen', 'notification.created')
"""


def upgrade() -> None:
    # A receiver that works today is sent nothing new before somebody asks for it.
    op.add_column("webhooks_target", sa.Column("wanted_replies", sa.String(10), nullable=False, server_default="none"))
    op.add_column(
        "webhooks_target", sa.Column("takes_notifications", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    reply = sa.ForeignKey(
        "feedback_reply.id", name=op.f("fk_webhooks_delivery_reply_id_feedback_reply"), ondelete="CASCADE"
    )
    op.drop_index("ix_webhooks_delivery_due", table_name=_DELIVERIES)
    with op.batch_alter_table(_DELIVERIES, table_kwargs={"sqlite_autoincrement": True}) as deliveries:
        deliveries.add_column(sa.Column("reply_id", _ID, reply, nullable=True))
    _index_of_due()
    there = sa.text("reply_id IS NOT NULL")
    op.create_index(
        _REPLIES, _DELIVERIES, ["reply_id", "target_id", "event"], unique=True,
        sqlite_where=there, postgresql_where=there,
    )  # fmt: skip
    op.create_table(
        "alarms_setting",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarms_setting")),
    )


def downgrade() -> None:
    op.drop_table("alarms_setting")
    op.execute(_WITHOUT_NEW_EVENTS)
    op.drop_index(_REPLIES, table_name=_DELIVERIES)
    op.drop_index("ix_webhooks_delivery_due", table_name=_DELIVERIES)
    with op.batch_alter_table(_DELIVERIES, table_kwargs={"sqlite_autoincrement": True}) as deliveries:
        deliveries.drop_column("reply_id")
    _index_of_due()
    op.drop_column("webhooks_target", "takes_notifications")
    op.drop_column("webhooks_target", "wanted_replies")


def _index_of_due() -> None:
    due = sa.text("due_at IS NOT NULL")
    op.create_index(
        "ix_webhooks_delivery_due", _DELIVERIES, ["target_id", "due_at", "id"],
        sqlite_where=due, postgresql_where=due,
    )  # fmt: skip
