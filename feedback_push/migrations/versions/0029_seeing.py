"""Add counts of events that outlive what they count, and the request that stored an outbox entry.

Revision ID: 0029
Revises: 0028
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# As at the time of this migration: the ends of the buckets, and the kinds for administrators.
_ENDS = ("0.5", "1", "1.5", "2", "3", "4", "5", "7.5", "10", "15", "20", "30", "45", "60", "120", "300", "600", "1800",
         "3600", "14400", "86400")  # fmt: skip
_KINDS = "(entry.kind IN ('feedback', 'reply', 'api') OR entry.kind LIKE 'summary:%')"
_KEPT = timedelta(days=31)
_BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("push_outbox", sa.Column("request_id", sa.String(32)))
    op.create_table(
        "event_total",
        sa.Column("name", sa.String(30), nullable=False),
        sa.Column("labels", sa.String(150), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("count", _BigInt, nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", "shard", name=op.f("pk_event_total")),
    )
    op.create_table(
        "event_day",
        sa.Column("name", sa.String(30), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("labels", sa.String(150), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("count", _BigInt, nullable=False),
        sa.PrimaryKeyConstraint("name", "day", "labels", "shard", name=op.f("pk_event_day")),
    )
    _count_the_last_days()


def _count_the_last_days() -> None:
    """Count what is stored, so that the figures of the last days are there at once."""
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    midnight = datetime.combine(datetime.now(UTC).date() - _KEPT, datetime.min.time(), UTC)
    since = {"since": midnight if on_postgresql else midnight.strftime("%Y-%m-%d %H:%M:%S.%f")}  # SQLite stores text
    day = "({0}.created_at AT TIME ZONE 'UTC')::date" if on_postgresql else "date({0}.created_at)"
    seconds = (
        "EXTRACT(EPOCH FROM delivery.shown_at - entry.created_at)"
        if on_postgresql
        else "(julianday(delivery.shown_at) - julianday(entry.created_at)) * 86400"
    )
    bucket = (
        f"CASE {' '.join(f'WHEN {seconds} <= {end} THEN {chr(39)}{end}{chr(39)}' for end in _ENDS)} ELSE '+Inf' END"
    )
    of_message, of_entry = day.format("message"), day.format("entry")
    deliveries = (
        "FROM push_outbox AS entry JOIN push_delivery AS delivery ON delivery.outbox_id = entry.id "
        f"WHERE entry.created_at >= :since AND entry.priority = 0 AND {_KINDS}"
    )
    accepted, shown = ("AND delivery.accepted_at IS NOT NULL", "AND delivery.shown_at IS NOT NULL")
    messages = "FROM feedback_message AS message WHERE message.created_at >= :since AND message.state <> 'spam'"
    for select in (
        f"SELECT 'message', {of_message}, '', 0, count(*) {messages} GROUP BY 2",
        f"SELECT 'sent', {of_entry}, '', 0, count(*) {deliveries} {accepted} GROUP BY 2",
        f"SELECT 'shown', {of_entry}, {bucket}, 0, count(*) {deliveries} {shown} GROUP BY 2, 3",
    ):
        op.get_bind().execute(sa.text(f"INSERT INTO event_day (name, day, labels, shard, count) {select}"), since)


def downgrade() -> None:
    op.drop_table("event_day")
    op.drop_table("event_total")
    op.drop_column("push_outbox", "request_id")
