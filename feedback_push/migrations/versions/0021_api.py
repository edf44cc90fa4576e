"""Add the API's keys, its idempotent requests, and the proven user of a message.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("feedback_message", sa.Column("host_user", sa.String(200), nullable=True))
    op.create_table(
        "auth_api_key",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(60), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_used_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_user.id"], name=op.f("fk_auth_api_key_user_id_auth_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_api_key")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_auth_api_key_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_auth_api_key_user_id"), "auth_api_key", ["user_id"])
    op.create_table(
        "api_idempotent_request",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("result_id", _ID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_idempotent_request")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_idempotent_request_key_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_api_idempotent_request_created_at"), "api_idempotent_request", ["created_at"])


def downgrade() -> None:
    op.drop_column("feedback_message", "host_user")
    op.drop_table("api_idempotent_request")
    op.drop_table("auth_api_key")
