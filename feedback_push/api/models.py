"""Define IdempotentRequest, a request that is not carried out twice."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from feedback_push.database import AUTOINCREMENT, Base, Id, utcnow


class IdempotentRequest(Base):
    """A request with an Idempotency-Key that was carried out, and the id of the row that it made."""

    __tablename__ = "api_idempotent_request"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)  # of the caller and the key
    fingerprint: Mapped[str] = mapped_column(String(64))  # of the operation and its arguments
    result_id: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
