"""Record the backups that were made, so that the doctor notices when none are made any more."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, mapped_column

from feedback_push.database import Base, db, utcnow

_KEPT = 20


class BackupRun(Base):
    """A backup that was made."""

    __tablename__ = "backup_run"

    finished_at: Mapped[datetime] = mapped_column(primary_key=True)
    size: Mapped[int]  # bytes
    encrypted: Mapped[bool]


def record(size: int, *, encrypted: bool) -> None:
    """Add a backup that is complete, and forget all but the newest."""
    db.session.add(BackupRun(finished_at=utcnow(), size=size, encrypted=encrypted))
    db.session.flush()
    kept = select(BackupRun.finished_at).order_by(BackupRun.finished_at.desc()).limit(_KEPT).subquery()
    db.session.execute(delete(BackupRun).where(BackupRun.finished_at.not_in(select(kept.c.finished_at))))


def last() -> BackupRun | None:
    """Return the newest backup, or None if there was none."""
    return db.session.scalar(select(BackupRun).order_by(BackupRun.finished_at.desc()).limit(1))
