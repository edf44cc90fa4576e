"""Move sessions to their own table, and add the audit log.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OF_SOMEBODY = sa.text("user_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "auth_session",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("browser", sa.String(100), nullable=False),
        sa.Column("remembered", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_user.id"], name=op.f("fk_auth_session_user_id_auth_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_auth_session_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_auth_session_user_id", "auth_session", ["user_id"])
    op.create_table(
        "auth_audit",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("event", sa.String(30), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("address_hash", sa.String(32), nullable=False),
        sa.Column("browser", sa.String(100), nullable=False),
        sa.Column("count", _ID, nullable=False),
        sa.Column("counted_as", sa.String(60), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_user.id"], name=op.f("fk_auth_audit_user_id_auth_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_audit")),
        sa.UniqueConstraint("counted_as", name=op.f("uq_auth_audit_counted_as")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_auth_audit_at", "auth_audit", ["at"])
    op.create_index(
        "ix_auth_audit_user_id",
        "auth_audit",
        ["user_id", "id"],
        sqlite_where=_OF_SOMEBODY,
        postgresql_where=_OF_SOMEBODY,
    )
    # All signed-in users have to sign in again, because their cookies contain the deleted tokens.
    with op.batch_alter_table("auth_user") as user:
        user.drop_constraint(op.f("uq_auth_user_session_token"), type_="unique")
        user.drop_column("session_token")


def downgrade() -> None:
    op.add_column("auth_user", sa.Column("session_token", sa.String(64), nullable=True))
    random = "hex(randomblob(32))" if op.get_context().dialect.name == "sqlite" else "gen_random_uuid()::text"
    op.execute(f"UPDATE auth_user SET session_token = {random}")  # noqa: S608 - one of the two above
    with op.batch_alter_table("auth_user") as user:
        user.alter_column("session_token", existing_type=sa.String(64), nullable=False)
        user.create_unique_constraint(op.f("uq_auth_user_session_token"), ["session_token"])
    op.drop_table("auth_audit")
    op.drop_table("auth_session")
