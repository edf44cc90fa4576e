"""Add alarms: incidents, drills with their recipients, and the last turn of the checks.

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alarms_incident",
        sa.Column("id", _ID, nullable=False),
        sa.Column("alarm", sa.String(10), nullable=False),
        sa.Column("subject", sa.String(20), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms_incident")),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_alarms_incident_open", "alarms_incident", ["alarm", "subject"], unique=True,
        sqlite_where=is_open, postgresql_where=is_open,
    )  # fmt: skip
    op.create_table(
        "alarms_drill",
        sa.Column("id", _ID, nullable=False),
        sa.Column("slot", sa.String(40), nullable=True),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("started_by", sa.String(320), nullable=False),
        sa.Column("judged_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms_drill")),
        sa.UniqueConstraint("slot", name=op.f("uq_alarms_drill_slot")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alarms_drill_recipient",
        sa.Column("drill_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("send_at", _TIME, nullable=False),
        sa.Column("sent_at", _TIME, nullable=True),
        sa.Column("outbox_id", _ID, nullable=True),
        sa.Column("opened_at", _TIME, nullable=True),
        _reference("drill_id", "alarms_drill", "CASCADE"),
        _reference("user_id", "auth_user", "CASCADE"),
        _reference("outbox_id", "push_outbox", "SET NULL"),
        sa.PrimaryKeyConstraint("drill_id", "user_id", name=op.f("pk_alarms_drill_recipient")),
    )
    for column in ("user_id", "outbox_id"):
        op.create_index(op.f(f"ix_alarms_drill_recipient_{column}"), "alarms_drill_recipient", [column])
    op.create_table(
        "alarms_last_turn",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarms_last_turn")),
    )


def downgrade() -> None:
    for table in ("alarms_last_turn", "alarms_drill_recipient", "alarms_drill", "alarms_incident"):
        op.drop_table(table)


def _reference(column: str, referred: str, ondelete: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_alarms_drill_recipient_{column}_{referred}")
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=name, ondelete=ondelete)
