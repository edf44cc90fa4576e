"""Add passkeys, code apps, recovery codes, used challenges, and the time at which a session proved its user.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("auth_session", sa.Column("authenticated_at", _TIME, nullable=True))
    op.add_column("auth_session", sa.Column("device_removed_at", _TIME, nullable=True))
    op.add_column("auth_user", sa.Column("second_factor_since", _TIME, nullable=True))
    op.add_column(
        "auth_sign_in_link",
        sa.Column("without_second_factor", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    _passkeys()
    _code_apps()
    op.create_table(
        "auth_used_challenge",
        sa.Column("challenge_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("challenge_hash", name=op.f("pk_auth_used_challenge")),
    )
    op.create_index(op.f("ix_auth_used_challenge_expires_at"), "auth_used_challenge", ["expires_at"])


def _passkeys() -> None:
    op.create_table(
        "auth_passkey",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("host", sa.String(253), nullable=False),
        sa.Column("credential_id", sa.String(1364), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("user_handle", sa.String(86), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.String(100), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_used_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_user.id"], name=op.f("fk_auth_passkey_user_id_auth_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_auth_passkey_credential_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_auth_passkey_user_id"), "auth_passkey", ["user_id"])


def _code_apps() -> None:
    op.create_table(
        "auth_totp",
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("secret", sa.String(255), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("confirmed_at", _TIME, nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_user.id"], name=op.f("fk_auth_totp_user_id_auth_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_auth_totp")),
    )
    op.create_table(
        "auth_recovery_code",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("used_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_user.id"], name=op.f("fk_auth_recovery_code_user_id_auth_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_recovery_code")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_auth_recovery_code_user_id"), "auth_recovery_code", ["user_id"])


def downgrade() -> None:
    for table in ("auth_used_challenge", "auth_recovery_code", "auth_totp", "auth_passkey"):
        op.drop_table(table)
    with op.batch_alter_table("auth_sign_in_link") as links:
        links.drop_column("without_second_factor")
    op.drop_column("auth_user", "second_factor_since")
    op.drop_column("auth_session", "device_removed_at")
    op.drop_column("auth_session", "authenticated_at")
