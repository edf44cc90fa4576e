"""Add webhooks: the targets that are told of messages and alarms, and the events for them.

Revision ID: 0027
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "webhooks_target",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("place", sa.String(300), nullable=False),
        sa.Column("wanted", sa.String(10), nullable=False),
        sa.Column("takes_alarms", sa.Boolean(), nullable=False),
        sa.Column("form_keys", sa.JSON(), nullable=True),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("claimed_at", _TIME, nullable=True),
        sa.Column("claimed_until", _TIME, nullable=True),
        sa.Column("retry_at", _TIME, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", _TIME, nullable=True),
        sa.Column("paused_at", _TIME, nullable=True),
        sa.Column("pause_reason", sa.String(10), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks_target")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhooks_delivery",
        sa.Column("id", _ID, nullable=False),
        sa.Column("target_id", _ID, nullable=False),
        sa.Column("message_id", _ID, nullable=True),
        sa.Column("event", sa.String(20), nullable=False),
        sa.Column("webhook_id", sa.String(40), nullable=False),
        sa.Column("data", sa.JSON(), nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("queued_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.String(20), nullable=True),
        sa.Column("detail", sa.String(200), nullable=True),
        sa.Column("sent_at", _TIME, nullable=True),
        _reference("target_id", "webhooks_target"),
        _reference("message_id", "feedback_message"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks_delivery")),
        sa.UniqueConstraint(
            "message_id", "target_id", "event", name=op.f("uq_webhooks_delivery_message_id_target_id_event")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhooks_delivery_target_id", "webhooks_delivery", ["target_id", "id"])
    due = sa.text("due_at IS NOT NULL")
    op.create_index(
        "ix_webhooks_delivery_due", "webhooks_delivery", ["target_id", "due_at", "id"],
        sqlite_where=due, postgresql_where=due,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_table("webhooks_delivery")
    op.drop_table("webhooks_target")


def _reference(column: str, referred: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_webhooks_delivery_{column}_{referred}")
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=name, ondelete="CASCADE")
