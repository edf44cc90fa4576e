"""Define Passkey, Totp (an account's code app), RecoveryCode, and UsedChallenge."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push.auth.models import User
from feedback_push.database import AUTOINCREMENT, Base, Id, utcnow


class Passkey(Base):
    """A passkey of an account; nobody can sign in with the contents of this table, which are public by design."""

    __tablename__ = "auth_passkey"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    host: Mapped[str] = mapped_column(String(253))  # the relying party's id; the passkey works nowhere else
    credential_id: Mapped[str] = mapped_column(String(1364), unique=True)  # at most 1,023 bytes, in base64url
    public_key: Mapped[bytes]  # a COSE key
    user_handle: Mapped[str] = mapped_column(String(86))  # 64 random bytes in base64url, the same for all of an account
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[str] = mapped_column(String(100))  # with spaces between them
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_used_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()


class Totp(Base):
    """The secret that an account shares with its code app (RFC 6238); it counts once `confirmed_at` is set."""

    __tablename__ = "auth_totp"

    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str] = mapped_column(String(255))  # encrypted, see encryption.py
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(BigInteger, default=0)  # the time step of the last code used
    last_used_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """A code that replaces the second factor once; only its salted hash is stored."""

    __tablename__ = "auth_recovery_code"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), index=True)
    salt: Mapped[str] = mapped_column(String(32))
    code_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None]


class UsedChallenge(Base):
    """A challenge that a passkey has answered; it is kept until it expires, so that it works once."""

    __tablename__ = "auth_used_challenge"

    challenge_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
