"""Give accounts a role and a name; store invitations, reset links and notices of each account.

Revision ID: 0032
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0030"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_UNSEEN = sa.text("seen_at IS NULL")


def upgrade() -> None:
    # Every account of before could do everything, and goes on being able to.
    op.add_column("auth_user", sa.Column("role", sa.String(10), nullable=False, server_default="owner"))
    op.add_column("auth_user", sa.Column("name", sa.String(60), nullable=False, server_default=""))
    op.add_column("push_outbox", sa.Column("except_session_id", _ID, nullable=True))
    _create_invitation()
    _create_reset_link()
    _create_notice()


def downgrade() -> None:
    for table in ("auth_notice", "auth_reset_link", "auth_invitation"):
        op.drop_table(table)
    op.drop_column("push_outbox", "except_session_id")
    op.drop_column("auth_user", "name")
    op.drop_column("auth_user", "role")


def _create_invitation() -> None:
    op.create_table(
        "auth_invitation",
        sa.Column("id", _ID, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("made_by", _ID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        _of_account("auth_invitation", "made_by"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_invitation")),
        sa.UniqueConstraint("email", name=op.f("uq_auth_invitation_email")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_auth_invitation_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_auth_invitation_made_by"), "auth_invitation", ["made_by"])


def _create_reset_link() -> None:
    op.create_table(
        "auth_reset_link",
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("made_by", _ID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("drops_second_factor", sa.Boolean(), nullable=False),
        _of_account("auth_reset_link", "user_id"),
        _of_account("auth_reset_link", "made_by"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_auth_reset_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_auth_reset_link_token_hash")),
    )
    op.create_index(op.f("ix_auth_reset_link_made_by"), "auth_reset_link", ["made_by"])


def _create_notice() -> None:
    op.create_table(
        "auth_notice",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("event", sa.String(20), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("address_hash", sa.String(32), nullable=False),
        sa.Column("browser", sa.String(100), nullable=False),
        sa.Column("session_id", _ID, nullable=True),
        sa.Column("seen_at", _TIME, nullable=True),
        _of_account("auth_notice", "user_id"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["auth_session.id"],
            name=op.f("fk_auth_notice_session_id_auth_session"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_notice")),
        sqlite_autoincrement=True,
    )
    for column in ("user_id", "at", "session_id"):
        op.create_index(op.f(f"ix_auth_notice_{column}"), "auth_notice", [column])
    op.create_index(
        "ix_auth_notice_unseen", "auth_notice", ["user_id", "id"], sqlite_where=_UNSEEN, postgresql_where=_UNSEEN
    )


def _of_account(table: str, column: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_auth_user")
    return sa.ForeignKeyConstraint([column], ["auth_user.id"], name=name, ondelete="CASCADE")
