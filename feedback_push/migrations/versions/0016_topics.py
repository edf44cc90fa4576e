"""Add topics that visitors follow, their broadcasts, and the follower's pause.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_TO_ASK = sa.text("paused_at IS NOT NULL AND asked_at IS NULL")
_TO_SEND = sa.text("send_at IS NOT NULL AND started_at IS NULL AND ended_at IS NULL")
_UNFINISHED = sa.text("started_at IS NOT NULL AND finished_at IS NULL")


def upgrade() -> None:
    for column in ("opened_at", "paused_at", "asked_at"):
        op.add_column("push_follower", sa.Column(column, _TIME, nullable=True))
    op.add_column("push_outbox", sa.Column("unopened_since", _TIME, nullable=True))
    _partial_index("ix_push_follower_to_ask", "push_follower", ["audience_id", "subscription_id"], _TO_ASK)
    op.create_table(
        "topics_topic",
        sa.Column("id", _ID, nullable=False),
        sa.Column("slug", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("icon", sa.LargeBinary(), nullable=True),
        sa.Column("icon_type", sa.String(20), nullable=True),
        sa.Column("cap_count", sa.Integer(), nullable=False),
        sa.Column("cap_days", sa.Integer(), nullable=False),
        sa.Column("pause_after", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("audience_id", _ID, nullable=False),
        _reference("topics_topic", "audience_id", "push_audience", "RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics_topic")),
        sa.UniqueConstraint("slug", name=op.f("uq_topics_topic_slug")),
        sa.UniqueConstraint("audience_id", name=op.f("uq_topics_topic_audience_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "topics_broadcast",
        sa.Column("id", _ID, nullable=False),
        sa.Column("topic_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("body", sa.String(1000), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("image_url", sa.String(2000), nullable=False),
        sa.Column("urgency", sa.String(10), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("send_at", _TIME, nullable=True),
        sa.Column("started_at", _TIME, nullable=True),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("followers", sa.Integer(), nullable=False),
        sa.Column("results", sa.JSON(), nullable=True),
        sa.Column("outbox_id", _ID, nullable=True),
        _reference("topics_broadcast", "topic_id", "topics_topic", "CASCADE"),
        _reference("topics_broadcast", "user_id", "auth_user", "SET NULL"),
        _reference("topics_broadcast", "outbox_id", "push_outbox", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics_broadcast")),
        sa.UniqueConstraint("outbox_id", name=op.f("uq_topics_broadcast_outbox_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_topics_broadcast_topic_id", "topics_broadcast", ["topic_id", "id"])
    op.create_index(op.f("ix_topics_broadcast_user_id"), "topics_broadcast", ["user_id"])
    _partial_index("ix_topics_broadcast_to_send", "topics_broadcast", ["send_at", "id"], _TO_SEND)
    _partial_index("ix_topics_broadcast_unfinished", "topics_broadcast", ["id"], _UNFINISHED)


def downgrade() -> None:
    op.drop_table("topics_broadcast")
    # The followers of a topic would otherwise stay in an audience that nothing owns.
    op.execute("DELETE FROM push_follower WHERE audience_id IN (SELECT audience_id FROM topics_topic)")
    op.drop_table("topics_topic")
    op.drop_index("ix_push_follower_to_ask", table_name="push_follower")
    op.drop_column("push_outbox", "unopened_since")
    for column in ("opened_at", "paused_at", "asked_at"):
        op.drop_column("push_follower", column)


def _partial_index(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _reference(table: str, column: str, referred: str, ondelete: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{referred}")
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=name, ondelete=ondelete)
