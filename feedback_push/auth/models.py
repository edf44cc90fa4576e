"""A User: somebody who may read the inbox."""

from datetime import datetime

from flask_login import UserMixin
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from feedback_push.database import Base, Id, utcnow


class User(UserMixin, Base):  # type: ignore[misc]
    """An administrator; `session_token` is what their cookies carry, so replacing it signs them out everywhere."""

    __tablename__ = "auth_user"

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    session_token: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    language: Mapped[str | None] = mapped_column(String(8))  # None: as the browser asks for
    time_zone: Mapped[str | None] = mapped_column(String(64))  # an IANA name; None: the site's

    def get_id(self) -> str:
        """What Flask-Login keeps in the session and in the remember cookie."""
        return self.session_token
