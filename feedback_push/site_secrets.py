"""Secrets of the site that outlive SECRET_KEY: each is a row, encrypted with it, and found by its purpose."""

from datetime import datetime

from sqlalchemy import String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from feedback_push import encryption, secret_keys
from feedback_push.database import AUTOINCREMENT, Base, Id, db, utcnow

_PURPOSE = "secrets of the site"
_LONGEST = 80


class SiteSecret(Base):
    """A secret; of several with one purpose, the newest is used for what is new."""

    __tablename__ = "site_secret"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    purpose: Mapped[str] = mapped_column(String(_LONGEST), index=True)
    encrypted: Mapped[str] = mapped_column(Text)
    made_under: Mapped[str] = mapped_column(String(16))  # a name of the SECRET_KEY at that time, which hides it
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    def reveal(self) -> str:
        """Return the secret; raise encryption.UnreadableError."""
        return encryption.decrypt(self.encrypted, _PURPOSE)


encryption.stored_in(SiteSecret.encrypted, _PURPOSE)


def of(purpose: str) -> list[SiteSecret]:
    """Return the secrets with a purpose, the newest first."""
    return list(
        db.session.scalars(select(SiteSecret).where(SiteSecret.purpose == purpose).order_by(SiteSecret.id.desc()))
    )


def add(purpose: str, secret: str) -> SiteSecret:
    """Store a secret, which is from now on the newest with its purpose. The caller commits."""
    encrypted = encryption.encrypt(secret, _PURPOSE)
    row = SiteSecret(purpose=purpose, encrypted=encrypted, made_under=name_of_current_key())
    db.session.add(row)
    db.session.flush()
    return row


def end_all_but_newest(purpose: str) -> int:
    """Delete the secrets with a purpose but the newest, and return how many. The caller commits."""
    earlier = of(purpose)[1:]
    for row in earlier:
        db.session.delete(row)
    return len(earlier)


def name_of_current_key() -> str:
    """Return a name of SECRET_KEY that tells it from others and reveals nothing of it."""
    return secret_keys.derived("name of the key")[0].hex()[:16]
