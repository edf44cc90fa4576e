"""Let a form send a broadcast once, keep its counts, and delete a topic in batches.

Revision ID: 0023
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0021"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_TO_COUNT = sa.text("count_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("topics_topic", sa.Column("removed_at", _TIME, nullable=True))
    op.add_column("topics_broadcast", sa.Column("form_token", sa.String(32), nullable=True))
    op.add_column("topics_broadcast", sa.Column("count_at", _TIME, nullable=True))
    op.create_index("ix_topics_broadcast_form_token", "topics_broadcast", ["form_token"], unique=True)
    op.create_index(
        "ix_topics_broadcast_to_count",
        "topics_broadcast",
        ["count_at"],
        sqlite_where=_TO_COUNT,
        postgresql_where=_TO_COUNT,
    )
    # The results of the broadcasts of before are counted at the next sweep.
    op.execute("UPDATE topics_broadcast SET count_at = finished_at WHERE outbox_id IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_topics_broadcast_to_count", table_name="topics_broadcast")
    op.drop_index("ix_topics_broadcast_form_token", table_name="topics_broadcast")
    for column in ("count_at", "form_token"):
        op.drop_column("topics_broadcast", column)
    op.drop_column("topics_topic", "removed_at")
