"""Claim deliveries by push service, so that a service that hangs does not delay the others.

Revision ID: 0004
Revises: 0003
"""

import zlib
from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_AT_ONCE = 1000
_DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    for table in ("push_subscription", "push_delivery"):
        op.add_column(table, sa.Column("service", sa.Integer(), nullable=False, server_default="0"))
    _number_devices(op.get_bind())
    op.execute(
        "UPDATE push_delivery SET service = "
        "(SELECT device.service FROM push_subscription AS device WHERE device.id = push_delivery.subscription_id) "
        "WHERE due_at IS NOT NULL"
    )
    op.drop_index("ix_push_delivery_due", table_name="push_delivery")
    _index("service", "due_at", "id")


def downgrade() -> None:
    op.drop_index("ix_push_delivery_due", table_name="push_delivery")
    _index("due_at", "id")
    for table in ("push_delivery", "push_subscription"):
        op.drop_column(table, "service")


def _number_devices(connection: sa.Connection) -> None:
    some = sa.text("SELECT id, endpoint FROM push_subscription WHERE id > :last ORDER BY id LIMIT :most")
    number = sa.text("UPDATE push_subscription SET service = :service WHERE id = :id")
    last = 0
    while devices := connection.execute(some, {"last": last, "most": _AT_ONCE}).all():
        connection.execute(number, [{"id": id_, "service": _service(where)} for id_, where in devices])
        last = devices[-1].id


def _service(endpoint: str) -> int:
    parts = urlsplit(endpoint)
    usual_port = ":443" if parts.scheme == "https" else ":80"
    origin = f"{parts.scheme}://{parts.netloc.lower().removesuffix(usual_port)}"
    return zlib.crc32(origin.encode()) & 0x7FFFFFFF


def _index(*columns: str) -> None:
    op.create_index("ix_push_delivery_due", "push_delivery", list(columns), sqlite_where=_DUE, postgresql_where=_DUE)
