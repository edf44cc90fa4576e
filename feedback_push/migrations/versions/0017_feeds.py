"""Add the feeds that broadcasts come from, and the entries seen in them.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "topics_feed",
        sa.Column("id", _ID, nullable=False),
        sa.Column("topic_id", _ID, nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("next_read_at", _TIME, nullable=True),
        sa.Column("claimed_until", _TIME, nullable=True),
        sa.Column("first_read_at", _TIME, nullable=True),
        sa.Column("last_read_at", _TIME, nullable=True),
        sa.Column("last_success_at", _TIME, nullable=True),
        sa.Column("news_since", _TIME, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(20), nullable=False),
        sa.Column("moved_to", sa.String(2000), nullable=False),
        sa.Column("etag", sa.String(500), nullable=False),
        sa.Column("last_modified", sa.String(100), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("held_id", _ID, nullable=True),
        sa.Column("held_count", sa.Integer(), nullable=False),
        _reference("topics_feed", "topic_id", "topics_topic", "CASCADE"),
        _reference("topics_feed", "held_id", "topics_broadcast", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics_feed")),
        sa.UniqueConstraint("topic_id", name=op.f("uq_topics_feed_topic_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_topics_feed_held_id"), "topics_feed", ["held_id"])
    op.create_table(
        "topics_feed_entry",
        sa.Column("id", _ID, nullable=False),
        sa.Column("feed_id", _ID, nullable=False),
        sa.Column("keys", sa.String(300), nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("broadcast_id", _ID, nullable=True),
        _reference("topics_feed_entry", "feed_id", "topics_feed", "CASCADE"),
        _reference("topics_feed_entry", "broadcast_id", "topics_broadcast", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics_feed_entry")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_topics_feed_entry_feed_id", "topics_feed_entry", ["feed_id", "id"])
    op.create_index(op.f("ix_topics_feed_entry_broadcast_id"), "topics_feed_entry", ["broadcast_id"])


def downgrade() -> None:
    op.drop_table("topics_feed_entry")
    op.drop_table("topics_feed")


def _reference(table: str, column: str, referred: str, ondelete: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{referred}")
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=name, ondelete=ondelete)
