"""The record of the demonstration data, so that exactly these rows are removed."""

from datetime import datetime

from sqlalchemy import JSON, select
from sqlalchemy.orm import Mapped, mapped_column

from feedback_push.database import Base, db, utcnow

_ONLY = 1  # the id of the only row, so that of two commands at once one fails


class DemoData(Base):
    """The demonstration data of this site: one row, or none. `rows` has the ids of what was added, by their kind."""

    __tablename__ = "demo_data"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=_ONLY)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    rows: Mapped[dict[str, list[int]]] = mapped_column(JSON, default=dict)


def is_there() -> bool:
    """Return whether this site holds demonstration data."""
    return db.session.scalar(select(DemoData.id)) is not None


def stored(*, lock: bool = False) -> DemoData | None:
    """Return the record of the demonstration data, locked if asked; None if there is none."""
    return db.session.get(DemoData, _ONLY, with_for_update=lock or None)
